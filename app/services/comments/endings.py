"""Comments that are gone at Meta: their words go at once, and so do the replies below them."""

from collections.abc import Collection
from datetime import datetime

from app.db import Database, Doc
from app.services.comments import writes
from app.services.events import Event, append
from app.services.inbox.bulk import write_all


async def mark_gone(db: Database, connection: Doc, provider_ids: Collection[str], *, now: datetime) -> None:
    """These comments are not there any more. It may be said twice."""
    await write_all(db, "comments", [writes.removed(connection, one, at=now) for one in sorted(provider_ids)])
    await _tell(db, connection, provider_ids, now=now)
    await end_replies(db, connection, provider_ids, now=now)


async def end_replies(db: Database, connection: Doc, provider_ids: Collection[str], *, now: datetime) -> None:
    """With a comment Meta deletes the replies below it, and tells nobody (meta-platform.md, section 4)."""
    query = {
        "label_id": connection["label_id"],
        "connection_id": connection["_id"],
        "parent_provider_id": {"$in": sorted(provider_ids)},
        "deleted_at": writes.NOT_THERE,
    }
    below = [doc["provider_id"] async for doc in db.open("comments").find(query, {"provider_id": 1})]
    if below:
        await write_all(db, "comments", [writes.removed(connection, one, at=now) for one in below])
        await _tell(db, connection, below, now=now)


async def _tell(db: Database, connection: Doc, provider_ids: Collection[str], *, now: datetime) -> None:
    label_id = connection["label_id"]
    query = {"label_id": label_id, "connection_id": connection["_id"], "provider_id": {"$in": sorted(provider_ids)}}
    ids = [doc["_id"] async for doc in db.open("comments").find(query, {"_id": 1})]
    await append(db, [Event(label_id, f"comment:{one}:deleted", "comment.deleted", one, now) for one in ids])
