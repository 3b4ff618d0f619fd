"""Documents whose every exported field holds a value that is nowhere else, and whose other fields must not get out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.db import Database, Doc
from app.ids import new_id
from app.models.collection import Collection, Part
from app.models.data_map import DATA_MAP
from tests.watch import PLANTED

HIDDEN = ("password_hash", "email_key", "envelope", "recovery", "secret_hash", "totp_seed", "name_key", "sealed_key")
"""Fields that no export has, whatever collection they stand in."""


@dataclass
class Planted:
    """What an export must have and what it must not."""

    wanted: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    count: int = 0

    def canary(self, collection: str, path: str) -> str:
        """A value that an export must have."""
        self.count += 1
        made = f"canary-{self.count}-{collection}-{path}"
        self.wanted.add(made)
        return made

    def trap(self, collection: str, path: str) -> str:
        """One that it must not have."""
        self.count += 1
        made = f"trap-{self.count}-{collection}-{path}"
        self.forbidden.add(made)
        return made


async def plant_person(db: Database, user: Doc, label_id: str, other_id: str, *, now: datetime) -> Planted:
    """Of each part of the map that shows a person something, a document for each field that may hold them.

    Beside each stands the same of somebody else, of which nothing may be shown.
    """
    planted = Planted()
    for collection in DATA_MAP.values():
        parts = [part for part in collection.parts if part.subject == "user" and part.export]
        for part in parts:
            for path in part.by:
                await _plant(db, collection, part, path, planted, user, label_id, now=now)
                if path != "_id":
                    await _plant_others(db, collection, path, planted, other_id, label_id, now=now)
    return planted


async def _plant(
    db: Database,
    collection: Collection,
    part: Part,
    path: str,
    planted: Planted,
    user: Doc,
    label_id: str,
    *,
    now: datetime,
) -> None:
    who = user["email_key"] if part.holds == "address" else user["_id"]
    shown = {name: planted.canary(collection.name, name) for name in part.export if name not in KEPT}
    hidden = {name: planted.trap(collection.name, name) for name in HIDDEN if name not in (*shown, *part.by)}
    if path == "_id":
        key = {"_id": user["_id"]}
        hidden.pop("email_key", None)
        await db.open(collection.name).update_one(key, {"$set": shown | hidden}, upsert=True, comment=PLANTED)
        return
    document = _document(collection, label_id, now) | hidden
    for name, value in shown.items():
        _set(document, name, value)
    _set(document, path, who)
    if any(index.unique and path in dict(index.keys) for index in collection.indexes):
        await db.open(collection.name).delete_many({"label_id": label_id, path: who})
    await db.open(collection.name).insert_one(document, comment=PLANTED)


async def _plant_others(
    db: Database, collection: Collection, path: str, planted: Planted, other_id: str, label_id: str, *, now: datetime
) -> None:
    fields = {name for part in collection.parts for name in part.export if name not in KEPT}
    document = _document(collection, label_id, now)
    for name in fields:
        _set(document, name, planted.trap(collection.name, name))
    _set(document, path, other_id)
    await db.open(collection.name).insert_one(document, comment=PLANTED)


async def plant_label(db: Database, label_id: str, other_label: str, *, now: datetime) -> Planted:
    """Of each collection of a label's a document of this one, and one of another, of which nothing may be shown."""
    planted = Planted()
    for collection in DATA_MAP.values():
        if not collection.tenant or not collection.export:
            continue
        mine, others = _document(collection, label_id, now), _document(collection, other_label, now)
        for name in collection.export:
            if name not in KEPT:
                mine[name] = planted.canary(collection.name, name)
                others[name] = planted.trap(collection.name, name)
        mine |= {name: planted.trap(collection.name, name) for name in HIDDEN if name not in collection.export}
        if collection.name == "invitations":
            mine["email_key"] = planted.trap(collection.name, "email_key")
        if collection.name == "billing_accounts":
            await db.open(collection.name).delete_many({"label_id": {"$in": [label_id, other_label]}})
        await db.open(collection.name).insert_many([mine, others], comment=PLANTED)
    return planted


KEPT = ("label_id", "expires_at")
"""Of which a planted document needs a real one."""


def _document(collection: Collection, label_id: str, now: datetime) -> Doc:
    """A document that no index refuses."""
    document: Doc = {"_id": new_id("evt")}
    if collection.tenant:
        document["label_id"] = label_id
    for index in collection.indexes:
        if index.unique and not index.present:
            for name, _ in index.keys:
                if name not in ("label_id", "_id"):
                    _set(document, name, new_id("evt"))
        if index.ttl:
            document["expires_at"] = now + timedelta(days=20)
    return document


def _set(document: Doc, path: str, value: Any) -> None:
    """Set what stands at this path; `list[]` is a list of one. What is no object there becomes one."""
    *way, last = path.split(".")
    at: Any = document
    for step in way:
        name = step.removesuffix("[]")
        if not isinstance(at.get(name), dict | list):
            at[name] = [{}] if step.endswith("[]") else {}
        at = at[name][0] if step.endswith("[]") else at[name]
    name = last.removesuffix("[]")
    at[name] = [value] if last.endswith("[]") else value


def strings_of(value: Any) -> Iterator[str]:
    """Every text in it."""
    if isinstance(value, dict):
        for part in value.values():
            yield from strings_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings_of(part)
    elif isinstance(value, str):
        yield value
