"""Local times and instants. One rule for each of the two odd hours of a year:

- a time that the clocks jump over is published as much later as they jump (02:30 becomes 03:30);
- of a time that they show twice, the first one counts.

Both are told. So does RFC 5545, section 3.3.5, and whoever means the second of two names the instant itself.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.models.publications import TimeRule


@dataclass(frozen=True)
class Resolved:
    """The instant of a local time, and the rule that was needed to find it."""

    at: datetime
    rule: TimeRule | None


def resolve(local: datetime, timezone: str) -> Resolved:
    """The instant at which the clocks of a zone show this (naive) time."""
    zone = ZoneInfo(timezone)
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) != local:
        return Resolved(first, "moved_forward")
    return Resolved(first, None if first == second else "first_of_two")


def local_of(at: datetime, timezone: str) -> str:
    """What the clocks of a zone show then, to the minute."""
    return at.astimezone(ZoneInfo(timezone)).replace(tzinfo=None).isoformat(timespec="minutes")


def on_day(day: date, clock: str, timezone: str) -> Resolved:
    """The instant of a time like `18:30` on a day there."""
    return resolve(datetime.combine(day, time.fromisoformat(clock)), timezone)


def days_after(day: date, days: int) -> date:
    """So many days later; before it when negative. Raises `OverflowError` outside the calendar."""
    return day + timedelta(days=days)
