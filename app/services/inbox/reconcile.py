"""What became of a call whose answer was lost: an echo of Meta's that came in, or the conversation read back.

Meta gives nothing of ours back, so a message is recognised by its text, its author and its time. One that another
reply of ours already is cannot be this one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.clients import graph as meta
from app.clients.credentials import Opened
from app.clients.graph_call import GraphHost
from app.db import Database, Doc, Session
from app.models.data_map import CONTENT_LIFE

EARLIER, LATER = timedelta(seconds=5), timedelta(minutes=10)
"""How far Meta's time of a message may lie from our time of the call."""


@dataclass(frozen=True)
class Sent:
    """A message that Meta has."""

    provider_id: str
    sent_at: datetime


async def find_sent(db: Database, graph: GraphHost, token: Opened, message: Doc, *, account_id: str) -> Sent | None:
    """The message at Meta that this reply became, or none that can be seen. Raises `GraphError`."""
    earliest, latest = message["calling_at"] - EARLIER, message["calling_at"] + LATER
    text = message["content"]["original"]["text"]
    echoes = db.open("messages").find(
        {
            "label_id": message["label_id"],
            "conversation_id": message["conversation_id"],
            "ordered_at": {"$gte": earliest, "$lte": latest},
            "direction": "out",
            "operation_id": {"$exists": False},
            "content.original.text": text,
        }
    )
    async for echo in echoes.sort("ordered_at", 1):
        return Sent(echo["provider_id"], echo["sent_at"])
    conversation = await db.open("conversations").find_one(
        {"_id": message["conversation_id"], "label_id": message["label_id"]}
    )
    if conversation is None:
        return None
    fan_id = conversation["participant"]["provider_id"]
    shown = await meta.newest_messages(graph, token, account_id=account_id, fan_id=fan_id)
    for remote in sorted(shown, key=lambda item: item.created_at):
        ours = remote.from_id == account_id and remote.text == text
        if ours and earliest <= remote.created_at <= latest and not await _is_taken(db, message, remote.mid):
            return Sent(remote.mid, remote.created_at)
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
                kept |= {"words": echo["content"].get("words")} if kept["edit"] else {}
                update["$set"] |= {f"content.{name}": value for name, value in kept.items() if value}
        await db.open("messages").update_one(key, update, session=session)

    await db.in_transaction(merge)
