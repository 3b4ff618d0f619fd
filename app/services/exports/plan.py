"""What goes into an export: one sheet after the other, as the data map says. No sheet holds what is a secret.

A label's export is what `Collection.export` names of each collection that is the label's, and the label itself. A
person's is what `Part.export` names of each part that holds them. Every walk goes along an index of the map: a label's
along the first that begins with the label, a person's along the one that begins with where they stand, or, where there
is none, label by label of those that they have worked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.db import ALL_LABELS, Database, Doc
from app.models.collection import EXPIRES, Collection, Index, Part
from app.models.data_map import DATA_MAP

THEIR_OWN = f"{ALL_LABELS}what there is of a person, for their own export"
SPARED = timedelta(hours=24)
"""What fans wrote and must be deleted so soon is left out, so that a file lives at least so long."""


@dataclass(frozen=True)
class Walk:
    """One query of a sheet, along one index."""

    query: Doc
    hint: str | None
    """The index's name; none where the query names a document by its own id."""
    comment: str | None


@dataclass(frozen=True)
class Sheet:
    """One file of an export: the documents of a collection, as some of their fields."""

    name: str
    collection: Collection
    fields: tuple[str, ...]
    walks: tuple[Walk, ...]

    @property
    def expires(self) -> bool:
        """Whether its documents carry their end."""
        return EXPIRES in self.collection.indexes

    @property
    def bounds_the_file(self) -> bool:
        """Whether the file may live no longer than the first of these documents."""
        return self.expires and self.collection.subject == "fan"

    def alive(self, now: datetime) -> Doc:
        """The filter of what may still be shown."""
        if not self.expires:
            return {}
        return {"expires_at": {"$gt": now + SPARED if self.bounds_the_file else now}}

    def spared(self, now: datetime) -> Doc | None:
        """The filter of what is left out because it ends soon, or none."""
        return {"expires_at": {"$gt": now, "$lte": now + SPARED}} if self.bounds_the_file else None


@dataclass(frozen=True)
class Known:
    """A person, as documents may name them."""

    user_id: str
    email_keys: tuple[str, ...]
    labels: tuple[str | None, ...]
    """Where they may have left something; None is what belongs to no label."""


def of_label(label_id: str) -> list[Sheet]:
    """A label's sheets."""
    own = DATA_MAP["labels"]
    found = [Sheet("labels", own, _with_id(own, own.export), (Walk({"_id": label_id}, None, None),))]
    for collection in DATA_MAP.values():
        if collection.tenant and collection.export:
            walk = Walk({"label_id": label_id}, label_index(collection).name, None)
            found.append(Sheet(collection.name, collection, _with_id(collection, collection.export), (walk,)))
    return found


def of_person(known: Known) -> list[Sheet]:
    """A person's sheets. What an earlier sheet of the same collection shows, a later one does not show again."""
    found = []
    for collection in DATA_MAP.values():
        earlier: list[Doc] = []
        for part in collection.parts:
            if part.subject != "user" or not part.export:
                continue
            who = _filter_of(part, known)
            name = collection.name if not earlier else f"{collection.name}_by_{part.by[0].rpartition('.')[2]}"
            but = {"$nor": list(earlier)} if earlier else {}
            walks = tuple(_walks(collection, part, who | but, known))
            found.append(Sheet(name, collection, _with_id(collection, part.export), walks))
            earlier.append(who)
    return found


def _with_id(collection: Collection, fields: Sequence[str]) -> tuple[str, ...]:
    """Behind the document's own id, except where it is a secret's."""
    return (*(() if collection.personal == "secret" else ("id",)), *fields)


def _filter_of(part: Part, known: Known) -> Doc:
    """The documents that hold the person in one of the part's fields."""
    values = list(known.email_keys) if part.holds == "address" else [known.user_id]
    value: Any = values[0] if len(values) == 1 else {"$in": values}
    either = [{path.replace("[]", ""): value} for path in part.by]
    return either[0] if len(either) == 1 else {"$or": either}


def _walks(collection: Collection, part: Part, who: Doc, known: Known) -> list[Walk]:
    if part.by == ("_id",):
        return [Walk(who, None, None)]
    path = part.by[0].replace("[]", "")
    direct = next((index for index in collection.indexes if index.keys[0][0] == path), None)
    if direct is not None and len(part.by) == 1:
        return [Walk(who, direct.name, THEIR_OWN if collection.tenant else None)]
    hint = label_index(collection).name
    return [Walk({"label_id": label_id} | who, hint, None) for label_id in known.labels]


def label_index(collection: Collection) -> Index:
    """The index along which all of a label's documents are met. Raises `LookupError` where the map has none."""
    for index in collection.indexes:
        if index.keys[0][0] == "label_id" and not index.present and not index.ttl:
            return index
    raise LookupError(collection.name)


async def known_of(db: Database, user: Doc) -> Known:
    """The person, and where they may have left something."""
    why = f"{ALL_LABELS}a person's own labels"
    found = db.open("memberships").find({"user_id": user["_id"]}, {"label_id": 1}, comment=why)
    labels = {one["label_id"] async for one in found} | set(user.get("worked_in", []))
    return Known(user["_id"], (user["email_key"],), (None, *sorted(labels)))
