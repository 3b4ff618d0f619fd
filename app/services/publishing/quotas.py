"""How many posts an account may still publish: as Meta said last, and asked anew where that is old."""

from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.clients.graph_publishing import Quota
from app.db import Database, Doc
from app.services import operations
from app.services.connections import store

FRESH = timedelta(minutes=5)
LIFE = timedelta(days=1)


async def note_quota(db: Database, connection: Doc, quota: Quota, *, now: datetime) -> None:
    """Keep what Meta said."""
    said = {"used": quota.used, "total": quota.total, "window_s": quota.window_s, "as_of": now}
    await store.note(db, connection, {"publishing_quota": said})


async def quotas_of(db: Database, label_id: str, *, now: datetime) -> tuple[list[Doc], list[str]]:
    """The label's connections that can publish, and the operations that ask Meta anew of those whose figures are old.

    Of Pages, Meta names no such number.
    """
    query: Doc = {"label_id": label_id, "status": "active", "active_features": "publishing"}
    found = await db.open("connections").find(query).sort("_id", 1).to_list()
    asked = []
    for connection in (one for one in found if one["network"] == "instagram"):
        known = connection.get("publishing_quota")
        if known is None or now - known["as_of"] >= FRESH:
            asked += await _ask(db, connection, now)
    return found, asked


async def _ask(db: Database, connection: Doc, now: datetime) -> list[str]:
    """One operation in five minutes."""
    period = int(now.timestamp() // FRESH.total_seconds())
    try:
        operation = await operations.add(
            db,
            label_id=connection["label_id"],
            kind="read_quota",
            target=connection["_id"],
            key=f"read_quota:{connection['_id']}:{period}",
            connection_id=connection["_id"],
            life=LIFE,
            now=now,
        )
    except DuplicateKeyError:
        return []
    return [str(operation["_id"])]
