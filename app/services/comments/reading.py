"""Comments, read for people. No read shows what has expired."""

from datetime import datetime

from app.db import Database, Doc
from app.errors import NotFound
from app.services.pages import Cursor, page_query


async def page_of_comments(
    db: Database,
    label_id: str,
    *,
    media_id: str | None,
    status: str | None,
    after: Cursor | None,
    limit: int,
    now: datetime,
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "expires_at": {"$gt": now}}
    query |= {"media.provider_id": media_id} if media_id else {}
    query |= {"status": status} if status else {}
    found = db.open("comments").find(page_query(query, "sent_at", after, now=now))
    return await found.sort([("sent_at", -1), ("_id", -1)]).limit(limit + 1).to_list()


async def need_comment(db: Database, label_id: str, comment_id: str, *, now: datetime) -> Doc:
    """The comment. Raises `NotFound`."""
    comment = await db.open("comments").find_one({"_id": comment_id, "label_id": label_id, "expires_at": {"$gt": now}})
    if comment is None:
        raise NotFound
    return comment
