"""Flags: what a person or a rule wants somebody to look at."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import StaleVersion
from app.services.audit import By
from app.services.comments import log
from app.services.comments.reading import need_comment
from app.services.events import Event, append


async def set_flag(
    db: Database,
    label_id: str,
    comment_id: str,
    *,
    flagged: bool,
    by: By,
    reason: str | None = None,
    versions: list[int] | None = None,
    now: datetime,
) -> Doc:
    """Flag a comment, or take its flag away; the comment. Done again, nothing is written.

    Raises `NotFound`, and `StaleVersion` unless it still is of one of the `versions` seen.
    """
    comment = await need_comment(db, label_id, comment_id, now=now)
    if versions is not None and comment["version"] not in versions:
        raise StaleVersion
    if comment.get("flagged", False) == flagged:
        return comment
    key = {"_id": comment_id, "label_id": label_id, "version": comment["version"]}
    change: Doc = {"$set": {"flagged": True}} if flagged else {"$unset": {"flagged": ""}}
    row = log.entry(
        "flag" if flagged else "unflag",
        label_id=label_id,
        connection_id=comment["connection_id"],
        comment=comment,
        provider_id=comment["provider_id"],
        by=by,
        reason=reason,
        now=now,
    )

    async def all_of_it(session: Session) -> bool:
        written = await db.open("comments").update_one(key, change | {"$inc": {"version": 1}}, session=session)
        if written.matched_count == 0:
            return False
        await log.add(db, row | {"state": "done", "done_at": now}, session=session)
        event = Event(label_id, f"comment:{comment_id}:flag:{row['_id']}", "comment.changed", comment_id, now)
        await append(db, [event], session=session)
        return True

    if not await db.in_transaction(all_of_it):
        if versions is not None:
            raise StaleVersion
        return await set_flag(db, label_id, comment_id, flagged=flagged, by=by, reason=reason, now=now)
    return await need_comment(db, label_id, comment_id, now=now)
