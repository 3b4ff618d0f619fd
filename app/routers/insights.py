"""Insights: what Meta tells of the label's accounts and of what they post, day by day; as JSON, CSV and charts."""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import zip_longest
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.charts import LIKE_AN_IMAGE, wants_svg
from app.clients.graph_insights import METAS_ZONE, begin_of, today
from app.deps import PagingDep
from app.errors import FieldError, InvalidCursor, InvalidInput, NotFound
from app.models.insight_metrics import ACCOUNT_METRICS, MEDIA_METRICS
from app.models.insights import (
    AccountInsights,
    AccountInsightsOut,
    BestTimeOut,
    BestTimesOut,
    ComparisonOut,
    InsightMediaDetail,
    InsightMediaOut,
    InsightMediaPage,
    MediaOrder,
    MediaSeriesOut,
    PointOut,
    Product,
    RankedBy,
    SeriesOut,
    TotalOut,
    figure_of,
)
from app.models.slots import WEEKDAYS
from app.problems import problems
from app.services.insights import reading, store
from app.services.insights.best_times import FEWEST_POSTS, HOURS, LOOKS_BACK
from app.services.insights.charts import line_chart, line_of
from app.services.insights.series import Comparison, Series, Total
from app.services.insights.sheet import COLUMNS, sheet

router = APIRouter(prefix="/v1/labels/{label_id}/insights", tags=["insights"])
Reader = Annotated[Access, Security(label_access, scopes=["insights:read"])]
ConnectionId = Annotated[str | None, Query(max_length=64, description="Only this account's")]
DAYS, LONGEST, LONGEST_OF_MEDIA = timedelta(days=27), timedelta(days=365), timedelta(days=30)
EARLIEST, LATEST = date(2010, 2, 1), date(2100, 1, 1)
_SVG: dict[str, Any] = {"image/svg+xml": {"schema": {"type": "string"}, "example": "<svg …>…</svg>"}}


@dataclass(frozen=True)
class Period:
    """Days of Meta's: the first and the last, both in it."""

    first: date
    last: date


Since = Annotated[date | None, Query(alias="from", description="The first day; 28 days in all unless given")]
Until = Annotated[date | None, Query(alias="to", description="The last day, in it; yesterday at Meta unless given")]
UntilToday = Annotated[date | None, Query(alias="to", description="The last day, in it; today at Meta unless given")]


async def get_period(parts: PartsDep, since: Since = None, until: Until = None) -> Period:
    """Days that are over. Raises `InvalidInput` for a period that is none, or longer than a year."""
    return _period(since, until or today(parts.clock()) - timedelta(days=1))


async def get_period_of_media(parts: PartsDep, since: Since = None, until: UntilToday = None) -> Period:
    """Days up to this one, on which media were looked at. Raises as `get_period`."""
    return _period(since, until or today(parts.clock()))


def _period(since: date | None, last: date) -> Period:
    if not EARLIEST <= (since or last) <= last <= LATEST:
        raise InvalidInput(errors=(FieldError("/query/from", "must be from 2010 on, and not after `to`"),))
    first = since or last - DAYS
    if last - first > LONGEST:
        raise InvalidInput(errors=(FieldError("/query/from", "must be at most 366 days in all"),))
    return Period(first, last)


PeriodDep = Annotated[Period, Depends(get_period)]
PeriodOfMediaDep = Annotated[Period, Depends(get_period_of_media)]


async def get_metrics(
    metrics: Annotated[
        str | None, Query(max_length=1000, description="Names with commas between; those of docs/insights.md")
    ] = None,
) -> list[str]:
    """The metrics asked for; none when all will do. Raises `InvalidInput` for one that there is not."""
    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    known = ACCOUNT_METRICS | MEDIA_METRICS
    if wrong := [place for place, name in enumerate(names, start=1) if name not in known]:
        told = f"names a metric that there is not, as number {wrong[0]}; there are {', '.join(known)}"
        raise InvalidInput(errors=(FieldError("/query/metrics", told),))
    return names


MetricsDep = Annotated[list[str], Depends(get_metrics)]


@router.get(
    "/account",
    operation_id="getAccountInsights",
    response_model=AccountInsights,
    responses=problems(InvalidInput, NotFound) | {200: {"content": _SVG}},
)
async def get_account_insights(
    parts: PartsDep,
    access: Reader,
    request: Request,
    response: Response,
    period: PeriodDep,
    metrics: MetricsDep,
    connection_id: ConnectionId = None,
    compare: Annotated[Literal["previous_period"] | None, Query(description="Beside the same time before")] = None,
) -> AccountInsights | Response:
    """The accounts' figures day by day, each with where it comes from; with `Accept: image/svg+xml`, as a chart.

    Days that nobody has read are there, and say so.
    """
    found = await reading.accounts(
        parts.db,
        access.label_id,
        connection_id=connection_id,
        metrics=metrics,
        first=period.first,
        last=period.last,
        compare=compare is not None,
        now=parts.clock(),
    )
    if wants_svg(request):
        return _account_chart(found, period)
    response.headers["Vary"] = "Accept"
    return AccountInsights(
        since=period.first, until=period.last, timezone=str(METAS_ZONE), data=[_account(one) for one in found]
    )


@router.get("/media", operation_id="listInsightMedia", responses=problems(InvalidInput, InvalidCursor, NotFound))
async def list_insight_media(
    parts: PartsDep,
    access: Reader,
    paging: PagingDep,
    connection_id: ConnectionId = None,
    product: Annotated[Product | None, Query(description="Only this kind")] = None,
    since: Annotated[date | None, Query(alias="from", description="Posted on this day or later")] = None,
    until: Annotated[date | None, Query(alias="to", description="Posted on this day or earlier")] = None,
    sort: Annotated[MediaOrder, Query(description="A minus is the largest first; without a figure it is least")] = (
        "-posted_at"
    ),
) -> InsightMediaPage:
    """What the label's accounts have posted in 24 months, with its figures as they stand."""
    order = sort.removeprefix("-")
    by = order if order == "posted_at" else f"ranked.{order}"
    place = f"insights/media:{access.label_id}:{[connection_id, product, str(since), str(until), sort]}"
    after = cursors.decode(parts.cursor_key, place, paging.cursor) if paging.cursor is not None else None
    if after and order == "posted_at":
        after = list(cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor) or ())
    found = await store.page_of_media(
        parts.db,
        access.label_id,
        narrowed=_narrowed(connection_id, product, since, until),
        by=by,
        direction=-1 if sort.startswith("-") else 1,
        after=after,
        now=parts.clock(),
        limit=paging.limit,
    )
    flat = [doc | {f"ranked.{name}": value for name, value in doc["ranked"].items()} for doc in found]
    page, following = cursors.cut(parts.cursor_key, place, flat, [by, "_id"], limit=paging.limit)
    shown = [InsightMediaOut.of(media) for media in page if media["expires_at"] > parts.clock()]
    return InsightMediaPage(data=shown, next_cursor=following)


@router.get(
    "/media/{media_id}",
    operation_id="getInsightMedia",
    response_model=InsightMediaDetail,
    responses=problems(InvalidInput, NotFound) | {200: {"content": _SVG}},
)
async def get_insight_media(
    parts: PartsDep,
    access: Reader,
    request: Request,
    response: Response,
    media_id: str,
    period: PeriodOfMediaDep,
    metrics: MetricsDep,
) -> InsightMediaDetail | Response:
    """One media, and how each figure came to stand so; with `Accept: image/svg+xml`, as a chart."""
    media, found = await reading.media_series(
        parts.db, access.label_id, media_id, first=period.first, last=period.last, now=parts.clock()
    )
    series = [one for one in found if not metrics or one.metric in metrics]
    if wants_svg(request):
        return _media_chart(media, series, period)
    response.headers["Vary"] = "Accept"
    shown = [
        MediaSeriesOut(
            metric=one.metric,
            kind=MEDIA_METRICS[one.metric].kind,
            points=[PointOut(day=day, **figure_of(told)) for day, told in one.points],
        )
        for one in series
    ]
    return InsightMediaDetail(media=InsightMediaOut.of(media), series=shown)


@router.get("/best-times", operation_id="getBestTimes", responses=problems(InvalidInput, NotFound))
async def get_best_times(
    parts: PartsDep,
    access: Reader,
    connection_id: ConnectionId = None,
    metric: Annotated[RankedBy, Query(description="What is better")] = "reach",
) -> BestTimesOut:
    """The times of the week whose posts did better than others, with the evidence; or that it cannot be said."""
    now = parts.clock()
    found, zone = await reading.times(parts.db, access.label_id, connection_id=connection_id, metric=metric, now=now)
    slots = [
        BestTimeOut(
            weekday=WEEKDAYS[one.weekday],
            from_hour=one.hour,
            to_hour=one.hour + HOURS,
            posts=list(one.posts),
            **{name: getattr(one, name) for name in ("median", "better", "chance", "sure")},
        )
        for one in found.slots
    ]
    enough = found.posts >= FEWEST_POSTS and found.compared > 0
    return BestTimesOut(
        status="found" if slots else "nothing_stands_out" if enough else "not_enough_data",
        metric=metric,
        timezone=zone,
        since=now - LOOKS_BACK,
        posts=found.posts,
        posts_needed=FEWEST_POSTS,
        left_out=found.left_out,
        slots_compared=found.compared,
        slots=slots,
    )


@router.get(
    "/export.csv",
    operation_id="getInsightsSheet",
    response_class=Response,
    responses=problems(InvalidInput, NotFound)
    | {
        200: {
            "description": "For spreadsheets: no cell begins a formula",
            "content": {"text/csv": {"schema": {"type": "string"}, "example": ",".join(COLUMNS) + "\r\n"}},
        }
    },
)
async def get_insights_sheet(
    parts: PartsDep,
    access: Reader,
    period: PeriodDep,
    metrics: MetricsDep,
    of: Annotated[Literal["account", "media"], Query(description="Of media, at most 31 days at once")] = "account",
    connection_id: ConnectionId = None,
) -> Response:
    """The figures as CSV: a row a day and metric, and a row a part of it."""
    if of == "media" and period.last - period.first > LONGEST_OF_MEDIA:
        raise InvalidInput(errors=(FieldError("/query/from", "of media, at most 31 days can be had at once"),))
    rows = await (reading.account_rows if of == "account" else reading.media_rows)(
        parts.db,
        access.label_id,
        connection_id=connection_id,
        metrics=metrics,
        first=period.first,
        last=period.last,
        now=parts.clock(),
    )
    named = {"Content-Disposition": f'attachment; filename="insights-{period.first}-{period.last}.csv"'}
    return Response(sheet(rows), media_type="text/csv", headers=named)


def _narrowed(connection_id: str | None, product: str | None, since: date | None, until: date | None) -> dict[str, Any]:
    if not all(EARLIEST <= day <= LATEST for day in (since, until) if day):
        raise InvalidInput(errors=(FieldError("/query/from", "must be of this century, and not before 2010"),))
    if since and until and since > until:
        raise InvalidInput(errors=(FieldError("/query/from", "must not be after `to`"),))
    bounds: dict[str, datetime] = {"$gte": begin_of(since)} if since else {}
    bounds |= {"$lt": begin_of(until + timedelta(days=1))} if until else {}
    narrowed: dict[str, Any] = {"connection_id": connection_id} if connection_id else {}
    narrowed |= {"product": product} if product else {}
    return narrowed | ({"posted_at": bounds} if bounds else {})


def _account(account: reading.Account) -> AccountInsightsOut:
    connection = account.connection
    return AccountInsightsOut(
        connection_id=connection["_id"],
        provider=connection["network"],
        provider_id=connection["account"]["provider_id"],
        name=reading.account_name(connection),
        series=[_series(one) for one in account.series],
    )


def _series(series: Series) -> SeriesOut:
    return SeriesOut(
        metric=series.metric,
        kind=series.kind,
        points=[PointOut(day=day, **figure_of(told)) for day, told in series.points],
        total=_total(series.total),
        comparison=_comparison(series.comparison) if series.comparison else None,
    )


def _total(total: Total) -> TotalOut:
    return TotalOut(**asdict(total))


def _comparison(found: Comparison) -> ComparisonOut:
    told: dict[str, Any] = {"since": found.first, "until": found.last, "total": _total(found.total)}
    return ComparisonOut(**told, difference=found.difference, ratio=found.ratio, reason=found.reason)


def _account_chart(found: list[reading.Account], period: Period) -> Response:
    """Metric by metric, and of each all accounts, so that no account is left out for the many metrics of another."""
    days, several = _days(period), len(found) > 1
    of_each = [[(one, series) for series in one.series] for one in found]
    in_turn = [pair for pairs in zip_longest(*of_each) for pair in pairs if pair is not None]
    lines = [
        line_of(
            f"{reading.account_name(one.connection)}: {series.metric}" if several else series.metric,
            dict(series.points),
            days,
            stands=series.kind == "level",
        )
        for one, series in in_turn
    ]
    title = f"Insights from {period.first} to {period.last}"
    return Response(line_chart(title, days, lines), media_type="image/svg+xml", headers=LIKE_AN_IMAGE)


def _media_chart(media: dict[str, Any], found: list[reading.MediaSeries], period: Period) -> Response:
    days = _days(period)
    lines = [line_of(one.metric, dict(one.points), days, stands=True) for one in found]
    drawn = [line for line in lines if any(value is not None for value in line.values)]
    title = f"{media['product']} {media['provider_id']} from {period.first} to {period.last}"
    return Response(line_chart(title, days, drawn), media_type="image/svg+xml", headers=LIKE_AN_IMAGE)


def _days(period: Period) -> list[date]:
    return [period.first + timedelta(days=n) for n in range((period.last - period.first).days + 1)]
