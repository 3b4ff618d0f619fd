"""The record of openings: which secret, under which key, what for and by which job; never what was in it."""

from datetime import datetime, timedelta

from app.db import Database
from app.ids import new_id

LIFE = timedelta(days=365)


async def record_opening(
    db: Database,
    *,
    label_id: str,
    connection_id: str,
    secret_id: str,
    key_id: str,
    used_for: str,
    job: str,
    now: datetime,
) -> None:
    """Write down that a secret is about to be opened."""
    row = {
        "_id": new_id("opn"),
        "label_id": label_id,
        "connection_id": connection_id,
        "secret_id": secret_id,
        "key_id": key_id,
        "used_for": used_for,
        "job": job,
        "at": now,
        "expires_at": now + LIFE,
    }
    await db.open("vault_openings").insert_one(row)
