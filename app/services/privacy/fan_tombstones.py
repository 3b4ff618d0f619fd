"""Fans whose data a label has erased: what they wrote before does not come back, by a late webhook or by reading back.

Meta keeps what it has, and shows it again. So a keyed hash of label and fan is kept until nothing of that time could be
stored any more; what the fan writes later is a new conversation.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime

from app.db import Database, Doc, Session
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


async def note(
    db: Database, key: bytes, label_id: str, fans: Iterable[str], *, now: datetime, session: Session | None = None
) -> None:
    """Remember that this label has erased these fans now."""
    for fan in fans:
        query = {"_id": _hash(key, label_id, fan), "label_id": label_id}
        update = {"$max": {"erased_at": now, "expires_at": now + DEDUPE_LIFE}}
        await db.open("erased_fans").update_one(query, update, upsert=True, session=session)


async def erased(db: Database, key: bytes, label_id: str, fans: Iterable[str]) -> dict[str, datetime]:
    """Those of these fans whom the label has erased, and when."""
    hashes = {_hash(key, label_id, fan): fan for fan in fans}
    if not hashes:
        return {}
    found = db.open("erased_fans").find({"_id": {"$in": list(hashes)}, "label_id": label_id})
    return {hashes[one["_id"]]: one["erased_at"] async for one in found}


async def let_through(db: Database, key: bytes, received: Sequence[Received]) -> list[Received]:
    """Those changes that bring back nothing of an erased fan."""
    fans: dict[str, set[str]] = {}
    for one in received:
        if one.incoming.fan_id:
            fans.setdefault(one.connection["label_id"], set()).add(one.incoming.fan_id)
    gone = {label_id: await erased(db, key, label_id, of_label) for label_id, of_label in fans.items()}
    return [one for one in received if await _may_pass(db, one, gone.get(one.connection["label_id"], {}))]


async def _may_pass(db: Database, one: Received, gone: dict[str, datetime]) -> bool:
    erased_at = gone.get(one.incoming.fan_id or "")
    if erased_at is None:
        return True
    if one.incoming.kind in NEW:
        return one.incoming.at > erased_at
    if one.incoming.kind in OF_COMMENTS:
        return await db.open("comments").find_one(one.document_key, {"_id": 1}) is not None
    talk: Doc = one.owner | {"participant.provider_id": one.incoming.fan_id}
    return await db.open("conversations").find_one(talk, {"_id": 1}) is not None


def _hash(key: bytes, label_id: str, fan: str) -> str:
    return hmac.new(key, f"{label_id}\0{fan}".encode(), hashlib.sha256).hexdigest()
