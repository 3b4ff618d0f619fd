"""What Stripe has told, worked off: for each event a look at the customer that it is about, and nothing else.

Rows are asked for their customer, never for what happened: that is fetched. A look that waits serves all of a
customer's events at once.
"""

import time
from datetime import datetime, timedelta

from app.clients.stripe_api import API_VERSION, Stripe, StripeError, StripeRefused
from app.clients.stripe_reading import customer_behind, read_customer
from app.db import ALL_LABELS, Database, Doc
from app.services.billing.looking import alarm
from app.services.billing.syncing import queue_sync

AT_ONCE = 200
ASKS_FOR_S = 12
"""So long a round asks Stripe: while its answers are slow, what waits behind the round has its turn all the same."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=10)
STRANGERS_FOR = timedelta(hours=1)
"""So long an event may name a customer that we do not know yet: its id is stored after Stripe has made it."""


async def work_off(db: Database, stripe: Stripe | None, *, now: datetime) -> list[str]:
    """Queue the looks that the waiting events ask for; the operations. Any number of workers may do it at once."""
    query = {"due_at": {"$lte": now}}
    found = await db.open("stripe_events").find(query).sort("due_at", 1).limit(AT_ONCE).to_list()
    by_customer: dict[str, list[Doc]] = {}
    ends_at = time.monotonic() + ASKS_FOR_S
    for row in found:
        if time.monotonic() > ends_at:
            break  # the rest is due as it was
        # its ids are good all the same; the endpoint is set up wrongly
        if row["attempts"] == 0 and _train(row["api_version"] or API_VERSION) != _train(API_VERSION):
            alarm("event_of_another_version", stripe_event=row["_id"])
        customer_id = row["customer_id"] or await _customer_of(db, stripe, row, now=now)
        if customer_id:
            by_customer.setdefault(customer_id, []).append(row)
    looks = by_customer.items()
    queued = [await _ask_for_look(db, stripe, one, rows, ends_at=ends_at, now=now) for one, rows in looks]
    return [one for one in queued if one]


def _train(version: str) -> str:
    """Of `2026-10-28.endive` the part within which versions only add to one another."""
    return version.partition(".")[2]


async def _customer_of(db: Database, stripe: Stripe | None, row: Doc, *, now: datetime) -> str | None:
    """Whose payment, charge or invoice the event is about: by our records, else by asking. None for nobody's."""
    if label_id := await _label_of_record(db, [*row["links"].values(), row["object_id"]]):
        account = await db.open("billing_accounts").find_one({"label_id": label_id}, {"customer_id": 1})
        if account and account["customer_id"]:
            return str(account["customer_id"])
    try:
        found = await customer_behind(stripe, row["links"]) if stripe else None
    except StripeError:
        await _put_off(db, row, now=now)
        return None
    if found is None:
        await _end(db, [row], "nobodys", now=now)
    return found


async def _label_of_record(db: Database, provider_ids: list[str | None]) -> str | None:
    known = {"provider_id": {"$in": [one for one in provider_ids if one]}}
    why = f"{ALL_LABELS}whose record an event of Stripe's is about"
    found = await db.open("money_records").find_one(known, {"label_id": 1}, comment=why)
    return str(found["label_id"]) if found else None


async def _ask_for_look(
    db: Database, stripe: Stripe | None, customer_id: str, rows: list[Doc], *, ends_at: float, now: datetime
) -> str | None:
    why = f"{ALL_LABELS}whose customer an event of Stripe's is about"
    account = await db.open("billing_accounts").find_one({"customer_id": customer_id}, {"label_id": 1}, comment=why)
    if account is not None:
        queued = await queue_sync(db, account["label_id"], now=now)
        await _end(db, rows, "done", now=now)
        return queued
    old = [row for row in rows if now - row["received_at"] >= STRANGERS_FOR]
    for row in (one for one in rows if one not in old):
        await _put_off(db, row, now=now)
    if old and time.monotonic() <= ends_at:
        await _end_stranger(db, stripe, customer_id, old, now=now)
    return None


async def _end_stranger(
    db: Database, stripe: Stripe | None, customer_id: str, rows: list[Doc], *, now: datetime
) -> None:
    """Nobody's customer. One that is said to be a label's is an alarm: somebody may pay for nothing."""
    try:
        label_id = (await read_customer(stripe, customer_id)).label_id if stripe else None
    except StripeRefused:
        label_id = None
    except StripeError:
        for row in rows:
            await _put_off(db, row, now=now)
        return
    if label_id:
        alarm("unknown_customer", label=label_id, customer=customer_id, stripe_event=rows[0]["_id"])
    await _end(db, rows, "nobodys", now=now)


async def _end(db: Database, rows: list[Doc], state: str, *, now: datetime) -> None:
    mine = {"_id": {"$in": [row["_id"] for row in rows]}}
    ended: Doc = {"$set": {"state": state, "worked_off_at": now}, "$unset": {"due_at": ""}}
    await db.open("stripe_events").update_many(mine, ended)


async def _put_off(db: Database, row: Doc, *, now: datetime) -> None:
    wait: timedelta = min(FIRST_WAIT * 2 ** min(row["attempts"], 20), LONGEST_WAIT)
    later: Doc = {"$set": {"due_at": now + wait}, "$inc": {"attempts": 1}}
    await db.open("stripe_events").update_one({"_id": row["_id"], "state": "waiting"}, later)
