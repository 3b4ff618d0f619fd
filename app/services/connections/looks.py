"""Looks at connected accounts that come again and again: each an operation, planned once by however many workers."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.models.base import rfc3339
from app.models.features import Feature
from app.models.operations import OperationKind
from app.services import operations
from app.services.connections import store

SPREAD = 0.1
"""By how much of its time one connection is looked at sooner, so that many do not fall together."""
LIFE = timedelta(days=2)
"""So long a look stays in the list of operations."""


@dataclass(frozen=True)
class Look:
    """Which look it is, what must be on for it, which field of the connection tells its next time, and how often."""

    kind: OperationKind
    feature: Feature
    due: str
    every: timedelta


COMMENTS = Look("check_comments", "comments", "comments_at", timedelta(hours=1))
"""At once where a mention waits for its words."""
INSIGHTS = Look("read_insights", "insights", "insights_at", timedelta(hours=6))
"""A story has figures for 24 hours only. The first look of a day reads the days and the media too."""
SOON = timedelta(minutes=1)


async def look_soon(db: Database, connection: Doc, look: Look, *, now: datetime) -> None:
    """Have this look be due in a minute, unless it is sooner."""
    at = now + SOON
    key = {name: connection[name] for name in ("_id", "label_id")} | {look.due: {"$gt": at}}
    await db.open("connections").update_one(key, {"$set": {look.due: at}})


async def plan(db: Database, connection: Doc, look: Look, *, now: datetime) -> None:
    """Write down the look that is due, once, and when the next one is."""
    if store.is_usable(connection, look.feature):
        with suppress(DuplicateKeyError):  # who planned it may have died before the next line
            await operations.add(
                db,
                label_id=connection["label_id"],
                kind=look.kind,
                target=connection["_id"],
                key=f"{look.kind}:{connection['_id']}:{rfc3339(connection[look.due])}",
                queue=f"{look.kind}:{connection['_id']}",
                connection_id=connection["_id"],
                life=LIFE,
                now=now,
            )
    digest = hashlib.sha256(f"{connection['_id']}{now.date()}".encode()).digest()
    following = now + look.every * (1 - SPREAD * digest[0] / 255)
    key = {name: connection[name] for name in ("_id", "label_id", look.due)}
    await db.open("connections").update_one(key, {"$set": {look.due: following}})
