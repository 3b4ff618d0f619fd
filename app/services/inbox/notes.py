"""Notes of the team about a conversation: they end with what they are about, and nothing lengthens them."""

from datetime import datetime

from app.db import Database, Doc
from app.errors import NotFound, StaleVersion
from app.ids import new_id
from app.services.audit import By
from app.services.inbox.conversations import need_conversation, tell_changed
from app.services.pages import Cursor, page_query


async def page_of(
    db: Database, label_id: str, conversation_id: str, *, after: Cursor | None, limit: int, now: datetime
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more. Raises `NotFound`."""
    await need_conversation(db, label_id, conversation_id, now=now)
    query = {"label_id": label_id, "conversation_id": conversation_id, "expires_at": {"$gt": now}}
    found = db.open("notes").find(page_query(query, "created_at", after, now=now))
    return await found.sort([("created_at", -1), ("_id", -1)]).limit(limit + 1).to_list()


async def need(db: Database, label_id: str, note_id: str, *, now: datetime) -> Doc:
    """The note. Raises `NotFound`."""
    note = await db.open("notes").find_one({"_id": note_id, "label_id": label_id, "expires_at": {"$gt": now}})
    if note is None:
        raise NotFound
    return note


async def add(db: Database, label_id: str, conversation_id: str, *, text: str, by: By, now: datetime) -> Doc:
    """Write a note. It ends when the conversation would end now: a text that it may quote ends no later.

    Raises `NotFound`.
    """
    conversation = await need_conversation(db, label_id, conversation_id, now=now)
    note = {
        "_id": new_id("nte"),
        "label_id": label_id,
        "conversation_id": conversation_id,
        "connection_id": conversation["connection_id"],
        "text": text,
        "author": {"kind": by.kind, "id": by.id},
        "created_at": now,
        "updated_at": now,
        "expires_at": conversation["expires_at"],
        "version": 1,
    }
    await db.open("notes").insert_one(note)
    await _tell(db, label_id, conversation_id, now=now)
    return note


async def change(
    db: Database, label_id: str, note_id: str, *, changes: Doc, versions: list[int] | None, now: datetime
) -> Doc:
    """Change its text, if it still is of one of the `versions` seen. Raises `NotFound`, `StaleVersion`."""
    await need(db, label_id, note_id, now=now)
    key: Doc = {"_id": note_id, "label_id": label_id}
    key |= {"version": {"$in": versions}} if versions is not None else {}
    update = {"$set": changes | {"updated_at": now}, "$inc": {"version": 1}}
    changed = await db.open("notes").find_one_and_update(key, update, return_document=True)
    if changed is None:
        raise StaleVersion
    await _tell(db, label_id, changed["conversation_id"], now=now)
    return changed


async def delete(db: Database, label_id: str, note_id: str, *, versions: list[int] | None, now: datetime) -> None:
    """Take it away, if it still is of one of the `versions` seen. Raises `NotFound`, `StaleVersion`."""
    note = await need(db, label_id, note_id, now=now)
    key: Doc = {"_id": note_id, "label_id": label_id}
    key |= {"version": {"$in": versions}} if versions is not None else {}
    if (await db.open("notes").delete_one(key)).deleted_count == 0:
        raise StaleVersion
    await _tell(db, label_id, note["conversation_id"], now=now)


async def _tell(db: Database, label_id: str, conversation_id: str, *, now: datetime) -> None:
    """Notes are part of what is seen of a conversation."""
    key = {"_id": conversation_id, "label_id": label_id}
    conversation = await db.open("conversations").find_one_and_update(
        key, {"$inc": {"version": 1}}, return_document=True
    )
    if conversation:
        await tell_changed(db, conversation, now=now)
