"""Fans whose accounts Meta has deleted: everything of theirs goes, in every label.

First what still waits to be taken in, or it would bring back what goes after it. Each batch is one transaction with the
row in its label's audit log, so that it may be broken off at any point and begun again.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.db import ALL_LABELS, Database, Doc, Session
from app.models.data_map import DEDUPE_LIFE
from app.services import operations
from app.services.audit import SYSTEM, Audit
from app.services.connections.store import live_connections

FANS_AT_ONCE, DOCUMENTS_AT_ONCE = 500, 100
ID = re.compile(r"[0-9]{5,40}")
"""What Meta's ids of people look like."""
_NUMBER = re.compile(rb"[0-9]+")
_COMMENT = f"{ALL_LABELS}what there is of fans whose accounts Meta has deleted"


@dataclass
class Found:
    """How many documents, by collection; and in which labels."""

    counts: Counter[str] = field(default_factory=Counter)
    labels: set[str] = field(default_factory=set)

    def add(self, label_id: str, counts: dict[str, int]) -> None:
        """Count what was found in a label."""
        self.counts.update(counts)
        self.labels.add(label_id)


@dataclass(frozen=True)
class Eraser:
    """Erases, or only counts what it would erase."""

    db: Database
    audit: Audit
    apply: bool
    now: datetime
    action: str = "fan.erased_by_list"
    """What the audit log says of it."""
    found: Found = field(default_factory=Found)

    async def erase(self, fans: Sequence[str]) -> Found:
        """Erase everything of these fans, by their ids at Meta; how much it was."""
        await self._waiting({fan.encode() for fan in fans})
        await self._parked({fan.encode() for fan in fans}, {})
        for some in _batches(fans, FANS_AT_ONCE):
            for label_id, ids in (await self._of_fans("conversations", "participant.provider_id", some)).items():
                await self._in_batches(label_id, ids, self._conversations)
            for label_id, ids in (await self._of_fans("comments", "author.provider_id", some)).items():
                await self._in_batches(label_id, ids, self._delete("comments"))
        return self.found

    async def erase_in(
        self, label_id: str, fans: Sequence[str], *, conversations: Sequence[str], comments: Sequence[str]
    ) -> Found:
        """Erase these in one label, and what is parked there of these fans; how much it was.

        What waits to be taken in is not touched: other labels may receive it too. A tombstone stops it here.
        """
        await self._parked({fan.encode() for fan in fans}, {"label_id": label_id})
        await self._in_batches(label_id, conversations, self._conversations)
        await self._in_batches(label_id, comments, self._delete("comments"))
        return self.found

    async def _of_fans(self, name: str, path: str, fans: list[str]) -> dict[str, list[str]]:
        """The ids of the documents, by label."""
        cursor = self.db.open(name).find({path: {"$in": fans}}, {"label_id": 1}, comment=_COMMENT)
        return _by_label([(doc["label_id"], doc["_id"]) async for doc in cursor])

    async def _parked(self, fans: set[bytes], where: Doc) -> None:
        fields = {"label_id": 1, "change": 1}
        cursor = self.db.open("parked_changes").find(where, fields, comment=_COMMENT)
        found = [(doc["label_id"], doc["_id"]) async for doc in cursor if _mentions(doc["change"], fans)]
        for label_id, ids in _by_label(found).items():
            await self._in_batches(label_id, ids, self._delete("parked_changes"))

    async def _waiting(self, fans: set[bytes]) -> None:
        """Of rows of the webhook inbox nothing stays but the hash by which a repeat is recognised."""
        fields = {"account_id": 1, "change": 1}
        cursor = self.db.open("webhook_inbox").find({"due_at": {"$exists": True}}, fields, comment=_COMMENT)
        accounts = [(doc["account_id"], doc["_id"]) async for doc in cursor if _mentions(doc["change"], fans)]
        for account_id, ids in _by_label(accounts).items():
            receivers = (await live_connections(self.db, [account_id])).get(account_id, [])
            for some in _batches(ids, DOCUMENTS_AT_ONCE):
                await self._empty(some, {connection["label_id"] for connection in receivers})

    async def _empty(self, ids: list[str], labels: set[str]) -> None:
        forgotten = dict.fromkeys(("change", "due_at", "lease", "account_id", "channel"), "")
        done = {"outcome": "erased", "done_at": self.now, "expires_at": self.now + DEDUPE_LIFE}

        async def all_of_it(session: Session) -> int:
            query = {"_id": {"$in": ids}, "due_at": {"$exists": True}}
            inbox, update = self.db.open("webhook_inbox"), {"$set": done, "$unset": forgotten}
            emptied = (await inbox.update_many(query, update, comment=_COMMENT, session=session)).modified_count
            for label_id in labels if emptied else ():
                await self._record(label_id, {"webhook_inbox": emptied}, session)
            return emptied

        self.found.counts["webhook_inbox"] += await self.db.in_transaction(all_of_it) if self.apply else len(ids)
        self.found.labels |= labels

    async def _in_batches(self, label_id: str, ids: Sequence[str], work: "Work") -> None:
        for some in _batches(ids, DOCUMENTS_AT_ONCE):

            async def all_of_it(session: Session, some: list[str] = some) -> dict[str, int]:
                counts = await work(label_id, some, session)
                if self.apply and any(counts.values()):
                    await self._record(label_id, counts, session)
                return counts

            self.found.add(label_id, await self.db.in_transaction(all_of_it))

    async def _conversations(self, label_id: str, ids: list[str], session: Session) -> dict[str, int]:
        """With all that was written in them. What waits to be sent there is not sent any more."""
        query = {"label_id": label_id, "conversation_id": {"$in": ids}}
        cursor = self.db.open("messages").find(query, {"state": 1}, session=session)
        messages = [(doc["_id"], doc.get("state")) async for doc in cursor]
        notes = await self.db.open("notes").count_documents(query, session=session)
        if self.apply:
            unsent = [message_id for message_id, state in messages if state == "queued"]
            await operations.cancel(self.db, label_id, kind="send_reply", targets=unsent, now=self.now, session=session)
            for name in ("messages", "notes"):
                await self.db.open(name).delete_many(query, session=session)
            await self._runs(label_id, [message_id for message_id, _ in messages], session)
        conversations = await self._delete("conversations")(label_id, ids, session)
        return conversations | {"messages": len(messages), "notes": notes}

    def _delete(self, name: str) -> "Work":
        async def work(label_id: str, ids: list[str], session: Session) -> dict[str, int]:
            if not self.apply:
                return {name: len(ids)}
            query = {"label_id": label_id, "_id": {"$in": ids}}
            await self._runs(label_id, ids, session)
            return {name: (await self.db.open(name).delete_many(query, session=session)).deleted_count}

        return work

    async def _runs(self, label_id: str, targets: list[str], session: Session) -> None:
        """What rules noted about these: it remembers, as a hash, whose they were."""
        query = {"label_id": label_id, "target": {"$in": targets}}
        await self.db.open("rule_runs").delete_many(query, session=session)

    async def _record(self, label_id: str, counts: dict[str, int], session: Session) -> None:
        details = {name: str(count) for name, count in counts.items()}
        where: Doc = {"label_id": label_id, "target": label_id, "now": self.now, "session": session}
        await self.audit.record(SYSTEM, self.action, details=details, **where)


Work = Callable[[str, list[str], Session], Awaitable[dict[str, int]]]
"""Does one batch of a label's; how many documents of which collection it was."""


def _by_label(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Ids by what they belong to."""
    groups: dict[str, list[str]] = {}
    for owner, document_id in found:
        groups.setdefault(owner, []).append(document_id)
    return groups


def _batches(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for at in range(0, len(ids), size):
        yield list(ids[at : at + size])


def _mentions(change: bytes, fans: set[bytes]) -> bool:
    """Whether one of the ids stands in the raw change, wherever that is."""
    return not fans.isdisjoint(_NUMBER.findall(change))
