"""The purge: money records go when no law asks for them any more, and with the last of them all that hangs on them.

It looks at the law and at holds again before it deletes, so that a date that was set by an older rule does no harm.
What is purged is not written again, though Stripe still lists it (`money.write`).
"""

from datetime import datetime

from app.db import ALL_LABELS, Database, Doc, Session
from app.logs import get_logger
from app.models.keeping_law import Books
from app.services.audit import SYSTEM, Audit
from app.services.billing import holds, money

log = get_logger(__name__)
AT_ONCE = 500


async def purge(db: Database, audit: Audit, *, books: Books, now: datetime) -> int:
    """Delete every record whose time has come; how many were deleted."""
    total = 0
    while found := await _due(db, now):
        labels = {one["label_id"] for one in found}
        total += sum([await _purge_label(db, audit, label_id, books=books, now=now) for label_id in sorted(labels)])
    return total


async def _due(db: Database, now: datetime) -> list[Doc]:
    why = f"{ALL_LABELS}records of money whose time has come"
    found = db.open("money_records").find({"purge_at": {"$lte": now}}, {"label_id": 1}, comment=why)
    return await found.sort("purge_at", 1).limit(AT_ONCE).to_list()


async def _purge_label(db: Database, audit: Audit, label_id: str, *, books: Books, now: datetime) -> int:
    async def all_of_it(session: Session) -> int:
        records = db.open("money_records")
        query = {"label_id": label_id, "purge_at": {"$lte": now}}
        due = await records.find(query, session=session).to_list()
        if await money.is_held(db, label_id, session=session):
            await records.update_many(query, {"$unset": {"purge_at": ""}}, session=session)
            return 0
        kept = {one["_id"]: keeping for one in due if (keeping := holds.keeping(one, books))["purge_at"] > now}
        for record_id, keeping in kept.items():
            await records.update_one({"_id": record_id, "label_id": label_id}, {"$set": keeping}, session=session)
        gone = [one["_id"] for one in due if one["_id"] not in kept]
        await records.delete_many({"label_id": label_id, "_id": {"$in": gone}}, session=session)
        await _purge_parties(db, label_id, {one["party_id"] for one in due if "party_id" in one}, session)
        if gone:
            where, told = {"label_id": label_id, "target": label_id}, {"count": str(len(gone))}
            await audit.record(SYSTEM, "billing.purged", **where, details=told, now=now, session=session)
        await _end_of_erased(db, label_id, session)
        return len(gone)

    return await db.in_transaction(all_of_it)


async def _purge_parties(db: Database, label_id: str, parties: set[str], session: Session) -> None:
    """Whom no record names any more is forgotten."""
    for party_id in sorted(parties):
        named = {"label_id": label_id, "party_id": party_id}
        if await db.open("money_records").find_one(named, {"_id": 1}, session=session) is None:
            await db.open("money_parties").delete_one({"_id": party_id, "label_id": label_id}, session=session)


async def _end_of_erased(db: Database, label_id: str, session: Session) -> None:
    """With the last record of a label that is gone, what is left of its account goes too."""
    of_label = {"label_id": label_id}
    if await db.open("money_records").find_one(of_label, {"_id": 1}, session=session) is not None:
        return
    erased = of_label | {"erased_at": {"$type": "date"}}
    gone = await db.open("billing_accounts").delete_one(erased, session=session)
    if gone.deleted_count:
        await db.open("legal_holds").delete_many(of_label, session=session)
        log.info("nothing is left of a label that was erased", pseudonym=label_id)
