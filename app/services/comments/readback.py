"""What follows when a comment has been read at Meta: its own time, its words as they are now, whether it is hidden.

A time is corrected downwards only, so that reading a comment back never makes it stay longer.
"""

from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from app.clients.graph_comments import RemoteComment
from app.clock import to_ms
from app.db import Database, Doc
from app.models.data_map import CONTENT_LIFE
from app.services.comments import writes
from app.services.comments.writes import Seen
from app.services.events import Event, append
from app.services.inbox.bulk import write_all


def differs(known: Doc, remote: RemoteComment) -> bool:
    """Whether what everybody sees of it is not what we know: its words, or that it is hidden."""
    if known["status"] == "deleted":
        return False
    text: str | None = known.get("content", {}).get("text")
    return text != remote.text or (known["status"] == "hidden") != remote.hidden


def of_known(connection: Doc, known: Doc, remote: RemoteComment, *, now: datetime) -> list[UpdateOne]:
    """The writes by which a comment that we have becomes what was read."""
    provider_id, rank = known["provider_id"], to_ms(now)
    times: Doc = {"sent_at": remote.created_at, "expires_at": remote.created_at + CONTENT_LIFE}
    looked: Doc = {"$min": times, "$set": {"checked_at": now}}
    found = [UpdateOne(writes.key_of(connection, provider_id), looked)]
    if known["status"] == "deleted":
        return found
    text = known.get("content", {}).get("text")
    if text != remote.text:
        edited_at = now if text is not None else None
        found.append(writes.words(connection, seen_of(connection, remote, rank=rank, edited_at=edited_at)))
    if (known["status"] == "hidden") != remote.hidden:
        found += writes.hidden(connection, provider_id, value=remote.hidden, rank=rank, at=remote.created_at)
    if remote.author_id and known["author"]["provider_id"] is None:
        author = {"provider_id": remote.author_id, "username": remote.username}
        found.append(UpdateOne(writes.key_of(connection, provider_id), {"$set": {"author": author}}))
    return found


def of_new(connection: Doc, remote: RemoteComment, *, now: datetime) -> list[UpdateOne]:
    """The writes that store a comment which no webhook has told of. Of one that was deleted no word comes back."""
    rank = to_ms(now)
    seen = seen_of(connection, remote, rank=rank, more={"checked_at": now})
    found = [writes.upsert(connection, seen), *writes.completions(connection, seen)]
    if remote.hidden:
        found += writes.hidden(connection, remote.provider_id, value=True, rank=rank, at=remote.created_at)
    return found


def seen_of(connection: Doc, remote: RemoteComment, *, rank: int, **more: Any) -> Seen:
    """The comment as it was read."""
    parent_id = remote.parent_id if remote.parent_id != remote.media_id else None
    place: Doc = {"provider_id": remote.media_id, "product_type": remote.product_type}
    return Seen(
        provider_id=remote.provider_id,
        at=remote.created_at,
        text=remote.text,
        rank=rank,
        author_id=remote.author_id,
        username=remote.username,
        parent_provider_id=parent_id,
        media=place | {"ad_id": None, "original_media_id": None},
        own=remote.author_id in connection["account_ids"],
        **more,
    )


async def note(db: Database, connection: Doc, known: Doc, remote: RemoteComment, *, now: datetime) -> None:
    """Store what was read of one comment, and tell of it where something changed."""
    await write_all(db, "comments", of_known(connection, known, remote, now=now))
    if differs(known, remote):
        label_id, comment_id = known["label_id"], known["_id"]
        event = Event(label_id, f"comment:{comment_id}:read:{to_ms(now)}", "comment.changed", comment_id, now)
        await append(db, [event])
