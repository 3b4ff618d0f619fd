"""The end of a label as a customer: nothing more is charged, and its money records stay under a pseudonym.

The customer is deleted at Stripe, which ends its subscriptions at once and takes its cards away; what it had to pay
stays there. Here the records, and what little of the account they need, change hands from the label to a pseudonym that
leads back to nobody: no list says whose it was. Then the label's own data can go.
"""

from datetime import datetime, timedelta

from app.clients.stripe_api import Stripe, StripeError, StripeRefused
from app.clients.stripe_reading import end_customer
from app.clock import Clock
from app.db import Database, Doc, Session
from app.ids import new_id
from app.models.keeping_law import Books
from app.services.audit import SYSTEM, Audit
from app.services.billing.looking import alarm, look
from app.services.operations import TryAgain

AWAY = timedelta(minutes=1)
KEPT = ("money_records", "money_parties", "legal_holds")
FORGOTTEN = {"details": None, "payment_method": None, "subscription": None, "past_due_since": None}


async def end_of_label(
    db: Database, stripe: Stripe | None, audit: Audit, label_id: str, *, books: Books, clock: Clock
) -> None:
    """End it; done again it changes nothing. Raises `TryAgain` while Stripe is away, or billing is off."""
    accounts = db.open("billing_accounts")
    account = await accounts.find_one({"label_id": label_id})
    if account is None:
        return
    if account["customer_id"] is not None:
        if stripe is None:
            alarm("label_ends_without_stripe", label=label_id)
            raise TryAgain(clock() + AWAY, "billing_unavailable")
        await _end_at_stripe(db, stripe, account, books=books, clock=clock)
    now = clock()
    await db.in_transaction(lambda session: pseudonymise(db, audit, label_id, now, session))


async def _end_at_stripe(db: Database, stripe: Stripe, account: Doc, *, books: Books, clock: Clock) -> None:
    """All that was paid is written down before and after: what ends may still be charged for on the way.

    From here on nobody is told of what changes: the label's end has been announced long ago. A customer that Stripe
    does not have, as after the account was changed, has nothing to be ended: that is an alarm, and no reason to wait.
    """
    mine = {"_id": account["_id"], "label_id": account["label_id"]}
    await db.open("billing_accounts").update_one(mine, {"$set": {"ending": True}})
    try:
        await look(db, stripe, account, books=books, now=clock())
        await end_customer(stripe, account["customer_id"])
        await look(db, stripe, account, books=books, now=clock())
    except StripeError as exc:
        if isinstance(exc, StripeRefused) and exc.code == "resource_missing":
            alarm("customer_gone", label=account["label_id"], customer=account["customer_id"])
            return
        alarm("label_ends_while_stripe_is_away", label=account["label_id"], code=exc.code)
        raise TryAgain(clock() + AWAY, "stripe_unavailable") from exc


async def pseudonymise(db: Database, audit: Audit, label_id: str, now: datetime, session: Session) -> None:
    """Without a record there is nothing to keep, or to hold: then the account goes with the label."""
    of_label, accounts = {"label_id": label_id}, db.open("billing_accounts")
    records = await db.open("money_records").count_documents(of_label, session=session)
    if not records:
        await accounts.delete_one(of_label, session=session)
        await db.open("legal_holds").delete_many(of_label, session=session)
        return
    pseudonym = new_id("gone")
    for name in KEPT:
        await db.open(name).update_many(of_label, {"$set": {"label_id": pseudonym}}, session=session)
    links = {"$unset": {"links": ""}}
    await db.open("money_records").update_many({"label_id": pseudonym}, links, session=session)
    stub: Doc = FORGOTTEN | {"_id": new_id("bil"), "label_id": pseudonym, "erased_at": now}
    account = await accounts.find_one(of_label, session=session)
    await accounts.delete_one(of_label, session=session)
    if account is not None:
        stub |= {name: account[name] for name in ("customer_id", "had_trial", "fetches", "synced_fetch")}
        stub |= {"live_subscriptions": 0, "customer_gone": True, "version": 1, "created_at": now, "updated_at": now}
        await accounts.insert_one(stub, session=session)
    where, told = {"label_id": label_id, "target": label_id}, {"records": str(records)}
    await audit.record(SYSTEM, "billing.pseudonymised", **where, details=told, now=now, session=session)
