"""A backup's file: a head in the clear, then everything else, packed (gzip) and sealed (`sealed_stream.py`).

The head says when it was made and by which key its own key is wrapped (HPKE, as the vault's). Whoever makes backups
holds the public half alone; without the private half, which is in no backup, the file is noise. The head is bound to
the rest: changed, nothing opens.

Inside are BSON documents: `{collection: name}`, then that collection's documents as they were stored, and so on; in the
end `{ended: true, counts}`. These have no `_id`. A file that is cut off does not open to its end.
"""

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import bson

from app.db import Doc
from app.models.base import rfc3339
from app.services.sealed_stream import CHUNK, Sealer, StreamBroken, open_all
from app.services.vault.private_ring import LocalPrivateRing
from app.services.vault.ring import CannotUnwrap, LocalPublicRing

MAGIC = b"SOBACKUP1\n"
FORMAT = "soundops-backup/1"
MOST_HEAD = 10_000
LEVEL = 6


class NotABackup(Exception):
    """It is not one of ours, not whole, changed, or not for this key. The message says which can be told."""


@dataclass(frozen=True)
class Binding:
    """What a backup's key is wrapped for."""

    made_at: str

    def additional_data(self) -> bytes:
        """The same bytes for the same backup, and for no others."""
        return f"{FORMAT}|{self.made_at}".encode()

    def context(self) -> dict[str, str]:
        """The same as names."""
        return {"app": FORMAT, "made_at": self.made_at}


@dataclass(frozen=True)
class Head:
    """What can be told of a backup without its key."""

    made_at: datetime
    key_id: str
    wrapped: bytes
    raw: bytes


class Writer:
    """Writes one backup. What is not ended is none: it does not open."""

    def __init__(self, file: BinaryIO, sealer: Sealer, head: bytes) -> None:
        self._file, self._sealer = file, sealer
        self._pack = zlib.compressobj(LEVEL, wbits=31)
        file.write(MAGIC + len(head).to_bytes(4, "big") + head)

    def add(self, document: Doc) -> None:
        """One more document."""
        self._file.write(self._sealer.add(self._pack.compress(bson.encode(document))))

    def end(self) -> None:
        """That was all."""
        self._file.write(self._sealer.add(self._pack.flush()))
        self._file.write(self._sealer.end())
        self._file.flush()
        os.fsync(self._file.fileno())


async def begin(file: BinaryIO, ring: LocalPublicRing, *, made_at: datetime) -> Writer:
    """Begin a backup."""
    data_key, at = os.urandom(32), rfc3339(made_at)
    key_id, wrapped = await ring.wrap(data_key, binding=Binding(at))
    told = {"format": FORMAT, "made_at": at, "key_id": key_id, "wrapped": base64.b64encode(wrapped).decode()}
    head = json.dumps(told).encode()
    return Writer(file, Sealer(data_key, _bound_to(head)), head)


def _bound_to(head: bytes) -> bytes:
    return hashlib.sha256(MAGIC + head).digest()


def read_head(file: BinaryIO) -> Head:
    """What the head says; the file stands behind it then. Raises `NotABackup`."""
    if file.read(len(MAGIC)) != MAGIC:
        raise NotABackup("This is not a backup.")
    size = int.from_bytes(file.read(4), "big")
    raw = file.read(size) if size <= MOST_HEAD else b""
    try:
        told = json.loads(raw)
        if told["format"] != FORMAT:
            raise NotABackup("The backup is of another version of SoundOps: restore it with that one.")
        wrapped = base64.b64decode(told["wrapped"], validate=True)
        made_at = datetime.fromisoformat(told["made_at"]).astimezone(UTC)
        return Head(made_at, str(told["key_id"]), wrapped, raw)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise NotABackup("The head of the backup is broken.") from None


async def key_of(head: Head, ring: LocalPrivateRing) -> bytes:
    """The backup's key. Raises `NotABackup`."""
    try:
        return await ring.unwrap(head.key_id, head.wrapped, binding=Binding(rfc3339(head.made_at)))
    except CannotUnwrap:
        raise NotABackup("The backup is not for this key, or its head was changed.") from None


def contents(file: BinaryIO, head: Head, key: bytes) -> Iterator[tuple[str, Doc]]:
    """Each document with its collection's name; the file stands behind the head. Raises `NotABackup`, of a part too."""
    name, count, told = "", 0, None
    for document in _documents(file, head, key):
        if "_id" in document:
            count += 1
            yield name, document
        elif "collection" in document:
            name = document["collection"]
        else:
            told = document["counts"]
    if told is None or sum(told.values()) != count:
        raise NotABackup("The backup is not whole.")


def _documents(file: BinaryIO, head: Head, key: bytes) -> Iterator[Doc]:
    pieces = iter(lambda: file.read(CHUNK), b"")
    unpack, waiting = zlib.decompressobj(wbits=31), bytearray()
    try:
        for plain in open_all(key, _bound_to(head.raw), pieces):
            waiting += unpack.decompress(plain)
            yield from _whole_ones(waiting)
    except (StreamBroken, zlib.error, bson.errors.BSONError):
        raise NotABackup("The backup was changed or cut off.") from None
    if waiting or not unpack.eof:
        raise NotABackup("The backup was changed or cut off.")


def _whole_ones(waiting: bytearray) -> Iterator[Doc]:
    options: bson.CodecOptions[Doc] = bson.CodecOptions(tz_aware=True)
    at = 0
    while len(waiting) - at >= 4:
        size = int.from_bytes(waiting[at : at + 4], "little")
        if size < 5 or len(waiting) - at < size:
            break
        yield bson.decode(bytes(waiting[at : at + size]), options)
        at += size
    del waiting[:at]


def name_of(made_at: datetime) -> str:
    """What a backup's file is called."""
    return f"soundops-{made_at:%Y%m%dT%H%M%SZ}.backup"


def older_than(folder: Path, at: datetime) -> list[Path]:
    """The backups in a folder that were made before."""
    found = []
    for path in sorted(folder.glob("soundops-*.backup")):
        with path.open("rb") as file:
            try:
                if read_head(file).made_at < at:
                    found.append(path)
            except NotABackup:
                continue
    return found
