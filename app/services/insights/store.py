"""Days, media and their days in MongoDB. Every query names `label_id`; no read shows what has expired."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pymongo import UpdateOne

from app.clients.graph_insights import Remote, begin_of
from app.db import Database, Doc
from app.errors import NotFound
from app.ids import new_id
from app.models.data_map import INSIGHTS_LIFE
from app.models.mapped.insights import RANKED
from app.services.inbox.bulk import write_all
from app.services.insights.merging import merging

RANKED_BY = {"reach": "post_total_media_view_unique", "views": "post_media_view", "total_interactions": "none"}
"""What a Page's post calls the figure that media are sorted by."""
UNRANKED = -1
"""Where a figure is missing, in the sorting alone: behind all that have one."""


async def record_day(
    db: Database, connection: Doc, day: date, readings: Mapping[str, Doc], *, settled: bool, now: datetime
) -> None:
    """Add readings of one of the account's days to what is there. `settled`: it is not read again."""
    marks: dict[str, Any] = {"read_at": {"$max": ["$read_at", now]}} | ({"settled": True} if settled else {})
    await _record(db, connection, day, readings, marks)


async def record_audience(db: Database, connection: Doc, day: date, readings: Mapping[str, Doc]) -> None:
    """Add who follows the account to one of its days, which may have to be read yet."""
    await _record(db, connection, day, readings, {"audience": True})


async def _record(
    db: Database, connection: Doc, day: date, readings: Mapping[str, Doc], marks: Mapping[str, Any]
) -> None:
    fields = {"network": connection["network"], "expires_at": begin_of(day) + INSIGHTS_LIFE, **marks}
    fields |= merging("metrics", readings)
    key = _place(connection) | {"_id": f"{connection['_id']}/{day}", "day": day.isoformat()}
    await write_all(db, "account_days", [UpdateOne(key, [{"$set": fields}], upsert=True)])


async def read_days(db: Database, connection: Doc, *, since: date) -> list[Doc]:
    """Which of the account's days since then were read, when, and whether they are settled."""
    query = _place(connection) | {"day": {"$gte": since.isoformat()}}
    fields = {"day": 1, "read_at": 1, "settled": 1, "audience": 1}
    return await db.open("account_days").find(query, fields).to_list()


async def account_days(
    db: Database,
    label_id: str,
    connection_id: str,
    *,
    first: date,
    last: date,
    metrics: Sequence[str],
    now: datetime,
) -> list[Doc]:
    """The account's days with these metrics, the oldest first."""
    query = {"label_id": label_id, "connection_id": connection_id, "day": _between(first, last)}
    fields = {"day": 1, "expires_at": 1} | {f"metrics.{name}": 1 for name in metrics}
    found = await db.open("account_days").find(query, fields).sort("day", 1).to_list()
    return [doc for doc in found if doc["expires_at"] > now]


async def record_media(db: Database, connection: Doc, found: Sequence[Remote], *, now: datetime) -> int:
    """Add what a list showed, and have it read; how many were new. What is over 24 months old is left out."""
    writes = []
    for one in found:
        ends = one.posted_at + INSIGHTS_LIFE
        if ends <= now:
            continue
        ranked = dict.fromkeys(RANKED, UNRANKED)
        fresh = {"_id": new_id("med"), "due_at": now, "latest": {}, "ranked": ranked, "read_at": None, "gone_at": None}
        fresh |= {"network": connection["network"], "product": one.product, "posted_at": one.posted_at}
        seen: Doc = {"media_type": one.media_type, "permalink": one.permalink, "expires_at": ends}
        key = _place(connection) | {"provider_id": one.provider_id}
        writes.append(UpdateOne(key, {"$setOnInsert": fresh, "$set": seen}, upsert=True))
    return len(await write_all(db, "media", writes))


async def due_media(db: Database, connection: Doc, *, product: str | None, now: datetime, limit: int) -> list[Doc]:
    """Media, or those of one kind, whose figures are to be read by now, the longest due first."""
    query = _place(connection) | {"due_at": {"$lte": now}} | ({"product": product} if product else {})
    found = await db.open("media").find(query).sort("due_at", 1).limit(limit).to_list()
    return [doc for doc in found if doc["expires_at"] > now]


async def record_figures(
    db: Database, media: Doc, day: date, readings: Mapping[str, Doc], *, due_at: datetime | None, now: datetime
) -> None:
    """Add readings of a media: to how it stands, and to how it stood on this day."""
    place = {name: media[name] for name in ("label_id", "connection_id")}
    fields: dict[str, Any] = {"provider_id": media["provider_id"], "expires_at": begin_of(day) + INSIGHTS_LIFE}
    fields |= {"read_at": {"$max": ["$read_at", now]}, **merging("metrics", readings)}
    key = place | {"_id": f"{media['_id']}/{day}", "media_id": media["_id"], "day": day.isoformat()}
    await write_all(db, "media_days", [UpdateOne(key, [{"$set": fields}], upsert=True)])
    latest: dict[str, Any] = {"read_at": now, "due_at": due_at or "$$REMOVE", **merging("latest", readings)}
    ranked = {f"ranked.{name}": _rank(name) for name in RANKED}
    own = place | {"_id": media["_id"]}
    await db.open("media").update_one(own, [{"$set": latest}, {"$set": ranked}])


def _rank(name: str) -> Doc:
    return {"$ifNull": [f"$latest.{name}.value", {"$ifNull": [f"$latest.{RANKED_BY[name]}.value", UNRANKED]}]}


async def mark_gone(db: Database, media: Doc, *, now: datetime) -> None:
    """Note that Meta does not have it any more: it is read no more, and what it had reached stays."""
    own = {name: media[name] for name in ("_id", "label_id", "connection_id")}
    await db.open("media").update_one(own, {"$set": {"gone_at": now}, "$unset": {"due_at": ""}})


async def need_media(db: Database, label_id: str, media_id: str, *, now: datetime) -> Doc:
    """The media. Raises `NotFound`."""
    found = await db.open("media").find_one({"_id": media_id, "label_id": label_id})
    if found is None or found["expires_at"] <= now:
        raise NotFound
    return found


async def media_days(db: Database, media: Doc, *, first: date, last: date, now: datetime) -> list[Doc]:
    """How the media stood, day by day, the oldest first."""
    query = {"label_id": media["label_id"], "media_id": media["_id"], "day": _between(first, last)}
    found = await db.open("media_days").find(query).sort("day", 1).to_list()
    return [doc for doc in found if doc["expires_at"] > now]


async def media_days_of(db: Database, connection: Doc, *, first: date, last: date, now: datetime) -> list[Doc]:
    """How each media of the account stood, the oldest day first."""
    found = (
        await db.open("media_days").find(_place(connection) | {"day": _between(first, last)}).sort("day", 1).to_list()
    )
    return sorted((doc for doc in found if doc["expires_at"] > now), key=lambda doc: (doc["day"], doc["_id"]))


async def media_posted(
    db: Database, label_id: str, *, connection_id: str | None, since: datetime, until: datetime, limit: int
) -> list[Doc]:
    """What was posted in this time, the newest first."""
    query: Doc = {"label_id": label_id} | ({"connection_id": connection_id} if connection_id else {})
    query |= {"posted_at": {"$gte": since, "$lt": until}}
    found = db.open("media").find(query).sort([("posted_at", -1), ("_id", -1)]).limit(limit)
    return await found.to_list()


async def page_of_media(
    db: Database,
    label_id: str,
    *,
    narrowed: Doc,
    by: str,
    direction: int,
    after: list[Any] | None,
    now: datetime,
    limit: int,
) -> list[Doc]:
    """Media sorted by this field, one more than `limit` if there are more. `after`: the last one's value and id.

    The sort key is bounded, so that its index is walked. Sorted by a figure, one that has just expired may be there.
    """
    bounds: Doc = {"$gt": now - INSIGHTS_LIFE} if by == "posted_at" else {"$gte": UNRANKED}
    bounds |= narrowed.get(by, {})
    query: Doc = {"label_id": label_id, by: bounds} | {name: one for name, one in narrowed.items() if name != by}
    if after is not None:
        beyond, behind = ("$lte", "$gte") if direction < 0 else ("$gte", "$lte")
        query["$nor"] = [{by: after[0], "_id": {behind: after[1]}}]
        query[by] = bounds | {beyond: after[0]}
    found = db.open("media").find(query).sort([(by, direction), ("_id", direction)]).limit(limit + 1)
    return await found.to_list()


async def media_by_id(db: Database, label_id: str, ids: Collection[str], *, now: datetime) -> dict[str, Doc]:
    """The media of these ids, by them."""
    found = await db.open("media").find({"label_id": label_id, "_id": {"$in": sorted(ids)}}).to_list()
    return {doc["_id"]: doc for doc in found if doc["expires_at"] > now}


async def of_provider(db: Database, label_id: str, provider_ids: Iterable[str], *, now: datetime) -> list[Doc]:
    """The media that have these ids at Meta."""
    query = {"label_id": label_id, "provider_id": {"$in": sorted(provider_ids)}}
    return [doc for doc in await db.open("media").find(query).to_list() if doc["expires_at"] > now]


def _between(first: date, last: date) -> Doc:
    return {"$gte": first.isoformat(), "$lte": last.isoformat()}


def _place(connection: Doc) -> Doc:
    return {"label_id": connection["label_id"], "connection_id": connection["_id"]}
