"""Asking for a look at Stripe: whatever may have changed there, one look of a worker's brings all of it here."""

from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session, TryTransactionAgain
from app.models.operations import OperationKind
from app.services import operations

KIND: OperationKind = "billing_sync"
LIFE = timedelta(days=2)
"""So long a look that has ended is shown: there is one a day at least."""


def queue_of(label_id: str) -> str:
    """The queue in which a label's looks wait, so that they begin one after the other."""
    return f"{KIND}:{label_id}"


async def queue_sync(db: Database, label_id: str, *, now: datetime, session: Session | None = None) -> str | None:
    """Have a worker look at the label's customer; the operation's id. None while it is no customer of Stripe's.

    One look waits at most. Its key counts the looks that have begun: what is asked for after one has begun needs
    another, since that one may have seen what was before.
    """
    account = await db.open("billing_accounts").find_one({"label_id": label_id}, session=session)
    if account is None or account["customer_id"] is None:
        return None
    waiting = await _waiting(db, label_id, session)
    if waiting is not None:
        return str(waiting["_id"])
    key = base = f"{KIND}:{account.get('fetches', 0)}"
    while (found := await operations.by_key(db, label_id, key, session=session)) is not None:
        if found["state"] not in operations.ENDED:
            return str(found["_id"])
        key = f"{base}:{found['_id']}"  # it ended before its look began, as while billing is off
    told: Doc = {"target": account["_id"], "key": key, "queue": queue_of(label_id), "life": LIFE}
    try:
        added = await operations.add(db, label_id=label_id, kind=KIND, **told, now=now, session=session)
    except DuplicateKeyError as exc:
        if session is not None:
            raise TryTransactionAgain from exc
        found = await operations.by_key(db, label_id, key)
        return str(found["_id"]) if found else None
    return str(added["_id"])


async def _waiting(db: Database, label_id: str, session: Session | None) -> Doc | None:
    query = {"label_id": label_id, "queue": queue_of(label_id), "due_at": operations.STILL_DUE, "state": "queued"}
    return await db.open("operations").find_one(query, {"_id": 1}, session=session)
