"""Comments, read for people. No read shows what has expired."""

from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc
from app.errors import NotFound
from app.models.comments import CommentKind, CommentStatus
from app.services.inbox.searching import asked_words
from app.services.pages import Cursor, page_query


@dataclass(frozen=True)
class Filters:
    """Which comments a list shows; none of a kind shows them whatever it is."""

    media_id: str | None = None
    connection_id: str | None = None
    kind: CommentKind | None = None
    status: CommentStatus | None = None
    flagged: bool | None = None
    unanswered: bool | None = None
    q: str | None = None

    def query(self, label_id: str) -> Doc:
        """Of the label's comments those that fit. Raises `InvalidInput` when `q` holds no word."""
        found: Doc = {"label_id": label_id}
        found |= {"media.provider_id": self.media_id} if self.media_id else {}
        found |= {"connection_id": self.connection_id} if self.connection_id else {}
        found |= {"kind": self.kind} if self.kind else {}
        found |= {"status": self.status} if self.status else {}
        for name, wanted in (("flagged", self.flagged), ("unanswered", self.unanswered)):
            if wanted is not None:
                found[name] = True if wanted else {"$ne": True}
        return found | ({"content.words": {"$all": asked_words(self.q)}} if self.q is not None else {})


async def page_of_comments(
    db: Database, label_id: str, filters: Filters, *, after: Cursor | None, limit: int, now: datetime
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more. Raises `InvalidInput`."""
    query = filters.query(label_id) | {"expires_at": {"$gt": now}}
    found = db.open("comments").find(page_query(query, "sent_at", after, now=now))
    return await found.sort([("sent_at", -1), ("_id", -1)]).limit(limit + 1).to_list()


async def need_comment(db: Database, label_id: str, comment_id: str, *, now: datetime) -> Doc:
    """The comment. Raises `NotFound`."""
    query = {"_id": comment_id, "label_id": label_id, "expires_at": {"$gt": now}, "sent_at": {"$exists": True}}
    comment = await db.open("comments").find_one(query)
    if comment is None:
        raise NotFound
    return comment
