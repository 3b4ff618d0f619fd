"""Our support looking into a label: for a stated reason, for a while, and visible to the label."""

from datetime import datetime, timedelta

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import Conflict, Forbidden, NotFound
from app.ids import new_id
from app.services.audit import LIFE, Audit, By
from app.services.labels import labels


async def grant_of(db: Database, user_id: str, label_id: str, *, now: datetime) -> Doc | None:
    """The grant by which this person of our support may look into the label now, or none."""
    grant = await _open_grant(db, user_id, label_id, now=now)
    if grant and await db.open("users").find_one({"_id": user_id, "staff": True}, {"_id": 1}):
        return grant
    return None


async def open_grant(
    db: Database, audit: Audit, *, label_id: str, reason: str, minutes: int, by: By, now: datetime
) -> Doc:
    """Let this person of our support look into the label for some minutes.

    Raises `NotFound` for whoever is not staff, `Forbidden` without a confirmed second factor, `Conflict` while they
    have access already.
    """
    grant: Doc = {
        "_id": new_id("sup"),
        "label_id": label_id,
        "user_id": by.id,
        "reason": reason,
        "created_at": now,
        "ends_at": now + timedelta(minutes=minutes),
        "ended_by": None,
        "expires_at": now + LIFE,
    }

    async def both(session: Session) -> None:
        staff = {"_id": by.id, "staff": True, "erasure_due_at": None}
        used = {"$set": {"support_opened_at": now}, "$addToSet": {"worked_in": label_id}}
        # a write, so that it conflicts with a revocation or an erasure at the same time
        if (await db.open("users").update_one(staff, used, session=session)).matched_count == 0:
            raise NotFound
        await labels.need_label(db, label_id)
        if not await db.open("second_factors").find_one({"_id": by.id, "confirmed_at": {"$type": "date"}}):
            raise Forbidden("Support access needs a confirmed second factor")
        if await _open_grant(db, by.id, label_id, now=now, session=session):
            raise Conflict("You have access to this label already; end it first")
        await db.open("support_grants").insert_one(grant, session=session)
        told = {"minutes": str(minutes)}
        await audit.record(
            by, "support.opened", label_id=label_id, target=grant["_id"], details=told, now=now, session=session
        )

    await db.in_transaction(both)
    return grant


async def end_grant(db: Database, audit: Audit, *, label_id: str, grant_id: str, by: By, now: datetime) -> None:
    """End it at once. One that has ended stays as it is. Raises `NotFound`."""
    grants = db.open("support_grants")

    async def both(session: Session) -> None:
        query = {"_id": grant_id, "label_id": label_id}
        if await grants.find_one(query, session=session) is None:
            raise NotFound
        change = {"$set": {"ends_at": now, "ended_by": by.id}}
        ended = await grants.update_one(query | {"ends_at": {"$gt": now}}, change, session=session)
        if ended.modified_count:
            await audit.record(by, "support.ended", label_id=label_id, target=grant_id, now=now, session=session)

    await db.in_transaction(both)


async def open_grants_of(db: Database, user_id: str, *, now: datetime) -> list[Doc]:
    """Every access that this person has now, whichever label's."""
    query = {"user_id": user_id, "ends_at": {"$gt": now}}
    comment = f"{ALL_LABELS}where somebody who leaves our support has access"
    return await db.open("support_grants").find(query, comment=comment).to_list()


async def page_of_grants(db: Database, label_id: str, *, before: str | None, limit: int, now: datetime) -> list[Doc]:
    """Present and past ones, newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "expires_at": {"$gt": now}} | ({"_id": {"$lt": before}} if before else {})
    return await db.open("support_grants").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def _open_grant(
    db: Database, user_id: str, label_id: str, *, now: datetime, session: Session | None = None
) -> Doc | None:
    query = {"label_id": label_id, "user_id": user_id, "ends_at": {"$gt": now}}
    return await db.open("support_grants").find_one(query, session=session)
