"""When a connection is tended: refreshed, warned about, tried again. Decisions only: nothing is read or written."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.models.features import Provider

LONGEST_UNREFRESHED = timedelta(days=30)
"""Half the life of Meta's long tokens: two weeks before the day 45 by which they must have been refreshed."""
IDLE = timedelta(days=7)
"""After so long without use Spotify's tokens are refreshed all the same, which shows whether the grant still stands."""
JITTER = 0.1
"""By which share a refresh may come sooner, so that accounts connected together are not refreshed together."""
MONTHS = 6
"""A Spotify grant ends so long after its owner's log-in, whatever is refreshed. Source: Spotify, 2026-06-18."""
WARNINGS = (timedelta(days=14), timedelta(days=7), timedelta(days=1))
"""So long before access ends its label is told."""
CONFIRM_AFTER = (timedelta(seconds=10), timedelta(minutes=1))
"""A provider that calls a token dead is asked again: during outages this was seen to be false."""
PROBE_AFTER = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
"""When a token that was believed dead is tried once more."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=10)


@dataclass(frozen=True)
class Verdict:
    """What follows when the provider has called a token dead: believe it or not, and when to ask again (or never)."""

    believed: bool
    again_after: timedelta | None


def after_denial(count: int, *, probes: bool) -> Verdict:
    """The verdict after the `count`-th denial of the same token; `probes`: whether one believed dead is tried again."""
    waits = CONFIRM_AFTER + (PROBE_AFTER if probes else ())
    return Verdict(count > len(CONFIRM_AFTER), waits[count - 1] if count <= len(waits) else None)


def after_failure(attempts: int, *, spread: float) -> timedelta:
    """How long to wait after the `attempts`-th try that passed without an answer: twice as long each time.

    `spread` is between 0 and 1: up to a fifth more, by chance.
    """
    doubled: timedelta = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(max(attempts, 1) - 1, 20))
    return doubled * (1 + spread / 5)


def refresh_after(provider: Provider, life: timedelta | None, *, spread: float) -> timedelta:
    """How long after its issue a token is to be refreshed, used or idle. `spread` is between 0 and 1.

    `life` is the time that the provider gave it, none where it named no end.
    """
    if provider == "spotify":
        return IDLE * (1 - JITTER * spread)
    longest = LONGEST_UNREFRESHED if life is None else min(LONGEST_UNREFRESHED, life / 2)
    return longest * (1 - JITTER * spread)


def end_of_grant(authorized_at: datetime) -> datetime:
    """When a Spotify grant ends: six calendar months after the log-in."""
    years, month = divmod(authorized_at.month - 1 + MONTHS, 12)
    year, month = authorized_at.year + years, month + 1
    return authorized_at.replace(year=year, month=month, day=min(authorized_at.day, monthrange(year, month)[1]))


def next_warning(ends_at: datetime | None, now: datetime) -> datetime | None:
    """When somebody must look at an access that ends then: at the next warning, or at its end; none when it has."""
    if ends_at is None:
        return None
    return min((at for at in (*(ends_at - before for before in WARNINGS), ends_at) if at > now), default=None)


def warning_due(ends_at: datetime, now: datetime) -> int | None:
    """The most urgent warning whose time has come, in days before the end; none before the first, and after the end."""
    due = [before.days for before in WARNINGS if ends_at - before <= now]
    return min(due) if due and now < ends_at else None
