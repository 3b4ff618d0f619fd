"""Slots: when a label publishes every week, and which of those times is free next."""

import heapq
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from app.db import Database, Doc, Session
from app.errors import Conflict, FieldError, InvalidInput, NotFound, StaleVersion
from app.ids import new_id
from app.models.slots import WEEKDAYS
from app.services.publications.times import on_day
from app.services.publications.writing import Hand

MOST_SLOTS = 100
AHEAD = timedelta(days=365)
"""So far ahead is a free place looked for."""

AT_ONCE = 100


@dataclass(frozen=True, order=True)
class Place:
    """One time at which a slot comes round."""

    at: datetime
    key: str
    """The slot and its day: of two publications that want it, the database lets one have it."""
    slot: Doc = field(compare=False)
    local_time: str = field(compare=False)
    rule: Any = field(compare=False)


Free = AsyncGenerator[Place, None]


def places_of(slot: Doc, since: datetime, until: datetime) -> Iterator[Place]:
    """When the slot comes round, from `since` and before `until`, in order.

    A time that the clocks of its zone jump over comes as much later, and of one that they show twice the first counts:
    it comes once on each of its days.
    """
    zone = ZoneInfo(slot["timezone"])
    day, last = since.astimezone(zone).date() - timedelta(days=1), until.astimezone(zone).date()
    while day <= last:
        found = on_day(day, slot["time"], slot["timezone"])
        if WEEKDAYS[day.weekday()] in slot["days"] and since <= found.at < until:
            yield Place(found.at, key_of(slot["_id"], day), slot, f"{day.isoformat()}T{slot['time']}", found.rule)
        day += timedelta(days=1)


def key_of(slot_id: str, day: date) -> str:
    """What names a slot's time on a day."""
    return f"{slot_id}:{day.isoformat()}"


async def all_slots(db: Database, label_id: str) -> list[Doc]:
    """Every slot of the label, oldest first."""
    return await db.open("slots").find({"label_id": label_id}).sort("_id", 1).to_list()


async def need_slot(db: Database, label_id: str, slot_id: str, *, session: Session | None = None) -> Doc:
    """The slot. Raises `NotFound`."""
    slot = await db.open("slots").find_one({"_id": slot_id, "label_id": label_id}, session=session)
    if slot is None:
        raise NotFound
    return slot


async def page_of_slots(db: Database, label_id: str, *, after: str | None, limit: int) -> list[Doc]:
    """Oldest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$gt": after}} if after else {})
    return await db.open("slots").find(query).sort("_id", 1).limit(limit + 1).to_list()


async def taken(db: Database, label_id: str, keys: Collection[str]) -> dict[str, str]:
    """Which of these places have a publication: its id by the place's key."""
    query = {"label_id": label_id, "slot_key": {"$in": sorted(keys)}}
    return {one["slot_key"]: one["_id"] async for one in db.open("publications").find(query, {"slot_key": 1})}


async def free(db: Database, label_id: str, slots: Sequence[Doc], *, since: datetime, until: datetime) -> Free:
    """The free places of these slots, from `since` and before `until`, in order."""
    coming = heapq.merge(*(places_of(slot, since, until) for slot in slots))
    while some := list(islice(coming, AT_ONCE)):
        held = await taken(db, label_id, [place.key for place in some])
        for place in some:
            if place.key not in held:
                yield place


async def free_for(
    db: Database, label_id: str, *, targets: Collection[str], slot_id: str | None, after: datetime
) -> Free:
    """The free places of slots that serve all these connections, or of this one. Raises `NotFound`."""
    found = [await need_slot(db, label_id, slot_id)] if slot_id else await all_slots(db, label_id)
    fitting = [slot for slot in found if set(targets) <= set(slot["connection_ids"])]
    async for place in free(db, label_id, fitting, since=after, until=after + AHEAD):
        yield place


async def create_slot(hand: Hand, body: Doc) -> Doc:
    """Make a slot. Raises `InvalidInput`, `Conflict` where the label has too many."""
    await _check_connections(hand.db, hand.label_id, body)
    slot: Doc = {"_id": new_id("slt"), "label_id": hand.label_id, **body}
    slot |= {"created_at": hand.now, "updated_at": hand.now, "version": 1}

    async def all_of_it(session: Session) -> None:
        slots = hand.db.open("slots")
        if await slots.count_documents({"label_id": hand.label_id}, session=session) >= MOST_SLOTS:
            raise Conflict(f"A label has at most {MOST_SLOTS} slots")
        await slots.insert_one(slot, session=session)
        await _record(hand, slot["_id"], "slot.made", session)

    await hand.db.in_transaction(all_of_it)
    return slot


async def change_slot(hand: Hand, slot_id: str, changes: Doc) -> Doc:
    """Change it from now on: what has taken one of its places stays where it is.

    Raises `NotFound`, `StaleVersion`, `InvalidInput`.
    """
    await need_slot(hand.db, hand.label_id, slot_id)
    await _check_connections(hand.db, hand.label_id, changes)

    async def all_of_it(session: Session) -> None:
        update = {"$set": changes | {"updated_at": hand.now}, "$inc": {"version": 1}}
        done = await hand.db.open("slots").update_one(_key(hand, slot_id), update, session=session)
        if done.matched_count == 0:
            raise StaleVersion
        await _record(hand, slot_id, "slot.changed", session)

    await hand.db.in_transaction(all_of_it)
    return await need_slot(hand.db, hand.label_id, slot_id)


async def delete_slot(hand: Hand, slot_id: str) -> None:
    """Take it away; what has taken one of its places stays where it is. Raises `NotFound`, `StaleVersion`."""
    await need_slot(hand.db, hand.label_id, slot_id)

    async def all_of_it(session: Session) -> None:
        done = await hand.db.open("slots").delete_one(_key(hand, slot_id), session=session)
        if done.deleted_count == 0:
            raise StaleVersion
        await _record(hand, slot_id, "slot.deleted", session)

    await hand.db.in_transaction(all_of_it)


def _key(hand: Hand, slot_id: str) -> Doc:
    key: Doc = {"_id": slot_id, "label_id": hand.label_id}
    return key | ({"version": {"$in": hand.versions}} if hand.versions is not None else {})


async def _check_connections(db: Database, label_id: str, body: Doc) -> None:
    ids = body.get("connection_ids") or []
    known = {one["_id"] async for one in db.open("connections").find({"label_id": label_id, "_id": {"$in": ids}})}
    wrong = [
        FieldError(f"/connection_ids/{place}", "must be a connection of the label's")
        for place, one in enumerate(ids)
        if one not in known
    ]
    if wrong:
        raise InvalidInput(errors=tuple(wrong))


async def _record(hand: Hand, slot_id: str, action: str, session: Session) -> None:
    told: dict[str, Any] = {"label_id": hand.label_id, "target": slot_id, "now": hand.now, "session": session}
    await hand.audit.record(hand.by, action, **told)
