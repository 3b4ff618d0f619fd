"""Storing what webhooks tell of comments, and what follows from it: answers, and replies that go with their comment."""

from collections.abc import Sequence
from datetime import datetime

from pymongo import UpdateOne

from app.clock import from_ms, to_ms
from app.db import Database, Doc
from app.services.comments import writes
from app.services.comments.answers import note_answers
from app.services.comments.endings import end_replies
from app.services.comments.writes import Seen
from app.services.inbox.bulk import write_all
from app.services.inbox.writes import Received


async def store(db: Database, received: Sequence[Received], *, now: datetime) -> None:
    """Store changes about comments. Done twice, or in another order, the same is there afterwards."""
    told = [(r.connection, _seen(r)) for r in received if r.incoming.kind in ("comment", "comment_edited", "mention")]
    made = await write_all(db, "comments", [writes.upsert(connection, seen) for connection, seen in told])
    later = [
        write
        for number, (connection, seen) in enumerate(told)
        if number not in made
        for write in writes.completions(connection, seen)
    ]
    await write_all(db, "comments", later + [write for r in received for write in _of_state(r)])
    for connection, provider_ids in _by_connection(received, "comment_removed"):
        await end_replies(db, connection, provider_ids, now=now)
    for connection, provider_ids in _by_connection(received, "comment", "comment_edited", "mention"):
        seen_here = [seen for one, seen in told if one["_id"] == connection["_id"]]
        parents = {seen.parent_provider_id for seen in seen_here if seen.own and seen.parent_provider_id}
        await note_answers(db, connection, {*provider_ids, *parents}, now=now)
    for connection, _ in _by_connection(received, "mention"):
        await _read_soon(db, connection, now=now)


def _seen(received: Received) -> Seen:
    incoming, content = received.incoming, received.incoming.content
    return Seen(
        provider_id=str(incoming.provider_id),
        at=incoming.at,
        text=content["text"],
        rank=content["rank"],
        author_id=incoming.fan_id,
        username=content["username"],
        parent_provider_id=content["parent_provider_id"],
        media=content["media"],
        own=bool(incoming.outgoing),
        live=content["live"],
        kind="mention" if incoming.kind == "mention" else "comment",
        edited_at=from_ms(content["rank"]) if incoming.kind == "comment_edited" else None,
    )


def _of_state(received: Received) -> list[UpdateOne]:
    incoming, connection = received.incoming, received.connection
    provider_id = str(incoming.provider_id)
    if incoming.kind == "comment_removed":
        return [writes.removed(connection, provider_id, at=incoming.at)]
    if incoming.kind in ("comment_hidden", "comment_unhidden"):
        value = incoming.kind == "comment_hidden"
        return writes.hidden(connection, provider_id, value=value, rank=to_ms(incoming.at), at=incoming.at)
    return []


def _by_connection(received: Sequence[Received], *kinds: str) -> list[tuple[Doc, set[str]]]:
    """The provider's ids of what changes of these kinds are about, for each connection that has any."""
    found: dict[str, tuple[Doc, set[str]]] = {}
    for r in received:
        if r.incoming.kind in kinds and r.incoming.provider_id:
            found.setdefault(r.connection["_id"], (r.connection, set()))[1].add(r.incoming.provider_id)
    return list(found.values())


async def _read_soon(db: Database, connection: Doc, *, now: datetime) -> None:
    """A mention comes without its words: have the next look at the account's comments come at once."""
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}
    await db.open("connections").update_one(key, {"$min": {"comments_at": now}})
