"""A zip as it grows: files go in one after the other, and what is ready comes out, never held as a whole.

All of it is work for a thread, not for the event loop.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from app.services.sealed_stream import CHUNK, Sealer, open_all

LEVEL = 4
"""Of deflate: half the time of the usual 6, and hardly larger."""


@dataclass(frozen=True)
class Packed:
    """What is known of a file in the zip."""

    name: str
    bytes: int
    sha256: str
    rows: int | None


class _Outlet:
    """What a `ZipFile` writes to: it can only go on, and what was written is taken away."""

    def __init__(self) -> None:
        self._waiting, self._at = bytearray(), 0

    def write(self, data: bytes) -> int:
        self._waiting += data
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        found = bytes(self._waiting)
        self._waiting.clear()
        return found


@dataclass
class Packer:
    """A zip that is being made."""

    made_at: datetime
    packed: list[Packed] = field(default_factory=list)
    _outlet: _Outlet = field(default_factory=_Outlet)

    def __post_init__(self) -> None:
        outlet: Any = self._outlet
        self._zip = zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)

    def file(self, name: str) -> "Entry":
        """Begin a file; the one before has ended."""
        about = zipfile.ZipInfo(name, self.made_at.timetuple()[:6])
        about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        return Entry(self, name, self._zip.open(about, "w", force_zip64=True))

    def take(self) -> bytes:
        """What is ready of the zip since it was asked last."""
        return self._outlet.take()

    def end(self) -> bytes:
        """The rest of the zip: its list of files."""
        self._zip.close()
        return self.take()


class Entry:
    """One file of a zip."""

    def __init__(self, packer: Packer, name: str, file: IO[bytes]) -> None:
        self._packer, self._name, self._file = packer, name, file
        self._digest, self._size = hashlib.sha256(), 0

    def add(self, data: bytes) -> None:
        """Go on with it."""
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def end(self, *, rows: int | None = None) -> None:
        """That was all of it."""
        self._file.close()
        self._packer.packed.append(Packed(self._name, self._size, self._digest.hexdigest(), rows))


class Aside:
    """What must wait until another file of the zip is complete: on the disk, sealed under a key that only we know."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._sealer = Sealer(self._key, b"aside")
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it has no name, and is gone with us)

    def add(self, data: bytes) -> None:
        """Put more there."""
        self._file.write(self._sealer.add(data))

    def pieces(self) -> Iterator[bytes]:
        """All of it, once; then it is gone."""
        self._file.write(self._sealer.end())
        self._file.seek(0)
        yield from open_all(self._key, b"aside", iter(lambda: self._file.read(CHUNK), b""))
        self.drop()

    def drop(self) -> None:
        """Be rid of it."""
        self._file.close()
