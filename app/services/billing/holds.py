"""Legal holds: while one is placed on a label, none of its money records is purged, whatever its date."""

import re
from datetime import datetime

from pymongo import UpdateOne

from app.db import Database, Doc, Session
from app.errors import Conflict, NotFound
from app.ids import new_id
from app.models.keeping_law import Books, keeping_of
from app.services.audit import SYSTEM, Audit
from app.services.billing import money

CODE = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9./_-]{1,59}")
CODE_WORDS = "an authority's file number: letters, digits, . / _ and -, a digit among them; it stands in the audit log"


async def place(db: Database, audit: Audit, label_id: str, *, reason: str, now: datetime) -> str:
    """Hold what there is of the label's, and what comes; the hold's id. `reason` is a code, of an authority's file.

    Raises `NotFound` for a label that has never had anything to do with billing, `Conflict` where a hold is placed
    already, `ValueError` for what is no code.
    """
    if not CODE.fullmatch(reason):
        raise ValueError(f"CODE is {CODE_WORDS}. No names.")
    hold: Doc = {"_id": new_id("hld"), "label_id": label_id, "reason": reason, "placed_at": now, "released_at": None}

    async def all_of_it(session: Session) -> None:
        if await money.is_held(db, label_id, session=session):
            raise Conflict("A hold is placed already")
        of_label = {"label_id": label_id}
        # a change of the account, so that a label which ends at the same time ends before or after it
        account = await db.open("billing_accounts").update_one(of_label, {"$inc": {"holds": 1}}, session=session)
        if account.matched_count == 0:
            raise NotFound("This label has nothing to do with billing, or there is no such label.")
        await db.open("legal_holds").insert_one(hold, session=session)
        await db.open("money_records").update_many(of_label, {"$unset": {"purge_at": ""}}, session=session)
        await _log(audit, "billing.hold_placed", hold, now, session)

    await db.in_transaction(all_of_it)
    return str(hold["_id"])


async def release(db: Database, audit: Audit, label_id: str, *, books: Books, now: datetime) -> None:
    """End the hold: each record is purged when its time has come, or at once. Raises `NotFound` where there is none."""

    async def all_of_it(session: Session) -> None:
        query = {"label_id": label_id, "released_at": None}
        hold = await db.open("legal_holds").find_one(query, session=session)
        if hold is None:
            raise NotFound("No hold is placed on this label.")
        mine = {"_id": hold["_id"], "label_id": label_id}
        await db.open("legal_holds").update_one(mine, {"$set": {"released_at": now}}, session=session)
        await redate(db, label_id, books=books, session=session)
        await _log(audit, "billing.hold_released", hold, now, session)

    await db.in_transaction(all_of_it)


async def redate_unless_held(db: Database, label_id: str, *, books: Books) -> int:
    """The same for a label that may be held, whose records then keep having no end."""

    async def all_of_it(session: Session) -> int:
        if await money.is_held(db, label_id, session=session):
            return 0
        return await redate(db, label_id, books=books, session=session)

    return await db.in_transaction(all_of_it)


async def redate(db: Database, label_id: str, *, books: Books, session: Session) -> int:
    """Set anew until when the label's records are kept, as the law is now; how many there are."""
    found = await db.open("money_records").find({"label_id": label_id}, session=session).to_list()
    writes = [UpdateOne({"_id": one["_id"], "label_id": label_id}, {"$set": keeping(one, books)}) for one in found]
    if writes:
        await db.open("money_records").bulk_write(writes, ordered=False, session=session)
    return len(writes)


def keeping(record: Doc, books: Books) -> Doc:
    """Until when a record is kept by today's law."""
    kept = keeping_of(record["latest_at"], books, country=record["country"], has_tax_id=record["has_tax_id"])
    return {"keep_until": kept.last_day.isoformat(), "law": kept.law, "purge_at": kept.purge_at}


async def _log(audit: Audit, action: str, hold: Doc, now: datetime, session: Session) -> None:
    """The operator's doing, in the label's log. The reason is a code, or `By` would refuse it."""
    where, why = {"label_id": hold["label_id"], "target": hold["_id"]}, {"reason": hold["reason"]}
    await audit.record(SYSTEM, action, **where, details=why, now=now, session=session)
