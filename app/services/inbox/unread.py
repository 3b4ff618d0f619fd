"""What follows from a conversation's messages, found anew when something changes and never added up: how many the team
has not read, and until when the conversation stays."""

from datetime import UTC, datetime

from app.db import ALL_LABELS, Database, Doc

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
TRIES = 10


async def recount(db: Database, label_id: str, conversation_id: str, *, now: datetime) -> None:
    """Count the unread messages that are there and not expired; the conversation ends with its newest message.

    Who changes messages raises `touched` afterwards; a count that was overtaken is not written but made again.
    """
    conversations, messages = db.open("conversations"), db.open("messages")
    key = {"label_id": label_id, "_id": conversation_id}
    for _ in range(TRIES):
        conversation = await conversations.find_one(key, {"touched": 1, "team_read_at": 1, "expires_at": 1})
        if conversation is None:
            return
        query = {
            "label_id": label_id,
            "conversation_id": conversation_id,
            "ordered_at": {"$gt": BEGINNING},
            "received_at": {"$gt": conversation.get("team_read_at", BEGINNING)},  # one that came late is unread
            "direction": "in",
            "deleted_at": {"$exists": False},
            "expires_at": {"$gt": now},
        }
        ends = [doc["expires_at"] async for doc in messages.find(query, {"expires_at": 1})]
        update: Doc = {"$set": {"unread_count": len(ends), "is_unread": bool(ends)}}
        if ends:
            update["$set"]["recount_at"] = min(ends)
        else:
            update["$unset"] = {"recount_at": ""}
        of_it = {"label_id": label_id, "conversation_id": conversation_id, "ordered_at": {"$gt": BEGINNING}}
        newest = await messages.find_one(of_it, {"expires_at": 1}, sort=[("ordered_at", -1)])
        if newest:
            update["$set"]["expires_at"] = newest["expires_at"]
        unchanged = key | {name: conversation.get(name, {"$exists": False}) for name in ("touched", "expires_at")}
        if (await conversations.update_one(unchanged, update)).matched_count:
            return


async def recount_expired(db: Database, *, now: datetime, limit: int = 200) -> None:
    """Count anew where an unread message has expired."""
    found = db.open("conversations").find(
        {"recount_at": {"$lte": now}}, {"label_id": 1}, comment=f"{ALL_LABELS}counts that an expiry made wrong"
    )
    for doc in await found.limit(limit).to_list():
        await recount(db, doc["label_id"], doc["_id"], now=now)
