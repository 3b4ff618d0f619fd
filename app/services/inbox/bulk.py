"""Idempotent writes, many at once."""

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from app.db import Database
from app.services.events import DUPLICATE_KEY

RETRIES = 5


async def write_all(db: Database, name: str, operations: list[UpdateOne]) -> dict[int, str]:
    """Do idempotent writes; of those that surely made their document, its id by their number.

    Two workers that upsert the same key at once collide; doing it again is the answer.
    """
    for attempt in range(RETRIES):
        if not operations:
            break
        try:
            done = await db.open(name).bulk_write(operations, ordered=False)
            return dict(done.upserted_ids or {}) if attempt == 0 else {}
        except BulkWriteError as exc:
            others = [error for error in exc.details["writeErrors"] if error["code"] != DUPLICATE_KEY]
            if others or attempt == RETRIES - 1:
                raise
    return {}
