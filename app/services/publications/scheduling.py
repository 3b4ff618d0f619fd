"""Scheduling: a publication that would go out gets its time and its targets, all in one transaction, or none of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.db import Doc, Session
from app.errors import FieldError, InvalidInput, StaleVersion
from app.publication_errors import NoFreeSlot
from app.services.labels import labels
from app.services.publications import checking, plans, slots
from app.services.publications.review import approval_for
from app.services.publications.timing import of_plan, timing
from app.services.publications.writing import OPEN, Hand, check, need, step, withdraw
from app.services.publishing.queueing import queue_targets

HORIZON = timedelta(days=366)
TIMES = ("scheduled_at", "local_time")
TRIES = 5
"""How often somebody else may change it between the check and the write, before the caller is told."""


@dataclass(frozen=True)
class Scheduled:
    """What was scheduled, and what is odd about it."""

    publication: Doc
    warnings: list[checking.Warned]


async def schedule(hand: Hand, publication_id: str, body: Mapping[str, Any]) -> Scheduled:
    """Have it published at its time, or at the one that is given. One that is scheduled already gets the new time.

    Raises `NotFound`, `StaleVersion`, `WrongState`, `AlreadyPublishing`, `ApprovalNeeded`, `PublicationInvalid`,
    `Embargoed`, `ConnectionNotActive`, `PlanLimitReached`, `BillingReadOnly`, `InvalidInput` for a time that has
    passed or is too far ahead.
    """
    given = {name: value for name, value in body.items() if value is not None}

    async def when(found: Doc, label: Doc) -> Doc:
        if not given and not found.get("offset"):
            return {}
        plan = await plans.hold(hand.db, hand.label_id, found.get("plan_id"), session=None)
        fixed = {"scheduled_at", "local_time"} & given.keys()
        asked = given | ({"offset": None} if fixed else {})
        return timing(found, asked, plan=plan, timezone=label["timezone"]) | ({"offset": None} if fixed else {})

    async def once(found: Doc, label: Doc) -> Scheduled:
        timed = await when(found, label) | {"slot_key": None, "slot_id": None}
        at = (found | timed).get("scheduled_at")
        if at is None:
            raise _refused("/scheduled_at", "is missing: it has no time yet")
        check_time(at, now=hand.now, pointer=next((f"/{one}" for one in TIMES if one in given), ""))
        return await _put(hand, found, label, timed, action="publication.scheduled")

    return await _unless_changed(hand, publication_id, once)


async def schedule_in_slot(hand: Hand, publication_id: str, slot_id: str | None) -> Scheduled:
    """Have it published at the next free time of a slot that serves all its accounts, or of this one.

    Raises as `schedule` does, and `NoFreeSlot`.
    """

    async def once(found: Doc, label: Doc) -> Scheduled:
        asked: dict[str, Any] = {"targets": found["targets"], "slot_id": slot_id, "after": hand.now}
        async for place in slots.free_for(hand.db, hand.label_id, **asked):
            timed: Doc = {"scheduled_at": place.at, "timezone": place.slot["timezone"], "local_time": place.local_time}
            timed |= {"time_rule": place.rule, "offset": None, "slot_id": place.slot["_id"], "slot_key": place.key}
            try:
                return await _put(hand, found, label, timed, action="publication.scheduled")
            except DuplicateKeyError:
                continue  # another publication was quicker to take it
        raise NoFreeSlot

    return await _unless_changed(hand, publication_id, once)


async def publish_now(hand: Hand, publication_id: str) -> Scheduled:
    """Have it published at once, whenever it was scheduled for. Raises as `schedule` does."""

    async def once(found: Doc, label: Doc) -> Scheduled:
        timed: Doc = {"slot_key": None, "slot_id": None, "offset": None}
        timed |= timing(found, {"scheduled_at": hand.now, "offset": None}, plan=None, timezone=label["timezone"])
        return await _put(hand, found, label, timed, action="publication.published_now")

    return await _unless_changed(hand, publication_id, once)


async def cancel(hand: Hand, publication_id: str) -> Doc:
    """Have it not published. It can be changed or scheduled again.

    Raises `NotFound`, `StaleVersion`, `WrongState`, `AlreadyPublishing`.
    """

    async def work(found: Doc, session: Session) -> Doc:
        await withdraw(hand, found, session)
        return {"state": "cancelled", "slot_key": None, "slot_id": None}

    return await step(hand, publication_id, "publication.cancelled", states=OPEN - {"cancelled", "failed"}, work=work)


def check_time(at: datetime, *, now: datetime, pointer: str) -> None:
    """Raise `InvalidInput` for a time that has passed, or is more than a year ahead. Without a `pointer`, it is not the
    caller's but the publication's own."""
    if now < at <= now + HORIZON:
        return
    detail = "must be in the future" if at <= now else f"must be within {HORIZON.days} days"
    raise _refused(pointer, detail if pointer else f"names no time, and the one that the publication has {detail}")


async def queue(hand: Hand, publication: Doc, session: Session) -> None:
    """Write its targets and their operations, in the caller's transaction."""
    due_at = publication["scheduled_at"]
    await queue_targets(hand.db, publication, due_at=due_at, now=hand.now, session=session)


async def _put(hand: Hand, found: Doc, label: Doc, timed: Doc, *, action: str) -> Scheduled:
    """Check it as it was found, and queue it if it still is so. Raises `StaleVersion` if it is not."""
    checked = await checking.check(hand.db, hand.label_id, found | timed, now=hand.now)
    checked.need_valid()
    seen = replace(hand, versions=[found["version"]])

    async def work(publication: Doc, session: Session) -> Doc:
        await _hold_plan(hand, publication | timed, label, session)
        await withdraw(hand, publication, session)
        kept = await checking.hold_files(hand.db, publication, now=hand.now, session=session)
        times = {"scheduled_at": publication.get("scheduled_at")} | timed
        return times | approval_for(hand, label, publication) | kept | {"state": "scheduled"}

    async def queued(changed: Doc, session: Session) -> None:
        at = changed["scheduled_at"]
        await hand.meter.need_room(hand.label_id, "publications_month", now=hand.now, at=at, session=session, made=1)
        await queue(hand, changed, session)

    scheduled = await step(seen, found["_id"], action, states=OPEN, work=work, after=queued)
    return Scheduled(scheduled, checked.warnings)


async def _hold_plan(hand: Hand, publication: Doc, label: Doc, session: Session) -> None:
    """Raise `Embargoed` where it must not go out then, `StaleVersion` where its plan's date has moved meanwhile."""
    plan = await plans.hold(hand.db, hand.label_id, publication.get("plan_id"), session=session)
    at, offset = publication["scheduled_at"], publication.get("offset")
    plans.check_embargo(publication, plan, at)
    if plan and offset and of_plan(offset, plan, timezone=label["timezone"])["scheduled_at"] != at:
        raise StaleVersion


async def _unless_changed(
    hand: Hand, publication_id: str, once: Callable[[Doc, Doc], Awaitable[Scheduled]]
) -> Scheduled:
    """Do it with the publication as it is; again, if it changes meanwhile and the caller has named no version."""
    for left in reversed(range(TRIES)):
        found = await need(hand.db, hand.label_id, publication_id)
        check(found, OPEN, hand.versions)
        label = await labels.need_label(hand.db, hand.label_id)
        approval_for(hand, label, found)
        try:
            return await once(found, label)
        except StaleVersion:
            if hand.versions is not None or not left:
                raise
    raise StaleVersion


def _refused(pointer: str, detail: str) -> InvalidInput:
    return InvalidInput(errors=(FieldError(pointer, detail),))
