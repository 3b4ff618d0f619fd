"""Sorted finds by the MongoDB stand-in walk an index, as they do in MongoDB, instead of sorting all that matches.

An index serves when the filter names its leading fields and the sort is the fields that follow, or when it begins with
the sort and the filter gives a range of that. Where several serve, they run against each other a few entries at a time,
and the first to have enough wins: MongoDB's planner does the same. A document that is met is checked against the whole
filter. Only forward walks; none over a field that holds arrays but one that the filter pins to an element, which is the
only kind that the data map has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from secantus.projection import apply_projection_batch
from secantus.query import matches
from secantus.sortkey import COMPOUND_SEP, encode_value_directed
from secantus.storage import _IDX_ENTRIES_TABLE, Storage, _escape_kb, _unpack_entry, wt

from tools.secantus_indexes import PLAIN, Filter, holds_all, picked_index

FIRST_STEP = 32
SERVED = {"sort", "limit", "projection", "let"}
"""What a walk minds of a find. The server always gives variables (`let`): the time is one."""
UPPER, LOWER = ("$lte", "$lt"), ("$gte", "$gt")


@dataclass
class Walk:
    """One walk over an index: where it begins and ends, how far it is, and what it has found."""

    storage: Any
    place: tuple[str, str]
    name: str
    keys: dict[str, int]
    pinned: frozenset[tuple[str, str]]
    prefix: bytes
    at: bytes
    end: bytes
    found: list[Any] = field(default_factory=list)
    met: set[int] = field(default_factory=set)

    def step(self, count: int, filter: Filter, enough: int, let: Any) -> bool:
        """Go on by so many entries; whether it has found enough (0: all there is), or is at its end."""
        with self.storage._lock:
            entries = list(self._entries(count))
            documents = self.storage._docs_by_recordids(*self.place, [entry for entry in entries if entry is not None])
        for document in documents:
            if matches(document, filter, vars=let):
                self.found.append(document)
                if len(self.found) == enough:
                    return True
        return len(entries) < count

    def _entries(self, count: int) -> Iterator[int | None]:
        cursor = self.storage._cursor(_IDX_ENTRIES_TABLE)
        cursor.set_key(*self.place, self.name, self.at)
        position = cursor.search_near()
        if position == wt.WT_NOTFOUND or (position < 0 and cursor.next() != 0):
            return
        for _ in range(count):
            key = cursor.get_key()
            packed = bytes(key[3])
            row, record = _unpack_entry(packed)
            if (key[0], key[1], key[2]) != (*self.place, self.name) or not row.startswith(self.prefix):
                return
            if self.end and row[: len(self.end)] > self.end:
                return
            self.at = packed + b"\x00"
            yield record if record is not None and record not in self.met else None
            self.met.add(record or 0)
            if cursor.next() != 0:
                return


def repair_sorted_finds() -> None:
    """Have `Storage` walk an index for a sort, and `explain` tell of it."""
    find, explain = Storage.find_matching, Storage.explain_plan

    def find_matching(self: Any, db: str, coll: str, filter: Filter | None = None, **options: Any) -> list[Any]:
        told = {name for name, value in options.items() if value}
        walks = _walks(self, db, coll, filter, options.get("sort")) if told <= SERVED else []
        if not walks:
            found: list[Any] = find(self, db, coll, filter, **options)
            return found
        self._refresh_read_snapshot()
        documents = _race(walks, filter or {}, options.get("limit") or 0, options.get("let"))
        if not options.get("projection"):
            return documents
        shown: list[Any] = apply_projection_batch(documents, options["projection"], filter, metas=None, has_sort=True)
        return shown

    def plan(self: Any, db: str, coll: str, filter: Filter | None = None, **options: Any) -> dict[str, Any]:
        if not options.get("hint") and not options.get("collation"):
            for walk in _walks(self, db, coll, filter, options.get("sort")):
                return _scan_of(walk.name, walk.keys) | {
                    "multikey": self.index_is_multikey(db, coll, walk.name),
                    "sorted_by_index": True,
                }
            picked = picked_index(self, db, coll, filter or {})
            if picked:
                return _scan_of(*picked) | {"multikey": self.index_is_multikey(db, coll, picked[0])}
        told: dict[str, Any] = explain(self, db, coll, filter, **options)
        return told

    Storage.find_matching = find_matching
    Storage.explain_plan = plan


def _scan_of(name: str, keys: Mapping[str, int]) -> dict[str, Any]:
    told = {"kind": "IXSCAN", "index_name": name, "key_pattern": dict(keys), "direction": "forward"}
    return told | {"sorted_by_index": False}


def _race(walks: Sequence[Walk], filter: Filter, enough: int, let: Any) -> list[Any]:
    count = enough or FIRST_STEP
    while True:
        for walk in walks:
            if walk.step(count, filter, enough, let):
                return walk.found
        count *= 2


def _walks(storage: Any, db: str, coll: str, filter: Filter | None, sort: Mapping[str, int] | None) -> list[Walk]:
    """The walks that serve; none that pins only what another one pins too."""
    if not filter or not sort:
        return []
    wanted = [(name, int(direction)) for name, direction in sort.items()]
    found = []
    for name, keys, options in storage._iter_indexes(db, coll):
        if holds_all(filter, keys, options):
            found += list(_of_index(storage, (db, coll), name, dict(keys), filter, wanted))
    return [walk for walk in found if not any(walk.pinned < other.pinned for other in found)]


def _of_index(
    storage: Any, place: tuple[str, str], name: str, keys: dict[str, int], filter: Filter, wanted: list[tuple[str, int]]
) -> Iterator[Walk]:
    """A walk for each way to pin the fields before those of the sort."""
    pairs = list(keys.items())
    for count, (key, _) in enumerate(pairs):
        clause = filter.get(key)
        if pairs[count : count + len(wanted)] == wanted and (count or _bounds(clause, 1) != (b"", b"")):
            break
        if not _choices(clause, there=key in filter):
            return
    else:
        return
    heads: list[tuple[bytes, ...]] = [()]
    for key, direction in pairs[:count]:
        values = [encode_value_directed(value, direction) for value in _choices(filter[key], there=True)]
        heads = [(*head, value) for head in heads for value in values]
    first, direction = pairs[count]
    for head in heads:
        prefix = b"".join(value + COMPOUND_SEP for value in head)
        begin, end = _bounds(filter.get(first), direction)
        pinned = frozenset((key, repr(value)) for (key, _), value in zip(pairs, head, strict=False))
        at, last = _escape_kb(prefix + begin), _escape_kb(prefix + end) if end else b""
        yield Walk(storage, place, name, keys, pinned, _escape_kb(prefix), at, last)


def _choices(clause: Any, *, there: bool) -> list[Any]:
    """The values of which one pins the field: more than one where the field must hold them all."""
    if isinstance(clause, Mapping):
        if set(clause) == {"$all"} and all(isinstance(value, PLAIN) for value in clause["$all"]):
            return list(clause["$all"])
        if set(clause) != {"$eq"}:
            return []
        clause = clause["$eq"]
    return [clause] if there and (clause is None or isinstance(clause, PLAIN)) else []


def _bounds(clause: Any, direction: int) -> tuple[bytes, bytes]:
    """From where to where the values lie that a range allows, as the index orders them; empty where it does not say.

    A range matches only values of its bound's type, which the first byte of what is encoded names.
    """
    if not isinstance(clause, Mapping):
        return b"", b""
    from_ops, to_ops = (LOWER, UPPER) if direction == 1 else (UPPER, LOWER)
    encoded = {op: encode_value_directed(value, direction) for op, value in clause.items() if isinstance(value, PLAIN)}
    begin, end = [[encoded[op] for op in ops if op in encoded] for ops in (from_ops, to_ops)]
    kind = next((value[:1] for value in begin + end), b"")
    return max(begin, default=kind), min(end, default=kind)
