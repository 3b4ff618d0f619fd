"""When gaps are looked for: after connecting, after webhooks were off, once a day, and when somebody asks.

`app/services/connections/backfilling.py` is the worker's half.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.errors import ConnectionNotActive
from app.ids import new_id
from app.models.base import rfc3339
from app.models.features import WITH_WEBHOOKS
from app.services import operations
from app.services.connections import store

EVERY = timedelta(hours=24)
PLANNED_LIFE = timedelta(days=7)


async def plan(db: Database, connection: Doc, *, now: datetime) -> None:
    """Write down the repair that is due, once however many workers look, and when the next one is."""
    if WITH_WEBHOOKS & set(connection["active_features"]):
        with suppress(DuplicateKeyError):
            await _add(db, connection, rfc3339(connection["repair_at"]), life=PLANNED_LIFE, now=now)
    key = {"_id": connection["_id"], "label_id": connection["label_id"], "repair_at": connection["repair_at"]}
    await db.open("connections").update_one(key, {"$set": {"repair_at": now + EVERY}})


async def ask(db: Database, label_id: str, connection_id: str, *, intent: str | None, now: datetime) -> Doc:
    """Have all that can be read be read once more; the operation. The same `intent` twice is the same one.

    Raises `NotFound`, `ConnectionNotActive`.
    """
    connection = await store.need(db, label_id, connection_id)
    if connection["status"] != "active" or not WITH_WEBHOOKS & set(connection["active_features"]):
        raise ConnectionNotActive("Only of an account in use, with messages or comments on, can gaps be filled")
    intent = intent or new_id("op")
    try:
        return await _add(db, connection, intent, everything=True, life=operations.LIFE, now=now)
    except DuplicateKeyError:
        earlier = await operations.by_key(db, label_id, _key(connection, intent))
        if earlier is None:
            raise
        return earlier


async def _add(
    db: Database, connection: Doc, intent: str, *, life: timedelta, now: datetime, everything: bool = False
) -> Doc:
    operation = await operations.add(
        db,
        label_id=connection["label_id"],
        kind="backfill",
        target=connection["_id"],
        connection_id=connection["_id"],
        key=_key(connection, intent),
        queue=f"backfill:{connection['_id']}",
        life=life,
        now=now,
    )
    if everything:
        await store.note(db, connection, {"repaired_at": None})
    return operation


def _key(connection: Doc, intent: str) -> str:
    return f"backfill:{connection['_id']}:{intent}"
