"""An export's file on its way into the storage: zipped, sealed, and uploaded part by part, never held as a whole."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from app.clients.objects import Objects
from app.services.exports.packing import Packer
from app.services.sealed_stream import Sealer

T = TypeVar("T")
PART_BYTES = 8 * 1024**2
"""Of 10,000 parts that an object may have: 80 GB."""
CONTENT_TYPE = "application/octet-stream"


@dataclass
class Upload:
    """One sealed zip that is being uploaded. What works on the zip does so in a thread, by `work`."""

    objects: Objects
    key: str
    upload_id: str
    packer: Packer
    sealer: Sealer
    plain_bytes: int = 0
    tags: list[str] = field(default_factory=list)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _waiting: bytearray = field(default_factory=bytearray)

    @property
    def sha256(self) -> str:
        """Of the plain zip as far as it is, in hex."""
        return self._digest.hexdigest()

    async def work(self, pack: Callable[[], T]) -> T:
        """Pack something, and upload what is complete of it; what `pack` answers. Raises `ObjectsError`."""
        found = await asyncio.to_thread(self._sealed, pack)
        while len(self._waiting) >= PART_BYTES:
            await self._put(PART_BYTES)
        return found

    async def end(self) -> None:
        """Upload the rest, and make one object of all. Raises `ObjectsError`."""
        await self.work(lambda: self._take(self.packer.end()))
        self._waiting += await asyncio.to_thread(self.sealer.end)
        await self._put(len(self._waiting))
        await self.objects.finish_parts(self.key, self.upload_id, self.tags)

    def _sealed(self, pack: Callable[[], T]) -> T:
        found = pack()
        self._take(self.packer.take())
        return found

    def _take(self, plain: bytes) -> None:
        self.plain_bytes += len(plain)
        self._digest.update(plain)
        self._waiting += self.sealer.add(plain)

    async def _put(self, size: int) -> None:
        part = bytes(self._waiting[:size])
        del self._waiting[:size]
        tag = await self.objects.put_part(self.key, self.upload_id, len(self.tags) + 1, part)
        self.tags.append(tag)


async def begin(objects: Objects, key: str, packer: Packer, sealer: Sealer) -> Upload:
    """Begin to upload. Raises `StorageUnavailable`."""
    upload_id = await objects.begin_parts(key, content_type=CONTENT_TYPE)
    return Upload(objects, key, upload_id, packer, sealer)
