"""Switching the comments of a post on and off: the wish and its operation. `switching.py` is the worker's half."""

from datetime import datetime

from app.comment_errors import NotSupported
from app.db import Database, Doc, Session
from app.errors import ConnectionNotActive
from app.models.comment_actions import LoggedAction
from app.services import operations
from app.services.audit import By
from app.services.comments import log
from app.services.connections import store


async def queue_switch(
    db: Database,
    label_id: str,
    connection_id: str,
    *,
    media_id: str,
    enabled: bool,
    by: By,
    reason: str | None,
    now: datetime,
) -> Doc:
    """Write down the wish and its operation. Raises `NotFound`, `ConnectionNotActive`, `NotSupported` for a Page."""
    connection = await store.need(db, label_id, connection_id)
    if not store.is_usable(connection, "comments"):
        raise ConnectionNotActive
    if connection["network"] != "instagram":
        raise NotSupported
    where: Doc = {"label_id": label_id, "connection_id": connection_id, "provider_id": media_id}
    action: LoggedAction = "enable_comments" if enabled else "disable_comments"
    row = log.entry(action, **where, comment=None, by=by, reason=reason, now=now)

    async def both(session: Session) -> Doc:
        operation = await operations.add(
            db,
            label_id=label_id,
            kind="switch_comments",
            target=row["_id"],
            key=f"switch_comments:{row['_id']}",
            queue=f"{connection_id}:{media_id}",
            connection_id=connection_id,
            now=now,
            session=session,
        )
        await log.add(db, row | {"operation_id": operation["_id"]}, session=session)
        return operation

    return await db.in_transaction(both)
