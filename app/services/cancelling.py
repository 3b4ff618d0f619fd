"""Cancelling an operation that has not begun, as a person decided. Each kind knows what else must be set for that."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import Conflict
from app.services import operations
from app.services.comments import log
from app.services.inbox import replies

CANCELLED = "cancelled"


async def cancel(db: Database, operation: Doc, *, now: datetime) -> None:
    """End it. What it was to send or do has failed, because it was cancelled.

    Raises `Conflict` for what cannot be cancelled, and for what has begun: it may have happened.
    """
    if operation["kind"] not in ("send_reply", "comment_action"):
        raise Conflict("Only replies and what is done to comments can be cancelled")
    label_id, target = operation["label_id"], operation["target"]

    async def all_of_it(session: Session) -> None:
        await operations.cancel_waiting(db, operation, now=now, session=session)
        if operation["kind"] == "send_reply":
            await replies.end_queued(db, label_id, [target], problem=CANCELLED, session=session)
            return
        await log.end_queued(db, label_id, [target], problem=CANCELLED, now=now, session=session)
        row = await db.open("moderation_actions").find_one({"_id": target, "label_id": label_id}, session=session)
        if row:
            await _forget(db, row, session=session)

    await db.in_transaction(all_of_it)


async def _forget(db: Database, row: Doc, *, session: Session) -> None:
    """Its words go, and a private reply may be asked for again."""
    comments, key = db.open("comments"), {"_id": row["comment_id"], "label_id": row["label_id"]}
    forgotten = {"$unset": {f"content.pending.{row['_id']}": ""}, "$inc": {"version": 1}}
    await comments.update_one(key, forgotten, session=session)
    mine = key | {"private_reply.action_id": row["_id"]}
    await comments.update_one(mine, {"$unset": {"private_reply": ""}}, session=session)
