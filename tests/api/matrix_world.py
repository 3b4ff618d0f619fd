"""Two labels with one of everything in each, and the way back after whatever was done to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import bson
from pymongo import ReplaceOne

from tests.api.matrix_dump import SPANS, Dump, Written, dump_of
from tests.api.matrix_makers import make_side
from tests.api.matrix_side import Side
from tests.house import House

AHEAD = timedelta(hours=1)
"""So far the world's clock is ahead: the store, whose clock is the real one, deletes nothing while the tests run."""


@dataclass
class World:
    """A house with the labels `a` and `b`, as it was when it was made."""

    house: House
    a: Side
    b: Side
    base: Dump = field(repr=False)
    of_a: set[tuple[str, Any]] = field(repr=False)
    """What there was before `b` was."""
    written: Written = field(repr=False)
    known: Dump = field(repr=False)
    """All that was stored when somebody looked last."""

    async def dump(self) -> Dump:
        """Everything that is stored."""
        self.known = await dump_of(self.house.db, self.known, self.written)
        return self.known

    async def restore(self, to: Dump) -> None:
        """Put back everything that has changed since."""
        now = await self.dump()
        extra = sorted(now.keys() - to.keys())
        wrong = sorted(key for key, document in to.items() if now.get(key) != document)
        raw = self.house.db.raw
        for name, keys in groupby(extra, key=itemgetter(0)):
            await raw[name].delete_many({"_id": {"$in": [body for _, body in keys]}}, comment=SPANS)
        for name, keys in groupby(wrong, key=itemgetter(0)):
            writes = [ReplaceOne({"_id": key[1]}, bson.decode(to[key]), upsert=True) for key in keys]
            await raw[name].bulk_write(writes, comment=SPANS)

    def data_of_a(self, dump: Dump) -> Dump:
        """All of A's: what there was before B was, and whatever names A's label, its people or their sessions."""
        anchors = [
            value.encode()
            for name in ("label_id", "member_id", "session_id", "invitation_id")
            for value in self.a.ids[name]
        ]
        anchors += [value.encode() for value in self.a.user_ids.values()]
        return {
            key: document
            for key, document in dump.items()
            if key in self.of_a or any(anchor in document for anchor in anchors)
        }


async def make_world(house: House, written: Written) -> World:
    """Label A with everything, and then label B. `written` hears of the house's writes."""
    house.clock.offset = AHEAD
    a = await make_side(house, "a", "17841400000000001")
    first = await dump_of(house.db, {}, written)
    b = await make_side(house, "b", "17841400000000002")
    both = await dump_of(house.db, first, written)
    return World(house, a, b, both, set(first), written, both)


def differences(before: Dump, after: Dump) -> str:
    """Which documents were added, changed or taken away; empty when none was."""
    return _named("added", after.keys() - before.keys()) + _named("gone or changed", before.items() - after.items())


def _named(what: str, found: Iterable[Any]) -> str:
    names = sorted({key[0] if isinstance(key[1], str) else key[0][0] for key in found})
    return f" {what}: {', '.join(names)}" if names else ""
