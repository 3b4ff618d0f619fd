"""Long files sealed in chunks: what was sealed comes back, and nothing else opens."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.sealed_stream import CHUNK, HEAD, TAG, Opener, Sealer, StreamBroken, open_all, sealed_size, span_of

KEY, ABOUT = os.urandom(32), b"exp_1"
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7, 3 * CHUNK]


def sealed(plain: bytes, cuts: list[int] | None = None, *, about: bytes = ABOUT) -> bytes:
    """The sealed file, where the plain one comes in these cuts."""
    sealer, made, at = Sealer(KEY, about), bytearray(), 0
    for cut in cuts or []:
        made += sealer.add(plain[at : at + cut])
        at += cut
    return bytes(made + sealer.add(plain[at:]) + sealer.end())


def opened(found: bytes, *, about: bytes = ABOUT, key: bytes = KEY, step: int = 700_001) -> bytes:
    """The plain file, where the sealed one comes in such pieces."""
    pieces: Iterator[bytes] = (found[at : at + step] for at in range(0, len(found), step))
    return b"".join(open_all(key, about, pieces))


@pytest.mark.parametrize("size", SIZES)
def test_it_comes_back(size: int) -> None:
    """At every size around a chunk's; the sealed size is known beforehand, and each chunk's place."""
    plain = os.urandom(size)
    found = sealed(plain, [size // 3, size // 5])
    assert opened(found) == plain
    assert len(found) == sealed_size(size)
    opener, pieces, count = Opener(KEY, ABOUT, found[:HEAD]), [], max(1, -(-size // CHUNK))
    for index in range(count):
        start, length = span_of(index)
        pieces.append(opener.open(index, found[start : start + length], last=index == count - 1))
    assert b"".join(pieces) == plain


@given(st.lists(st.integers(0, CHUNK), max_size=6), st.integers(1, 2 * CHUNK))
def test_cuts_do_not_matter(cuts: list[int], step: int) -> None:
    """However it comes in, and however it is read."""
    plain = bytes(sum(cuts))
    assert opened(sealed(plain, cuts), step=step) == plain


def test_nothing_else_opens() -> None:
    """A changed byte, another key, another file's words, a cut, a chunk left out, moved or repeated; a foreign one."""
    plain = os.urandom(3 * CHUNK + 5)
    found, other = sealed(plain), sealed(plain)
    step = CHUNK + TAG
    chunks = [found[HEAD + at : HEAD + at + step] for at in range(0, len(found) - HEAD, step)]
    head, foreign = found[:HEAD], other[HEAD : HEAD + step]
    bad = [
        found[:100] + bytes([found[100] ^ 1]) + found[101:],
        head[:-1] + bytes([head[-1] ^ 1]) + found[HEAD:],
        b"",
        head,
        found[:-1],
        found[: HEAD + step],
        found[: HEAD + 2 * step],
        found + b"x",
        head + b"".join([chunks[1], chunks[0], *chunks[2:]]),
        head + b"".join([chunks[0], chunks[2], chunks[3]]),
        head + b"".join([chunks[0], chunks[0], *chunks[1:]]),
        head + b"".join([foreign, *chunks[1:]]),
        head + b"".join([*chunks, chunks[3]]),
    ]
    for one in bad:
        with pytest.raises(StreamBroken):
            opened(one)
    for about, key in ((b"exp_2", KEY), (ABOUT, os.urandom(32))):
        with pytest.raises(StreamBroken):
            opened(found, about=about, key=key)
