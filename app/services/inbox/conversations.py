"""Conversations and messages, read for people. No read shows what has expired."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import FieldError, InvalidInput, NotFound, StaleVersion
from app.services.inbox.unread import recount
from app.services.labels import members
from app.services.pages import Cursor, page_query


async def page_of_conversations(
    db: Database,
    label_id: str,
    *,
    status: str | None,
    connection_id: str | None,
    assignee: str | None,
    unread: bool | None,
    after: Cursor | None,
    limit: int,
    now: datetime,
) -> list[Doc]:
    """Those with the newest message first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "expires_at": {"$gt": now}}
    query |= {"status": status} if status else {}
    query |= {"connection_id": connection_id} if connection_id else {}
    query |= {"assignee": assignee} if assignee else {}
    if unread is not None:
        query["unread_count"] = {"$gt": 0} if unread else 0
    found = db.open("conversations").find(page_query(query, "last_message_at", after, now=now))
    return await found.sort([("last_message_at", -1), ("_id", -1)]).limit(limit + 1).to_list()


async def need_conversation(
    db: Database, label_id: str, conversation_id: str, *, now: datetime, session: Session | None = None
) -> Doc:
    """The conversation. Raises `NotFound`."""
    query = {"_id": conversation_id, "label_id": label_id, "expires_at": {"$gt": now}}
    conversation = await db.open("conversations").find_one(query, session=session)
    if conversation is None:
        raise NotFound
    return conversation


async def change_conversation(
    db: Database, label_id: str, conversation_id: str, *, changes: Doc, versions: list[int] | None, now: datetime
) -> Doc:
    """Change what the team decides, if it still is of one of the `versions` seen.

    Raises `NotFound`, `StaleVersion`, `InvalidInput` for an assignee who does not work for the label.
    """
    await need_conversation(db, label_id, conversation_id, now=now)
    if changes.get("assignee") and await members.membership_of(db, changes["assignee"], label_id) is None:
        raise InvalidInput(errors=(FieldError("/assignee", "must be somebody who works for the label"),))
    key: Doc = {"_id": conversation_id, "label_id": label_id}
    key |= {"version": {"$in": versions}} if versions is not None else {}
    changes = changes | ({"status_at": now} if "status" in changes else {})
    written = await db.open("conversations").update_one(
        key, {"$inc": {"version": 1}} | ({"$set": changes} if changes else {})
    )
    if written.matched_count == 0:
        raise StaleVersion
    return await need_conversation(db, label_id, conversation_id, now=now)


async def mark_read(db: Database, label_id: str, conversation_id: str, *, now: datetime) -> Doc:
    """The team has read everything up to now. Raises `NotFound`."""
    await need_conversation(db, label_id, conversation_id, now=now)
    key = {"_id": conversation_id, "label_id": label_id}
    update = {"$max": {"team_read_at": now}, "$inc": {"touched": 1, "version": 1}}
    await db.open("conversations").update_one(key, update)
    await recount(db, label_id, conversation_id, now=now)
    return await need_conversation(db, label_id, conversation_id, now=now)


async def page_of_messages(
    db: Database, label_id: str, conversation_id: str, *, after: Cursor | None, limit: int, now: datetime
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more."""
    query = {"label_id": label_id, "conversation_id": conversation_id, "expires_at": {"$gt": now}}
    found = db.open("messages").find(page_query(query, "ordered_at", after, now=now))
    return await found.sort([("ordered_at", -1), ("_id", -1)]).limit(limit + 1).to_list()


async def need_message(db: Database, label_id: str, message_id: str, *, now: datetime) -> Doc:
    """The message. Raises `NotFound`."""
    message = await db.open("messages").find_one(
        {"_id": message_id, "label_id": label_id, "expires_at": {"$gt": now}, "ordered_at": {"$exists": True}}
    )
    if message is None:
        raise NotFound
    return message


async def need_message_in_conversation(
    db: Database, label_id: str, message_id: str, *, now: datetime
) -> tuple[Doc, Doc]:
    """The message and its conversation, which knows up to when the fan has read. Raises `NotFound`."""
    message = await need_message(db, label_id, message_id, now=now)
    return message, await need_conversation(db, label_id, message["conversation_id"], now=now)
