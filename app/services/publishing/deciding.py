"""What people decide about posts: try again, say what became of one, mark one as done."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from app.db import Database, Doc, Session
from app.errors import ConnectionNotActive, NotFound
from app.publishing_errors import NothingToDecide, NotRetryable
from app.services import operations
from app.services.audit import Audit, By
from app.services.billing.entitlements import Meter
from app.services.connections import store
from app.services.events import Event, append
from app.services.publishing import states
from app.services.publishing.queueing import targets_of
from app.services.publishing.states import IN_DOUBT

Outcome = Literal["published", "not_published"]
RETRYABLE = ("failed", "needs_decision")
SHORTEST = timedelta(minutes=60)
"""So long a post that a person tries again is tried at least, however late it is."""
MADE = (*IN_DOUBT, "calls", "looks", "remade", "unfetched", "restored")
"""What an attempt leaves on a target, and the next one begins without."""
MOST_ATTEMPTS = 100
LEFT = ("needs_decision", "to_do")
"""It is not there, and waits for somebody: who says so has it closed."""
NOT_THERE = ("not_published", "Somebody has looked: it is not there.")


async def need_targets(db: Database, label_id: str, publication_id: str) -> list[Doc]:
    """The publication's targets; none before it is scheduled. Raises `NotFound`."""
    key = {"_id": publication_id, "label_id": label_id}
    if await db.open("publications").find_one(key, {"_id": 1}) is None:
        raise NotFound
    return (await targets_of(db, label_id, [publication_id])).get(publication_id, [])


async def attempts_of(db: Database, label_id: str, publication_id: str) -> list[Doc]:
    """The newest 100 targets there were, of earlier versions too, the newest first. Raises `NotFound`."""
    await need_targets(db, label_id, publication_id)
    query = {"label_id": label_id, "publication_id": publication_id}
    order = [("publication_version", -1), ("connection_id", -1)]
    return await db.open("publication_targets").find(query).sort(order).limit(MOST_ATTEMPTS).to_list()


async def retry(
    db: Database, audit: Audit, meter: Meter, label_id: str, publication_id: str, *, by: By, now: datetime
) -> list[Doc]:
    """Begin a new attempt, at once, wherever the last one is certain to have published nothing; those targets.

    Raises `NotFound`, `NotRetryable`, `ConnectionNotActive`, and `PlanLimitReached` or `BillingReadOnly` for one that
    has failed everywhere: another publication may have its place in the month.
    """
    found = [one for one in await need_targets(db, label_id, publication_id) if one["state"] in RETRYABLE]
    if not found:
        raise NotRetryable

    async def all_of_it(session: Session) -> None:
        held = await _hold(db, label_id, publication_id, now=now, session=session)
        if held["state"] == "failed":
            room: dict[str, Any] = {"now": now, "at": held["scheduled_at"], "session": session}
            await meter.need_room(label_id, "publications_month", **room)
        for target in found:
            await _begin_anew(db, target, now=now, session=session)
        await states.follow_targets(db, found[0], now=now, session=session)
        await audit.record(
            by, "publication.retried", label_id=label_id, target=publication_id, now=now, session=session
        )
        await _tell(db, label_id, publication_id, f"retry:{found[0]['_id']}:{found[0]['attempt']}", now, session)

    await db.in_transaction(all_of_it)
    ids = {one["_id"] for one in found}
    return [one for one in await need_targets(db, label_id, publication_id) if one["_id"] in ids]


async def decide(
    db: Database,
    audit: Audit,
    label_id: str,
    publication_id: str,
    target_id: str,
    *,
    outcome: Outcome,
    permalink: str | None,
    by: By,
    now: datetime,
) -> Doc:
    """Say what became of a post of which nobody knows, as a person who has looked at the account; the target.

    One that waits for somebody is closed by saying that it is not there: it may have others beside it that are.
    Raises `NotFound`, `NothingToDecide`.
    """

    async def settle(target: Doc, session: Session) -> Doc:
        not_there = outcome == "not_published"
        if target["state"] != "unknown" and not (not_there and target["state"] in LEFT):
            raise NothingToDecide
        operation = await operations.need(db, label_id, target["operation_id"])
        if target["state"] == "unknown" and not operations.is_over(operation):
            raise NothingToDecide
        if not_there:
            code, detail = NOT_THERE
            if operations.is_open(operation):
                await operations.disproved(db, operation, code=code, detail=detail, now=now, session=session)
            elif operation["state"] == "succeeded":  # somebody was reminded
                await operations.fail(db, operation, code=code, detail=detail, now=now, session=session)
            failed = {"state": "failed", "problem": {"code": code, "detail": detail}}
            return {"$set": failed, "$unset": dict.fromkeys(IN_DOUBT, "")}
        if operations.is_open(operation):
            result = {"publication_id": publication_id, "state": "published", "decided_by": by.id}
            await operations.decided(db, operation, result=result, now=now, session=session)
        there = {"state": "published", "problem": None, "published_at": target["calling"]["at"], "permalink": permalink}
        return {"$set": there}

    return await _change(db, audit, label_id, publication_id, target_id, settle, f"decide_{outcome}", by=by, now=now)


async def mark_done(
    db: Database,
    audit: Audit,
    label_id: str,
    publication_id: str,
    target_id: str,
    *,
    permalink: str | None,
    by: By,
    now: datetime,
) -> Doc:
    """Say that a post which was to be published by hand is there; the target. Raises `NotFound`, `NothingToDecide`."""

    async def settle(target: Doc, session: Session) -> Doc:
        if target["state"] != "to_do":
            raise NothingToDecide
        return {"$set": {"state": "published", "published_at": now, "permalink": permalink}}

    return await _change(db, audit, label_id, publication_id, target_id, settle, "done", by=by, now=now)


async def _change(
    db: Database,
    audit: Audit,
    label_id: str,
    publication_id: str,
    target_id: str,
    settle: Callable[[Doc, Session], Awaitable[Doc]],
    step: str,
    *,
    by: By,
    now: datetime,
) -> Doc:
    key = {"_id": target_id, "label_id": label_id, "publication_id": publication_id}

    async def all_of_it(session: Session) -> None:
        target = await db.open("publication_targets").find_one(key, session=session)
        if target is None:
            raise NotFound
        update = await settle(target, session)
        update["$push"] = {"steps": {"step": step, "at": now, "outcome": "done", "attempt": target["attempt"]}}
        same = key | {"state": target["state"], "fence": target["fence"]}
        if (await db.open("publication_targets").update_one(same, update, session=session)).matched_count == 0:
            raise NothingToDecide
        await states.follow_targets(db, target, now=now, session=session)
        where = {"label_id": label_id, "target": publication_id}
        await audit.record(by, "publication.decided", **where, details={"step": step}, now=now, session=session)
        await _tell(db, label_id, publication_id, f"{step}:{target_id}:{target['attempt']}", now, session)

    await db.in_transaction(all_of_it)
    found = await db.open("publication_targets").find_one(key)
    if found is None:
        raise NotFound
    return found


async def _hold(db: Database, label_id: str, publication_id: str, *, now: datetime, session: Session) -> Doc:
    """Have nobody change the publication beside this; as it is. Raises `NotRetryable` for what waits for none."""
    place = {"_id": publication_id, "label_id": label_id, "state": {"$in": list(states.OURS)}}
    change: Doc = {"$set": {"updated_at": now}}
    held: Doc | None = await db.open("publications").find_one_and_update(place, change, session=session)
    if held is None:
        raise NotRetryable
    return held


async def _begin_anew(db: Database, target: Doc, *, now: datetime, session: Session) -> None:
    place = {"_id": target["connection_id"], "label_id": target["label_id"]}
    connection = await db.open("connections").find_one(place, session=session)
    if connection is None or not store.is_usable(connection, "publishing"):
        raise ConnectionNotActive
    operation = await operations.need(db, target["label_id"], target["operation_id"])
    await operations.retry(db, operation, now=now, session=session)
    within = timedelta(minutes=target["snapshot"]["late_policy"]["publish_within_min"])
    step = {"step": "retry", "at": now, "outcome": "done", "attempt": target["attempt"] + 1}
    begun: Doc = {"state": "waiting", "problem": None}
    if not (target["container"] or {}).get("called_at"):  # what was called is asked first, and only it is called again
        begun |= {"containers": [], "container": None}
    begun |= {"publish_until": max(target["publish_until"], now + max(within, SHORTEST))}
    unset = dict.fromkeys(MADE, "")
    same = {"_id": target["_id"], "label_id": target["label_id"], "state": target["state"], "fence": target["fence"]}
    update: Doc = {"$set": begun, "$unset": unset, "$inc": {"attempt": 1}, "$push": {"steps": step}}
    if (await db.open("publication_targets").update_one(same, update, session=session)).matched_count == 0:
        raise NotRetryable


async def _tell(db: Database, label_id: str, publication_id: str, what: str, now: datetime, session: Session) -> None:
    key = f"publication:{publication_id}:{what}"
    await append(db, [Event(label_id, key, "publication.changed", publication_id, now)], session=session)
