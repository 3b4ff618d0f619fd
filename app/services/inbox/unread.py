"""What follows from a conversation's messages, found anew when something changes and never added up: how many the team
has not read, and until when the conversation stays."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo import UpdateOne

from app.db import ALL_LABELS, Database, Doc

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
TRIES = 10
COUNTED_FROM = {"touched": 1, "team_read_at": 1, "expires_at": 1}


async def recount(db: Database, label_id: str, conversation_id: str, *, now: datetime) -> None:
    """Count the unread messages that are there and not expired; the conversation ends with its newest message.

    Who changes messages raises `touched` afterwards; a count that was overtaken is not written but made again.
    """
    conversations, messages = db.open("conversations"), db.open("messages")
    key = {"label_id": label_id, "_id": conversation_id}
    for _ in range(TRIES):
        conversation = await conversations.find_one(key, COUNTED_FROM)
        if conversation is None:
            return
        query = _unread(label_id, now=now) | {"conversation_id": conversation_id}
        query["received_at"] = {"$gt": _read_at(conversation)}
        ends = [doc["expires_at"] async for doc in messages.find(query, {"expires_at": 1})]
        newest = await _newest(db, label_id, conversation_id)
        if (await conversations.update_one(*_written(label_id, conversation, ends, newest))).matched_count:
            return


async def recount_many(db: Database, label_id: str, conversation_ids: Sequence[str], *, now: datetime) -> None:
    """`recount` of several in few reads; where one was overtaken, each is counted by itself."""
    conversations, ids = db.open("conversations"), {"$in": list(conversation_ids)}
    found = await conversations.find({"label_id": label_id, "_id": ids}, COUNTED_FROM).to_list()
    read_at = {doc["_id"]: _read_at(doc) for doc in found}
    query = _unread(label_id, now=now) | {"conversation_id": {"$in": list(read_at)}}
    query["received_at"] = {"$gt": min(read_at.values(), default=BEGINNING)}
    ends: dict[str, list[datetime]] = {}
    fields = {"conversation_id": 1, "received_at": 1, "expires_at": 1}
    async for doc in db.open("messages").find(query, fields):
        if doc["received_at"] > read_at[doc["conversation_id"]]:
            ends.setdefault(doc["conversation_id"], []).append(doc["expires_at"])
    newest = await asyncio.gather(*(_newest(db, label_id, doc["_id"]) for doc in found))
    writes = [
        UpdateOne(*_written(label_id, doc, ends.get(doc["_id"], []), last))
        for doc, last in zip(found, newest, strict=True)
    ]
    if writes and (await conversations.bulk_write(writes, ordered=False)).matched_count < len(writes):
        for doc in found:
            await recount(db, label_id, doc["_id"], now=now)


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


async def _newest(db: Database, label_id: str, conversation_id: str) -> Doc | None:
    of_it = {"label_id": label_id, "conversation_id": conversation_id, "ordered_at": {"$gt": BEGINNING}}
    return await db.open("messages").find_one(of_it, {"expires_at": 1}, sort=[("ordered_at", -1)])


def _written(label_id: str, conversation: Doc, ends: Sequence[datetime], newest: Doc | None) -> tuple[Doc, Doc]:
    """The conversation as it was when it was counted, and what to write there then."""
    counted: Doc = {"unread_count": len(ends), "is_unread": bool(ends)}
    counted |= {"recount_at": min(ends)} if ends else {}
    counted |= {"expires_at": newest["expires_at"]} if newest else {}
    update: Doc = {"$set": counted} | ({} if ends else {"$unset": {"recount_at": ""}})
    same = {name: conversation.get(name, {"$exists": False}) for name in ("touched", "expires_at")}
    return {"label_id": label_id, "_id": conversation["_id"]} | same, update


async def recount_expired(db: Database, *, now: datetime, limit: int = 200) -> None:
    """Count anew where an unread message has expired."""
    found = db.open("conversations").find(
        {"recount_at": {"$lte": now}}, {"label_id": 1}, comment=f"{ALL_LABELS}counts that an expiry made wrong"
    )
    for doc in await found.limit(limit).to_list():
        await recount(db, doc["label_id"], doc["_id"], now=now)
