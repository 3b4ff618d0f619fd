"""Signs to a fan that somebody types, or has read: worth something for seconds, so tried once and never made up for."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

from pymongo.errors import DuplicateKeyError

from app.clock import to_ms
from app.db import Database, Doc
from app.errors import Problem
from app.ids import new_id
from app.services import operations
from app.services.connections import store
from app.services.inbox.conversations import need_conversation
from app.services.inbox.replies import check

SignKind = Literal["show_typing", "stop_typing", "mark_seen"]
LIFE = timedelta(hours=1)
"""So long a sign is shown among the operations."""
TOGETHER_MS = 5_000
"""Reading that is said so close together is told once."""


async def queue_typing(
    db: Database,
    label_id: str,
    conversation_id: str,
    *,
    kind: Literal["show_typing", "stop_typing"],
    app_ids: Collection[str],
    now: datetime,
) -> Doc:
    """Have the fan see that somebody types, or not any more; the operation.

    Raises `NotFound`, and what `replies.REFUSED` names.
    """
    conversation = await need_conversation(db, label_id, conversation_id, now=now)
    connection = await store.need(db, label_id, conversation["connection_id"])
    check(connection, conversation, by_person=False, app_ids=app_ids, now=now)
    return await _add(db, conversation, kind, new_id("op"), now=now)


async def queue_seen(db: Database, conversation: Doc, *, app_ids: Collection[str], now: datetime) -> Doc | None:
    """Have the fan see that their messages were read; none where Meta would not take it: reading goes on all the same.

    Said again within seconds it is the same operation.
    """
    connection = await store.need(db, conversation["label_id"], conversation["connection_id"])
    try:
        check(connection, conversation, by_person=False, app_ids=app_ids, now=now)
    except Problem:
        return None
    intent = str(to_ms(now) // TOGETHER_MS)
    try:
        return await _add(db, conversation, "mark_seen", intent, now=now)
    except DuplicateKeyError:
        return None


async def _add(db: Database, conversation: Doc, kind: SignKind, intent: str, *, now: datetime) -> Doc:
    return await operations.add(
        db,
        label_id=conversation["label_id"],
        kind=kind,
        target=conversation["_id"],
        key=f"{kind}:{conversation['_id']}:{intent}",
        connection_id=conversation["connection_id"],
        life=LIFE,
        now=now,
    )
