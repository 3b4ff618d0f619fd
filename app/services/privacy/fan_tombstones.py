"""Fans whose data a label has erased: what they wrote before does not come back, by a late webhook or by reading back.

Meta keeps what it has, and shows it again. So keyed hashes are kept of label and fan (a mark: the fan's id, the handle,
a comment of theirs that the label has answered) until nothing of that time could be stored any more; what the fan
writes later is a new conversation.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime

from app.db import Database, Doc
from app.derived_keys import derive
from app.models.data_map import DEDUPE_LIFE
from app.services.inbox.meta import OF_COMMENTS
from app.services.inbox.writes import Received
from app.settings import Settings

NEW = frozenset(("message", "postback", "comment", "mention"))
"""Changes that bring something that the fan wrote then; the others are about something that was there."""


def key_of(settings: Settings) -> bytes:
    """The key of the hashes."""
    return derive(settings, "erased fans")


def by_handle(username: str) -> str:
    """The mark of whoever has this handle, where Meta withholds the id."""
    return f"@{username}"


def below(comment_id: str) -> str:
    """The mark of what the label has answered to this comment."""
    return f"#{comment_id}"


def marks_of(author_id: str | None, username: str | None, *, answers: str | None) -> list[str]:
    """By which marks something is known as an erased fan's. `answers` is the comment that it answers for the label."""
    who = [author_id] if author_id else [by_handle(username)] if username else []
    return [*who, below(answers)] if answers else who


async def note(db: Database, label_id: str, hashes: Iterable[str], *, at: datetime) -> None:
    """Remember that this label has erased then whom these hashes of marks mean."""
    for hashed in hashes:
        query = {"_id": hashed, "label_id": label_id}
        update = {"$max": {"erased_at": at, "expires_at": at + DEDUPE_LIFE}}
        await db.open("erased_fans").update_one(query, update, upsert=True)


async def erased(db: Database, key: bytes, label_id: str, marks: Iterable[str]) -> dict[str, datetime]:
    """Those of these marks whose fans the label has erased, and when."""
    hashes = {hash_of(key, label_id, mark): mark for mark in marks}
    if not hashes:
        return {}
    found = db.open("erased_fans").find({"_id": {"$in": list(hashes)}, "label_id": label_id})
    return {hashes[one["_id"]]: one["erased_at"] async for one in found}


async def let_through(db: Database, key: bytes, received: Sequence[Received]) -> list[Received]:
    """Those changes that bring back nothing of an erased fan."""
    marks: dict[str, set[str]] = {}
    for one in received:
        marks.setdefault(one.connection["label_id"], set()).update(_marks_of(one))
    gone = {label_id: await erased(db, key, label_id, of_label) for label_id, of_label in marks.items()}
    return [one for one in received if await _may_pass(db, one, gone[one.connection["label_id"]])]


def _marks_of(one: Received) -> list[str]:
    told = one.incoming.content
    answers = told.get("parent_provider_id") if one.incoming.outgoing else None
    return marks_of(one.incoming.fan_id, told.get("username"), answers=answers)


async def _may_pass(db: Database, one: Received, gone: dict[str, datetime]) -> bool:
    erased_at = [gone[mark] for mark in _marks_of(one) if mark in gone]
    if not erased_at:
        return True
    if one.incoming.at <= max(erased_at):
        return False
    if one.incoming.kind in NEW:
        return True
    if one.incoming.kind in OF_COMMENTS:
        return await db.open("comments").find_one(one.document_key, {"_id": 1}) is not None
    talk: Doc = one.owner | {"participant.provider_id": one.incoming.fan_id}
    return await db.open("conversations").find_one(talk, {"_id": 1}) is not None


def hash_of(key: bytes, label_id: str, mark: str) -> str:
    """What a mark is known by in a label's list of erased fans."""
    return hmac.new(key, f"{label_id}\0{mark}".encode(), hashlib.sha256).hexdigest()
