"""When an account's comments are looked at: every hour, and at once where a mention waits for its words."""

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.models.base import rfc3339
from app.services import operations
from app.services.connections import store

EVERY = timedelta(hours=1)
SPREAD = 0.1
"""By how much of it one connection is looked at sooner, so that many do not fall together."""
LIFE = timedelta(days=2)
"""So long a look stays in the list of operations."""


async def plan(db: Database, connection: Doc, *, now: datetime) -> None:
    """Write down the look that is due, once however many workers see it, and when the next one is."""
    if store.is_usable(connection, "comments"):
        with suppress(DuplicateKeyError):  # who planned it may have died before the next line
            await operations.add(
                db,
                label_id=connection["label_id"],
                kind="check_comments",
                target=connection["_id"],
                key=f"check_comments:{connection['_id']}:{rfc3339(connection['comments_at'])}",
                queue=f"check_comments:{connection['_id']}",
                connection_id=connection["_id"],
                life=LIFE,
                now=now,
            )
    digest = hashlib.sha256(f"{connection['_id']}{now.date()}".encode()).digest()
    following = now + EVERY * (1 - SPREAD * digest[0] / 255)
    key = {name: connection[name] for name in ("_id", "label_id", "comments_at")}
    await db.open("connections").update_one(key, {"$set": {"comments_at": following}})
