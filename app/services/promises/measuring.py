"""Measuring the promises, by workers: each when it is due, once among all workers; and telling when one changes."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parseaddr

from prometheus_client import Counter, Gauge
from pymongo.errors import DuplicateKeyError, PyMongoError

from app.db import Database, Doc, Session
from app.logs import get_logger
from app.services.mail import outbox
from app.services.promises.listing import PROMISES
from app.services.promises.promise import Look, Measured, Odd, Promise
from app.services.promises.showing import states

log = get_logger(__name__)
LONGEST_S = 60
"""So long a check may take; one that takes longer counts as failed."""
HISTORY = timedelta(days=396)
"""Thirteen months."""
REMEMBERED = 100
"""So many odd documents of each collection are looked at again."""
FAILED = "check_failed"
HOLDING = Gauge("promise_holding", "1 while the promise holds, 0 while it does not or nobody knows", ["promise"])
FIGURE = Gauge("promise_figure", "What the promise's check has measured", ["promise"])
BROKEN = Counter("promise_broken_total", "How often a promise stopped holding", ["promise"])


async def measure_due(look: Look) -> list[str]:
    """Measure what is due and not another worker's; the ids of the operations that send mails about changes.

    Every worker's figures are of what was measured last, by whichever worker.
    """
    queued: list[str] = []
    stored = {one["_id"]: one async for one in look.db.open("promise_checks").find({}, {"due_at": 1})}
    for promise in PROMISES:
        if await _claim(look.db, promise, stored.get(promise.id), now=look.now):
            queued += await measure(look, promise)
    for state in await states(look.db, now=look.now):
        HOLDING.labels(state.promise.id).set(int(state.holding))
        if state.figure is not None:
            FIGURE.labels(state.promise.id).set(state.figure)
    return queued


async def measure_all(look: Look) -> list[str]:
    """Measure every promise now, whether or not it is due."""
    return [sent for promise in PROMISES for sent in await measure(look, promise)]


async def measure(look: Look, promise: Promise) -> list[str]:
    """Measure one promise, store what was found, and tell of a change. Raises `PyMongoError` when that cannot be."""
    last = await look.db.open("promise_checks").find_one({"_id": promise.id}, {"odd": 1})
    measured = await _look(replace(look, again=(last or {}).get("odd", {})), promise)

    async def store(session: Session) -> tuple[bool, list[str]]:
        before = await look.db.open("promise_checks").find_one({"_id": promise.id}, session=session)
        was = before.get("holding") if before else None
        holding = measured is not None and measured.holding
        changed = (was is not None and was != holding) or (was is None and not holding)
        await _store(look, promise, measured, before, session)
        told = await _tell(look, promise, measured, holding, session) if changed else []
        return changed, told

    changed, told = await look.db.in_transaction(store)
    if changed:
        _log(promise, measured)
    return told


async def _look(look: Look, promise: Promise) -> Measured | None:
    """What the check finds; none when it fails, whatever the reason: then nobody knows that the promise holds."""
    try:
        async with asyncio.timeout(LONGEST_S):
            found = await promise.check(look)
            return await _confirmed(look, promise, found) if found.odd else found
    except PyMongoError as exc:
        log.warning("a promise cannot be measured", promise=promise.id, reason=type(exc).__name__)
    except Exception:  # a check's edge: the others go on
        log.exception("a promise cannot be measured", promise=promise.id)
    return None


async def _confirmed(look: Look, promise: Promise, first: Measured) -> Measured:
    """The same without what is not odd any more when it is looked at once more: it was being written meanwhile."""
    second = await promise.check(replace(look, again=first.odd))
    odd = {name: [_id for _id in ids if _id in first.odd.get(name, ())] for name, ids in second.odd.items()}
    figure = second.figure - _count(second.odd) + _count(odd)
    detail = second.detail if figure > second.allowed else ""
    return Measured(figure, second.allowed, detail, {name: ids for name, ids in odd.items() if ids})


def _count(odd: Odd) -> int:
    return sum(len(ids) for ids in odd.values())


async def _claim(db: Database, promise: Promise, stored: Doc | None, *, now: datetime) -> bool:
    """Whether it is due, and this worker's to measure."""
    checks, due_at = db.open("promise_checks"), now + promise.every
    if stored is None:
        try:
            await checks.insert_one({"_id": promise.id, "due_at": due_at, "since": now})
        except DuplicateKeyError:
            return False
        return True
    if stored["due_at"] > now and stored["due_at"] <= due_at:  # else the clock was set back
        return False
    mine = {"_id": promise.id, "due_at": stored["due_at"]}
    return (await checks.update_one(mine, {"$set": {"due_at": due_at}})).modified_count == 1


async def _store(look: Look, promise: Promise, measured: Measured | None, before: Doc | None, session: Session) -> None:
    """What was found: as the latest, and in the day's row, which keeps the worst."""
    holding = measured is not None and measured.holding
    latest: Doc = {
        "holding": holding,
        "figure": measured.figure if measured else None,
        "allowed": measured.allowed if measured else None,
        "detail": measured.detail if measured else FAILED,
        "checked_at": look.now,
    }
    if measured:
        latest["odd"] = {name: list(ids[:REMEMBERED]) for name, ids in measured.odd.items()}
    if before is None or before.get("holding") != holding:
        latest["since"] = look.now
    first = {"due_at": look.now + promise.every} if before is None else {}
    update = {"$set": latest} | ({"$setOnInsert": first} if first else {})
    await look.db.open("promise_checks").update_one({"_id": promise.id}, update, upsert=True, session=session)
    day = look.now.date().isoformat()
    midnight = look.now.replace(hour=0, minute=0, second=0, microsecond=0)
    row: Doc = {
        "$inc": {"checks": 1, "broken": int(not holding)},
        "$setOnInsert": {"promise_id": promise.id, "day": day, "expires_at": midnight + HISTORY},
    }
    if measured:
        row |= {"$max": {"figure": measured.figure}, "$set": {"allowed": measured.allowed}}
    key = {"_id": f"{promise.id}/{day}"}
    await look.db.open("promise_days").update_one(key, row, upsert=True, session=session)


async def _tell(look: Look, promise: Promise, measured: Measured | None, holding: bool, session: Session) -> list[str]:
    """Mail it to our privacy desk, once a change."""
    facts = {
        "promise": promise.id,
        "section": promise.section,
        "state": "holds again" if holding else "does not hold any more",
        "plain": promise.plain,
        "figure": f"{measured.figure:g}" if measured else "nothing, for the check failed",
        "unit": promise.unit if measured else "",
        "allowed": f"{measured.allowed:g}" if measured else "",
        "detail": measured.detail if measured else FAILED,
    }
    to = parseaddr(look.settings.privacy_mail)[1]
    letter = outbox.queue(
        look.db, "promise_changed", subject=outbox.OURSELVES, to=to, facts=facts, now=look.now, session=session
    )
    return [await letter]


def _log(promise: Promise, measured: Measured | None) -> None:
    """A change."""
    found = {"figure": measured.figure, "allowed": measured.allowed, "detail": measured.detail} if measured else {}
    if measured is not None and measured.holding:
        log.info("a promise holds again", promise=promise.id, **found)
        return
    BROKEN.labels(promise.id).inc()
    log.error("a promise does not hold", promise=promise.id, **found)
