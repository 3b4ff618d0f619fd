"""The journal: one JSON line for every change of state, on disk before anyone is told of it.

Rows that wait are written and synced together, off the event loop, so that many callers share one `fsync`.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

Row = dict[str, Any]
log = logging.getLogger("sandbox")


class JournalError(Exception):
    """The journal cannot be used; the message says why."""


class Journal:
    """An open journal file, locked for this process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)  # it holds tokens in clear
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._fd)
            raise JournalError(f"{path} is in use by another sandbox") from exc
        _sync_folder(path.parent)
        self._pending: list[bytes] = []
        self._appended = 0
        self._durable = 0
        self._synced = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def replay(self) -> Iterator[Row]:
        """Every row written so far, oldest first. A torn last line was never answered for: it is cut off."""
        end = 0
        for number, line in enumerate(self._path.read_bytes().splitlines(keepends=True), 1):
            try:
                row: Row = orjson.loads(line)
            except orjson.JSONDecodeError as exc:
                if end + len(line) != os.fstat(self._fd).st_size:
                    raise JournalError(f"line {number} of {self._path} is damaged") from exc
                break
            if not line.endswith(b"\n"):
                break
            end += len(line)
            yield row
        os.ftruncate(self._fd, end)

    def append(self, row: Row) -> None:
        """Queue a row; `settled` tells when it is on disk."""
        self._pending.append(orjson.dumps(row) + b"\n")
        self._appended += 1
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def settled(self) -> None:
        """Return once everything appended so far is on disk."""
        target = self._appended
        while self._durable < target:
            await self._synced.wait()

    async def close(self) -> None:
        """Write what waits, and let the file go."""
        await self.settled()
        os.close(self._fd)

    async def _write(self) -> None:
        while self._pending:
            lines, self._pending = self._pending, []
            try:
                await asyncio.to_thread(self._put, b"".join(lines))
            except OSError:
                log.critical("the journal cannot be written; stopping, as no answer could be kept", exc_info=True)
                os._exit(1)
            self._durable += len(lines)
            waiters, self._synced = self._synced, asyncio.Event()
            waiters.set()
        self._writer = None

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        os.fsync(self._fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
