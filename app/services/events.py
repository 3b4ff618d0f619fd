"""Events: what happened, as a type and ids. Never content; who may see that fetches it under their own scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pymongo.errors import BulkWriteError

from app.db import Database, Session
from app.ids import new_id

Type = Literal[
    "message.received",
    "message.echoed",
    "message.edited",
    "message.deleted",
    "message.reacted",
    "message.read",
    "message.sent",
    "message.failed",
    "conversation.changed",
    "comment.received",
    "comment.changed",
    "comment.deleted",
    "comment.answered",
    "comment.action_failed",
    "connection.changed",
    "connection.expiring",
    "connection.disconnected",
    "vault.envelope_broken",
]
LIFE = timedelta(days=30)
DUPLICATE_KEY = 11000


@dataclass(frozen=True)
class Event:
    """Something that happened. The same `key` twice is the same event."""

    label_id: str
    key: str
    type: Type
    target: str
    at: datetime


async def append(db: Database, events: Sequence[Event], *, session: Session | None = None) -> None:
    """Write events down, each once however often it is appended.

    In a transaction a repeated key breaks it off: whatever commits it must happen only once.
    """
    if not events:
        return
    rows = [
        {
            "_id": new_id("evt"),
            "label_id": event.label_id,
            "key": event.key,
            "type": event.type,
            "target": event.target,
            "at": event.at,
            "expires_at": event.at + LIFE,
        }
        for event in events
    ]
    try:
        await db.open("events").insert_many(rows, ordered=False, session=session)
    except BulkWriteError as exc:
        if session is not None or any(error["code"] != DUPLICATE_KEY for error in exc.details["writeErrors"]):
            raise
