"""A long file, sealed in chunks: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM.

A file is a head (`MAGIC`, 7 random bytes) and then chunks of `CHUNK` bytes, each with its tag; the last one may be
shorter, even empty. A chunk's nonce is the 7 bytes, its index and whether it is the last. The index and the last-flag
are in the additional data too, behind what the file is about. So no chunk can be left out, moved, repeated, or taken
from another file, and a file that is cut off has no last chunk. Each file has a key of its own, and nothing else does.
"""

import os
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK = 1024 * 1024
"""Bytes of a chunk before it is sealed."""
TAG = 16
MAGIC = b"SOSEAL1\n"
HEAD = len(MAGIC) + 7
MOST_CHUNKS = 2**32


class StreamBroken(Exception):
    """It does not open: changed, cut off, put together anew, another file's, or another key's. Always this."""


class Sealer:
    """Seals one file from its beginning to its end."""

    def __init__(self, key: bytes, about: bytes) -> None:
        self._aead, self._about = AESGCM(key), about
        self._prefix, self._index = os.urandom(7), 0
        self._waiting = bytearray()
        self._head = MAGIC + self._prefix

    def add(self, data: bytes) -> bytes:
        """What follows in the sealed file, now that the plain one goes on so; often nothing yet."""
        self._waiting += data
        made, self._head = bytearray(self._head), b""
        while len(self._waiting) > CHUNK:  # never all of it: the end seals the last one
            made += self._chunk(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return bytes(made)

    def end(self) -> bytes:
        """The rest of the sealed file."""
        return self.add(b"") + self._chunk(bytes(self._waiting), last=True)

    def _chunk(self, plain: bytes, *, last: bool) -> bytes:
        place = place_of(self._index, last=last)
        self._index += 1
        return self._aead.encrypt(self._prefix + place, plain, self._about + place)


class Opener:
    """Opens the chunks of one file, in order."""

    def __init__(self, key: bytes, about: bytes, head: bytes) -> None:
        """`head` is the file's first `HEAD` bytes. Raises `StreamBroken`."""
        if len(head) != HEAD or not head.startswith(MAGIC):
            raise StreamBroken
        self._aead, self._about, self._prefix = AESGCM(key), about, head[len(MAGIC) :]

    def open(self, index: int, sealed: bytes, *, last: bool) -> bytes:
        """One chunk. Raises `StreamBroken`, also where it is last and should not be, or the other way round."""
        place = place_of(index, last=last)
        try:
            return self._aead.decrypt(self._prefix + place, sealed, self._about + place)
        except (InvalidTag, ValueError):
            raise StreamBroken from None


def place_of(index: int, *, last: bool) -> bytes:
    """Where a chunk stands."""
    if not 0 <= index < MOST_CHUNKS:
        raise StreamBroken
    return index.to_bytes(4, "big") + (b"\1" if last else b"\0")


def chunks_of(plain_bytes: int) -> int:
    """How many chunks a file of so many bytes has: one at least."""
    return max(1, -(-plain_bytes // CHUNK))


def sealed_size(plain_bytes: int) -> int:
    """How long the sealed file is."""
    return HEAD + plain_bytes + chunks_of(plain_bytes) * TAG


def span_of(index: int) -> tuple[int, int]:
    """Where a chunk begins in the sealed file, and how long it is at most."""
    return HEAD + index * (CHUNK + TAG), CHUNK + TAG


def open_all(key: bytes, about: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The plain file of a sealed one that comes in any pieces. Raises `StreamBroken`, at the end if it is cut off."""
    waiting, opener, index = bytearray(), None, 0
    for piece in pieces:
        waiting += piece
        if opener is None and len(waiting) >= HEAD:
            opener = Opener(key, about, bytes(waiting[:HEAD]))
            del waiting[:HEAD]
        while opener is not None and len(waiting) > CHUNK + TAG:
            yield opener.open(index, bytes(waiting[: CHUNK + TAG]), last=False)
            del waiting[: CHUNK + TAG]
            index += 1
    if opener is None:
        raise StreamBroken
    yield opener.open(index, bytes(waiting), last=True)
