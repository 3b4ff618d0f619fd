"""Summing a month of usage up: counted once, stored once, and its events deleted in the same operation.

The month's document is written by one insert, under the month as its id. Whoever dies before has done nothing; whoever
comes after finds it, never counts again, and deletes what is left of the events. So the figures are exact wherever a
worker dies, and a second run changes nothing.
"""

from contextlib import suppress
from dataclasses import asdict
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.services import faults, operations
from app.services.connections.hands import Hands
from app.services.privacy import standing
from app.services.usage.months import last_due, month_of
from app.services.usage.sums import K, Names, count, summed

BATCH = 200


async def tend(db: Database, *, now: datetime) -> str | None:
    """Have the oldest month summed up that is due; the operation that does it, if it is new."""
    due = {"month": {"$lte": last_due(now)}}
    found = await db.open("usage_events").find_one(due, {"month": 1}, sort=[("month", 1)])
    if found is None:
        return None
    key = f"sum_usage:{found['month']}:{now:%Y-%m-%d}"
    if await operations.by_key(db, None, key):
        return None
    try:
        operation = await operations.add(db, label_id=None, kind="sum_usage", target=found["month"], key=key, now=now)
    except DuplicateKeyError:  # another worker was first
        return None
    return str(operation["_id"])


async def sum_usage(hands: Hands, operation: Doc) -> Doc:
    """Sum a month up, unless that was done, and delete its events."""
    db, month = hands.db, operation["target"]
    if await db.open("usage_months").find_one({"_id": month}, {"_id": 1}) is None:
        found = summed(await _counted(db, month))
        await faults.reach("usage_before_sum")
        document: Doc = {"_id": month, **asdict(found), "fewest_people": K, "summed_at": hands.clock()}
        with suppress(DuplicateKeyError):  # another worker, to whom this one had lost its lease, counted the same
            await db.open("usage_months").insert_one(document)
    await faults.reach("usage_summed")
    return {"month": month, "deleted": await _delete(db, month)}


async def figures(db: Database, *, now: datetime) -> list[Doc]:
    """Every month that is over, the oldest first, as it is kept, or as it would be if it were summed up now."""
    found = {month["_id"]: month async for month in db.open("usage_months").find({}).sort("_id", 1)}
    for month in await db.open("usage_events").distinct("month"):
        if month < month_of(now) and month not in found:
            found[month] = {"_id": month, **asdict(summed(await _counted(db, month)))}
    return [found[month] for month in sorted(found)]


async def _counted(db: Database, month: str) -> Names:
    """All of it but what is of people who have restricted the use of their data, or object: that is only deleted."""
    names: Names = {}
    people: dict[str, int] = {}
    used: dict[str, bool] = {}
    fields = {"kind": 1, "name": 1, "browser": 1, "subject": 1}
    async for row in db.open("usage_events").find({"month": month}, fields, batch_size=5000):
        subject = row["subject"]
        if subject not in used:
            used[subject] = subject.startswith("vis_") or await standing.allows(db, subject, "analytics")
        if used[subject]:
            count(names, people, row["kind"], row["name"], row["browser"], subject)
    return names


async def _delete(db: Database, month: str) -> int:
    events, deleted = db.open("usage_events"), 0
    while found := await events.find({"month": month}, {"_id": 1}).limit(BATCH).to_list():
        deleted += (await events.delete_many({"_id": {"$in": [one["_id"] for one in found]}})).deleted_count
        await faults.reach("usage_deleting")
    return deleted
