"""Everything Stripe knows, in memory and in a journal: one line for each call that changed something.

A line holds the new state of every object that the call touched, its events and its idempotency record, so that a
kill at any moment leaves either all of it or nothing.
"""

import random
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from sandbox.journal import Journal, Row

Obj = dict[str, Any]
LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str, count: int = 24) -> str:
    """An id as `cus_…`."""
    return f"{prefix}_{''.join(random.choices(LETTERS, k=count))}"


class Store:
    """All objects by id, and by kind in the order they were made. Opened once per process."""

    def __init__(
        self, path: Path, base_url: str, due_of: Callable[[Obj], int | None], before_commit: Callable[["Tx"], None]
    ) -> None:
        self.journal = Journal(path)
        self.base_url = base_url
        """Where people find the pages."""
        self.due_of, self.before_commit = due_of, before_commit
        self.due: dict[str, int] = {}
        """By object: when time will do something to it."""
        self.seq = 0
        self.objects: dict[str, Obj] = {}
        self.kinds: dict[str, dict[str, None]] = {}
        for row in self.journal.replay():
            self._apply(row)

    def clock_offset(self) -> float:
        """How many seconds the sandbox is ahead of the real time."""
        offset: float = self.objects.get("clock", {}).get("offset_s", 0)
        return offset

    def now(self) -> int:
        """The sandbox's time, in seconds since 1970."""
        return int(time.time() + self.clock_offset())

    def commit(self, puts: list[Obj], cuts: list[str]) -> None:
        """Write down what changed and apply it; `settled` tells when it is on disk."""
        row: Row = {"seq": self.seq + 1, "puts": puts, "cuts": cuts}
        self.journal.append(row)
        self._apply(row)

    async def settled(self) -> None:
        """Return once everything committed so far is on disk."""
        await self.journal.settled()

    def of_kind(self, kind: str) -> Iterator[Obj]:
        """Objects of a kind, oldest first, to read only."""
        return (self.objects[key] for key in list(self.kinds.get(kind, ())))

    def _apply(self, row: Row) -> None:
        self.seq = row["seq"]
        for obj in row["puts"]:
            self.objects[obj["id"]] = obj
            self.kinds.setdefault(obj["object"], {})[obj["id"]] = None
            due = self.due_of(obj)
            if due is None:
                self.due.pop(obj["id"], None)
            else:
                self.due[obj["id"]] = due
        for key in row["cuts"]:
            gone = self.objects.pop(key, None)
            self.due.pop(key, None)
            if gone:
                self.kinds[gone["object"]].pop(key, None)


class Tx:
    """One call's view of the store: what it changes shows to nobody before `commit`."""

    def __init__(self, store: Store, *, request_id: str | None = None, key: str | None = None) -> None:
        self.store = store
        self.now = store.now()
        self.request_id, self.key = request_id, key
        self.metadata: dict[str, str] = {}
        """What the call itself sent as metadata, for the ledger."""
        self.told: dict[str, Obj] = {}
        """By object: how its newest event of this call shows it."""
        self.changed: dict[str, Obj] = {}
        self.cuts: dict[str, None] = {}

    def peek(self, key: str | None) -> Obj | None:
        """The object, to read only."""
        if key is None or key in self.cuts:
            return None
        return self.changed.get(key) or self.store.objects.get(key)

    def get(self, key: str | None) -> Obj | None:
        """The object, to change."""
        found = self.peek(key)
        if found is not None and found["id"] not in self.changed:
            found = orjson.loads(orjson.dumps(found))
            self.changed[found["id"]] = found
        return found

    def the(self, key: str) -> Obj:
        """An object that exists, to change."""
        found = self.get(key)
        assert found is not None, key
        return found

    def add(self, obj: Obj) -> Obj:
        """Keep a new object."""
        self.changed[obj["id"]] = obj
        return obj

    def cut(self, key: str) -> None:
        """Forget an object."""
        self.changed.pop(key, None)
        self.cuts[key] = None

    def all(self, kind: str) -> Iterator[Obj]:
        """Objects of a kind as this call sees them, oldest first, to read only."""
        known = self.store.kinds.get(kind, {})
        for key in list(known):
            found = self.peek(key)
            if found is not None:
                yield found
        for key, obj in list(self.changed.items()):
            if key not in known and obj["object"] == kind:
                yield obj

    def commit(self) -> None:
        """Let everybody see it."""
        self.store.before_commit(self)
        cuts = [key for key in self.cuts if key in self.store.objects]
        if self.changed or cuts:
            self.store.commit(list(self.changed.values()), cuts)
