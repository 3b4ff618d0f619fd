"""What became of a call whose answer was lost: an echo of Meta's that came in, or the conversation read back.

On Messenger an echo carries our operation's id. Elsewhere Meta gives nothing of ours back, so a message is recognised
by its text or the kind of its attachment, by its author and its time. One that another reply of ours already is cannot
be this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.clients import graph_messages as meta
from app.clients.graph_messages import Sender
from app.db import Database, Doc, Session
from app.models.data_map import CONTENT_LIFE
from app.services.inbox.outgoing import may_be

EARLIER, LATER = timedelta(seconds=5), timedelta(minutes=10)
"""How far Meta's time of a message may lie from our time of the call."""
MOST_ECHOES = 100


@dataclass(frozen=True)
class Sent:
    """A message that Meta has."""

    provider_id: str
    sent_at: datetime


async def find_sent(db: Database, sender: Sender, message: Doc, *, account_ids: set[str]) -> Sent | None:
    """The message at Meta that this reply became, or none that can be seen. Raises `GraphError`."""
    earliest, latest = message["calling_at"] - EARLIER, message["calling_at"] + LATER
    if found := await find_echo(db, message):
        return found
    conversation = await db.open("conversations").find_one(
        {"_id": message["conversation_id"], "label_id": message["label_id"]}
    )
    if conversation is None:
        return None
    original = message["content"]["original"]
    shown = await meta.newest_messages(sender, fan_id=conversation["participant"]["provider_id"])
    seen = [
        Sent(one.mid, one.created_at)
        for one in sorted(shown, key=lambda item: item.created_at)
        if one.from_id in account_ids
        and may_be(original, one.text, one.types)
        and earliest <= one.created_at <= latest
        and not await _is_taken(db, message, one.mid)
    ]
    return await _pick(db, message, seen, earliest, latest)


async def find_echo(db: Database, message: Doc) -> Sent | None:
    """The echo that has come in of this reply, or none."""
    earliest, latest = message["calling_at"] - EARLIER, message["calling_at"] + LATER
    echoes = await _echoes(db, message, earliest, latest)
    for one in echoes:
        if one["content"]["original"].get("metadata") == message["operation_id"]:
            return Sent(one["provider_id"], one["sent_at"])
    seen = [Sent(one["provider_id"], one["sent_at"]) for one in echoes if _may_be_echo(message, one)]
    return await _pick(db, message, seen, earliest, latest)


async def _pick(db: Database, message: Doc, seen: Sequence[Sent], earliest: datetime, latest: datetime) -> Sent | None:
    """Which of those seen it is. Texts tell; of attachments that look alike only their order does, and only when Meta
    has as many of them as we have begun to send: else any of them may be the one that never went out."""
    if not seen or "text" in message["content"]["original"]:
        return seen[0] if seen else None
    doubtful = await db.open("messages").find(_ours(message, earliest, latest)).sort("calling_at", 1).to_list()
    original = message["content"]["original"]
    kinds = [one["type"] for one in original["attachments"]]
    alike = [one["_id"] for one in doubtful if may_be(one["content"]["original"], None, kinds)]
    return seen[alike.index(message["_id"])] if len(alike) == len(seen) else None


def _ours(message: Doc, earliest: datetime, latest: datetime) -> Doc:
    """The replies in this conversation of which Meta's id is not known."""
    return {
        "label_id": message["label_id"],
        "conversation_id": message["conversation_id"],
        "calling_at": {"$gte": earliest, "$lte": latest},
        "provider_id": {"$exists": False},
        "content.original": {"$exists": True},
    }


async def _echoes(db: Database, message: Doc, earliest: datetime, latest: datetime) -> list[Doc]:
    """The echoes that are no reply of ours yet, oldest first."""
    query = {
        "label_id": message["label_id"],
        "conversation_id": message["conversation_id"],
        "ordered_at": {"$gte": earliest, "$lte": latest},
        "direction": "out",
        "operation_id": {"$exists": False},
        "content.original": {"$exists": True},
    }
    return await db.open("messages").find(query).sort("ordered_at", 1).limit(MOST_ECHOES).to_list()


def _may_be_echo(message: Doc, echo: Doc) -> bool:
    """Whether an echo that names no operation looks like this reply."""
    told = echo["content"]["original"]
    types = [part["type"] for part in told.get("attachments", [])]
    return "metadata" not in told and may_be(message["content"]["original"], told.get("text"), types)


async def _is_taken(db: Database, message: Doc, provider_id: str) -> bool:
    key = {"label_id": message["label_id"], "connection_id": message["connection_id"], "provider_id": provider_id}
    found = await db.open("messages").find_one(key | {"operation_id": {"$exists": True}}, {"_id": 1})
    return found is not None


async def adopt(db: Database, message: Doc, *, provider_id: str, sent_at: datetime) -> None:
    """Record that Meta has the reply. If its echo was stored as a message of its own, the two become one."""
    key = {"_id": message["_id"], "label_id": message["label_id"]}
    sent: Doc = {"provider_id": provider_id, "state": "sent", "sent_at": sent_at, "expires_at": sent_at + CONTENT_LIFE}
    try:
        await db.open("messages").update_one(key, {"$set": sent, "$unset": {"problem": ""}})
        return
    except DuplicateKeyError:
        pass
    same = {"label_id": message["label_id"], "connection_id": message["connection_id"], "provider_id": provider_id}

    async def merge(session: Session) -> None:
        echo = await db.open("messages").find_one(same, session=session)
        update: Doc = {"$set": dict(sent), "$unset": {"problem": ""}}
        if echo and echo["_id"] != message["_id"]:
            await db.open("messages").delete_one({"_id": echo["_id"], "label_id": echo["label_id"]}, session=session)
            update["$set"] |= {
                name: echo[name] for name in ("sent_at", "expires_at", "read_at", "deleted_at") if name in echo
            }
            if "deleted_at" in echo:
                update["$unset"]["content"] = ""
            else:
                kept = {name: echo.get("content", {}).get(name) for name in ("reactions", "edit")}
                kept |= {"words": echo["content"].get("words")} if kept["edit"] else {}
                update["$set"] |= {f"content.{name}": value for name, value in kept.items() if value}
        await db.open("messages").update_one(key, update, session=session)

    await db.in_transaction(merge)
