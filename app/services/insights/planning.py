"""When an account's insights are read: four times a day, because a story has figures for 24 hours only.

The first look of a day reads the days and the media too; the others only what is due by then.
"""

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.models.base import rfc3339
from app.services import operations
from app.services.connections import store

EVERY = timedelta(hours=6)
SPREAD = 0.1
"""By how much of it one connection is read sooner, so that many do not fall together."""
LIFE = timedelta(days=2)
"""So long a look stays in the list of operations."""


async def plan(db: Database, connection: Doc, *, now: datetime) -> None:
    """Write down the look that is due, once however many workers see it, and when the next one is."""
    if store.is_usable(connection, "insights"):
        with suppress(DuplicateKeyError):  # who planned it may have died before the next line
            await operations.add(
                db,
                label_id=connection["label_id"],
                kind="read_insights",
                target=connection["_id"],
                key=f"read_insights:{connection['_id']}:{rfc3339(connection['insights_at'])}",
                queue=f"read_insights:{connection['_id']}",
                connection_id=connection["_id"],
                life=LIFE,
                now=now,
            )
    digest = hashlib.sha256(f"{connection['_id']}{now.date()}".encode()).digest()
    following = now + EVERY * (1 - SPREAD * digest[0] / 255)
    key = {name: connection[name] for name in ("_id", "label_id", "insights_at")}
    await db.open("connections").update_one(key, {"$set": {"insights_at": following}})
