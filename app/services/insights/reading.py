"""What the insights routes answer with: accounts with their series, media with theirs, the times that did best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from app.db import Database, Doc
from app.models.base import rfc3339
from app.models.insight_metrics import DAILY, MEDIA, MEDIA_METRICS
from app.models.insights import RankedBy
from app.services.connections import store as connections
from app.services.insights import store
from app.services.insights.best_times import LOOKS_BACK, MOST_POSTS, BestTimes, best_times, posts_of
from app.services.insights.series import Series, names_of, series_of
from app.services.labels.labels import need_label

Row = tuple[Doc, str, str, Doc]


@dataclass(frozen=True)
class Account:
    """An account with its series."""

    connection: Doc
    series: tuple[Series, ...]


async def accounts_of(db: Database, label_id: str, connection_id: str | None) -> list[Doc]:
    """The connected accounts that can have figures, or the one that is asked for. Raises `NotFound`."""
    if connection_id is not None:
        found = [await connections.need(db, label_id, connection_id)]
    else:
        found, after = [], None
        while page := await connections.page_of(db, label_id, status=None, after=after, limit=100):
            found += page[:100]
            after = str(page[:100][-1]["_id"])
    return [one for one in found if one["status"] in connections.CONNECTED and one["network"] in DAILY]


async def accounts(
    db: Database,
    label_id: str,
    *,
    connection_id: str | None,
    metrics: Sequence[str],
    first: date,
    last: date,
    compare: bool,
    now: datetime,
) -> list[Account]:
    """Each account with the series of these metrics over the days `first` to `last`. Raises `NotFound`."""
    begin = first - (last - first + timedelta(days=1)) if compare else first
    found = []
    for connection in await accounts_of(db, label_id, connection_id):
        names = names_of(connection["network"], metrics)
        days = await store.account_days(db, label_id, connection["_id"], first=begin, last=last, metrics=names, now=now)
        series = tuple(series_of(name, days, first=first, last=last, compare=compare, now=now) for name in names)
        found.append(Account(connection, series))
    return found


async def account_rows(
    db: Database,
    label_id: str,
    *,
    connection_id: str | None,
    metrics: Sequence[str],
    first: date,
    last: date,
    now: datetime,
) -> list[Row]:
    """What a sheet shows of accounts: every day and metric, also those without a figure. Raises `NotFound`."""
    rows: list[Row] = []
    found = await accounts(
        db, label_id, connection_id=connection_id, metrics=metrics, first=first, last=last, compare=False, now=now
    )
    for account in found:
        connection = account.connection
        of = _account_of(connection) | {"of": "account", "provider_id": connection["account"]["provider_id"]}
        rows += [(of, day.isoformat(), one.metric, figure) for one in account.series for day, figure in one.points]
    return rows


async def media_rows(
    db: Database,
    label_id: str,
    *,
    connection_id: str | None,
    metrics: Sequence[str],
    first: date,
    last: date,
    now: datetime,
) -> list[Row]:
    """What a sheet shows of media: each as it stood on each day on which it was read. Raises `NotFound`."""
    rows: list[Row] = []
    for connection in await accounts_of(db, label_id, connection_id):
        days = await store.media_days_of(db, connection, first=first, last=last, now=now)
        media = await store.media_by_id(db, label_id, {doc["media_id"] for doc in days}, now=now)
        rows += [row for doc in days for row in _media_rows(connection, doc, media.get(doc["media_id"], {}), metrics)]
    return rows


def _account_of(connection: Doc) -> Doc:
    return {"connection_id": connection["_id"], "account": account_name(connection)}


def account_name(connection: Doc) -> str | None:
    """What an account is called there; none where it has no name."""
    account = connection["account"]
    name: str | None = account["username"] or account["name"]
    return name


def _media_rows(connection: Doc, doc: Doc, media: Doc, metrics: Sequence[str]) -> Iterator[Row]:
    of = _account_of(connection) | {"of": "media", "provider_id": doc["provider_id"], "media_id": doc["media_id"]}
    of |= {name: media.get(name) for name in ("product", "permalink")}
    of |= {"posted_at": rfc3339(media["posted_at"]) if media else None}
    for name, figure in sorted(doc["metrics"].items()):
        if name in (metrics or MEDIA_METRICS):
            yield of, doc["day"], name, figure


@dataclass(frozen=True)
class MediaSeries:
    """One figure of a media, on each day on which it was read."""

    metric: str
    points: tuple[tuple[date, Doc], ...]


async def media_series(
    db: Database, label_id: str, media_id: str, *, first: date, last: date, now: datetime
) -> tuple[Doc, list[MediaSeries]]:
    """A media, and how each of its figures stood. Raises `NotFound`."""
    media = await store.need_media(db, label_id, media_id, now=now)
    days = await store.media_days(db, media, first=first, last=last, now=now)
    table = MEDIA.get(media["product"])
    found = []
    for name in [one.name for one in table.metrics] if table else []:
        points = [(date.fromisoformat(doc["day"]), doc["metrics"][name]) for doc in days if name in doc["metrics"]]
        found.append(MediaSeries(name, tuple(points)))
    return media, found


async def times(
    db: Database, label_id: str, *, connection_id: str | None, metric: RankedBy, now: datetime
) -> tuple[BestTimes, str]:
    """The times of the week that did best, and in which zone. Raises `NotFound`."""
    zone = str((await need_label(db, label_id))["timezone"])
    if connection_id is not None:
        await connections.need(db, label_id, connection_id)
    media = await store.media_posted(
        db, label_id, connection_id=connection_id, since=now - LOOKS_BACK, until=now, limit=MOST_POSTS
    )
    posts, left_out = posts_of(media, metric, store.RANKED_BY[metric], now=now)
    return best_times(posts, left_out, zone=zone), zone
