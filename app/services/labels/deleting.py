"""The end of a label whose time of grace is over, by a worker: everything of it goes."""

from datetime import datetime, timedelta

from app.clients.objects import ObjectsError
from app.db import Database, Doc, Session
from app.models.data_map import DATA_MAP
from app.services.assets import clearing
from app.services.audit import SYSTEM, Audit
from app.services.billing.ending import end_of_label
from app.services.connections import leaving
from app.services.connections.hands import Hands
from app.services.exports import ending as exports
from app.services.operations import GiveUp, TryAgain
from app.services.privacy import label_receipts

DISCONNECTING = timedelta(seconds=30)
"""How often to look whether the connections have ended. Of a provider that is away, they do within 72 hours."""
STORAGE_AWAY = timedelta(minutes=1)
FIRST = ("memberships", "api_clients", "invitations", "support_grants", "connections", "secrets")
"""What gives access or brings new data in goes first."""
LATER = {"operations"}
"""The operation itself tells what came of it, and expires."""


async def delete_label(hands: Hands, operation: Doc) -> Doc:
    """Delete everything of the label that the data map does not keep. It may be begun again at any point.

    First its connections are ended as if somebody had disconnected them, so that providers hear of it too; then it is
    no customer any more, and its files' objects go. Raises `GiveUp` when the label was restored, `TryAgain` until the
    connections have ended, while Stripe or the storage is away, and while new data still come in.
    """
    db, audit, label_id, now = hands.db, hands.audit, operation["label_id"], hands.clock()
    label = await db.open("labels").find_one({"_id": label_id})
    if label is not None and not (label.get("deletion_due_at") and label["deletion_due_at"] <= now):
        raise GiveUp("restored", "The label is not going to be deleted any more.")
    await db.open("labels").update_one({"_id": label_id}, {"$set": {"deletion_begun": True}})
    try:
        await hands.journal.write("label_deleted", label_id, now=now)
    except ObjectsError as exc:
        raise TryAgain(now + STORAGE_AWAY, "storage_unavailable") from exc
    if await leaving.begin_all(db, audit, label_id, reason="label_deleted", by=SYSTEM, now=now):
        raise TryAgain(now + DISCONNECTING, "disconnecting")
    await end_of_label(db, hands.stripe, audit, label_id, books=hands.settings.books, clock=hands.clock)
    of_labels = [c.name for c in DATA_MAP.values() if c.tenant and c.erasure != "keep" and not c.outlives_label]
    of_labels = [name for name in of_labels if name not in LATER]
    try:
        found = await clearing.delete_of_label(hands.objects, label_id)
        found += await exports.delete_of_label(db, hands.objects, label_id, now=now)
    except ObjectsError as exc:
        raise TryAgain(now + STORAGE_AWAY, "storage_unavailable") from exc
    await label_receipts.note_told(db, label_id, stripe=hands.stripe is not None)
    for name in sorted(of_labels, key=lambda name: (name not in FIRST, name)):
        count = (await db.open(name).delete_many({"label_id": label_id})).deleted_count
        await label_receipts.note_deleted(db, label_id, name, count)
        found += count
    if found:  # what was on its way when the connections went may have come after its collection's turn
        raise TryAgain(now + timedelta(seconds=5), "deleting")
    await db.in_transaction(lambda session: _end(db, audit, label_id, now, session))
    return {"label_id": label_id}


async def _end(db: Database, audit: Audit, label_id: str, now: datetime, session: Session) -> None:
    label = await db.open("labels").find_one_and_delete({"_id": label_id}, session=session)
    if label is not None:
        await label_receipts.give(db, label, now=now, session=session)
        await audit.record(SYSTEM, "label.deleted", label_id=label_id, target=label_id, now=now, session=session)
