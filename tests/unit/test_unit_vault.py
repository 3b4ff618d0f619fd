"""The vault: an envelope opens as it was sealed, for whom it was sealed, with the private ring, or not at all."""

import base64
import copy
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import keys
from app.clients.credentials import Opened, WrongUse
from app.services.vault.account_ring import load_account_ring
from app.services.vault.envelope import Binding, SealBroken, seal, unseal
from app.services.vault.private_ring import LocalPrivateRing, load_private
from app.services.vault.ring import BadRing, CannotUnwrap, LocalPublicRing, load_public, new_ring

SECRET = "IGAAcanary-0123456789-é-🎵"
BINDING = Binding("sec_1", "lbl_1", "con_1", "instagram", "access_token")
BYTE_FIELDS = ["wrapped_key", "nonce", "commitment", "ciphertext"]
FIELDS = ["v", "key_id", *BYTE_FIELDS]
NAMES = [field.name for field in fields(Binding)]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
BINDINGS = st.builds(Binding, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
Pair = tuple[LocalPublicRing, LocalPrivateRing]


def write(path: Path, ring: object, *, mode: int = 0o600) -> Path:
    """A ring file."""
    path.write_text(ring if isinstance(ring, str) else json.dumps(ring))
    path.chmod(mode)
    return path


def rings(folder: Path) -> Pair:
    """Both halves of a fresh ring."""
    public, private = new_ring()
    return load_public(write(folder / "public.json", public)), load_private(write(folder / "private.json", private))


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A ring."""
    return rings(tmp_path_factory.mktemp("ring"))


@pytest.fixture(scope="session")
def other_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Another ring, whose key has the same id."""
    return rings(tmp_path_factory.mktemp("other-ring"))


async def stays_shut(ring: LocalPrivateRing, envelope: dict[str, Any], binding: Binding = BINDING) -> bool:
    """Whether it does not open, and says so in the one way that there is, without a cause that tells more."""
    try:
        await unseal(ring, envelope, binding)
    except SealBroken as broken:
        return broken.__cause__ is None and (broken.__context__ is None or broken.__suppress_context__)
    return False


@given(st.text(st.characters(codec="utf-8")), BINDINGS)
async def test_what_is_sealed_opens(pair: Pair, secret: str, binding: Binding) -> None:
    """Any text, for anybody; and it is not in the envelope."""
    envelope = await seal(pair[0], secret, binding)
    assert sorted(envelope) == sorted(FIELDS)
    assert await unseal(pair[1], envelope, binding) == secret
    assert len(secret) < 3 or secret.encode() not in b"".join(envelope[name] for name in BYTE_FIELDS)


async def test_each_envelope_is_another(pair: Pair) -> None:
    """The same secret twice: another data key, another nonce, nothing in common."""
    first, second = await seal(pair[0], SECRET, BINDING), await seal(pair[0], SECRET, BINDING)
    assert [name for name in BYTE_FIELDS if first[name] == second[name]] == []


@pytest.mark.parametrize("name", BYTE_FIELDS)
async def test_any_changed_byte(pair: Pair, name: str) -> None:
    """Each byte of each field, one bit of it changed; and a byte less or more."""
    envelope = await seal(pair[0], SECRET, BINDING)
    raw = envelope[name]
    changed = [raw[:index] + bytes([raw[index] ^ 1 << index % 8]) + raw[index + 1 :] for index in range(len(raw))]
    changed += [b"", raw[1:], raw[:-1], raw + b"\0", b"\0" + raw, raw + raw]
    assert [value for value in changed if not await stays_shut(pair[1], envelope | {name: value})] == []
    assert await unseal(pair[1], envelope, BINDING) == SECRET


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [None, "", "k2", b"", 0, 2, 5, 2**70, [], ["k1"], {}, {"$ne": 1}], ids=repr)
async def test_a_field_of_another_type(pair: Pair, name: str, value: object) -> None:
    """Whatever somebody put into the database."""
    assert await stays_shut(pair[1], await seal(pair[0], SECRET, BINDING) | {name: value})


@pytest.mark.parametrize("name", FIELDS)
async def test_a_missing_field(pair: Pair, name: str) -> None:
    """Each of them."""
    envelope = await seal(pair[0], SECRET, BINDING)
    del envelope[name]
    assert await stays_shut(pair[1], envelope)


@pytest.mark.parametrize("name", NAMES)
@given(value=TEXTS | st.sampled_from(["sec_1", "lbl_1", "con_1", "instagram", "access_token", "Instagram"]))
async def test_any_changed_binding(pair: Pair, name: str, value: str) -> None:
    """Another record's, label's, connection's, provider's or purpose's."""
    other = replace(BINDING, **{name: value})
    assert other == BINDING or await stays_shut(pair[1], await seal(pair[0], SECRET, BINDING), other)


@given(BINDINGS, BINDINGS)
def test_different_bindings_have_different_bytes(first: Binding, second: Binding) -> None:
    """The same fields, the same bytes; others, others."""
    assert (first.additional_data() == second.additional_data()) == (first == second)


@pytest.mark.parametrize("left", range(len(NAMES) - 1))
async def test_no_character_moves_to_the_next_field(pair: Pair, left: int) -> None:
    """`a|bc` is not `ab|c`, nor is it with a separator or a length written into the text."""
    ways = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("a|", "bc"), ("a\0\0\0\2", "bc"), ("a", "\0\0\0\2bc")]
    two = [replace(BINDING, **{NAMES[left]: one, NAMES[left + 1]: other}) for one, other in ways]
    assert len({binding.additional_data() for binding in two}) == len(ways)
    envelope = await seal(pair[0], SECRET, two[0])
    assert [await stays_shut(pair[1], envelope, binding) for binding in two] == [False] + [True] * (len(ways) - 1)


@pytest.mark.parametrize("moved", [[name] for name in BYTE_FIELDS] + [BYTE_FIELDS[:1] + BYTE_FIELDS[2:], BYTE_FIELDS])
async def test_parts_of_two_records_swapped(pair: Pair, moved: list[str]) -> None:
    """One field, the data key with its commitment, or all of it: of the same label, for the same purpose."""
    theirs = replace(BINDING, secret_id="sec_2", connection_id="con_2")
    first, second = await seal(pair[0], SECRET, BINDING), await seal(pair[0], "theirs", theirs)
    assert await stays_shut(pair[1], first | {name: second[name] for name in moved})
    assert await stays_shut(pair[1], second | {name: first[name] for name in moved}, theirs)


async def test_parts_of_an_older_secret_of_the_same_record(pair: Pair) -> None:
    """Nor does a field of the record's own past fit."""
    old, new = await seal(pair[0], "old", BINDING), await seal(pair[0], SECRET, BINDING)
    assert all([await stays_shut(pair[1], new | {name: old[name]}) for name in BYTE_FIELDS])


async def test_another_ring(pair: Pair, other_pair: Pair) -> None:
    """A key of the same id in another ring; and a ring that does not have the id."""
    envelope = await seal(pair[0], SECRET, BINDING)
    assert await stays_shut(other_pair[1], envelope)
    assert await stays_shut(LocalPrivateRing({}), envelope)
    assert await stays_shut(LocalPrivateRing({"k2": pair[1].keys["k1"]}), envelope)
    with pytest.raises(CannotUnwrap):
        await other_pair[1].unwrap("k1", envelope["wrapped_key"], binding=BINDING)


async def test_rotation(tmp_path: Path) -> None:
    """New secrets are sealed with the new key; old ones open as long as theirs is in the ring, and then no more."""
    (old_public, old_private), (new_public, new_private) = new_ring(), new_ring()
    both_public = {"current": "k2", "keys": {"k1": keys_of(old_public)["k1"], "k2": keys_of(new_public)["k1"]}}
    both_private = {"keys": {"k1": keys_of(old_private)["k1"], "k2": keys_of(new_private)["k1"]}}
    before = await seal(load_public(write(tmp_path / "a", old_public)), "old", BINDING)
    after = await seal(load_public(write(tmp_path / "b", both_public)), "new", BINDING)
    assert (before["key_id"], after["key_id"]) == ("k1", "k2")
    ring = load_private(write(tmp_path / "c", both_private))
    assert [await unseal(ring, found, BINDING) for found in (before, after)] == ["old", "new"]
    assert await stays_shut(ring, before | {"key_id": "k2"})
    retired = LocalPrivateRing({"k2": ring.keys["k2"]})
    assert await stays_shut(retired, before)
    assert await unseal(retired, after, BINDING) == "new"


def keys_of(ring: dict[str, object]) -> dict[str, str]:
    """The keys of a ring file."""
    found = ring["keys"]
    assert isinstance(found, dict)
    return found


GOOD_KEY = base64.b64encode(bytes(range(7, 39))).decode()
BAD_RINGS: list[object] = [
    "",
    "not json",
    "\0",
    "[" * 100_000,
    "[]",
    "null",
    '"k1"',
    {},
    {"keys": {}},
    {"keys": None},
    {"keys": [GOOD_KEY]},
    {"keys": {"k1": None}},
    {"keys": {"k1": 5}},
    {"keys": {"k1": ""}},
    {"keys": {"k1": "canary"}},
    {"keys": {"k1": GOOD_KEY[:-4]}},
    {"keys": {"k1": GOOD_KEY[4:] + GOOD_KEY}},
    {"keys": {"k1": f" {GOOD_KEY}"}},
    {"keys": {"k1": GOOD_KEY, "k2": "canary"}},
]


@pytest.mark.parametrize("ring", BAD_RINGS, ids=lambda ring: repr(ring)[:24])
@pytest.mark.parametrize(("load", "more"), [(load_private, {}), (load_public, {"current": "k1"})])
def test_a_bad_ring_file(tmp_path: Path, ring: object, load: Callable[[Path], object], more: dict[str, str]) -> None:
    """`BadRing`, which names the file and shows no key."""
    path = write(tmp_path / "ring.json", {**ring, **more} if isinstance(ring, dict) else ring)
    with pytest.raises(BadRing, match=r"ring\.json") as refused:
        load(path)
    assert GOOD_KEY[:12] not in str(refused.value) and "canary" not in str(refused.value)


@pytest.mark.parametrize("current", [None, "", "k2", 1, ["k1"]])
def test_a_public_ring_without_its_current_key(tmp_path: Path, current: object) -> None:
    """What new secrets are sealed with must be there."""
    ring = {"current": current, "keys": keys_of(new_ring()[0])}
    with pytest.raises(BadRing):
        load_public(write(tmp_path / "ring.json", ring))
    with pytest.raises(BadRing):
        load_public(write(tmp_path / "ring.json", {"keys": ring["keys"]}))


@pytest.mark.parametrize("load", [load_private, load_public])
def test_no_ring_file(tmp_path: Path, load: Callable[[Path], object]) -> None:
    """Nothing there, or a folder, or bytes that are no text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "binary"):
        with pytest.raises(BadRing, match=path.name):
            load(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777])
def test_a_private_ring_that_others_may_reach(tmp_path: Path, mode: int) -> None:
    """Refused, though all else is good; the public half may be read by anybody."""
    public, private = new_ring()
    path = write(tmp_path / "ring.json", private, mode=mode)
    with pytest.raises(BadRing, match="0600"):
        load_private(path)
    path.chmod(0o600)
    assert list(load_private(path).keys) == ["k1"]
    assert load_public(write(tmp_path / "public.json", public, mode=mode | 0o400)).current == "k1"


def test_the_public_ring_is_no_private_one(tmp_path: Path) -> None:
    """Its bytes would pass as private keys; so it is refused by what it says."""
    public, _ = new_ring()
    with pytest.raises(BadRing, match="public"):
        load_private(write(tmp_path / "ring.public.json", public))


async def test_the_command_makes_keys(tmp_path: Path) -> None:
    """Rings that fit together, files for their owner alone, and nothing is ever overwritten."""
    folder = tmp_path / "deep" / "keys"
    assert keys.main(["create", str(folder)]) == 0
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(made) == ["jwt.pem", "ring.accounts.json", "ring.private.json", "ring.public.json"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    ring = load_private(folder / "ring.private.json")
    envelope = await seal(load_public(folder / "ring.public.json"), SECRET, BINDING)
    assert await unseal(ring, envelope, BINDING) == SECRET
    assert keys.main(["create", str(folder)]) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
    assert [keys.main(arguments) for arguments in ([], ["create"], ["destroy", str(folder)])] == [2, 2, 2]
    assert keys.main(["create-account-ring", str(folder)]) == 1
    (folder / "ring.accounts.json").unlink()
    assert keys.main(["create-account-ring", str(folder)]) == 0
    assert load_account_ring(folder / "ring.accounts.json").current == "a1"


def test_an_opened_secret_stays_where_it_is() -> None:
    """It is not shown, copied, pickled, or found among its attributes by name."""
    opened = Opened(SECRET, "check")
    assert SECRET not in f"{opened} {opened!r} {opened!s} {[opened]} {dir(opened)}"
    for leave in (copy.copy, copy.deepcopy, pickle.dumps, lambda found: pickle.dumps([found], protocol=0)):
        with pytest.raises(TypeError, match="stays where it was opened"):
            leave(opened)
    ways_out: list[Callable[[Any], object]] = [json.dumps, vars, bytes, list, "{:>40}".format]
    for way_out in ways_out:
        with pytest.raises(TypeError):
            way_out(opened)
    with pytest.raises(WrongUse):
        opened.reveal("messages", "refresh")
    assert opened.reveal("refresh", "check") == SECRET


def test_rings_do_not_show_their_keys(pair: Pair) -> None:
    """Printed, neither half shows a key."""
    raw = pair[1].keys["k1"].private_bytes_raw()
    shown = f"{pair}"
    assert shown.startswith("(LocalPublicRing(current='k1'), LocalPrivateRing(")
    assert raw.hex() not in shown and "X25519" not in shown


def test_only_the_current_process_has_the_file(tmp_path: Path) -> None:
    """A key file is made for its owner alone from its first byte, whatever the umask says."""
    before = os.umask(0)
    try:
        keys.create(tmp_path)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
