"""How much of each limit a label uses now."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from app.db import Database, Doc, Session
from app.models.publications import State
from app.services.billing.plans import LIMITS, Limit

GOES_OUT: tuple[State, ...] = (
    *("scheduled", "publishing", "published", "partly_published", "unknown", "needs_decision"),
)
"""Publications that count: what was cancelled or has failed does not."""
Count = Callable[[Database, str, datetime, Session | None], Awaitable[int]]


async def used_of(db: Database, label_id: str, limit: Limit, *, at: datetime, session: Session | None = None) -> int:
    """How many there are; of publications, those for the month of `at`."""
    return await COUNTS[limit](db, label_id, at, session)


async def all_used(db: Database, label_id: str, *, now: datetime) -> dict[Limit, int]:
    """How many there are of each."""
    return {limit: await used_of(db, label_id, limit, at=now) for limit in LIMITS}


async def members_of(db: Database, label_id: str, *, session: Session | None = None) -> int:
    """How many work for the label."""
    return await db.open("memberships").count_documents({"label_id": label_id}, session=session)


async def _connections(db: Database, label_id: str, at: datetime, session: Session | None) -> int:
    query = {"label_id": label_id, "active_account_id": {"$gt": ""}}
    return await db.open("connections").count_documents(query, session=session)


async def _seats(db: Database, label_id: str, at: datetime, session: Session | None) -> int:
    asked = {"label_id": label_id, "expires_at": {"$gt": at}}
    waiting = await db.open("invitations").count_documents(asked, session=session)
    return await members_of(db, label_id, session=session) + waiting


async def _publications(db: Database, label_id: str, at: datetime, session: Session | None) -> int:
    begin = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
    query: Doc = {"label_id": label_id, "scheduled_at": {"$gte": begin, "$lt": end}, "state": {"$in": list(GOES_OUT)}}
    return await db.open("publications").count_documents(query, session=session)


async def _storage(db: Database, label_id: str, at: datetime, session: Session | None) -> int:
    found = await db.open("asset_usage").find_one({"_id": label_id, "label_id": label_id}, session=session)
    return int(found["bytes"]) if found else 0


async def _clients(db: Database, label_id: str, at: datetime, session: Session | None) -> int:
    return await db.open("api_clients").count_documents({"label_id": label_id}, session=session)


COUNTS: dict[Limit, Count] = {
    "connections": _connections,
    "seats": _seats,
    "publications_month": _publications,
    "storage_bytes": _storage,
    "partner_clients": _clients,
}
