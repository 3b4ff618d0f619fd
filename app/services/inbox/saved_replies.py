"""Saved replies: texts that a label's team sends again and again."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.errors import Conflict, NotFound, StaleVersion
from app.ids import new_id
from app.services.audit import By

NAME_TAKEN = "There is a saved reply of this name"


async def page_of(db: Database, label_id: str, *, after: str | None, limit: int) -> list[Doc]:
    """Oldest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$gt": after}} if after else {})
    return await db.open("saved_replies").find(query).sort("_id", 1).limit(limit + 1).to_list()


async def need(db: Database, label_id: str, reply_id: str) -> Doc:
    """The saved reply. Raises `NotFound`."""
    reply = await db.open("saved_replies").find_one({"_id": reply_id, "label_id": label_id})
    if reply is None:
        raise NotFound
    return reply


async def add(db: Database, label_id: str, *, name: str, text: str, by: By, now: datetime) -> Doc:
    """Keep an answer. Raises `Conflict` for a name that is taken."""
    reply: Doc = {"_id": new_id("srp"), "label_id": label_id, "name": name, "name_key": name.casefold(), "text": text}
    reply |= {"created_by": {"kind": by.kind, "id": by.id}, "created_at": now, "updated_at": now, "version": 1}
    try:
        await db.open("saved_replies").insert_one(reply)
    except DuplicateKeyError:
        raise Conflict(NAME_TAKEN) from None
    return reply


async def change(
    db: Database, label_id: str, reply_id: str, *, changes: Doc, versions: list[int] | None, now: datetime
) -> Doc:
    """Change it, if it still is of one of the `versions` seen. Raises `NotFound`, `StaleVersion`, `Conflict`."""
    await need(db, label_id, reply_id)
    changes = changes | ({"name_key": changes["name"].casefold()} if "name" in changes else {})
    update = {"$set": changes | {"updated_at": now}, "$inc": {"version": 1}}
    try:
        changed = await db.open("saved_replies").find_one_and_update(
            _key(label_id, reply_id, versions), update, return_document=True
        )
    except DuplicateKeyError:
        raise Conflict(NAME_TAKEN) from None
    if changed is None:
        raise StaleVersion
    return changed


async def delete(db: Database, label_id: str, reply_id: str, *, versions: list[int] | None) -> None:
    """Take it away, if it still is of one of the `versions` seen and no rule sends it.

    Raises `NotFound`, `StaleVersion`, `Conflict`.
    """
    await need(db, label_id, reply_id)
    if await db.open("rules").find_one({"label_id": label_id, "actions.saved_reply_id": reply_id}, {"_id": 1}):
        raise Conflict("A rule sends this saved reply: change the rule first")
    if (await db.open("saved_replies").delete_one(_key(label_id, reply_id, versions))).deleted_count == 0:
        raise StaleVersion


def _key(label_id: str, reply_id: str, versions: list[int] | None) -> Doc:
    key: Doc = {"_id": reply_id, "label_id": label_id}
    return key | ({"version": {"$in": versions}} if versions is not None else {})
