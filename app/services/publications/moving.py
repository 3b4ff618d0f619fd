"""A release moves: what hangs on its plan by an offset moves with it, or the reason why not is told beforehand."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from app.db import Doc, Session
from app.errors import StaleVersion
from app.models.publications import State
from app.publishing_errors import AlreadyPublishing
from app.services.connections import store
from app.services.labels import labels
from app.services.publications import plans
from app.services.publications.embargo import embargo_problem
from app.services.publications.scheduling import HORIZON, queue
from app.services.publications.timing import of_plan
from app.services.publications.writing import Hand, record, withdraw, write

Outcome = Literal["moves", "stays", "is_unscheduled"]
MOVABLE: frozenset[State] = frozenset(("draft", "in_review", "approved", "scheduled", "cancelled"))
"""What has begun to be published stays, and so does what somebody must decide on first."""


@dataclass(frozen=True)
class Move:
    """What becomes of one publication: its time before and after, and why it does not move where it does not."""

    publication: Doc
    outcome: Outcome
    reason: str | None
    before: datetime | None
    after: datetime | None
    timed: Doc


@dataclass(frozen=True)
class Moved:
    """The plan as it is, or would be, and each of its publications."""

    plan: Doc
    moves: list[Move]


async def move(hand: Hand, plan_id: str, release_date: str, *, dry_run: bool) -> Moved:
    """Move the date, and everything that has not begun to be published with it: all or nothing.

    What would come too early or is past by then is taken back, to be scheduled anew (`is_unscheduled`). With `dry_run`
    nothing is written. Raises `NotFound`, `StaleVersion`, and `PlanLimitReached` or `BillingReadOnly` where a month
    gets more than it had.
    """
    label = await labels.need_label(hand.db, hand.label_id)
    begun: set[str] = set()

    async def all_of_it(session: Session) -> Moved:
        plan = await plans.need_plan(hand.db, hand.label_id, plan_id, session=session)
        if hand.versions is not None and plan["version"] not in hand.versions:
            raise StaleVersion
        new = plan | {"release_date": release_date}
        found = await plans.publications_of(hand.db, hand.label_id, plan_id, session=session)
        usable = await _usable(hand, found)
        moves = [_move(one, new, begun=begun, usable=usable, timezone=label["timezone"], now=hand.now) for one in found]
        await _need_room(hand, moves, None if dry_run else session)
        if dry_run:
            return Moved(new, moves)
        changed = await plans.write_plan(hand, plan, {"release_date": release_date}, session)
        for one in moves:
            await _do(hand, one, begun, session)
        dates = {"from": plan["release_date"], "to": release_date}
        told: dict[str, Any] = {"label_id": hand.label_id, "target": plan_id, "now": hand.now, "session": session}
        await hand.audit.record(hand.by, "release_plan.moved", details=dates, **told)
        return Moved(changed, moves)

    while True:
        known = len(begun)
        try:
            return await hand.db.in_transaction(all_of_it)
        except AlreadyPublishing:
            if len(begun) == known:
                raise  # none that `_do` has named: nothing would be different the next time


async def _need_room(hand: Hand, moves: list[Move], session: Session | None) -> None:
    """In a month that gets more than leave it, those must have room in the plan. Asked before anything is moved."""
    leave = [one for one in moves if one.publication["state"] == "scheduled" and one.outcome != "stays"]
    before = Counter(_month(one.before) for one in leave if one.before)
    after = Counter(_month(one.after) for one in leave if one.after and one.outcome == "moves")
    for month, adding in sorted((after - before).items()):
        room: dict[str, Any] = {"now": hand.now, "at": month, "adding": adding, "session": session}
        await hand.meter.need_room(hand.label_id, "publications_month", **room)


def _month(at: datetime) -> datetime:
    """Its first instant (UTC), by which publications are counted."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


async def _usable(hand: Hand, found: list[Doc]) -> set[str]:
    """Which of the accounts that they go to can be used now."""
    ids = sorted({target for publication in found for target in publication["targets"]})
    query = {"label_id": hand.label_id, "_id": {"$in": ids}}
    return {one["_id"] async for one in hand.db.open("connections").find(query) if store.is_usable(one, "publishing")}


def _move(publication: Doc, plan: Doc, *, begun: set[str], usable: set[str], timezone: str, now: datetime) -> Move:
    """What becomes of this one when the plan is so."""
    before = publication.get("scheduled_at")
    if publication["state"] not in MOVABLE or publication["_id"] in begun:
        return Move(publication, "stays", "has_begun", before, before, {})
    offset = publication.get("offset")
    timed = of_plan(offset, plan, timezone=timezone) if offset else {}
    after = timed.get("scheduled_at", before)
    if publication["state"] == "scheduled" and after is not None:
        lost = not set(publication["targets"]) <= usable and after != before
        reason = "connection_not_active" if lost else _against(publication, plan, after, now=now)
        if reason is not None:
            return Move(publication, "is_unscheduled", reason, before, after, timed)
    if after == before:
        return Move(publication, "stays", None if timed else "has_its_own_time", before, before, {})
    return Move(publication, "moves", None, before, after, timed)


def _against(publication: Doc, plan: Doc, at: datetime, *, now: datetime) -> str | None:
    """Why it cannot stay scheduled, then for this instant."""
    if at <= now:
        return "has_passed"
    if at > now + HORIZON:
        return "too_far_ahead"
    problem = embargo_problem(publication, plan, at)
    return problem.code if problem else None


async def _do(hand: Hand, one: Move, begun: set[str], session: Session) -> None:
    """Move it, in the transaction that moves the plan."""
    if one.outcome == "stays":
        return
    found, changes = one.publication, one.timed
    try:
        await withdraw(hand, found, session)
    except AlreadyPublishing:
        begun.add(found["_id"])
        raise
    if one.outcome == "is_unscheduled":
        approved = found["approved_version"] == found["content_version"]
        changes = changes | {"state": "approved" if approved else "draft", "slot_key": None, "slot_id": None}
    changed = await write(hand, found, changes, session)
    if changed["state"] == "scheduled":
        await queue(hand, changed, session)
    await record(hand, changed, "publication.moved", {"plan": str(found["plan_id"])}, session)
