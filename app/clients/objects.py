"""The storage of files, as the house sees it. `objects_s3.py` is S3's, `objects_folder.py` a folder's.

ObjectsError
├── StorageUnavailable   it did not happen, or it is not known whether it did: every call may be repeated
├── ObjectMissing        there is no object of this key, or no upload in parts any more
└── ObjectTaken          another object has this key: nothing is ever overwritten
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

CHUNK = 256 * 1024


class ObjectsError(Exception):
    """A call that did not do what it should. Its text is a code, never a key or an address."""


class StorageUnavailable(ObjectsError):
    """The storage is away, or does not let us in."""


class ObjectMissing(ObjectsError):
    """There is no object of this key."""


class ObjectTaken(ObjectsError):
    """Another object has this key."""


@dataclass(frozen=True)
class Upload:
    """How somebody may upload one object: a form of these fields, and last the file as `file`."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Stored:
    """What is known of an object."""

    size_bytes: int
    content_type: str


@dataclass(frozen=True)
class Limits:
    """What may be uploaded: exactly this type, so many bytes at most and one at least, for this long."""

    content_type: str
    most_bytes: int
    lasts: timedelta


class Objects(Protocol):
    """A storage. Keys are ASCII without odd characters, and made by us."""

    async def presign_upload(self, key: str, limits: Limits, *, now: datetime) -> Upload:
        """Let somebody upload an object of exactly this key, within the limits. No call is made."""

    async def link(self, key: str, *, content_type: str, filename: str, lasts: timedelta, now: datetime) -> str:
        """An address by which anybody has the object, as a download of this (ASCII) name. No call is made."""

    async def look(self, key: str) -> Stored | None:
        """What is known of it, or none. Raises `StorageUnavailable`."""

    async def fetch(self, key: str, to: Path, *, most_bytes: int) -> str:
        """Write it into a file, `most_bytes` and one more at most; its SHA-256, in hex. Raises `ObjectsError`."""

    async def put(self, key: str, source: Path, *, content_type: str, sha256: str) -> None:
        """Store a file, unless it is there already. Raises `ObjectTaken` for another one there, `StorageUnavailable`.

        The storage itself compares what has arrived with the digest.
        """

    async def begin_parts(self, key: str, *, content_type: str) -> str:
        """Begin an object that comes in parts; the id of the upload. Raises `StorageUnavailable`."""

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Store a part (1 to 10,000; every one but the last of 5 MB at least); its tag. Raises `ObjectsError`."""

    async def finish_parts(self, key: str, upload_id: str, tags: Sequence[str]) -> None:
        """Make one object of the parts, in the order of their tags. Raises `ObjectsError`."""

    async def abort_parts_below(self, prefix: str) -> int:
        """Throw away what was begun in parts below this prefix and never finished; how many. `StorageUnavailable`."""

    async def read(self, key: str, start: int, size: int) -> bytes:
        """So many bytes of it from there on, or what there is of them. Raises `ObjectsError`."""

    async def delete(self, key: str) -> None:
        """Delete it, if it is there. Raises `StorageUnavailable`."""

    async def delete_below(self, prefix: str) -> int:
        """Delete every object whose key begins so; how many there were. Raises `StorageUnavailable`."""

    async def keys_below(self, prefix: str, *, after: str = "") -> list[str]:
        """Keys of objects that begin so, in order, those behind `after`; a thousand at most. `StorageUnavailable`."""

    async def parts_below(self, prefix: str) -> list[str]:
        """Keys that begin so of what was begun in parts; a thousand at most. Raises `StorageUnavailable`."""

    async def close(self) -> None:
        """Close the connections."""


async def write_down(pieces: AsyncIterator[bytes], to: Path, *, most_bytes: int) -> str:
    """Write the pieces into a file, `most_bytes` and one more at most; the SHA-256 of what was written, in hex."""
    digest, size = hashlib.sha256(), 0
    with _new_file(to) as file:
        async for piece in pieces:
            kept = piece[: most_bytes + 1 - size]
            await asyncio.to_thread(file.write, kept)
            digest.update(kept)
            size += len(kept)
            if size > most_bytes:
                break
    return digest.hexdigest()


def _new_file(path: Path) -> BinaryIO:
    """A file that only we can read, and that was not there."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
