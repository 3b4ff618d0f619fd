"""The end of a label: announced, restorable for two weeks, and then everything of it is gone."""

from datetime import datetime, timedelta

from app.clients.objects import Objects, ObjectsError
from app.clock import Clock
from app.db import Database, Doc, Session
from app.errors import LabelDeleting, NotDeleting
from app.models.base import rfc3339
from app.models.data_map import DATA_MAP
from app.services import operations
from app.services.assets import clearing
from app.services.audit import SYSTEM, Audit, By
from app.services.connections import leaving
from app.services.labels import members
from app.services.labels.labels import need_label
from app.services.operations import GiveUp, TryAgain

GRACE = timedelta(days=14)
DISCONNECTING = timedelta(seconds=30)
"""How often to look whether the connections have ended. Of a provider that is away, they do within 72 hours."""
STORAGE_AWAY = timedelta(minutes=1)
FIRST = ("memberships", "api_clients", "invitations", "support_grants", "connections", "secrets")
"""What gives access or brings new data in goes first."""
LATER = {"operations"}
"""The operation itself tells what came of it, and expires."""


async def announce(db: Database, audit: Audit, label: Doc, *, by: By, now: datetime) -> Doc:
    """Have the label deleted after the time of grace; until then nobody works in it, and its owners can restore it.

    The operation. Raises `LabelDeleting` when it is announced already.
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
        await audit.record(by, "label.deletion_announced", label_id=label_id, target=label_id, now=now, session=session)
        return await operations.add(
            db,
            label_id=label_id,
            kind="delete_label",
            target=label_id,
            key=f"delete_label:{rfc3339(now)}",
            now=now,
            due_at=due_at,
            session=session,
        )

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
        await audit.record(by, "label.restored", label_id=label_id, target=label_id, now=now, session=session)

    await db.in_transaction(all_of_it)
    return await need_label(db, label_id)


async def delete_label(db: Database, audit: Audit, storage: Objects, operation: Doc, *, clock: Clock) -> Doc:
    """Delete everything of the label that the data map does not keep. It may be begun again at any point.

    First its connections are ended as if somebody had disconnected them, so that providers hear of it too; then its
    files' objects go. Raises `GiveUp` when the label was restored, `TryAgain` until the connections have ended, while
    the storage is away, and while new data still come in.
    """
    label_id, now = operation["label_id"], clock()
    label = await db.open("labels").find_one({"_id": label_id})
    if label is not None and not (label.get("deletion_due_at") and label["deletion_due_at"] <= now):
        raise GiveUp("restored", "The label is not going to be deleted any more.")
    await db.open("labels").update_one({"_id": label_id}, {"$set": {"deletion_begun": True}})
    if await leaving.begin_all(db, audit, label_id, reason="label_deleted", by=SYSTEM, now=now):
        raise TryAgain(now + DISCONNECTING, "disconnecting")
    of_labels = [c.name for c in DATA_MAP.values() if c.tenant and c.erasure != "keep" and c.name not in LATER]
    try:
        found = await clearing.delete_of_label(storage, label_id)
    except ObjectsError as exc:
        raise TryAgain(now + STORAGE_AWAY, "storage_unavailable") from exc
    for name in sorted(of_labels, key=lambda name: (name not in FIRST, name)):
        found += (await db.open(name).delete_many({"label_id": label_id})).deleted_count
    if found:  # what was on its way when the connections went may have come after its collection's turn
        raise TryAgain(now + timedelta(seconds=5), "deleting")
    await db.in_transaction(lambda session: _end(db, audit, label_id, now, session))
    return {"label_id": label_id}


async def _end(db: Database, audit: Audit, label_id: str, now: datetime, session: Session) -> None:
    gone = await db.open("labels").delete_one({"_id": label_id}, session=session)
    if gone.deleted_count:
        await audit.record(SYSTEM, "label.deleted", label_id=label_id, target=label_id, now=now, session=session)


async def _mark_members(db: Database, label_id: str, *, deleting: bool, session: Session) -> None:
    """Memberships carry it, so that no request needs to read the label for it."""
    update: Doc = {"$set": {"label_deleting": True}} if deleting else {"$unset": {"label_deleting": ""}}
    await db.open("memberships").update_many({"label_id": label_id}, update, session=session)
