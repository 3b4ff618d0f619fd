"""Which comments the label has answered: those with a reply of its own below them, whichever of the two came first."""

from collections.abc import Collection
from datetime import datetime

from app.db import Database, Doc
from app.services.events import Event, append


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
    for provider_id, at in first.items():
        await mark_answered(db, place | {"provider_id": provider_id}, at=at, now=now)


async def mark_answered(db: Database, key: Doc, *, at: datetime, now: datetime) -> None:
    """The comment of this key was answered then; its event is told once."""
    comments = db.open("comments")
    found = await comments.find_one(key | {"unanswered": True}, {"_id": 1})
    if found is None:
        return
    event = Event(key["label_id"], f"comment:{found['_id']}:answered", "comment.answered", found["_id"], now)
    await append(db, [event])
    same = {"_id": found["_id"], "label_id": key["label_id"]}
    answered: Doc = {"$min": {"answered_at": at}, "$unset": {"unanswered": ""}, "$inc": {"version": 1}}
    await comments.update_one(same, answered)
