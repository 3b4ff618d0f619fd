"""Who is of our support. An operator says so, by `python -m app.accounts`; no route does."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.services import support
from app.services.audit import SYSTEM, Audit
from app.services.people.accounts import email_key


async def get_account(db: Database, email: str) -> Doc | None:
    """The account of this address, or none."""
    return await db.open("users").find_one({"email_key": email_key(email)})


async def grant(db: Database, audit: Audit, user_id: str, *, now: datetime) -> bool:
    """Make somebody staff; whether it was this call that did."""
    return await _change(db, audit, user_id, {"$set": {"staff": True}}, "staff.granted", now=now)


async def revoke(db: Database, audit: Audit, user_id: str, *, now: datetime) -> tuple[bool, int]:
    """Make somebody staff no more, and end all their access to labels; whether it was this call, and how many ended."""
    revoked = await _change(db, audit, user_id, {"$unset": {"staff": ""}}, "staff.revoked", now=now)
    grants = await support.open_grants_of(db, user_id, now=now)
    for grant in grants:
        where = {"label_id": grant["label_id"], "grant_id": grant["_id"]}
        await support.end_grant(db, audit, **where, by=SYSTEM, now=now)
    return revoked, len(grants)


async def _change(db: Database, audit: Audit, user_id: str, update: Doc, action: str, *, now: datetime) -> bool:
    query: Doc = {"_id": user_id, "staff": {"$ne": True} if action == "staff.granted" else True}

    async def both(session: Session) -> bool:
        if (await db.open("users").update_one(query, update, session=session)).modified_count == 0:
            return False
        await audit.record(SYSTEM, action, chain=user_id, target=user_id, now=now, session=session)
        return True

    return await db.in_transaction(both)
