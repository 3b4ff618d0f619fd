"""What there is of a person, by the parts of the data map: counted, deleted, or without their id from then on.

Labels' collections are walked label by label, through those that the person has worked for: no index spans all labels
for it. What is found by the person's address is older than the erasure: the same address may have a new account.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from app.db import ALL_LABELS, Database, Doc, Session
from app.models.collection import ERASED, Collection, Part
from app.models.data_map import DATA_MAP
from app.services import faults

FIRST = ("refresh_tokens", "sessions", "single_use_tokens", "second_factors", "oauth_states", "memberships")
"""What gives access goes first: refresh tokens are found by the sessions."""
LAST = ("users",)
"""Who waits for the rest to go is known by it."""
WHY = f"{ALL_LABELS}what there is of a person who is erased"


@dataclass(frozen=True)
class Subject:
    """Whose data it is."""

    user_id: str
    address_key: str
    labels: tuple[str, ...]
    """Every label that they have ever worked for."""
    before: datetime
    """What is known by the address alone counts if it is older."""


@dataclass(frozen=True)
class Found:
    """Documents that a part means: of one label, or of none."""

    collection: Collection
    part: Part
    query: Doc


async def subject_of(db: Database, user: Doc, *, now: datetime, session: Session | None = None) -> Subject:
    """A person with every label that they work for, or have worked for."""
    why = f"{ALL_LABELS}a person's own labels"
    found = db.open("memberships").find({"user_id": user["_id"]}, {"label_id": 1}, comment=why, session=session)
    labels = {membership["label_id"] async for membership in found} | set(user.get("worked_in", []))
    return Subject(user["_id"], user["email_key"], tuple(sorted(labels)), now)


async def count(db: Database, subject: Subject) -> Counter[tuple[str, str]]:
    """How many documents there are, by their collection and what an erasure does to them (`delete`, `unlink`)."""
    counts: Counter[tuple[str, str]] = Counter()
    async for found in _everything(db, subject):
        number = await db.open(found.collection.name).count_documents(found.query, comment=WHY)
        counts[found.collection.name, found.part.erase] += number
    return +counts


async def erase(db: Database, subject: Subject) -> Counter[tuple[str, str]]:
    """Delete and unlink everything; how many documents it was, as `count` says it. It may be done again."""
    counts: Counter[tuple[str, str]] = Counter()
    async for found in _everything(db, subject):
        name = found.collection.name
        if found.part.erase == "delete":
            number = (await db.open(name).delete_many(found.query, comment=WHY)).deleted_count
        else:
            number = await _unlink(db, found, subject.user_id)
        counts[name, found.part.erase] += number
        await faults.reach("erase_during_records")
    return +counts


def kept() -> list[tuple[Collection, Part]]:
    """What stays as it is, and why."""
    return [(one, part) for one in DATA_MAP.values() for part in one.parts if _is_users(part) and part.erase == "keep"]


def plain(path: str) -> str:
    """A path of the map as a query names it."""
    return path.replace("[]", "")


async def _everything(db: Database, subject: Subject) -> AsyncIterator[Found]:
    for collection in sorted(DATA_MAP.values(), key=_turn):
        for part in collection.parts:
            if _is_users(part) and part.erase != "keep":
                async for query in queries(db, collection, part, subject):
                    yield Found(collection, part, query)


def _is_users(part: Part) -> bool:
    return part.subject == "user"


def _turn(collection: Collection) -> tuple[int, str]:
    name = collection.name
    return (FIRST.index(name) if name in FIRST else len(FIRST) + (name in LAST), name)


async def queries(db: Database, collection: Collection, part: Part, subject: Subject) -> AsyncIterator[Doc]:
    """What finds the documents of one part: of each label, or of none."""
    if part.holds == "address":
        for path in part.by:
            yield {path: subject.address_key, "created_at": {"$lt": subject.before}}
    elif part.holds == "session":
        sessions = db.open("sessions").find({"user_id": subject.user_id}, {"_id": 1})
        ids = [session["_id"] async for session in sessions]
        for path in part.by:
            yield {path: {"$in": ids}}
    else:
        theirs = [{plain(path): subject.user_id} for path in part.by]
        places = [*subject.labels, *([None] if part.without_label else [])] if collection.tenant else ["everywhere"]
        for place in places:
            label: Doc = {"label_id": place} if collection.tenant else {}
            yield label | (theirs[0] if len(theirs) == 1 else {"$or": theirs})


async def _unlink(db: Database, found: Found, user_id: str) -> int:
    """Put `ERASED` in the id's place, at each path where it stands."""
    documents, number = db.open(found.collection.name), 0
    label = {name: value for name, value in found.query.items() if name == "label_id"}
    cleared: Doc = dict.fromkeys(found.part.clears)
    for path in found.part.by:
        head, _, rest = path.partition("[]")
        update: Doc = {"$set": {path.replace("[]", ".$[it]"): ERASED} | cleared}
        filters = [{f"it{rest}": user_id}] if head != path else None
        query = label | {plain(path): user_id}
        written = await documents.update_many(query, update, array_filters=filters, comment=WHY)
        number += written.modified_count
    return number
