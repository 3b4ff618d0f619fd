"""What follows from a conversation's messages: how many the team has not read, and until when the conversation stays.
Found anew when something changes, never added up, and written with what changed if nobody came between.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pymongo import UpdateOne

from app.db import ALL_LABELS, Database, Doc
from app.errors import Unavailable
from app.services.inbox.writes import Received, conversation_changes

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
TRIES = 10
AT_ONCE = 20
Came = Mapping[str, Sequence[Received]]
"""What came for each conversation, by its id."""


async def recount(db: Database, label_id: str, conversation_id: str, *, now: datetime) -> None:
    """Count the unread messages that are there and not expired; the conversation ends with its newest message.

    Who changes messages raises `touched` afterwards; a count that was overtaken is not written but made again.
    Raises `Unavailable` when it is overtaken again and again.
    """
    await _settle(db, label_id, conversation_id, (), now=now)


async def settle(db: Database, label_id: str, came: Came, *, now: datetime) -> None:
    """Make of these conversations what came for them, once their messages are stored, and `recount` them.

    Done twice it is the same, but for the version. Raises `Unavailable`.
    """
    ids = list(came)
    for first in range(0, len(ids), AT_ONCE):
        some = ids[first : first + AT_ONCE]
        writes = await _writes(db, label_id, {one: came[one] for one in some}, now=now)
        if writes and (await db.open("conversations").bulk_write(writes, ordered=False)).matched_count < len(writes):
            for one in some:  # one of them was overtaken
                await _settle(db, label_id, one, came[one], now=now)


async def _settle(
    db: Database, label_id: str, conversation_id: str, came: Sequence[Received], *, now: datetime
) -> None:
    for _ in range(TRIES):
        writes = await _writes(db, label_id, {conversation_id: came}, now=now)
        if not writes or (await db.open("conversations").bulk_write(writes)).matched_count:
            return
    raise Unavailable


async def _writes(db: Database, label_id: str, came: Came, *, now: datetime) -> list[UpdateOne]:
    """A write for each of these conversations that is there, on the condition that it is as it was read."""
    found = await db.open("conversations").find({"label_id": label_id, "_id": {"$in": list(came)}}).to_list()
    read_at = {doc["_id"]: _read_at(doc) for doc in found}
    query = _unread(label_id, now=now) | {"conversation_id": {"$in": list(read_at)}}
    query["received_at"] = {"$gt": min(read_at.values(), default=BEGINNING)}
    ends: dict[str, list[datetime]] = {}
    fields = {"conversation_id": 1, "received_at": 1, "expires_at": 1}
    async for doc in db.open("messages").find(query, fields):
        if doc["received_at"] > read_at[doc["conversation_id"]]:
            ends.setdefault(doc["conversation_id"], []).append(doc["expires_at"])
    newest = await asyncio.gather(*(_newest(db, doc, came[doc["_id"]]) for doc in found))
    return [
        UpdateOne(_as_read(doc), _counted(conversation_changes(doc, came[doc["_id"]]), ends.get(doc["_id"], []), last))
        for doc, last in zip(found, newest, strict=True)
    ]


def _read_at(conversation: Doc) -> datetime:
    """Up to when the team has read; what came later is unread, also when it was written before."""
    found: datetime = conversation.get("team_read_at", BEGINNING)
    return found


def _unread(label_id: str, *, now: datetime) -> Doc:
    return {
        "label_id": label_id,
        "ordered_at": {"$gt": BEGINNING},
        "direction": "in",
        "deleted_at": {"$exists": False},
        "expires_at": {"$gt": now},
    }


async def _newest(db: Database, conversation: Doc, came: Sequence[Received]) -> Doc | None:
    """The newest message. None where there is none, or where new messages only can have moved the end, and not back."""
    if came and "last_message_at" in conversation and all(r.is_new_message for r in came):
        return None
    of_it = {"label_id": conversation["label_id"], "conversation_id": conversation["_id"]}
    of_it["ordered_at"] = {"$gt": BEGINNING}
    return await db.open("messages").find_one(of_it, {"expires_at": 1}, sort=[("ordered_at", -1)])


def _as_read(conversation: Doc) -> Doc:
    names = ("_id", "label_id", "touched", "status_at", "expires_at")
    return {name: conversation.get(name, {"$exists": False}) for name in names}


def _counted(changes: Doc, ends: Sequence[datetime], newest: Doc | None) -> Doc:
    """The update that makes these changes, and writes the count down."""
    parts: dict[str, Doc] = {name: dict(changes.get(name, {})) for name in ("$set", "$unset", "$min", "$max", "$inc")}
    parts["$set"] |= {"unread_count": len(ends), "is_unread": bool(ends)}
    if ends:
        parts["$set"]["recount_at"] = min(ends)
    else:
        parts["$unset"]["recount_at"] = ""
    if newest:
        parts["$set"]["expires_at"] = newest["expires_at"]
        parts["$max"].pop("expires_at", None)
    return {name: part for name, part in parts.items() if part}


async def recount_expired(db: Database, *, now: datetime, limit: int = 200) -> None:
    """Count anew where an unread message has expired."""
    found = db.open("conversations").find(
        {"recount_at": {"$lte": now}}, {"label_id": 1}, comment=f"{ALL_LABELS}counts that an expiry made wrong"
    )
    for doc in await found.limit(limit).to_list():
        await recount(db, doc["label_id"], doc["_id"], now=now)
