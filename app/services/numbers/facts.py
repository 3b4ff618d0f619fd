"""What the numbers are made of: times and ids, written down where an answer goes out or a conversation is closed.

Messages are gone after 30 days, and with them the times; so the two instants that count are kept, without a word of
what was said and without the fan. Each fact is named after the message that began it, so that it is there once.
"""

from datetime import datetime, timedelta
from typing import Literal

from app.db import Database, Doc
from app.services.audit import By
from app.services.privacy import standing

KEPT = timedelta(days=365)
Kind = Literal["response", "resolution"]


async def answered(db: Database, message: Doc) -> None:
    """A reply has gone out: if a fan was waiting for it, note for how long. A rule's reply answers nobody.

    The wait began with the first message since the last answer, whoever of the team gave that, here or in Meta's apps.
    """
    if _is_rules(message):
        return
    query = {"label_id": message["label_id"], "conversation_id": message["conversation_id"]}
    earlier = query | {"ordered_at": {"$lt": message["ordered_at"]}}
    shown = {"direction": 1, "ordered_at": 1, "sent_by": 1}
    waiting: Doc | None = None
    async for one in db.open("messages").find(earlier, shown).sort([("ordered_at", -1), ("_id", -1)]):
        if one["direction"] == "in":
            waiting = one
        elif not _is_rules(one):
            break
    sent = await db.open("messages").find_one({"_id": message["_id"], "label_id": message["label_id"]}, {"sent_at": 1})
    if waiting and sent and "sent_at" in sent:
        by = message.get("sent_by", {})
        person_id = by.get("id") if by.get("kind") == "person" else None
        await _note(db, "response", message, waiting, person_id=person_id, ended_at=sent["sent_at"])


async def closed(db: Database, before: Doc, changes: Doc, *, by: By, now: datetime) -> None:
    """If the change closes the conversation, note for how long it was open: since a fan first wrote after the last end.

    What a rule closes counts for nobody: it would make the team look quicker than it is.
    """
    if changes.get("status") != "closed" or before["status"] == "closed":
        return
    query: Doc = {"label_id": before["label_id"], "conversation_id": before["_id"], "direction": "in"}
    query |= {"ordered_at": {"$gt": before.get("resolved_at", before["created_at"] - KEPT)}}
    [*first] = await db.open("messages").find(query, {"ordered_at": 1}).sort("ordered_at", 1).limit(1).to_list()
    key = {"_id": before["_id"], "label_id": before["label_id"]}
    await db.open("conversations").update_one(key, {"$set": {"resolved_at": now}})
    if first and by.kind != "rule":
        await _note(db, "resolution", before, first[0], person_id=by.id if by.kind == "person" else None, ended_at=now)


async def _note(db: Database, kind: Kind, of: Doc, began: Doc, *, person_id: str | None, ended_at: datetime) -> None:
    if person_id and not await standing.allows(db, person_id, "analytics"):
        person_id = None  # the team's figures count it, and nobody's own
    key = {"_id": f"{kind}:{began['_id']}", "label_id": of["label_id"]}
    fact = {
        "kind": kind,
        "connection_id": of["connection_id"],
        "person_id": person_id,
        "began_at": began["ordered_at"],
        "ended_at": max(ended_at, began["ordered_at"]),
        "expires_at": ended_at + KEPT,
    }
    await db.open("response_facts").update_one(key, {"$setOnInsert": fact}, upsert=True)


def _is_rules(message: Doc) -> bool:
    return bool(message.get("sent_by", {}).get("kind") == "rule")
