"""Samples of collections: bounded, by the index of `_id`, and another one each time."""

import random
import re
import string
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.db import ALL_LABELS, Database, Doc
from app.services.promises.promise import Look, Measured

NEWEST = 100
"""So many of the newest documents a sample has, and as many from a place that is drawn anew each time."""
WHY = f"{ALL_LABELS}whether a promise holds"
LETTERS = string.digits + string.ascii_lowercase
DIGITS = 9
"""So many letters of an id say where in a collection it is, once they differ."""


async def sample(look: Look, name: str, *, size: int = NEWEST, within: Doc | None = None) -> list[Doc]:
    """The newest documents of a collection and some from anywhere; all of them when there are few.

    What the check found odd last is among them as long as it is there. `within` must be what an index begins with that
    goes on by `_id`.
    """
    documents, among = look.db.open(name), within or {}
    found = {str(one["_id"]): one async for one in documents.find(among, comment=WHY).sort("_id", -1).limit(size)}
    if len(found) == size:
        first = await documents.find_one(among, {"_id": 1}, sort=[("_id", 1)], comment=WHY)
        start = _between(first["_id"] if first else "", next(iter(found.values()))["_id"])
        later = documents.find(among | {"_id": {"$gte": start}}, comment=WHY).sort("_id", 1).limit(size)
        found |= {str(one["_id"]): one async for one in later}
    if look.again.get(name):
        again = documents.find(among | {"_id": {"$in": list(look.again[name])}}, comment=WHY)
        found |= {str(one["_id"]): one async for one in again}
    return list(found.values())


def all_told(odd: Mapping[str, Sequence[Doc]]) -> Measured:
    """How many documents these are, by collection; none are allowed. The detail names the collections."""
    ids = {name: [one["_id"] for one in some] for name, some in odd.items() if some}
    return Measured(sum(len(some) for some in ids.values()), detail=" ".join(ids), odd=ids)


async def count_odd(look: Look, names: Iterable[str], odd: Callable[[Doc], bool]) -> Measured:
    """How many documents of these collections' samples are odd."""
    return all_told({name: [one for one in await sample(look, name) if odd(one)] for name in names})


async def living(db: Database, name: str, ids: Iterable[str]) -> set[str]:
    """Those of these ids that the collection has."""
    wanted = {"_id": {"$in": sorted(set(ids))}}
    return {one["_id"] async for one in db.open(name).find(wanted, {"_id": 1}, comment=WHY)}


def strings(value: Any) -> Iterator[str]:
    """Every text and whole number in a document, at any depth, as a text."""
    if isinstance(value, str | int):
        yield str(value)
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


def without(value: Any, left_out: Collection[str]) -> Any:
    """The document without the fields of these names, at any depth."""
    if isinstance(value, Mapping):
        return {name: without(below, left_out) for name, below in value.items() if name not in left_out}
    return [without(below, left_out) for below in value] if isinstance(value, list) else value


def _between(first: Any, last: Any) -> Any:
    """Somewhere between two ids of ours, anywhere as likely; the first of all where ids are of another kind."""
    if not (isinstance(first, str) and isinstance(last, str)):
        return first
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    low, high = (ends[length : length + DIGITS] for ends in (first, last))
    if not re.fullmatch("[0-9a-z]+", low) or not re.fullmatch("[0-9a-z]+", high):
        return first
    place = random.randint(*(int(ends.ljust(DIGITS, "0"), len(LETTERS)) for ends in (low, high)))  # noqa: S311
    return first[:length] + "".join(LETTERS[place // len(LETTERS) ** n % len(LETTERS)] for n in reversed(range(DIGITS)))
