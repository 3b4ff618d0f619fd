"""Addresses that get no marketing mail any more: keyed hashes, which outlive the account and name nobody.

The key derives from our own secret (`derive(settings, PURPOSE)`): without it, nobody can try addresses against the
list. With another secret the list is void: see docs/operations.md.
"""

import hashlib
import hmac
from datetime import datetime

from app.db import Database, Session
from app.services.people.addresses import email_key

PURPOSE = "suppressed addresses"
"""What the key is derived for."""


def mark_of(key: bytes, email: str) -> str:
    """What stands for this address on the list: 64 hexadecimal digits."""
    return hmac.new(key, email_key(email).encode(), hashlib.sha256).hexdigest()


async def suppress(db: Database, key: bytes, email: str, *, now: datetime, session: Session | None = None) -> None:
    """Send no marketing mail to this address any more. It may be said again: the last time counts."""
    await suppress_mark(db, mark_of(key, email), now=now, session=session)


async def suppress_mark(db: Database, mark: str, *, now: datetime, session: Session | None = None) -> None:
    """The same for an address of which only the mark is known."""
    await db.open("suppressions").update_one({"_id": mark}, {"$max": {"at": now}}, upsert=True, session=session)


async def suppressed(db: Database, key: bytes, email: str, *, consented_at: datetime | None = None) -> bool:
    """Whether this address must not be mailed. A consent that was given later, by whoever reads its mails, ends it."""
    found = await db.open("suppressions").find_one({"_id": mark_of(key, email)})
    return found is not None and (consented_at is None or found["at"] >= consented_at)
