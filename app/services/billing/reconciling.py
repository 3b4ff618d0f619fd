"""Events that never arrived, found in Stripe's list: every quarter of an hour, and for up to 30 days after an outage.

`stripe_cursors` says up to when every event is known. From there the list is walked forward in windows, each written
down before the cursor moves; what was delivered meanwhile is known already. Beyond 30 days Stripe lists none: then
every customer is looked at anew (`python -m workers.ledger reconcile --all`).
"""

import time
from datetime import datetime, timedelta

from prometheus_client import Gauge
from pymongo.errors import DuplicateKeyError

from app.clients.stripe_api import Stripe, StripeError
from app.clients.stripe_reading import page_of_events
from app.db import ALL_LABELS, Database, Doc
from app.logs import get_logger
from app.models.base import rfc3339
from app.models.operations import OperationKind
from app.services import operations
from app.services.billing import stripe_events
from app.services.billing.looking import alarm, outcome_of
from app.services.billing.stripe_events import NotAnEvent, StripeEvent
from app.services.billing.syncing import queue_sync
from app.services.connections.hands import Hands
from app.services.operations import GiveUp, TryAgain

log = get_logger(__name__)
KIND: OperationKind = "billing_reconcile"
EVERY = timedelta(minutes=15)
LISTED_FOR = timedelta(days=30)
OVERLAP = timedelta(minutes=10)
"""Looked at again each time: an event may appear in the list a little after its own time."""
WINDOW, SHORTEST_WINDOW = timedelta(days=1), timedelta(minutes=1)
MOST_PAGES = 50
"""Of a window that has more, only half is taken: each is known in whole before the cursor moves."""
WALKS_FOR_S = 12
"""Then the operation is put back, to be gone on with, long before its lease ends."""
AT_ONCE = 200
BEHIND = Gauge("billing_events_behind_seconds", "Since when events of Stripe's may be unknown here")


async def plan(db: Database, *, now: datetime) -> str | None:
    """Queue this quarter's walk; its id, if it was this call. Whichever worker comes first does."""
    slot = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % EVERY
    key = f"{KIND}:{rfc3339(slot)}"
    if await operations.by_key(db, None, key):
        return None
    try:
        return await queue(db, key=key, now=now)
    except DuplicateKeyError:
        return None


async def queue(db: Database, *, key: str, now: datetime) -> str:
    """Queue a walk. Raises `DuplicateKeyError` for one that is there."""
    life = timedelta(days=2)
    found = await operations.add(db, label_id=None, kind=KIND, target="stripe", key=key, queue=KIND, now=now, life=life)
    return str(found["_id"])


async def reconcile(hands: Hands, operation: Doc) -> Doc:
    """The operation `billing_reconcile`. Raises `TryAgain` where more is to be walked, and `GiveUp`."""
    if hands.stripe is None:
        raise GiveUp("billing_off", "Billing is off.")
    try:
        ends_at = time.monotonic() + WALKS_FOR_S
        while time.monotonic() < ends_at:
            if await walk_window(hands.db, hands.stripe, now=hands.clock()):
                return {}
    except StripeError as exc:
        raise outcome_of(exc, operation, now=hands.clock()) from exc
    raise TryAgain(hands.clock(), operations.WAITING)


async def walk_window(db: Database, stripe: Stripe, *, now: datetime) -> bool:
    """Walk the next window that is not known; whether all is known up to now. Raises `StripeError`."""
    through = await known_through(db, now=now)
    if through > now + OVERLAP:
        through = await _begin_again(db, through, now=now)
    return await walk_on(db, stripe, through=through, now=now) >= now


async def walk_on(db: Database, stripe: Stripe, *, through: datetime, now: datetime) -> datetime:
    """Write down what the list has of the next window after `through`; up to when that was.

    All before `through` must be known: the cursor moves on behind the window, though never back. Raises `StripeError`.
    """
    since, span = max(through - OVERLAP, now - LISTED_FOR), WINDOW
    while True:
        until = min(through + span, now)
        most = MOST_PAGES if span > SHORTEST_WINDOW else None
        if await _record(db, stripe, since, until, most_pages=most, now=now):
            await _move(db, until, now=now)
            return until
        span /= 2


async def _record(
    db: Database, stripe: Stripe, since: datetime, until: datetime, *, most_pages: int | None, now: datetime
) -> bool:
    """Write down all that is listed between these; false when it is more than so many pages."""
    after, more, found, pages = None, True, 0, 0
    while more:
        if pages == most_pages:
            return False
        rows, more = await page_of_events(stripe, since=since, until=until + timedelta(seconds=1), after=after)
        events = [event for row in rows if (event := _event_of(row))]
        found += await stripe_events.record(db, events, found_by="listing", now=now)
        after, pages = (rows[-1].get("id"), pages + 1) if rows else (None, pages)
        more = more and bool(rows)
    if found:
        log.warning("events of Stripe's had not arrived", count=found, since=rfc3339(since), until=rfc3339(until))
    return True


def _event_of(row: Doc) -> StripeEvent | None:
    try:
        return stripe_events.event_of(row)
    except NotAnEvent:
        log.error("Stripe lists an event that is none")
        return None


async def known_through(db: Database, *, now: datetime) -> datetime:
    """Up to when every event is known; at first, as far back as Stripe lists them."""
    found = await db.open("stripe_cursors").find_one({"_id": "events"})
    through: datetime = found["through"] if found else now - LISTED_FOR
    BEHIND.set((now - through).total_seconds())
    return through


async def _begin_again(db: Database, ahead: datetime, *, now: datetime) -> datetime:
    """Put back a cursor that a wrong clock has moved ahead of time, behind all that it may have passed over; to where.

    Less than the overlap does no harm: two clocks may differ by as much.
    """
    alarm("events_known_ahead_of_time", through=rfc3339(ahead))
    to = now - LISTED_FOR
    mine, moved = {"_id": "events", "through": ahead}, {"$set": {"through": to, "updated_at": now}}
    await db.open("stripe_cursors").update_one(mine, moved)
    return to


async def _move(db: Database, until: datetime, *, now: datetime) -> None:
    """Forward only: another walk may be further on."""
    moved: Doc = {"$max": {"through": until}, "$set": {"updated_at": now}}
    await db.open("stripe_cursors").update_one({"_id": "events"}, moved, upsert=True)
    BEHIND.set((now - until).total_seconds())


async def tend(db: Database, *, now: datetime) -> list[str]:
    """Queue looks at those customers at whom it is time to look; the operations."""
    return [one for one in [await _plan_look(db, found, now=now) for found in await _due(db, now)] if one]


async def _due(db: Database, now: datetime) -> list[Doc]:
    why = f"{ALL_LABELS}which customers are due to be looked at"
    found = db.open("billing_accounts").find({"look_at": {"$lte": now}}, {"label_id": 1, "look_at": 1}, comment=why)
    return await found.sort("look_at", 1).limit(AT_ONCE).to_list()


async def _plan_look(db: Database, account: Doc, *, now: datetime) -> str | None:
    """The look itself says when to look next; until it does, nobody asks again for an hour."""
    queued = await queue_sync(db, account["label_id"], now=now)
    mine = {"_id": account["_id"], "label_id": account["label_id"], "look_at": account["look_at"]}
    await db.open("billing_accounts").update_one(mine, {"$set": {"look_at": now + timedelta(hours=1)}})
    return queued
