"""Answering a fan: the reply and the intent to send it are written together. `sending.py` is the worker's half."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.errors import ConnectionNotActive, ReplyWindowClosed
from app.ids import new_id
from app.models.data_map import CONTENT_LIFE
from app.models.reply_window import human_agent_until, window_closes_at
from app.services import operations
from app.services.connections import store
from app.services.inbox.conversations import need_conversation
from app.services.inbox.words import tokens


def check_window(conversation: Doc, *, human_agent: bool, now: datetime) -> None:
    """Raise `ReplyWindowClosed` where Meta would refuse: 24 hours, or 7 days for a person, after the fan last wrote."""
    ends = human_agent_until(conversation) if human_agent else window_closes_at(conversation)
    if ends is None or now >= ends:
        raise ReplyWindowClosed


async def queue_reply(
    db: Database,
    label_id: str,
    conversation_id: str,
    *,
    text: str,
    reply_to: str | None,
    human_agent: bool,
    intent: str | None,
    now: datetime,
) -> Doc:
    """Write down a reply and the intent to send it, both or neither. The same `intent` twice is the same reply.

    Raises `NotFound`, `ConnectionNotActive`, `ReplyWindowClosed`.
    """
    conversation = await need_conversation(db, label_id, conversation_id, now=now)
    connection = await store.need(db, label_id, conversation["connection_id"])
    if not store.is_usable(connection, "messages"):
        raise ConnectionNotActive
    check_window(conversation, human_agent=human_agent, now=now)
    message = _queued(conversation, text=text, reply_to=reply_to, human_agent=human_agent, now=now)
    key = f"send_reply:{intent or message['_id']}"

    async def both(session: Session) -> None:
        operation = await operations.add(
            db,
            label_id=label_id,
            kind="send_reply",
            target=message["_id"],
            key=key,
            queue=conversation_id,
            connection_id=connection["_id"],
            now=now,
            session=session,
        )
        message["operation_id"] = operation["_id"]
        await db.open("messages").insert_one(message, session=session)

    try:
        await db.in_transaction(both)
    except DuplicateKeyError:
        earlier = await operations.by_key(db, label_id, key)
        if earlier is None:
            raise
        found = await db.open("messages").find_one({"_id": earlier["target"], "label_id": label_id})
        return found or message
    return message


def _queued(conversation: Doc, *, text: str, reply_to: str | None, human_agent: bool, now: datetime) -> Doc:
    original: Doc = {"kind": "message", "text": text} | ({"reply_to": {"provider_id": reply_to}} if reply_to else {})
    return {
        "_id": new_id("msg"),
        "label_id": conversation["label_id"],
        "connection_id": conversation["connection_id"],
        "conversation_id": conversation["_id"],
        "provider": conversation["provider"],
        "direction": "out",
        "state": "queued",
        "human_agent": human_agent,
        "ordered_at": now,
        "created_at": now,
        "expires_at": now + CONTENT_LIFE,
        "content": {"original": original, "words": tokens(text)},
    }


async def end_queued(db: Database, label_id: str, message_ids: list[str], *, problem: str, session: Session) -> None:
    """Say of replies whose operations were ended before they began that they will not be sent, and why."""
    query = {"label_id": label_id, "_id": {"$in": message_ids}, "state": "queued"}
    await db.open("messages").update_many(query, {"$set": {"state": "failed", "problem": problem}}, session=session)


async def begin_anew(db: Database, operation: Doc, *, now: datetime) -> None:
    """Send again, as a person decided who knows that the first call may have gone out.

    Raises `Conflict` unless the operation failed or its outcome is unknown.
    """
    key = {"_id": operation["target"], "label_id": operation["label_id"], "state": {"$ne": "sent"}}
    update = {"$set": {"state": "queued"}, "$unset": {"calling_at": "", "calling_fence": "", "problem": ""}}

    async def both(session: Session) -> None:
        await operations.retry(db, operation, now=now, session=session)
        await db.open("messages").update_one(key, update, session=session)

    await db.in_transaction(both)
