"""Our support looking into a label: for a stated reason, for a while, and visible to the label."""

from datetime import datetime

from app.db import Database, Doc


async def grant_of(db: Database, user_id: str, label_id: str, *, now: datetime) -> Doc | None:
    """The grant by which this person of our support may look into the label now, or none."""
    query = {"label_id": label_id, "user_id": user_id, "ends_at": {"$gt": now}}
    return await db.open("support_grants").find_one(query)
