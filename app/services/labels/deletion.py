"""The end of a label: announced, restorable for two weeks, and then everything of it is gone."""

from datetime import datetime, timedelta

from app.db import Database, Doc, Session
from app.errors import LabelDeleting, NotDeleting
from app.models.base import rfc3339
from app.services import operations
from app.services.audit import Audit, By
from app.services.billing import selling
from app.services.billing.orders import Desk
from app.services.labels import members
from app.services.labels.labels import need_label
from app.services.privacy import requests

GRACE = timedelta(days=14)


async def announce(db: Database, audit: Audit, label: Doc, *, by: By, now: datetime) -> Doc:
    """Have the label deleted after the time of grace; until then nobody works in it, and its owners can restore it.

    The operation. Each owner gets a request, which has the receipt in the end. Raises `LabelDeleting` when it is
    announced already.
    """
    label_id, due_at = label["_id"], now + GRACE

    async def all_of_it(session: Session) -> Doc:
        announced = {"$set": {"deletion_due_at": due_at}, "$inc": {"version": 1}}
        query = {"_id": label_id, "deletion_due_at": None}
        if (await db.open("labels").update_one(query, announced, session=session)).modified_count == 0:
            raise LabelDeleting
        await _mark_members(db, label_id, deleting=True, session=session)
        for owner in await members.owners(db, label_id, session=session):
            day = rfc3339(due_at)[:10]
            await members.tell(db, "label_deleting", owner["user_id"], label, now=now, session=session, on=day)
        await selling.cancel_with_label(Desk(db, audit, label_id, by, now), session=session)
        await audit.record(by, "label.deletion_announced", label_id=label_id, target=label_id, now=now, session=session)
        operation = await operations.add(
            db,
            label_id=label_id,
            kind="delete_label",
            target=label_id,
            key=f"delete_label:{rfc3339(now)}",
            now=now,
            due_at=due_at,
            session=session,
        )
        await _open_requests(db, label_id, operation, now=now, session=session)
        return operation

    return await db.in_transaction(all_of_it)


async def restore(db: Database, audit: Audit, label: Doc, *, by: By, now: datetime) -> Doc:
    """Keep the label after all. Raises `NotDeleting` when it is not going to be deleted, or is being deleted now."""
    label_id = label["_id"]

    async def all_of_it(session: Session) -> None:
        query = {"_id": label_id, "deletion_due_at": {"$gt": now}, "deletion_begun": None}
        update = {"$unset": {"deletion_due_at": ""}, "$inc": {"version": 1}}
        if (await db.open("labels").update_one(query, update, session=session)).modified_count == 0:
            raise NotDeleting
        await _mark_members(db, label_id, deleting=False, session=session)
        waits = await operations.cancel(db, label_id, kind="delete_label", targets=[label_id], now=now, session=session)
        if not waits:
            raise NotDeleting
        await selling.resume_with_label(Desk(db, audit, label_id, by, now), session=session)
        await _call_off_requests(db, label_id, now=now, session=session)
        await audit.record(by, "label.restored", label_id=label_id, target=label_id, now=now, session=session)

    await db.in_transaction(all_of_it)
    return await need_label(db, label_id)


async def _open_requests(db: Database, label_id: str, operation: Doc, *, now: datetime, session: Session) -> None:
    """Of each owner; they are the owners' own, so that they outlive the label."""
    made = [
        await requests.open_request(
            db,
            user_id=owner["user_id"],
            kind="label_deletion",
            state="waiting",
            operation_id=operation["_id"],
            evidence=[label_id],
            now=now,
            session=session,
        )
        for owner in await members.owners(db, label_id, session=session)
    ]
    named = {"$set": {"deletion_requests": [one["_id"] for one in made]}}
    await db.open("labels").update_one({"_id": label_id}, named, session=session)


async def _call_off_requests(db: Database, label_id: str, *, now: datetime, session: Session) -> None:
    forgotten = {"$unset": {"deletion_requests": ""}}
    label = await db.open("labels").find_one_and_update({"_id": label_id}, forgotten, session=session)
    for request_id in (label or {}).get("deletion_requests", []):
        await requests.set_state(db, request_id, "cancelled", now=now, session=session)


async def _mark_members(db: Database, label_id: str, *, deleting: bool, session: Session) -> None:
    """Memberships carry it, so that no request needs to read the label for it."""
    update: Doc = {"$set": {"label_deleting": True}} if deleting else {"$unset": {"label_deleting": ""}}
    await db.open("memberships").update_many({"label_id": label_id}, update, session=session)
