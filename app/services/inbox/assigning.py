"""Who is to answer: when somebody leaves the label, nobody."""

from app.db import Database, Session


async def unassign(db: Database, label_id: str, user_id: str, *, session: Session) -> None:
    """Take all conversations from somebody who does not work for the label any more."""
    theirs = {"label_id": label_id, "assignee": user_id}
    update = {"$set": {"assignee": None}, "$inc": {"version": 1}}
    await db.open("conversations").update_many(theirs, update, session=session)
