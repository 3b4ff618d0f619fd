"""Who is to answer: when somebody leaves the label, nobody."""

from datetime import datetime

from app.db import Database, Session
from app.services.events import Event, append


async def unassign(db: Database, label_id: str, user_id: str, *, now: datetime, session: Session) -> None:
    """Take all conversations from somebody who does not work for the label any more, and tell it."""
    conversations, theirs = db.open("conversations"), {"label_id": label_id, "assignee": user_id}
    found = await conversations.find(theirs, {"version": 1}, session=session).to_list()
    update = {"$set": {"assignee": None}, "$inc": {"version": 1}}
    await conversations.update_many(theirs, update, session=session)
    keys = {one["_id"]: f"conversation:{one['_id']}:{one['version'] + 1}" for one in found}
    told = [Event(label_id, key, "conversation.changed", one, now) for one, key in keys.items()]
    await append(db, told, session=session)
