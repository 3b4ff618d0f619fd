"""What an older release left in the database, brought to what this one expects. A step may be done again."""

from app.db import Database

OLDER_USERS = {"password_changed_at": {"$exists": False}}
OLDER_SESSIONS = {"authenticated_at": {"$exists": False}}


async def upgrade(db: Database) -> None:
    """Complete accounts of the first release; its sessions end, so that their people log in once more."""
    fields = {"password_changed_at": "$created_at", "email_verified_at": None}
    await db.open("users").update_many(OLDER_USERS, [{"$set": fields}])
    await db.open("sessions").delete_many(OLDER_SESSIONS)
