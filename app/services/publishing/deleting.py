"""Deleting a post at its network, where that lets us: Facebook always, Instagram behind a Page with its permission."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import NotFound
from app.publishing_errors import CannotBeDeleted
from app.services import operations
from app.services.audit import Audit, By
from app.services.connections import store

CONTENTS = "instagram_manage_contents"
"""The permission under which Meta deletes an Instagram account's media, since 2025-12 (meta-platform.md, 5.7)."""


def can_be_deleted(target: Doc, connection: Doc) -> bool:
    """Whether the network takes such a call for it."""
    if target["state"] != "published" or not target["provider_id"] or target.get("deleted_at"):
        return False
    if target["network"] == "facebook":
        return True
    return connection["provider"] == "facebook" and CONTENTS in (connection.get("granted_scopes") or [])


async def queue_deletion(
    db: Database, audit: Audit, label_id: str, publication_id: str, target_id: str, *, by: By, now: datetime
) -> Doc:
    """Have the post deleted; the operation, each time the same: one that failed is begun again. Raises `NotFound`,
    `CannotBeDeleted`."""
    key = {"_id": target_id, "label_id": label_id, "publication_id": publication_id}
    target = await db.open("publication_targets").find_one(key)
    if target is None:
        raise NotFound
    name = f"delete_post:{target_id}:{target['attempt']}"
    earlier = await operations.by_key(db, label_id, name)
    if earlier is not None and earlier["state"] != "failed":
        return earlier
    connection = await store.need(db, label_id, target["connection_id"])
    if not store.is_usable(connection, "publishing") or not can_be_deleted(target, connection):
        raise CannotBeDeleted

    async def both(session: Session) -> None:
        if earlier is not None:
            await operations.retry(db, earlier, now=now, session=session)
        else:
            told = {"kind": "delete_post", "target": target_id, "key": name, "connection_id": connection["_id"]}
            await operations.add(db, label_id=label_id, **told, now=now, session=session)
        await audit.record(
            by, "publication.delete_asked", label_id=label_id, target=publication_id, now=now, session=session
        )

    await db.in_transaction(both)
    operation = await operations.by_key(db, label_id, name)
    if operation is None:
        raise NotFound
    return operation
