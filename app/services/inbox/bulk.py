"""Idempotent writes, many at once."""

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from app.db import Database
from app.services.events import DUPLICATE_KEY

RETRIES = 5


async def write_all(db: Database, name: str, operations: list[UpdateOne]) -> set[int]:
    """Do idempotent writes; the numbers of those that surely made their document.

    Two workers that upsert the same key at once collide; doing it again is the answer.
    """
    for attempt in range(RETRIES):
        if not operations:
            break
        try:
            done = await db.open(name).bulk_write(operations, ordered=False)
            return set(done.upserted_ids or {}) if attempt == 0 else set()
        except BulkWriteError as exc:
            others = [error for error in exc.details["writeErrors"] if error["code"] != DUPLICATE_KEY]
            if others or attempt == RETRIES - 1:
                raise
    return set()
