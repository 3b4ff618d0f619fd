"""Properties of envelopes: no part of one fits another, no byte may change, and no ciphertext opens under two keys."""

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, given
from hypothesis import strategies as st

from app import keys
from app.services.vault.envelope import Binding, SealBroken, commitment_of, seal, unseal, unwrap_data_key
from app.services.vault.private_ring import WatchedPrivateRing
from app.services.vault.ring import WatchedPublicRing
from app.services.vault.ring_files import RingFiles, add_key

PARTS = ("key_id", "wrapped_key", "nonce", "commitment", "ciphertext")
BYTES = PARTS[1:]
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
BINDINGS = st.builds(Binding, IDS, IDS, IDS, IDS, IDS)
TOKENS = st.text(st.characters(codec="utf-8"), max_size=300)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> RingFiles:
    """A ring of two keys: what is under one is not under the other."""
    folder: Path = tmp_path_factory.mktemp("ring")
    keys.create(folder)
    found = RingFiles(folder / "ring.public.json", folder / "ring.private.json")
    add_key(found, known=[])
    return found


async def how_it_fails(files: RingFiles, envelope: dict[str, Any], binding: Binding) -> tuple[str, str]:
    """The error's type and text, and a cause if it tells one; `opened` when there is none."""
    try:
        await unseal(WatchedPrivateRing(files.private), envelope, binding)
    except Exception as exc:
        shows_more = exc.__cause__ or (exc.__context__ and not exc.__suppress_context__)
        return type(exc).__name__, f"{exc}{shows_more or ''}"
    return "opened", ""


@given(BINDINGS, BINDINGS, TOKENS, TOKENS, st.sets(st.sampled_from(PARTS), min_size=1), st.booleans())
async def test_nothing_of_one_envelope_fits_another(
    files: RingFiles, mine: Binding, theirs: Binding, token: str, other: str, moved: set[str], also_whose: bool
) -> None:
    """Nonce, key, wrapped key, commitment, text and metadata of any two, in any combination: all fail alike."""
    ring = WatchedPublicRing(files.public)
    first, second = await seal(ring, token, mine), await seal(ring, other, theirs)
    binding = theirs if also_whose else mine
    mixed = first | {name: second[name] for name in moved}
    whole_and_whose_it_is = moved >= set(BYTES) and binding == theirs
    assume(not whole_and_whose_it_is and not (moved == {"key_id"} and binding == mine))
    assert await how_it_fails(files, mixed, binding) == ("SealBroken", "")


@given(BINDINGS, TOKENS, st.sampled_from(BYTES), st.integers(0), st.integers(1, 255))
async def test_any_flipped_byte(
    files: RingFiles, binding: Binding, token: str, name: str, place: int, flip: int
) -> None:
    """Anywhere in the envelope, by any bits: one and the same error."""
    envelope = await seal(WatchedPublicRing(files.public), token, binding)
    raw = bytearray(envelope[name])
    raw[place % len(raw)] ^= flip
    assert await how_it_fails(files, envelope | {name: bytes(raw)}, binding) == ("SealBroken", "")


@given(BINDINGS, TOKENS, st.integers(0, 3), st.integers(1, 127))
async def test_a_flipped_byte_of_the_metadata(
    files: RingFiles, binding: Binding, token: str, place: int, flip: int
) -> None:
    """Version and key id too; the id of a key that exists is no better."""
    envelope = await seal(WatchedPublicRing(files.public), token, binding)
    key_id = bytearray(envelope["key_id"].encode())
    key_id[place % len(key_id)] ^= flip
    for changed in ({"key_id": key_id.decode("latin-1")}, {"key_id": "k2"}, {"v": 1 ^ flip}):
        if envelope | changed != envelope:
            assert await how_it_fails(files, envelope | changed, binding) == ("SealBroken", "")


def times(x: int, y: int) -> int:
    """A product in GCM's field (NIST SP 800-38D, 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = (y >> 1) ^ (0xE1 << 120 if y & 1 else 0)
    return product


def inverse(x: int) -> int:
    """What gives one, multiplied with `x`: its power of 2^128 - 2."""
    found, power = 1 << 127, x
    for _ in range(127):
        power = times(power, power)
        found = times(found, power)
    return found


def opens_under_both(first: bytes, second: bytes, nonce: bytes, bound: bytes) -> bytes:
    """A ciphertext of one block, with its tag, that AES-256-GCM accepts under two keys (Dodis et al., 2018)."""

    def block(key: bytes, text: bytes) -> int:
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return int.from_bytes(encryptor.update(text), "big")

    padded = bound + b"\0" * (-len(bound) % 16)
    lengths = len(bound) * 8 << 64 | 128

    def around(key: bytes) -> tuple[int, int]:
        """The tag of an empty block in that place, and what the block is multiplied with."""
        by = block(key, bytes(16))
        total = 0
        for at in range(0, len(padded), 16):
            total = times(total ^ int.from_bytes(padded[at : at + 16], "big"), by)
        total = times(times(total, by) ^ lengths, by)
        return total ^ block(key, nonce + b"\0\0\0\1"), times(by, by)

    (tag_one, by_one), (tag_two, by_two) = around(first), around(second)
    text = times(tag_one ^ tag_two, inverse(by_one ^ by_two))
    return text.to_bytes(16, "big") + (tag_one ^ times(text, by_one)).to_bytes(16, "big")


@pytest.mark.parametrize("committed_to", [0, 1])
async def test_a_ciphertext_of_two_keys(files: RingFiles, committed_to: int) -> None:
    """AES-GCM itself takes it under both. The commitment is to one of them, and is looked at before the cipher."""
    binding, nonce = Binding("sec_1", "lbl_1", "con_1", "instagram", "access_token"), os.urandom(12)
    bound, both = binding.additional_data(), (os.urandom(32), os.urandom(32))
    ciphertext = opens_under_both(*both, nonce, bound)
    plain = [AESGCM(key).decrypt(nonce, ciphertext, bound) for key in both]
    assert plain[0] != plain[1], "the trap works: two texts, one ciphertext, one tag"
    for wrapped in (0, 1):
        key_id, wrapped_key = await WatchedPublicRing(files.public).wrap(both[wrapped], binding=binding)
        envelope = {
            "v": 1,
            "key_id": key_id,
            "wrapped_key": wrapped_key,
            "nonce": nonce,
            "commitment": commitment_of(both[committed_to]),
            "ciphertext": ciphertext,
        }
        ring = WatchedPrivateRing(files.private)
        if wrapped == committed_to:
            assert await unwrap_data_key(ring, envelope, binding) == both[wrapped]
        else:
            with pytest.raises(SealBroken):
                await unwrap_data_key(ring, envelope, binding)
            assert await how_it_fails(files, envelope, binding) == ("SealBroken", "")


async def test_no_nonce_and_no_data_key_twice(files: RingFiles) -> None:
    """Each envelope has its own, from the kernel's generator."""
    ring, binding = WatchedPublicRing(files.public), Binding("sec_1", "lbl_1", "con_1", "instagram", "access_token")
    found = [await seal(ring, "token", binding) for _ in range(2_000)]
    for name in ("nonce", "commitment", "wrapped_key"):
        assert len({envelope[name] for envelope in found}) == len(found)
