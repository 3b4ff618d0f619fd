"""Looks through stored documents for ids of people where the data map declares none."""

import re
from collections.abc import Iterator
from typing import Any

from app.db import ALL_LABELS, Database, Doc
from app.models.data_map import DATA_MAP

PERSON = re.compile(r"usr_[0-9a-z]{26}")
ID = re.compile(r"[a-z]{2,4}_[0-9a-z]{26}")


def places_of(value: Any, path: str = "") -> Iterator[str]:
    """Every path that holds a person's id, `[]` standing for an item of a list and `*` for a key that is an id."""
    if isinstance(value, dict):
        for key, part in value.items():
            if PERSON.search(str(key)):
                yield f"{path}.<key>"
            yield from places_of(part, f"{path}.{'*' if ID.search(str(key)) else key}".lstrip("."))
    elif isinstance(value, list):
        for part in value:
            yield from places_of(part, f"{path}[]")
    elif isinstance(value, bytes):
        yield from places_of(value.decode("latin-1"), path)
    elif isinstance(value, str) and PERSON.search(value):
        yield path


def declared(name: str) -> set[str]:
    """Where the map says that a collection's documents hold a person."""
    return {path for part in DATA_MAP[name].parts if part.subject == "user" for path in part.by}


def undeclared(name: str, document: Doc) -> set[str]:
    """Where a document holds a person and the map does not say so."""
    return {f"{name}.{path}" for path in set(places_of(document)) - declared(name)}


async def undeclared_people(db: Database) -> list[str]:
    """The same of everything that is stored."""
    found: set[str] = set()
    for name in DATA_MAP:
        async for document in db.open(name).find({}, comment=f"{ALL_LABELS}a test's look at everything"):
            found |= undeclared(name, document)
    return sorted(found)
