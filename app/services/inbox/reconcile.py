"""What became of a call whose answer was lost: an echo of Meta's that came in, or the conversation read back.

On Messenger an echo carries our operation's id. Elsewhere Meta gives nothing of ours back, so a message is recognised
by its text or the kind of its attachment, by its author and its time. One that another reply of ours already is cannot
be this one.
"""

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
    echo = await _echo(db, message, earliest, latest)
    if echo:
        return Sent(echo["provider_id"], echo["sent_at"])
    conversation = await db.open("conversations").find_one(
        {"_id": message["conversation_id"], "label_id": message["label_id"]}
    )
    if conversation is None:
        return None
    original = message["content"]["original"]
    shown = await meta.newest_messages(sender, fan_id=conversation["participant"]["provider_id"])
    for remote in sorted(shown, key=lambda item: item.created_at):
        ours = remote.from_id in account_ids and may_be(original, remote.text, remote.types)
        if ours and earliest <= remote.created_at <= latest and not await _is_taken(db, message, remote.mid):
            return Sent(remote.mid, remote.created_at)
    return None


async def _echo(db: Database, message: Doc, earliest: datetime, latest: datetime) -> Doc | None:
    """The echo of this reply that came in: on Messenger it names our operation, elsewhere only looks like it."""
    original, operation_id = message["content"]["original"], message["operation_id"]
    query = {
        "label_id": message["label_id"],
        "conversation_id": message["conversation_id"],
        "ordered_at": {"$gte": earliest, "$lte": latest},
        "direction": "out",
        "operation_id": {"$exists": False},
    }
    found = await db.open("messages").find(query).sort("ordered_at", 1).limit(MOST_ECHOES).to_list()
    told = [one.get("content", {}).get("original") for one in found]
    echoes = [(one, content) for one, content in zip(found, told, strict=True) if content]
    for one, content in echoes:
        if content.get("metadata") == operation_id:
            return one
    for one, content in echoes:
        types = [part["type"] for part in content.get("attachments", [])]
        if "metadata" not in content and may_be(original, content.get("text"), types):
            return one
    return None


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
                update["$set"] |= {f"content.{name}": value for name, value in kept.items() if value}
        await db.open("messages").update_one(key, update, session=session)

    await db.in_transaction(merge)
