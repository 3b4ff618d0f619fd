"""The calendar: what is or is meant to be published in a time, and which times of slots are free."""

from datetime import datetime

from app.db import Database, Doc
from app.services.publications import slots
from app.services.publications.times import local_of

CAPTION = 120
Place = tuple[datetime, str]
"""Where an item stands: its instant, and what tells it from others of the same one."""


async def page_of(
    db: Database,
    label_id: str,
    *,
    since: datetime,
    until: datetime,
    connection_id: str | None,
    timezone: str,
    after: Place | None,
    limit: int,
    now: datetime,
) -> list[Doc]:
    """In order, one more than `limit` if there are more; each with its `place`. `timezone` is the label's."""
    begin = after[0] if after else since
    items = await _publications(db, label_id, (begin, until), connection_id, timezone, after=after, limit=limit)
    serving = [slot for slot in await slots.all_slots(db, label_id) if connection_id in (None, *slot["connection_ids"])]
    found = 0
    async for place in slots.free(db, label_id, serving, since=max(begin, now), until=until):
        if after is None or (place.at, place.key) > after:
            items.append(_free(place))
            found += 1
        if found > limit:
            break
    return sorted(items, key=lambda item: (item["at"], item["key"]))[: limit + 1]


async def _publications(
    db: Database,
    label_id: str,
    span: Place | tuple[datetime, datetime],
    connection_id: str | None,
    timezone: str,
    *,
    after: Place | None,
    limit: int,
) -> list[Doc]:
    query: Doc = {"label_id": label_id, "scheduled_at": {"$gte": span[0], "$lt": span[1]}}
    query |= {"state": {"$ne": "cancelled"}} | ({"targets": connection_id} if connection_id else {})
    query |= {"$nor": [{"scheduled_at": after[0], "_id": {"$lte": after[1]}}]} if after else {}
    found = db.open("publications").find(query).sort([("scheduled_at", 1), ("_id", 1)]).limit(limit + 1)
    return [_planned(one, timezone) for one in await found.to_list()]


def _planned(publication: Doc, timezone: str) -> Doc:
    at, zone = publication["scheduled_at"], publication.get("timezone") or timezone
    return {
        "key": publication["_id"],
        "at": at,
        "local_time": local_of(at, zone),
        "timezone": zone,
        "what": "reminder" if publication["mode"] == "remind" else "publication",
        "publication_id": publication["_id"],
        "state": publication["state"],
        "kind": publication["kind"],
        "caption": publication["caption"][:CAPTION],
        "targets": publication["targets"],
        "slot_id": publication.get("slot_id"),
    }


def _free(place: slots.Place) -> Doc:
    zone = place.slot["timezone"]
    nothing = dict.fromkeys(("publication_id", "state", "kind", "caption"))
    told = {"key": place.key, "at": place.at, "local_time": local_of(place.at, zone), "timezone": zone}
    return told | nothing | {"what": "free_slot", "targets": place.slot["connection_ids"], "slot_id": place.slot["_id"]}
