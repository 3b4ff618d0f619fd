"""What became of a reply: written on the message, and told as an event."""

from datetime import datetime

from app.db import Database, Doc
from app.services.events import Event, append
from app.services.inbox.unread import recount


async def set_state(db: Database, message: Doc, state: str) -> None:
    """Let the message stand so, unless it is sent."""
    key = {"_id": message["_id"], "label_id": message["label_id"], "state": {"$ne": "sent"}}
    await db.open("messages").update_one(key, {"$set": {"state": state}})


async def sent(db: Database, message: Doc, *, now: datetime) -> None:
    """Move the conversation to the top, and tell that the message was sent. Done twice it is done once."""
    key = {"_id": message["conversation_id"], "label_id": message["label_id"]}
    newest = {"$max": {"last_message_at": message["ordered_at"]}, "$inc": {"touched": 1, "version": 1}}
    await db.open("conversations").update_one(key, newest)
    await recount(db, message["label_id"], message["conversation_id"], now=now)
    await append(
        db, [Event(message["label_id"], f"message:{message['_id']}:sent", "message.sent", message["_id"], now)]
    )


async def failed(db: Database, message: Doc, problem: str, *, now: datetime) -> None:
    """Note why it was not sent, and tell it. It may be called again."""
    key = {"_id": message["_id"], "label_id": message["label_id"], "state": {"$ne": "sent"}}
    update = {"$set": {"state": "failed", "problem": problem}, "$unset": {"calling_at": "", "calling_fence": ""}}
    await db.open("messages").update_one(key, update)
    when = f"message:{message['_id']}:failed:{now.isoformat()}"
    await append(db, [Event(message["label_id"], when, "message.failed", message["_id"], now)])


def result(message: Doc) -> Doc:
    """What the operation shows."""
    return {"message_id": message["_id"], "provider_id": message.get("provider_id")}
