"""Conversations and messages, read for people. No read shows what has expired."""

from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import FieldError, InvalidInput, NotFound, StaleVersion
from app.models.conversations import ConversationStatus
from app.services.events import Event, append
from app.services.inbox.unread import recount
from app.services.labels import members
from app.services.pages import Cursor, page_query

NOBODY = "none"


@dataclass(frozen=True)
class Filters:
    """Which conversations are asked for; what is none does not matter."""

    status: ConversationStatus | None = None
    assignee: str | None = None
    """An account's id, or `none` for those that nobody is to answer."""
    unread: bool | None = None
    connection_id: str | None = None
    tag: str | None = None

    @property
    def query(self) -> Doc:
        """As a query, each part of which leads an index."""
        found: Doc = {"status": self.status} if self.status else {}
        found |= {"assignee": None if self.assignee == NOBODY else self.assignee} if self.assignee else {}
        found |= {"is_unread": self.unread} if self.unread is not None else {}
        found |= {"connection_id": self.connection_id} if self.connection_id else {}
        return found | ({"tags": self.tag} if self.tag else {})


async def page_of_conversations(
    db: Database, label_id: str, filters: Filters, *, after: Cursor | None, limit: int, now: datetime
) -> list[Doc]:
    """Those with the newest message first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "expires_at": {"$gt": now}} | filters.query
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

    Raises `NotFound`, `StaleVersion`, `InvalidInput` for an assignee who does not work for the label, and for a snooze
    that does not end in the future.
    """
    seen = await need_conversation(db, label_id, conversation_id, now=now)
    if changes.get("assignee") and await members.membership_of(db, changes["assignee"], label_id) is None:
        raise InvalidInput(errors=(FieldError("/assignee", "must be somebody who works for the label"),))
    key: Doc = {"_id": conversation_id, "label_id": label_id}
    key |= {"version": {"$in": versions}} if versions is not None else {}
    update: Doc = {"$inc": {"version": 1}}
    if {"status", "snoozed_until"} & changes.keys():
        changes, update["$unset"] = _stands(seen, changes, now=now)
        key |= {"status": seen["status"]}  # a fan who writes meanwhile opens it: look again
    changed = await db.open("conversations").find_one_and_update(
        key, {name: part for name, part in (update | {"$set": changes}).items() if part}, return_document=True
    )
    if changed is None:
        raise StaleVersion
    await tell_changed(db, changed, now=now)
    return changed


def _stands(seen: Doc, changes: Doc, *, now: datetime) -> tuple[Doc, Doc]:
    """What to set and to unset for how it is to stand. Raises `InvalidInput`."""
    status = changes.get("status", seen["status"])
    until = changes.get("snoozed_until", seen["snoozed_until"] if status == seen["status"] else None)
    if status != "snoozed":
        if changes.get("snoozed_until"):
            raise InvalidInput(errors=(FieldError("/snoozed_until", "is for what is snoozed"),))
        return changes | {"status": status, "status_at": now, "snoozed_until": None}, {"wake_at": ""}
    if until is None or until <= now:
        raise InvalidInput(errors=(FieldError("/snoozed_until", "must be in the future, so that it can be snoozed"),))
    return changes | {"status": status, "status_at": now, "snoozed_until": until, "wake_at": until}, {}


async def tell_changed(db: Database, conversation: Doc, *, now: datetime) -> None:
    """Let those who listen know that it is as this version says."""
    key = f"conversation:{conversation['_id']}:{conversation['version']}"
    await append(db, [Event(conversation["label_id"], key, "conversation.changed", conversation["_id"], now)])


async def mark_read(db: Database, label_id: str, conversation_id: str, *, now: datetime) -> Doc:
    """The team has read everything up to now. Raises `NotFound`."""
    await need_conversation(db, label_id, conversation_id, now=now)
    key = {"_id": conversation_id, "label_id": label_id}
    update = {"$max": {"team_read_at": now}, "$inc": {"touched": 1, "version": 1}}
    await db.open("conversations").update_one(key, update)
    await recount(db, label_id, conversation_id, now=now)
    found = await need_conversation(db, label_id, conversation_id, now=now)
    await tell_changed(db, found, now=now)
    return found


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
