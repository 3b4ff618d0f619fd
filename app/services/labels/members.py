"""Who works for a label, in which role."""

from app.db import Database, Doc
from app.models.access import Role


async def membership_of(db: Database, user_id: str, label_id: str) -> Doc | None:
    """The person's membership in the label, or none."""
    return await db.open("memberships").find_one({"label_id": label_id, "user_id": user_id})


async def with_roles(db: Database, label_id: str, roles: frozenset[Role]) -> list[Doc]:
    """The memberships of these roles in the label."""
    return await db.open("memberships").find({"label_id": label_id, "role": {"$in": sorted(roles)}}).to_list()
