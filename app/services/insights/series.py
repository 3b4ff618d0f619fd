"""Time series of an account: every day of a period, with its gaps, and how it compares with the period before.

Nothing is made up: what is missing is missing, different people of two days are not added, and no ratio has a base that
is incomplete or zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from app.clients.graph_insights import today
from app.db import Doc
from app.models.insight_metrics import ACCOUNT_METRICS, DAILY, Kind

DAY = timedelta(days=1)
NEVER_READ: Doc = {
    **dict.fromkeys(("value", "as_of", "source", "api_version")),
    "parts": [],
    "status": "unavailable",
    "reason": "not_read",
}
"""What there is of a day that nobody has read."""
NOT_OVER: Doc = NEVER_READ | {"reason": "not_over"}
"""What there is of a day that has not ended at Meta."""
NoTotal = Literal["not_additive", "no_days", "days_missing"]
NoRatio = Literal["not_additive", "days_missing", "base_days_missing", "base_zero"]


@dataclass(frozen=True)
class Total:
    """What a period comes to. `partial`: some of its days may still change."""

    value: int | float | None
    days: int
    """How many days have a figure."""
    missing: int
    partial: bool
    reason: NoTotal | None


@dataclass(frozen=True)
class Comparison:
    """A period beside the one before it, of the same length."""

    first: date
    last: date
    total: Total
    difference: int | float | None
    ratio: float | None
    """What the period is of the one before: 1.25 is a quarter more."""
    reason: NoRatio | None


@dataclass(frozen=True)
class Series:
    """One metric over a period."""

    metric: str
    kind: Kind
    points: tuple[tuple[date, Doc], ...]
    total: Total
    comparison: Comparison | None


def names_of(network: str, wanted: Sequence[str]) -> list[str]:
    """The metrics of an account on this network: those that are wanted, or without a wish all that are one a day."""
    of_network = [one for table in DAILY[network] for one in table.metrics]
    if wanted:
        return [one.name for one in of_network if one.name in wanted]
    return [one.name for one in of_network if one.period == "day" and one.breakdown is None]


def series_of(metric: str, days: Sequence[Doc], *, first: date, last: date, compare: bool, now: datetime) -> Series:
    """The series of a metric, from the stored days of the period and, to `compare`, of the one before it."""
    by_day = {date.fromisoformat(doc["day"]): doc["metrics"] for doc in days}
    kind = ACCOUNT_METRICS[metric].kind
    points = _points(metric, by_day, first, last, today(now))
    total = total_of(kind, [told for _, told in points])
    comparison = None
    if compare:
        length = last - first + DAY
        earlier = _points(metric, by_day, first - length, last - length, today(now))
        before = total_of(kind, [told for _, told in earlier])
        comparison = compared(kind, total, before, first=first - length, last=last - length)
    return Series(metric, kind, points, total, comparison)


def _points(
    metric: str, by_day: Mapping[date, Mapping[str, Doc]], first: date, last: date, running: date
) -> tuple[tuple[date, Doc], ...]:
    days = [first + n * DAY for n in range((last - first).days + 1)]
    return tuple((day, by_day.get(day, {}).get(metric, NEVER_READ if day < running else NOT_OVER)) for day in days)


def total_of(kind: Kind, told: Sequence[Doc]) -> Total:
    """What these days come to: a sum of what adds up, the last of what is a level, and of people nothing.

    A level whose last day is not known is that of an earlier day, and says so.
    """
    figures = [one for one in told if one["value"] is not None]
    missing, partial = len(told) - len(figures), any(one["status"] == "partial" for one in figures)
    if not figures:
        return Total(None, 0, missing, partial, "no_days")
    if kind == "count":
        value = sum(one["value"] for one in figures)
        return Total(value, len(figures), missing, partial, "days_missing" if missing else None)
    if kind == "level":
        stands = told[-1]["value"] is not None
        return Total(figures[-1]["value"], len(figures), missing, partial, None if stands else "days_missing")
    return Total(None, len(figures), missing, partial, "not_additive")


def compared(kind: Kind, total: Total, before: Total, *, first: date, last: date) -> Comparison:
    """Two periods: without a ratio where one of them is not whole, or the base is zero."""
    reason: NoRatio | None = None
    if kind in ("people", "other"):
        reason = "not_additive"
    elif total.value is None or total.reason == "days_missing":
        reason = "days_missing"
    elif before.value is None or before.reason == "days_missing":
        reason = "base_days_missing"
    if reason or total.value is None or before.value is None:
        return Comparison(first, last, before, None, None, reason)
    difference = total.value - before.value
    if before.value == 0:
        return Comparison(first, last, before, difference, None, "base_zero")
    return Comparison(first, last, before, difference, round(total.value / before.value, 4), None)
