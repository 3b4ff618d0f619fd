"""When connections are checked: every six hours, soon after a provider refused something, and when somebody asks.

A Spotify account is checked right after its idle refresh: it needs a token that lives, and that lasts an hour only.
"""

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.errors import ConnectionNotActive
from app.ids import new_id
from app.models.base import rfc3339
from app.services import operations
from app.services.connections import store

EVERY = timedelta(hours=6)
AFTER_REFRESH = timedelta(minutes=1)
PLANNED_LIFE = timedelta(days=7)
"""So long a check that nobody asked for stays in the list of operations."""
SPREAD = 0.1
"""By how much of it one connection is checked more or less often, so that many do not fall together."""


async def plan(db: Database, connection: Doc, *, now: datetime) -> None:
    """Write down the check that is due, once however many workers look, and when the next one is."""
    with suppress(DuplicateKeyError):  # who planned it may have died before the next line
        await _add(db, connection, rfc3339(connection["check_at"]), life=PLANNED_LIFE, now=now)
    key = {"_id": connection["_id"], "label_id": connection["label_id"], "check_at": connection["check_at"]}
    await db.open("connections").update_one(key, {"$set": {"check_at": _next(connection, now)}})


async def ask(db: Database, label_id: str, connection_id: str, *, now: datetime) -> Doc:
    """Write down a check at once, as somebody asked for it; the operation. Raises `NotFound`, `ConnectionNotActive`."""
    connection = await store.need(db, label_id, connection_id)
    if connection["status"] not in store.CONNECTED:
        raise ConnectionNotActive("Only an account that is connected can be checked")
    return await _add(db, connection, new_id("op"), life=operations.LIFE, now=now)


async def _add(db: Database, connection: Doc, intent: str, *, life: timedelta, now: datetime) -> Doc:
    return await operations.add(
        db,
        label_id=connection["label_id"],
        kind="check_connection",
        target=connection["_id"],
        connection_id=connection["_id"],
        key=f"check_connection:{connection['_id']}:{intent}",
        life=life,
        now=now,
    )


def _next(connection: Doc, now: datetime) -> datetime:
    refresh_at: datetime | None = connection.get("refresh_at")
    if connection["provider"] == "spotify" and refresh_at and refresh_at > now:
        return refresh_at + AFTER_REFRESH
    return now + _pause(connection["_id"], now)


def _pause(connection_id: str, now: datetime) -> timedelta:
    """About `EVERY`: a little more or less, which differs by connection and day."""
    digest = hashlib.sha256(f"{connection_id}{now.date()}".encode()).digest()
    return EVERY * (1 - SPREAD + 2 * SPREAD * digest[0] / 255)
