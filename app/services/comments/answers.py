"""Which comments the label has answered: those with a reply of its own below them, whichever of the two came first."""

from collections.abc import Collection
from datetime import datetime

from pymongo import UpdateOne

from app.db import Database, Doc
from app.services.events import Event, append
from app.services.inbox.bulk import write_all


async def note_answers(db: Database, connection: Doc, provider_ids: Collection[str], *, now: datetime) -> None:
    """Look whether these comments have replies of the account's own, and note it where that is new."""
    place = {"label_id": connection["label_id"], "connection_id": connection["_id"]}
    comments = db.open("comments")
    fields = {"parent_provider_id": 1, "sent_at": 1}
    replies = comments.find(place | {"parent_provider_id": {"$in": sorted(provider_ids)}, "own": True}, fields)
    first: dict[str, datetime] = {}
    async for reply in replies:
        parent_id = reply["parent_provider_id"]
        first[parent_id] = min(first.get(parent_id, reply["sent_at"]), reply["sent_at"])
    waiting = place | {"provider_id": {"$in": sorted(first)}, "unanswered": True}
    rows = [doc async for doc in comments.find(waiting, {"provider_id": 1})] if first else []
    await _mark(db, place["label_id"], {doc["_id"]: first[doc["provider_id"]] for doc in rows}, now=now)


async def mark_answered(db: Database, label_id: str, comment_id: str, *, at: datetime, now: datetime) -> None:
    """This comment was answered then, wherever the answer stands."""
    key = {"_id": comment_id, "label_id": label_id, "unanswered": True}
    if await db.open("comments").find_one(key, {"_id": 1}):
        await _mark(db, label_id, {comment_id: at}, now=now)


async def _mark(db: Database, label_id: str, answered: dict[str, datetime], *, now: datetime) -> None:
    """Tell of it first: who dies in between does both again, and an event is told once."""
    await append(db, [Event(label_id, f"{one}:comment.answered", "comment.answered", one, now) for one in answered])
    updates = [
        UpdateOne(
            {"_id": comment_id, "label_id": label_id},
            {"$min": {"answered_at": at}, "$unset": {"unanswered": ""}, "$inc": {"version": 1}},
        )
        for comment_id, at in answered.items()
    ]
    await write_all(db, "comments", updates)
