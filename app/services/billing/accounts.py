"""A label's billing account, made when it is first needed."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session, TryTransactionAgain
from app.ids import new_id


async def touch(db: Database, label_id: str, update: Doc, *, now: datetime, session: Session) -> None:
    """Change the account, which is made if it is not there, in the caller's transaction.

    Who does so at the same time conflicts, and comes after: what is counted behind it is not counted by two at once.
    """
    fresh: Doc = {
        "_id": new_id("bil"),
        "customer_id": None,
        "details": None,
        "subscription": None,
        "payment_method": None,
        "had_trial": False,
        "past_due_since": None,
        "live_subscriptions": 0,
        "synced_at": None,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    given = {name for part in update.values() for name in part}
    made = {name: value for name, value in fresh.items() if name not in given}
    try:
        await db.open("billing_accounts").update_one(
            {"label_id": label_id}, update | {"$setOnInsert": made}, upsert=True, session=session
        )
    except DuplicateKeyError as exc:  # two at once were the label's first
        raise TryTransactionAgain from exc


async def need(db: Database, label_id: str) -> Doc:
    """The account, which an order has made."""
    account = await db.open("billing_accounts").find_one({"label_id": label_id})
    if account is None:
        raise LookupError("an order was placed without an account")
    return account
