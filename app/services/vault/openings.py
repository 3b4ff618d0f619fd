"""The record of openings: which secret, under which key, what for and by which job; never what was in it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.db import Database, Doc
from app.ids import new_id
from app.services.vault.secrets import key_id_of

LIFE = timedelta(days=365)


async def record_openings(db: Database, found: Sequence[Doc], *, used_for: str, job: str, now: datetime) -> None:
    """Write down that these stored secrets are about to be opened."""
    rows: list[Doc] = [
        {
            "_id": new_id("opn"),
            "label_id": stored["label_id"],
            "connection_id": stored.get("connection_id"),
            "secret_id": stored["_id"],
            "key_id": key_id_of(stored),
            "used_for": used_for,
            "job": job,
            "refused": False,
            "at": now,
            "expires_at": now + LIFE,
        }
        for stored in found
    ]
    await db.open("vault_openings").insert_many(rows, ordered=False)
