"""Events: what happened, as a type and ids. Never content; who may see that fetches it under their own scope.

Each has its place in its label's stream (`seq`: 1, 2, 3, …), in the order in which they are committed. Whoever has read
up to a place has missed nothing before it, which ids cannot promise: docs/decisions/0021-the-stream.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError, PyMongoError

from app.db import ALL_LABELS, Database, Doc, Session, TryTransactionAgain
from app.ids import new_id
from app.logs import get_logger

log = get_logger(__name__)
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
    "conversation.erased",
    "comment.received",
    "comment.changed",
    "comment.deleted",
    "comment.answered",
    "comment.action_failed",
    "connection.changed",
    "connection.expiring",
    "connection.disconnected",
    "vault.envelope_broken",
    "rule.notified",
    "rule.paused",
    "publication.changed",
    "publication.late",
    "asset.ready",
    "asset.refused",
    "billing.subscription.updated",
    "invoice.paid",
    "invoice.payment_failed",
    "person.erased",
]
LIFE = timedelta(days=30)
DUPLICATE_KEY = 11000
AT_ONCE = 200
LABELS_AT_ONCE = 200


@dataclass(frozen=True)
class Event:
    """Something that happened. The same `key` twice is the same event."""

    label_id: str
    key: str
    type: Type
    target: str
    at: datetime


async def append(db: Database, events: Sequence[Event], *, session: Session | None = None) -> None:
    """Write events down, each once however often it is appended, and have them in their labels' streams.

    In a caller's transaction they get their places when that is committed, and a repeated key breaks it off: whatever
    commits it must happen only once.
    """
    labels = {event.label_id for event in events}
    if session is not None and events:
        rows = [_row(event) | {"unplaced": True} for event in events]
        await db.open("events").insert_many(rows, session=session)
        db.after_commit(session, lambda: _place_all(db, labels))
        return
    for label_id in labels:
        await _append(db, label_id, {event.key: event for event in events if event.label_id == label_id})


async def place(db: Database, label_id: str) -> int:
    """Give every event of the label that has none its place; how many there were."""
    placed = 0
    async with db.turn(f"events:{label_id}"):
        while ids := await _unplaced(db, label_id):
            placed += await db.in_transaction(partial(_number, db, label_id, ids))
    if placed:
        db.placed(label_id)
    return placed


async def place_abandoned(db: Database) -> int:
    """Place what is left by somebody who died after a commit and before they placed its events; how many there were."""
    why = f"{ALL_LABELS}events without a place"
    found = db.open("events").find({"unplaced": True}, {"label_id": 1}, comment=why).limit(LABELS_AT_ONCE)
    return sum([await place(db, label_id) for label_id in {event["label_id"] async for event in found}])


async def head_of(db: Database, label_id: str) -> int:
    """The place of the label's newest event; 0 before the first."""
    head = await db.open("stream_heads").find_one({"_id": label_id, "label_id": label_id})
    return int(head["seq"]) if head else 0


async def after(db: Database, label_id: str, seq: int, *, limit: int = AT_ONCE) -> list[Doc]:
    """The next events behind this place, in order; none when there is none yet.

    Places have no gaps: one that is missing here has expired.
    """
    log_of_label, head = db.open("events"), await head_of(db, label_id)
    wanted = list(range(seq + 1, min(seq + limit, head) + 1))
    if not wanted:
        return []
    found = await log_of_label.find({"label_id": label_id, "seq": {"$in": wanted}}).to_list()
    if not found and wanted[-1] < head:
        later = {"label_id": label_id, "seq": {"$gt": wanted[-1]}}
        found = await log_of_label.find(later).sort("seq", 1).limit(limit).to_list()
    return sorted(found, key=lambda event: int(event["seq"]))


async def follows(db: Database, label_id: str, seq: int) -> bool:
    """Whether whoever has read up to this place can go on: it is the newest, or the one behind it is still there."""
    head = await head_of(db, label_id)
    if seq >= head:
        return seq == head
    return await db.open("events").find_one({"label_id": label_id, "seq": seq + 1}, {"_id": 1}) is not None


async def _append(db: Database, label_id: str, by_key: dict[str, Event]) -> None:
    """In a transaction with the label's head: who comes at the same time conflicts there, and comes after us."""
    log_of_label = db.open("events")

    async def all_of_it(session: Session) -> int:
        query = {"label_id": label_id, "key": {"$in": list(by_key)}}
        known = {event["key"] async for event in log_of_label.find(query, {"key": 1}, session=session)}
        rows = [_row(event) for key, event in by_key.items() if key not in known]
        if rows:
            first = await _move_head(db, label_id, len(rows), session)
            numbered = [row | {"seq": first + number} for number, row in enumerate(rows)]
            await log_of_label.insert_many(numbered, session=session)
        return len(rows)

    async with db.turn(f"events:{label_id}"):
        written = await db.in_transaction(all_of_it)
    if written:
        db.placed(label_id)


async def _place_all(db: Database, labels: set[str]) -> None:
    """The events are committed whatever becomes of this: what is left without a place, the workers' sweep finds."""
    for label_id in labels:
        try:
            await place(db, label_id)
        except PyMongoError as exc:
            log.warning("events not placed yet", label=label_id, reason=type(exc).__name__)


async def _unplaced(db: Database, label_id: str) -> list[str]:
    found = db.open("events").find({"label_id": label_id, "unplaced": True}, {"_id": 1}).limit(AT_ONCE)
    return sorted([event["_id"] async for event in found])


async def _number(db: Database, label_id: str, ids: list[str], session: Session) -> int:
    """Number these; none when somebody else has numbered one of them meanwhile."""
    query = {"_id": {"$in": ids}, "label_id": label_id, "unplaced": True}
    if await db.open("events").count_documents(query, session=session) != len(ids):
        return 0
    first = await _move_head(db, label_id, len(ids), session)
    writes = [
        UpdateOne({"_id": one, "label_id": label_id}, {"$set": {"seq": first + number}, "$unset": {"unplaced": ""}})
        for number, one in enumerate(ids)
    ]
    await db.open("events").bulk_write(writes, session=session)
    return len(ids)


async def _move_head(db: Database, label_id: str, count: int, session: Session) -> int:
    """Take so many places; the first of them."""
    heads, key = db.open("stream_heads"), {"_id": label_id, "label_id": label_id}
    head = await heads.find_one_and_update(key, {"$inc": {"seq": count}}, session=session)
    if head is not None:
        return int(head["seq"]) + 1
    try:
        await heads.insert_one(key | {"seq": count}, session=session)
    except DuplicateKeyError as exc:  # two at once began the stream: now it is there
        raise TryTransactionAgain from exc
    return 1


def _row(event: Event) -> Doc:
    return {
        "_id": new_id("evt"),
        "label_id": event.label_id,
        "key": event.key,
        "type": event.type,
        "target": event.target,
        "at": event.at,
        "expires_at": event.at + LIFE,
    }
