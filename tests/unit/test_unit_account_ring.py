"""People's own secrets: an envelope opens for the person and the purpose it was sealed for, with its ring, or not."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.vault.account_ring import AccountRing, load_account_ring, new_account_ring
from app.services.vault.envelope import AccountBinding, Binding, SealBroken, seal, unseal
from app.services.vault.ring import BadRing, new_ring

SEED = "JBSWY3DPEHPK3PXPcanary"
MINE = AccountBinding("usr_1", "totp")
BYTE_FIELDS = ["wrapped_key", "nonce", "commitment", "ciphertext"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
BINDINGS = st.builds(AccountBinding, TEXTS, TEXTS)


def write(path: Path, ring: object, *, mode: int = 0o600) -> Path:
    """A ring file."""
    path.write_text(ring if isinstance(ring, str) else json.dumps(ring))
    path.chmod(mode)
    return path


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> AccountRing:
    """A ring."""
    return load_account_ring(write(tmp_path_factory.mktemp("ring") / "ring.json", new_account_ring()))


async def stays_shut(ring: AccountRing, envelope: dict[str, Any], binding: AccountBinding | Binding = MINE) -> bool:
    """Whether it does not open, and says so in the one way that there is, without a cause that tells more."""
    try:
        await unseal(ring, envelope, binding)
    except SealBroken as broken:
        return broken.__cause__ is None and (broken.__context__ is None or broken.__suppress_context__)
    return False


@given(st.text(st.characters(codec="utf-8")), BINDINGS)
async def test_what_is_sealed_opens(ring: AccountRing, secret: str, binding: AccountBinding) -> None:
    """Any text, for anybody; and it is not in the envelope."""
    envelope = await seal(ring, secret, binding)
    assert await unseal(ring, envelope, binding) == secret
    assert len(secret) < 3 or secret.encode() not in b"".join(envelope[name] for name in BYTE_FIELDS)


@given(BINDINGS, BINDINGS)
async def test_another_person_or_purpose(ring: AccountRing, binding: AccountBinding, other: AccountBinding) -> None:
    """Moved to another record, an envelope stays shut; also where the two texts together are the same."""
    envelope = await seal(ring, SEED, binding)
    swapped = AccountBinding(binding.purpose, binding.user_id)
    shifted = AccountBinding(binding.user_id + binding.purpose, "")
    for moved in (other, swapped, shifted):
        assert moved == binding or await stays_shut(ring, envelope, moved)
        assert (moved.additional_data() == binding.additional_data()) == (moved == binding)


@given(st.builds(Binding, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), BINDINGS)
async def test_a_labels_secret_is_no_persons(ring: AccountRing, label: Binding, person: AccountBinding) -> None:
    """The two kinds of binding have no bytes in common, so that neither opens as the other."""
    assert label.additional_data() != person.additional_data()
    assert await stays_shut(ring, await seal(ring, SEED, label), person)


@given(st.sampled_from(BYTE_FIELDS), st.integers(0), st.integers(0, 7))
async def test_any_flipped_bit(ring: AccountRing, name: str, place: int, bit: int) -> None:
    """Of any field."""
    envelope = await seal(ring, SEED, MINE)
    raw = bytearray(envelope[name])
    raw[place % len(raw)] ^= 1 << bit
    assert await stays_shut(ring, envelope | {name: bytes(raw)})


@pytest.mark.parametrize("name", ["v", "key_id", *BYTE_FIELDS])
@pytest.mark.parametrize("value", [None, "", b"", b"\0" * 12, 2**70, [], {"$ne": 1}], ids=repr)
async def test_a_field_of_another_kind(ring: AccountRing, name: str, value: object) -> None:
    """Whatever somebody put into the database; and a field that is missing."""
    envelope = await seal(ring, SEED, MINE)
    assert await stays_shut(ring, envelope | {name: value})
    del envelope[name]
    assert await stays_shut(ring, envelope)


async def test_another_ring(ring: AccountRing, tmp_path: Path) -> None:
    """A key of the same id does not open what it did not seal."""
    other = load_account_ring(write(tmp_path / "ring.json", new_account_ring()))
    assert await stays_shut(other, await seal(ring, SEED, MINE)) and await stays_shut(
        ring, await seal(other, SEED, MINE)
    )


async def test_a_rotated_ring_opens_what_the_old_one_sealed(tmp_path: Path) -> None:
    """New secrets are sealed with the new key; what names the old one stays readable as long as it is there."""
    old_keys: Any = new_account_ring()["keys"]
    old = load_account_ring(write(tmp_path / "old.json", {"current": "a1", "keys": old_keys}))
    new_key = base64.b64encode(os.urandom(32)).decode()
    both = load_account_ring(write(tmp_path / "both.json", {"current": "a2", "keys": old_keys | {"a2": new_key}}))
    kept, fresh = await seal(old, SEED, MINE), await seal(both, SEED, MINE)
    assert (kept["key_id"], fresh["key_id"]) == ("a1", "a2")
    assert await unseal(both, kept, MINE) == await unseal(both, fresh, MINE) == SEED
    assert await stays_shut(old, fresh)


GOOD_KEYS = {"a1": base64.b64encode(b"thirty-two bytes that are a key!").decode()}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "canary",
        "[]",
        "{}",
        {"current": "a1", "keys": {}},
        {"current": "a2", "keys": GOOD_KEYS},
        {"current": None, "keys": GOOD_KEYS},
        {"keys": GOOD_KEYS},
        {"current": "a1", "keys": {"a1": base64.b64encode(b"canary-too-short").decode()}},
        {"current": "a1", "keys": {"a1": "canary, no base64"}},
        {"current": "a1", "keys": {"a1": 1}},
        {"current": "a1", "keys": ["a1"]},
    ],
    ids=repr,
)
def test_a_ring_file_that_is_none(tmp_path: Path, content: object) -> None:
    """Refused by its name, and nothing of it is repeated; so is one that is not there."""
    path = write(tmp_path / "ring.json", content)
    with pytest.raises(BadRing, match=r"ring\.json") as refused:
        load_account_ring(path)
    assert "canary" not in str(refused.value)
    with pytest.raises(BadRing, match="absent"):
        load_account_ring(tmp_path / "absent")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o610, 0o601])
def test_a_ring_that_others_may_reach(tmp_path: Path, mode: int) -> None:
    """Refused, though all else is good."""
    path = write(tmp_path / "ring.json", new_account_ring(), mode=mode)
    with pytest.raises(BadRing, match="0600"):
        load_account_ring(path)


def test_the_workers_ring_opens_nothing_here(tmp_path: Path) -> None:
    """A private ring has no current key, so it cannot be mistaken for this one."""
    with pytest.raises(BadRing):
        load_account_ring(write(tmp_path / "ring.private.json", new_ring()[1]))


def test_a_ring_does_not_show_its_keys(ring: AccountRing) -> None:
    """Printed, it shows which key is current, and no key."""
    assert f"{ring}" == f"{ring!r}" == "AccountRing(current='a1')"
