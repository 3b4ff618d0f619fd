"""Who works for a label, in which role."""

from app.db import Database, Doc


async def membership_of(db: Database, user_id: str, label_id: str) -> Doc | None:
    """The person's membership in the label, or none."""
    return await db.open("memberships").find_one({"label_id": label_id, "user_id": user_id})
