"""The promises as anybody may see them: what was measured, never measured for the asking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from app.db import Database, Doc
from app.services.promises.listing import PROMISES
from app.services.promises.promise import Odd, Promise

PATIENCE = timedelta(minutes=10)
"""A check that has not run for three times its interval and this long says nothing about now."""
NOT_MEASURED = "not_measured"


@dataclass(frozen=True)
class State:
    """A promise, and what was measured last."""

    promise: Promise
    holding: bool
    """False as well when nobody has measured it, or not for too long."""
    figure: float | None
    allowed: float | None
    detail: str
    checked_at: datetime | None
    since: datetime | None
    """Since when it holds, or does not."""
    odd: Odd = field(default_factory=dict)
    """Which documents are in its way: for operators alone."""

    @property
    def is_measured(self) -> bool:
        """Whether what is told is of now."""
        return self.detail != NOT_MEASURED


@dataclass(frozen=True)
class Day:
    """The worst of one day."""

    day: date
    holding: bool
    figure: float | None
    checks: int


async def states(db: Database, *, now: datetime) -> list[State]:
    """Every promise as it stands, in the order of the policy."""
    found = {one["_id"]: one async for one in db.open("promise_checks").find({})}
    return [_state(promise, found.get(promise.id), now) for promise in PROMISES]


def _state(promise: Promise, check: Doc | None, now: datetime) -> State:
    if check is None or "checked_at" not in check:
        return State(promise, False, None, None, NOT_MEASURED, None, None)
    told = (check["figure"], check["allowed"])
    if now - check["checked_at"] > 3 * promise.every + PATIENCE:
        return State(promise, False, *told, NOT_MEASURED, check["checked_at"], check["since"])
    times = (check["checked_at"], check["since"])
    return State(promise, check["holding"], *told, check["detail"], *times, odd=check.get("odd", {}))


async def history(db: Database, *, since: date, until: date, promise_id: str | None = None) -> Mapping[str, list[Day]]:
    """These days, by promise, the oldest first. A day without a check has no row."""
    query: Doc = {"promise_id": promise_id} if promise_id else {}
    days_of = {"day": {"$gte": since.isoformat(), "$lte": until.isoformat()}}
    found = db.open("promise_days").find(query | days_of).sort("day", 1)
    days: dict[str, list[Day]] = {}
    async for row in found:
        day = Day(date.fromisoformat(row["day"]), not row["broken"], row.get("figure"), row["checks"])
        days.setdefault(row["promise_id"], []).append(day)
    return days
