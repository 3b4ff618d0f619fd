"""Office hours: whether an instant is within weekly times of a place, whatever that place does with its clocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.models.rules import Weekday

DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Hours:
    """From a minute of some days to another; one at or before the first is of the next day."""

    days: frozenset[Weekday]
    starts: str
    ends: str

    def hold(self, local: datetime) -> bool:
        """Whether the place's clock and calendar show a time within them."""
        minute = local.strftime("%H:%M")
        if self.starts < self.ends:
            return self._on(local) and self.starts <= minute < self.ends
        return (self._on(local) and minute >= self.starts) or (
            self._on(local - timedelta(days=1)) and minute < self.ends
        )

    def _on(self, local: datetime) -> bool:
        return DAYS[local.weekday()] in self.days


def within(hours: Sequence[Hours], at: datetime, zone: ZoneInfo) -> bool:
    """Whether the instant is within any of them there. What counts is what a clock on the wall shows: an hour that is
    skipped is never, and one that comes twice is both times."""
    local = at.astimezone(zone).replace(tzinfo=None)
    return any(one.hold(local) for one in hours)
