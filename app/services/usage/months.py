"""Months of usage data: which one an instant is in, when it is summed up, and when nothing of it may be left.

The policy says that usage data are aggregated and anonymised after 24 months (section 6). A month is summed up as a
whole, a week before its oldest event becomes 24 months old; at that instant what is left of it is deleted unsummed.
"""

from datetime import UTC, datetime, timedelta

KEPT_MONTHS = 24
SUMMED_BEFORE_END = timedelta(days=7)
"""So long our workers may be away until a month is lost."""


def month_of(at: datetime) -> str:
    """As `2026-11`, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m")


def end_of(month: str) -> datetime:
    """The instant from which nothing of the month may be here: its first event may be 24 months old then."""
    year, number = (int(part) for part in month.split("-"))
    years, index = divmod(number - 1 + KEPT_MONTHS, 12)
    return datetime(year + years, index + 1, 1, tzinfo=UTC)


def last_due(now: datetime) -> str:
    """The latest month that is to be summed up by now."""
    at = now + SUMMED_BEFORE_END
    years, index = divmod(at.month - 1 - KEPT_MONTHS, 12)
    return f"{at.year + years:04}-{index + 1:02}"
