"""What the public routes show of the promises, read a little less often than it is asked for."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from app.clock import EPOCH
from app.db import Database
from app.services.promises import showing
from app.services.promises.showing import Day, State

LISTED = timedelta(days=30)
OF_ONE = timedelta(days=396)
FRESH = timedelta(seconds=30)
"""So long the days that were read for somebody are good for the next one who asks."""


class Board:
    """One a process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._days: Mapping[str, list[Day]] = {}
        self._read_at = EPOCH

    async def states(self, now: datetime) -> list[State]:
        """Every promise as it stands."""
        return await showing.states(self._db, now=now)

    async def days(self, now: datetime) -> Mapping[str, list[Day]]:
        """The last 30 days of every promise."""
        async with self._db.turn("promises:days"):
            if not timedelta() <= now - self._read_at < FRESH:
                self._days = await showing.history(self._db, since=_first(now, LISTED), until=now.date())
                self._read_at = now
        return self._days

    async def days_of(self, promise_id: str, now: datetime) -> list[Day]:
        """The last 13 months of one."""
        since, until = _first(now, OF_ONE), now.date()
        found = await showing.history(self._db, since=since, until=until, promise_id=promise_id)
        return found.get(promise_id, [])


def _first(now: datetime, back: timedelta) -> date:
    return (now - back).date() + timedelta(days=1)
