"""Billing periods: calendar months and years from an anchor, as Stripe counts them."""

import calendar
from datetime import UTC, datetime

DAYS = {"day": 1, "week": 7}


def stepped(anchor: int, interval: str, count: int) -> int:
    """`count` intervals after the anchor; a day that the month lacks is its last."""
    if interval in DAYS:
        return anchor + count * DAYS[interval] * 86_400
    at = datetime.fromtimestamp(anchor, UTC)
    months = at.year * 12 + at.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())


def next_boundary(anchor: int, after: int, interval: str, every: int) -> int:
    """The first end of a period after this instant."""
    n = 0
    while (found := stepped(anchor, interval, n * every)) <= after:
        n += 1
    return found
