"""The moderation log: what was done to comments, by whom and why, and what came of it. Never a comment's words."""

from datetime import datetime, timedelta

from app.db import Database, Doc, Session
from app.ids import new_id
from app.models.comment_actions import LoggedAction
from app.services.audit import By

LIFE = timedelta(days=90)


def entry(
    action: LoggedAction,
    *,
    label_id: str,
    connection_id: str,
    comment: Doc | None,
    provider_id: str,
    by: By,
    reason: str | None,
    now: datetime,
) -> Doc:
    """A new row of the log, not written yet."""
    return {
        "_id": new_id("mod"),
        "label_id": label_id,
        "connection_id": connection_id,
        "comment_id": comment["_id"] if comment else None,
        "provider_id": provider_id,
        "action": action,
        "by": {"kind": by.kind, "id": by.id},
        "reason": reason,
        "state": "queued",
        "at": now,
        "expires_at": now + LIFE,
    }


async def add(db: Database, row: Doc, *, session: Session | None = None) -> None:
    """Write it down."""
    await db.open("moderation_actions").insert_one(row, session=session)


async def page_of_log(
    db: Database, label_id: str, *, comment_id: str | None, before: str | None, limit: int, now: datetime
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "expires_at": {"$gt": now}} | ({"comment_id": comment_id} if comment_id else {})
    query |= {"_id": {"$lt": before}} if before else {}
    return await db.open("moderation_actions").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def end_queued(
    db: Database, label_id: str, action_ids: list[str], *, problem: str, now: datetime, session: Session
) -> None:
    """Say of actions whose operations were ended before they began that they will not be done, and why."""
    query = {"label_id": label_id, "_id": {"$in": action_ids}, "state": "queued"}
    ended = {"state": "failed", "problem": problem, "done_at": now}
    await db.open("moderation_actions").update_many(query, {"$set": ended}, session=session)
