"""Reading an account's comments back at Meta: what no webhook told of comes in, what is gone goes, edits are noted.

Nothing comes back that has expired, and no word of what was deleted. A list leaves out whom the account has restricted,
so that a comment is taken for gone only when Meta does not know it by its own id.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.clients import graph_comments as meta
from app.clients.graph_call import At
from app.clients.graph_comments import RemoteComment
from app.clients.graph_errors import Refused
from app.clock import to_ms
from app.db import Database, Doc
from app.models.data_map import CONTENT_LIFE
from app.services.comments import readback, writes
from app.services.comments.answers import note_answers
from app.services.comments.endings import mark_gone
from app.services.comments.trouble import read_mentioned
from app.services.connections.calling import open_at
from app.services.connections.hands import Hands
from app.services.events import Event, append
from app.services.inbox.bulk import write_all
from app.services.privacy import fan_tombstones

NEWEST_MEDIA = 25
MOST_CALLS = 80
LASTS = timedelta(seconds=20)
"""Within the time that an operation may take; what is left over is looked at first the next time."""
SLOW_AT_PERCENT = 75
"""From this share of the account's limit on, the calls are left to what people wait for."""


@dataclass
class Look:
    """One look at an account's comments: its budget, and what it found."""

    db: Database
    connection: Doc
    at: At
    now: datetime
    since: datetime
    fan_key: bytes
    calls: int = 0
    can_read: bool = False
    """Whether Meta has shown a comment or a post in this look: only then is what it does not find gone."""
    found: dict[str, int] = field(default_factory=lambda: {"added": 0, "changed": 0, "gone": 0})
    ends_at_s: float = field(default_factory=lambda: asyncio.get_running_loop().time() + LASTS.total_seconds())

    def may_call(self) -> bool:
        """Whether one more call is in the budget; it is counted."""
        used = self.at.host.usage_percent(self.at.account_id) or 0
        paused = self.at.host.pause_left_s(self.at.account_id) > 0
        late = asyncio.get_running_loop().time() > self.ends_at_s
        self.calls += 1
        return self.calls <= MOST_CALLS and used < SLOW_AT_PERCENT and not paused and not late

    @property
    def place(self) -> Doc:
        """What the account's comments are found by."""
        return {"label_id": self.connection["label_id"], "connection_id": self.connection["_id"]}


async def backfill_comments(hands: Hands, connection: Doc, *, since: datetime, job: str) -> dict[str, int]:
    """Read back the comments since then, as far as the budget goes; how many were added, had changed, and were gone.

    Raises `TryAgain`, and `trouble.EXCEPTIONS`.
    """
    now = hands.clock()
    at = await open_at(hands, connection, used_for="comments", job=job)
    look = Look(hands.db, connection, at, now, max(since, now - CONTENT_LIFE), fan_tombstones.key_of(hands.settings))
    if look.may_call():
        newest = await meta.newest_media(at, limit=NEWEST_MEDIA)
        for media_id in dict.fromkeys([*newest, *await _commented_media(look)]):
            async for comments in _pages(look, media_id):
                await _store(look, comments)
        await _look_at_others(look)
    return look.found


async def _commented_media(look: Look) -> list[str]:
    """The posts whose comments we have, those with the newest first."""
    query = look.place | {"sent_at": {"$gt": look.since}}
    fields = {"media.provider_id": 1, "kind": 1}
    newest = look.db.open("comments").find(query, fields).sort([("sent_at", -1), ("_id", -1)]).limit(1000)
    rows = [doc async for doc in newest]
    return [doc["media"]["provider_id"] for doc in rows if doc["kind"] == "comment" and doc["media"]["provider_id"]]


async def _pages(look: Look, media_id: str) -> AsyncIterator[Sequence[RemoteComment]]:
    after = None
    while look.may_call():
        try:
            shown = await meta.page_of(look.at, media_id, after=after)
        except Refused as exc:
            if exc.reason != "not_found":
                raise
            return  # the post is gone: each of its comments is looked at by itself
        look.can_read = True
        yield [one for one in shown.comments if one.created_at > look.since]
        after = shown.after
        if after is None or all(one.created_at <= look.since for one in shown.comments):
            return


async def _store(look: Look, comments: Sequence[RemoteComment]) -> None:
    ids = [one.provider_id for one in comments]
    rows = look.db.open("comments").find(look.place | {"provider_id": {"$in": ids}, "sent_at": {"$exists": True}})
    known = {doc["provider_id"]: doc async for doc in rows}
    new = await _not_erased(look, [one for one in comments if one.provider_id not in known])
    updates = [write for one in new for write in readback.of_new(look.connection, one, now=look.now)]
    for one in comments:
        if one.provider_id in known:
            updates += readback.of_known(look.connection, known[one.provider_id], one, now=look.now)
    await write_all(look.db, "comments", updates)
    parents = [one.parent_id for one in new if one.parent_id and one.author_id in look.connection["account_ids"]]
    await note_answers(look.db, look.connection, {*parents, *(one.provider_id for one in new)}, now=look.now)
    changed = [
        known[one.provider_id]["_id"]
        for one in comments
        if one.provider_id in known and readback.differs(known[one.provider_id], one)
    ]
    await _tell(look, changed, [one.provider_id for one in new])


async def _not_erased(look: Look, comments: Sequence[RemoteComment]) -> list[RemoteComment]:
    """Those that bring back nothing of a fan whom the label has erased, nor what it has answered them."""
    marks = {one.provider_id: _marks_of(look, one) for one in comments}
    asked = {mark for some in marks.values() for mark in some}
    gone = await fan_tombstones.erased(look.db, look.fan_key, look.connection["label_id"], asked)
    return [
        one for one in comments if all(one.created_at > gone[mark] for mark in marks[one.provider_id] if mark in gone)
    ]


def _marks_of(look: Look, one: RemoteComment) -> list[str]:
    answers = one.parent_id if one.author_id in look.connection["account_ids"] else None
    return fan_tombstones.marks_of(one.author_id, one.username, answers=answers)


async def _tell(look: Look, changed: Sequence[str], new: Sequence[str]) -> None:
    """A comment is received once, whether its webhook comes later or was the one that got lost."""
    label_id, now = look.connection["label_id"], look.now
    query = look.place | {"provider_id": {"$in": list(new)}, "deleted_at": writes.NOT_THERE}
    ids = [doc["_id"] async for doc in look.db.open("comments").find(query, {"_id": 1})]
    look.found["added"] += len(ids)
    look.found["changed"] += len(changed)
    rows = [Event(label_id, f"{one}:comment.received", "comment.received", one, now) for one in ids]
    rows += [Event(label_id, f"comment:{one}:read:{to_ms(now)}", "comment.changed", one, now) for one in changed]
    await append(look.db, rows)


async def _look_at_others(look: Look) -> None:
    """What no list showed: hidden from it, on a post that is gone, elsewhere as a mention, or not there any more."""
    query = look.place | {"checked_at": {"$lt": look.now}, "expires_at": {"$gt": look.now}}
    rows = look.db.open("comments").find(query).sort("checked_at", 1).limit(MOST_CALLS)
    gone: list[str] = []
    for comment in [doc async for doc in rows if doc["status"] != "deleted" and "sent_at" in doc]:
        if not look.may_call():
            break
        try:
            if comment["kind"] == "mention":
                remote = await read_mentioned(look.at, comment)
            else:
                remote = await meta.read(look.at, comment["provider_id"])
        except Refused as exc:
            if exc.reason != "not_found":
                raise
            gone.append(comment["provider_id"])
            continue
        look.can_read = True
        look.found["changed"] += readback.differs(comment, remote)
        await readback.note(look.db, look.connection, comment, remote, now=look.now)
    if gone and look.can_read:  # Meta says the same of everything while an account is unlinked, and in its own outages
        await mark_gone(look.db, look.connection, gone, now=look.now)
        look.found["gone"] += len(gone)
