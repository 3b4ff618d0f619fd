"""What is written of comments, by whoever tells of them: a webhook, a read-back, or an action of ours.

All writes commute. Words and the hidden state carry a rank (milliseconds of Meta's time, or of our reading), and the
higher one stays; times only fall; a deletion takes the words away, forbids more, and is never taken back.
"""

from dataclasses import dataclass, field
from datetime import datetime

from pymongo import UpdateOne

from app.db import Doc
from app.ids import new_id
from app.models.comments import CommentKind
from app.models.data_map import CONTENT_LIFE
from app.services.inbox.words import tokens
from app.services.rules.texts import same_text

NOT_THERE = {"$exists": False}


@dataclass(frozen=True)
class Seen:
    """A comment as it was just told of."""

    provider_id: str
    at: datetime
    text: str | None
    rank: int
    """Which state of the words this is: milliseconds, the later one wins."""
    author_id: str | None
    username: str | None
    parent_provider_id: str | None
    media: Doc
    own: bool
    live: bool = False
    kind: CommentKind = "comment"
    edited_at: datetime | None = None
    more: Doc = field(default_factory=dict)
    """What is set in any case."""


def key_of(connection: Doc, provider_id: str) -> Doc:
    """What names a comment."""
    return {"label_id": connection["label_id"], "connection_id": connection["_id"], "provider_id": provider_id}


def upsert(connection: Doc, seen: Seen) -> UpdateOne:
    """Store a comment that is new, and lower the times of one that is not."""
    fresh = _shell(connection) | _shape(seen) | ({} if seen.own else {"unanswered": True})
    fresh |= {"status": "visible", "content": _content(connection, seen)}
    fresh |= {} if "checked_at" in seen.more else {"checked_at": seen.at}
    lowest = {"sent_at": seen.at, "expires_at": seen.at + CONTENT_LIFE}
    update: Doc = {"$setOnInsert": fresh, "$min": lowest, "$inc": {"version": 1}}
    update |= {"$set": seen.more} if seen.more else {}
    return UpdateOne(key_of(connection, seen.provider_id), update, upsert=True)


def completions(connection: Doc, seen: Seen) -> list[UpdateOne]:
    """What else follows where the comment was there already: as a tombstone, or because it was hidden first."""
    unknown = key_of(connection, seen.provider_id) | {"author": NOT_THERE}
    alive = {"$set": _shape(seen) | ({} if seen.own else {"unanswered": True})}
    return [
        UpdateOne(unknown | {"deleted_at": NOT_THERE}, alive),
        UpdateOne(unknown, {"$set": _shape(seen)}),
        words(connection, seen),
    ]


def words(connection: Doc, seen: Seen) -> UpdateOne:
    """These are the comment's words, unless it was deleted, or later ones are known."""
    older = {"deleted_at": NOT_THERE, "content.rank": {"$not": {"$gte": seen.rank}}}
    changed: Doc = {f"content.{name}": value for name, value in _content(connection, seen).items()}
    changed |= {"edited_at": seen.edited_at} if seen.edited_at else {}
    update: Doc = {"$set": changed, "$inc": {"version": 1}}
    update |= {} if "content.same" in changed else {"$unset": {"content.same": ""}}
    return UpdateOne(key_of(connection, seen.provider_id) | older, update)


def hidden(connection: Doc, provider_id: str, *, value: bool, rank: int, at: datetime) -> list[UpdateOne]:
    """The comment is hidden, or not any more, unless it was deleted or something later is known."""
    key = key_of(connection, provider_id)
    shell: Doc = {"$setOnInsert": _shell(connection) | {"status": "visible"}, "$min": {"expires_at": at + CONTENT_LIFE}}
    older = {"deleted_at": NOT_THERE, "status_rank": {"$not": {"$gte": rank}}}
    status = {"status": "hidden" if value else "visible", "status_rank": rank}
    return [UpdateOne(key, shell, upsert=True), UpdateOne(key | older, {"$set": status, "$inc": {"version": 1}})]


def removed(connection: Doc, provider_id: str, *, at: datetime) -> UpdateOne:
    """The comment is gone, and its words with it, for good."""
    update: Doc = {
        "$setOnInsert": _shell(connection),
        "$set": {"status": "deleted"},
        "$min": {"deleted_at": at, "expires_at": at + CONTENT_LIFE},
        "$unset": {"content": "", "unanswered": ""},
        "$inc": {"version": 1},
    }
    return UpdateOne(key_of(connection, provider_id), update, upsert=True)


def _shell(connection: Doc) -> Doc:
    return {"_id": new_id("cmt"), "provider": connection["provider"], "network": connection["network"]}


def _shape(seen: Seen) -> Doc:
    return {
        "kind": seen.kind,
        "parent_provider_id": seen.parent_provider_id,
        "media": seen.media,
        "author": {"provider_id": seen.author_id, "username": seen.username},
        "own": seen.own,
        "live": seen.live,
    }


def _content(connection: Doc, seen: Seen) -> Doc:
    said: Doc = {"text": seen.text, "words": tokens(seen.text or ""), "rank": seen.rank}
    return said | same_text(connection["label_id"], seen.text)
