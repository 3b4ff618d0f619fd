"""Samples of collections: bounded, by the index of `_id`, and another one each time."""

import random
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from app.db import ALL_LABELS, Database, Doc
from app.services.promises.promise import Measured

NEWEST, ANYWHERE = 100, 100
"""How many of the newest documents a sample has, and how many from a place that is drawn anew each time."""
WHY = f"{ALL_LABELS}whether a promise holds"
LETTERS = string.digits + string.ascii_lowercase


async def sample(db: Database, name: str, *, size: int = NEWEST) -> list[Doc]:
    """The newest documents of a collection and some from anywhere; all of them when there are few."""
    found = db.open(name).find({}, comment=WHY).sort("_id", -1).limit(size)
    newest = {str(one["_id"]): one async for one in found}
    if len(newest) == size:
        first = await db.open(name).find_one({}, {"_id": 1}, sort=[("_id", 1)], comment=WHY)
        start = _between(first["_id"] if first else "", next(iter(newest.values()))["_id"])
        later = db.open(name).find({"_id": {"$gte": start}}, comment=WHY).sort("_id", 1).limit(size)
        newest |= {str(one["_id"]): one async for one in later}
    return list(newest.values())


async def count_odd(db: Database, names: Iterable[str], odd: Callable[[Doc], bool]) -> Measured:
    """How many documents of these collections' samples are odd; none are allowed. The detail names the collections."""
    counts = {name: sum(odd(one) for one in await sample(db, name)) for name in names}
    return Measured(sum(counts.values()), detail=" ".join(name for name, count in counts.items() if count))


async def living(db: Database, name: str, ids: Iterable[str]) -> set[str]:
    """Those of these ids that the collection has."""
    wanted = {"_id": {"$in": sorted(set(ids))}}
    return {one["_id"] async for one in db.open(name).find(wanted, {"_id": 1}, comment=WHY)}


def strings(value: Any) -> Iterator[str]:
    """Every text in a document, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from strings(below)
    elif isinstance(value, list):
        for below in value:
            yield from strings(below)


def names(value: Any) -> Iterator[str]:
    """The name of every field of a document, at any depth."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield name
            yield from names(below)
    elif isinstance(value, list):
        for below in value:
            yield from names(below)


def _between(first: Any, last: Any) -> Any:
    """Somewhere between two ids of ours; the first of all where ids are of another kind."""
    if not (isinstance(first, str) and isinstance(last, str)):
        return first
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    same = first[:length]
    low, high = (ends[len(same) : len(same) + 1] for ends in (first, last))
    between = [one for one in LETTERS if low <= one <= high] if re.fullmatch("[0-9a-z]{2}", low + high) else []
    return same + "".join((random.choice(between), *random.choices(LETTERS, k=8))) if between else first  # noqa: S311
