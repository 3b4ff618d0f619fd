"""A worker's look at a customer: everything of it is fetched, and written with a guard.

The guard is a ticket, counted up in the database before the first call: what was fetched with a lower ticket than what
is written came from an earlier look, and is dropped. Clocks of several machines play no part. So duplicates, any order,
late and lost events end in the same state, as soon as one look has followed the last change.
"""

from datetime import datetime, timedelta

from prometheus_client import Counter
from pymongo import ReturnDocument

from app.clients.stripe_api import Stripe, StripeBusy, StripeError, StripeKeyDead, StripeRefused
from app.clients.stripe_reading import Facts, read_facts
from app.db import Database, Doc, Session
from app.logs import get_logger
from app.models.keeping_law import Books
from app.services.audit import SYSTEM
from app.services.billing import money, projecting, selling, telling
from app.services.billing.orders import Desk
from app.services.connections.hands import Hands
from app.services.operations import GiveUp, TryAgain

log = get_logger(__name__)
ALARMS = Counter("billing_alarms_total", "What somebody should look at in billing", ["what"])
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=10)
KEY_DEAD_WAIT = timedelta(minutes=5)


async def sync(hands: Hands, operation: Doc) -> Doc:
    """The operation `billing_sync`. Raises `TryAgain`, `GiveUp`."""
    label_id = operation["label_id"]
    account = await hands.db.open("billing_accounts").find_one({"label_id": label_id})
    if account is None or account["customer_id"] is None:
        raise GiveUp("no_customer", "The label is no customer.")
    if hands.stripe is None:
        raise GiveUp("billing_off", "Billing is off.")
    try:
        found = await look(hands.db, hands.stripe, account, books=hands.settings.books, now=hands.clock())
    except StripeError as exc:
        raise outcome_of(exc, operation, now=hands.clock()) from exc
    await selling.cancel_again(Desk(hands.db, hands.audit, label_id, SYSTEM, hands.clock()))
    return found


def outcome_of(exc: StripeError, operation: Doc, *, now: datetime) -> TryAgain | GiveUp:
    """What a failed call means for an operation that only reads, or whose calls may be repeated."""
    if isinstance(exc, StripeBusy):
        return TryAgain(now + exc.retry_after, "stripe_busy")
    if isinstance(exc, StripeKeyDead):
        alarm("stripe_key_dead", operation=operation["_id"])
        return TryAgain(now + KEY_DEAD_WAIT, "billing_unavailable")
    if isinstance(exc, StripeRefused):
        alarm("stripe_refused", operation=operation["_id"], code=exc.code, request=exc.request_id)
        return GiveUp("refused_by_stripe", "Stripe refuses it. Our support has been told.")
    wait: timedelta = min(FIRST_WAIT * 2 ** min(operation["attempts"], 20), LONGEST_WAIT)
    return TryAgain(now + wait, "stripe_unavailable")


def alarm(what: str, **about: str) -> None:
    """Have somebody look at it: a counter to be alerted by, and a line with ids."""
    ALARMS.labels(what).inc()
    log.error("billing needs a look", what=what, **about)


async def look(db: Database, stripe: Stripe, account: Doc, *, books: Books, now: datetime) -> Doc:
    """Fetch everything of the customer and write it down; what the account says then. Raises `StripeError`."""
    ticket = await _draw(db, account)
    facts = await read_facts(stripe, account["customer_id"])
    label_id = account["label_id"]

    async def write(session: Session) -> Doc:
        return await _write(db, label_id, facts, ticket, books=books, now=now, session=session)

    async with db.turn(f"billing:{label_id}"):
        written = await db.in_transaction(write)
    for what in projecting.alarms_of(written) if "access" in written else []:
        alarm(what, label=label_id)
    shown = written["subscription"]
    return {"access": written.get("access"), "status": shown["status"] if shown else None}


async def _draw(db: Database, account: Doc) -> int:
    """The number of this look. Raises `GiveUp` when the account went away."""
    place = {"_id": account["_id"], "label_id": account["label_id"]}
    drawn = await db.open("billing_accounts").find_one_and_update(
        place, {"$inc": {"fetches": 1}}, {"fetches": 1}, return_document=ReturnDocument.AFTER
    )
    if drawn is None:
        raise GiveUp("no_customer", "The label is no customer any more.")
    return int(drawn["fetches"])


async def _write(
    db: Database, label_id: str, facts: Facts, ticket: int, *, books: Books, now: datetime, session: Session
) -> Doc:
    """The account after this look; as it stands when a later look has been written already."""
    accounts = db.open("billing_accounts")
    before = await accounts.find_one({"label_id": label_id}, session=session)
    if before is None:
        raise GiveUp("no_customer", "The label is no customer any more.")
    if before["customer_id"] != facts.customer.id or before.get("synced_fetch", 0) >= ticket:
        return before
    erased = before.get("erased_at") is not None
    found = projecting.account_of(facts, before, now=now)
    if erased:
        found |= {"details": None, "payment_method": None, "look_at": None}
    after = before | found | {"synced_fetch": ticket}
    known = await money.known_of(db, label_id, session=session)
    records = money.records_of(facts, known, now=now)
    silent = erased or "ending" in before
    told = {} if silent else await telling.tell(db, before, after, records, known, facts, now=now, session=session)
    mine = {"_id": before["_id"], "label_id": label_id}
    await accounts.update_one(mine, _update(before, after, told, now), session=session)
    await money.write(db, label_id, records, known, erased=erased, books=books, now=now, session=session)
    if facts.customer.deleted:  # its checkout leads nowhere: who asks for the same again gets another
        of_it = {"label_id": label_id, "running": True, "customer_id": facts.customer.id}
        await db.open("billing_orders").update_many(of_it, {"$unset": {"running": ""}}, session=session)
    return after


def _update(before: Doc, after: Doc, told: Doc, now: datetime) -> Doc:
    """The change. The version, which callers see, counts only what they can see of it."""
    changes = {name: value for name, value in after.items() if name not in before or before[name] != value}
    seen = changes.keys() - {"look_at", "synced_fetch", "known_status", "renewing_subscriptions"}
    update: Doc = {"$set": changes | told | {"synced_at": now}, "$inc": {}}
    if "look_at" in changes and changes["look_at"] is None:
        del update["$set"]["look_at"]
        update["$unset"] = {"look_at": ""}
    if seen:
        update["$set"]["updated_at"] = now
        update["$inc"] |= {"version": 1}
    if "details_wished" not in before and _in_order(before["details"]) != _in_order(after["details"]):
        update["$inc"] |= {"details_version": 1}  # somebody changed them at the checkout or in the portal
    return {name: value for name, value in update.items() if value}


def _in_order(details: Doc | None) -> Doc | None:
    """Details with their tax numbers in order: Stripe lists them as they came."""
    if details is None:
        return None
    return details | {"tax_ids": sorted((one["type"], one["value"]) for one in details["tax_ids"])}
