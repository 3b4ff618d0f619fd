"""Group commit: whatever changes wait are written together, at once; nobody is answered before it is durable."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from pymongo.errors import BulkWriteError, PyMongoError

from app.db import Database, Doc
from app.errors import Unavailable
from app.services.events import DUPLICATE_KEY
from app.services.webhooks.changes import Change

ROWS_AT_ONCE = 2_000
ROWS_WAITING = 50_000


class Intake:
    """Writes changes into the inbox. One a process, used by one event loop."""

    def __init__(self, db: Database, ring: Callable[[], Awaitable[None]]) -> None:
        self._inbox = db.open("webhook_inbox")
        self._ring = ring
        self._waiting: list[tuple[list[Doc], asyncio.Future[None]]] = []
        self._rows_waiting = 0
        self._writer: asyncio.Task[None] | None = None

    async def store(self, changes: list[Change], *, now: datetime) -> None:
        """Return when every change is durable, or was already. Raises `Unavailable` when the store is away or full."""
        if not changes:
            return
        if self._rows_waiting > ROWS_WAITING:
            raise Unavailable
        rows = [_row(change, now) for change in changes]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, done))
        self._rows_waiting += len(rows)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            group = self._take()
            rows = [row for rows, _ in group for row in rows]
            self._rows_waiting -= len(rows)
            try:
                await self._write(rows)
            except Exception as exc:  # whatever it is: those who wait must hear of it, and the next group be written
                problem = Unavailable() if isinstance(exc, PyMongoError) else exc
                for _, done in group:
                    if not done.done():
                        done.set_exception(problem)
            else:
                for _, done in group:
                    if not done.done():
                        done.set_result(None)
                await self._ring()
        self._writer = None

    def _take(self) -> list[tuple[list[Doc], asyncio.Future[None]]]:
        count = size = 0
        for rows, _ in self._waiting:
            size += len(rows)
            if count and size > ROWS_AT_ONCE:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _write(self, rows: list[Doc]) -> None:
        try:
            await self._inbox.insert_many(rows, ordered=False)
        except BulkWriteError as exc:
            errors = exc.details["writeErrors"]
            if exc.details["writeConcernErrors"] or any(error["code"] != DUPLICATE_KEY for error in errors):
                raise


def _row(change: Change, now: datetime) -> Doc:
    return {
        "_id": change.key,
        "object": change.object,
        "account_id": change.account_id,
        "channel": change.channel,
        "change": change.raw,
        "at": change.at,
        "received_at": now,
        "due_at": now,
        "attempts": 0,
        "expires_at": change.expires_at,
    }
