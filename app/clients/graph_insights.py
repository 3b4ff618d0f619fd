"""Insights at Meta: of Instagram accounts and their media on whichever host, and of Pages and their posts.

Each metric fails by itself: several are asked for at once, and where a call is refused because of one, they are asked
for one by one. An empty answer is no zero. Everything here may be repeated. `paging` is never read for addresses: Meta
writes the token into them. Source: Meta, 2026-02 (meta-platform.md, section 6).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.clients import answers
from app.clients.graph_call import At, need, retried
from app.clients.graph_errors import GraphError, Refused, Unavailable
from app.models.features import UsedFor
from app.models.insight_metrics import Metric

INSIGHTS: tuple[UsedFor, ...] = ("insights",)
DAYS_A_CALL = 30
"""Meta refuses a longer range (error 100)."""
METAS_ZONE = ZoneInfo("America/Los_Angeles")
"""Meta's days end at midnight there."""
HALF_A_DAY = timedelta(hours=12)
AT_ONCE = 100
MOST_PARTS = 100
MOST_FIGURE = 10**15
BEFORE_PROFESSIONAL = 2108006
_FIELDS = "id,permalink,media_type,media_product_type,timestamp"
_POST_FIELDS = "id,permalink_url,created_time"

Lack = Literal["no_data", "refused", "too_few_viewers", "before_professional", "malformed", "provider_error"]
"""Why there is no figure. `no_data`: Meta answered without it. `refused`: it does not take this metric here: it was
retired, or is not for this. `provider_error`: nothing is known, and it is asked for again."""


@dataclass(frozen=True)
class Part:
    """A figure of one value of a dimension; Meta's values differ from its list of them, so they are any text."""

    dimension: str
    value: str
    figure: int | float


@dataclass(frozen=True)
class Figure:
    """What a metric is. `day` is the day that a series tells of; what is told in parts alone has no `value`."""

    value: int | float | None
    parts: tuple[Part, ...] = ()
    day: date | None = None


@dataclass(frozen=True)
class Told:
    """What became of one metric: its figures, of a series one a day; or why there is none."""

    figures: tuple[Figure, ...] = ()
    lack: Lack | None = None


@dataclass(frozen=True)
class Remote:
    """A media or post as its account's list shows it. Its caption is not asked for."""

    provider_id: str
    product: str
    """`FEED`, `REELS`, `STORY`, `AD`; `POST` of a Page."""
    media_type: str | None
    permalink: str | None
    posted_at: datetime


@dataclass(frozen=True)
class Listed:
    """One page of a list; `after` is where the next one begins, none at the end."""

    media: tuple[Remote, ...]
    after: str | None = field(repr=False)


def day_of(end: datetime) -> date:
    """The day that ends at this `end_time`. It is midnight in US Pacific time, to the hour: the middle is looked at."""
    return (end - HALF_A_DAY).astimezone(METAS_ZONE).date()


def begin_of(day: date) -> datetime:
    """The instant at which one of Meta's days begins."""
    return datetime.combine(day, time(), METAS_ZONE)


def today(now: datetime) -> date:
    """The day that it is for Meta."""
    return now.astimezone(METAS_ZONE).date()


async def read(
    at: At, node: str, metrics: Sequence[Metric], *, first: date | None = None, last: date | None = None
) -> dict[str, Told]:
    """What Meta tells of these metrics, by our names: of the days `first` to `last`, or, without, as it stands.

    Raises any `GraphError` only where it is about the whole call: the token, the permission, the limits, the object;
    and `Unavailable` when no metric came.
    """
    told: dict[str, Told] = {}
    for _, group in groupby(sorted(metrics, key=lambda one: one.call), key=lambda one: one.call):
        asked = list(group)
        try:
            told |= await _ask(at, node, asked, first, last)
        except (Refused, Unavailable) as exc:
            if len(asked) == 1 or _is_about_all(exc):
                told |= _without(asked, exc)
            else:
                told |= await _one_by_one(at, node, asked, first, last)
    if told and all(one.lack == "provider_error" for one in told.values()):
        raise Unavailable
    return told


async def _one_by_one(
    at: At, node: str, asked: Sequence[Metric], first: date | None, last: date | None
) -> dict[str, Told]:
    """Each by itself, so that who makes the call fail is found. Two that do not come end it: nobody answers."""
    told: dict[str, Told] = {}
    for metric in asked:
        try:
            told |= await _ask(at, node, [metric], first, last)
        except (Refused, Unavailable) as exc:
            told |= _without([metric], exc)
        if len(told) > 1 and all(one.lack == "provider_error" for one in told.values()):
            raise Unavailable
    return told


def _is_about_all(failure: GraphError) -> bool:
    return isinstance(failure, Refused) and (failure.reason == "not_found" or failure.subcode == BEFORE_PROFESSIONAL)


def _without(asked: Sequence[Metric], failure: Refused | Unavailable) -> dict[str, Told]:
    """Why these have no figure. Raises the failure again where it is none of theirs."""
    if isinstance(failure, Unavailable):
        return {one.name: Told(lack="provider_error") for one in asked}
    if failure.subcode == BEFORE_PROFESSIONAL:
        return {one.name: Told(lack="before_professional") for one in asked}
    if failure.code == 10:  # also "Not enough viewers": who calls knows whether the permission is there
        return {one.name: Told(lack="too_few_viewers") for one in asked}
    if failure.reason in ("permission_lost", "not_found", "action_blocked"):
        raise failure
    return {one.name: Told(lack="refused") for one in asked}


async def _ask(at: At, node: str, asked: Sequence[Metric], first: date | None, last: date | None) -> dict[str, Told]:
    one = asked[0]
    params = {"metric": ",".join(metric.asked for metric in asked), "period": one.period}
    optional = {"metric_type": one.metric_type, "breakdown": one.breakdown, "timeframe": one.timeframe}
    params |= {name: value for name, value in optional.items() if value}
    if first and last:
        ends = begin_of(first), begin_of(last + timedelta(days=1))
        params |= {name: str(int(end.timestamp())) for name, end in zip(("since", "until"), ends, strict=True)}
    body = await _get(at, f"/{node}/insights", params)
    return read_answer(body, asked)


def read_answer(body: dict[str, Any], asked: Sequence[Metric]) -> dict[str, Told]:
    """What an answer tells of each of the metrics that were asked for. Raises `Malformed` for one without `data`."""
    rows = need(answers.rows(body.get("data")))
    by_name: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = answers.text(row.get("name"), most=answers.LONGEST_ID)
        if name is not None:
            by_name.setdefault(name, row)
    return {one.name: _told(by_name.get(one.asked), one) for one in asked}


def _told(row: dict[str, Any] | None, metric: Metric) -> Told:
    if row is None:
        return Told(lack="no_data")
    total = answers.table(row.get("total_value"))
    if total is not None:
        found = _total(total, metric)
        return Told((found,)) if found else Told(lack="malformed" if "value" in total else "no_data")
    if "total_value" in row:
        return Told(lack="malformed")
    values = answers.rows(row.get("values"))
    if values is None or len(values) != len(row["values"]):
        return Told(lack="malformed")
    if not values:
        return Told(lack="no_data")
    figures = tuple(found for value in values if (found := _of_series(value, metric)))
    if len(figures) == len(values):
        return Told(figures)
    return Told(figures) if figures else Told(lack="malformed")


def _total(total: dict[str, Any], metric: Metric) -> Figure | None:
    """The figure of a `total_value`; none where it is not as documented, or has neither value nor parts."""
    parts: list[Part] = []
    for breakdown in answers.rows(total.get("breakdowns")) or []:
        keys = answers.words(breakdown.get("dimension_keys")) or []
        for result in (answers.rows(breakdown.get("results")) or [])[:MOST_PARTS]:
            names, figure = answers.words(result.get("dimension_values")), _number(result.get("value"))
            if len(keys) != 1 or not names or len(names) != 1 or figure is None:
                return None
            parts.append(Part(keys[0], names[0], figure))
    value = _number(total["value"]) if "value" in total else None
    if ("value" in total and value is None) or (value is None and not parts):
        return None
    return Figure(value, tuple(parts))


def _of_series(row: dict[str, Any], metric: Metric) -> Figure | None:
    """One value of `values`: a number, or an object of its parts. Of a lifetime there is no day."""
    day = None
    if metric.period == "day":
        end = _instant(row.get("end_time"))
        if end is None:
            return None
        day = day_of(end)
    inner = answers.table(row.get("value"))
    if inner is not None:
        parts = tuple(
            Part("kind", name, figure)
            for name, value in list(inner.items())[:MOST_PARTS]
            if answers.text(name, most=answers.LONGEST_ID) and (figure := _number(value)) is not None
        )
        return Figure(None, parts, day) if parts or not inner else None
    value = _number(row.get("value"))
    return None if value is None else Figure(value, (), day)


def _number(value: Any) -> int | float | None:
    """A figure that is not negative: whole, or a share or time with decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value < MOST_FIGURE else None


def _instant(value: Any) -> datetime | None:
    try:
        return datetime.strptime(answers.text(value, most=40) or "", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None


async def media_of(at: At, *, after: str | None) -> Listed:
    """One page of an Instagram account's media, the newest first. Stories are not among them."""
    more = {"after": after} if after else {}
    return _listed(await _get(at, f"/{at.account_id}/media", {"fields": _FIELDS, "limit": str(AT_ONCE)} | more), None)


async def stories_of(at: At) -> Listed:
    """The Instagram account's stories of the last 24 hours."""
    return _listed(await _get(at, f"/{at.account_id}/stories", {"fields": _FIELDS, "limit": str(AT_ONCE)}), "STORY")


async def posts_of(at: At, *, after: str | None) -> Listed:
    """One page of what a Page has posted, the newest first."""
    more = {"after": after} if after else {}
    params = {"fields": _POST_FIELDS, "limit": str(AT_ONCE)} | more
    return _listed(await _get(at, f"/{at.account_id}/posts", params), "POST")


def _listed(body: dict[str, Any], product: str | None) -> Listed:
    """What is not as documented is left out: it must not keep the others from being seen."""
    rows = need(answers.rows(body.get("data")))
    paging = answers.table(body.get("paging")) or {}
    cursors = answers.table(paging.get("cursors")) or {}
    after = answers.text(cursors.get("after")) if "next" in paging else None  # `next` holds the token: not followed
    return Listed(tuple(one for row in rows if (one := _remote(row, product))), after)


def _remote(row: dict[str, Any], product: str | None) -> Remote | None:
    provider_id = answers.identifier(row.get("id"))
    posted_at = _instant(row.get("timestamp") or row.get("created_time"))
    kind = product or answers.text(row.get("media_product_type"), most=answers.LONGEST_ID)
    if provider_id is None or posted_at is None or kind is None:
        return None
    return Remote(
        provider_id=provider_id,
        product=kind,
        media_type=answers.text(row.get("media_type"), most=answers.LONGEST_ID),
        permalink=answers.https_address(row.get("permalink") or row.get("permalink_url")),
        posted_at=posted_at,
    )


async def may_read(at: At, metric: Metric) -> bool:
    """Whether the account's own insights may be read: what tells a lost permission from too few viewers."""
    try:
        await _ask(at, at.account_id, [metric], None, None)
    except Refused as exc:
        return exc.reason not in ("permission_lost", "not_found")
    return True


async def _get(at: At, path: str, params: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {"token": at.token, "used_for": INSIGHTS, "account_id": at.account_id}
    return await retried(at.host, "GET", at.host.address(path), params=params, **told)
