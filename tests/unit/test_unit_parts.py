"""The data map knows whose a document is: what it declares of people is whole, and what it does not is found."""

import re

import pytest

from app.db import Database, Unmapped
from app.ids import new_id
from app.models.collection import ERASED, Part
from app.models.data_map import DATA_MAP
from tests.people_map import PERSON, places_of, undeclared, undeclared_people

PARTS = [(name, part) for name, collection in DATA_MAP.items() for part in collection.parts]
IDS = [f"{name}-{part.subject}-{part.by[0]}" for name, part in PARTS]
NOT_A_PERSONS = {
    "labels": "a label is nobody",
    "billing_accounts": "of the label as a customer: whom invoices name is the label's",
    "money_records": "of the label as a customer",
    "money_parties": "of the label as a customer",
    "billing_links": "of an order, for 23 hours",
    "connections": "of an account of the label's",
    "disconnections": "of an account of the label's",
    "deletion_requests": "of somebody at Meta, under a keyed hash",
    "secrets": "of an account of the label's",
    "account_days": "sums over people",
    "media": "of an account of the label's",
    "media_days": "sums over people",
    "idempotency_keys": "sealed by a key that only the caller has",
}
"""Collections about people in which no person of ours, and no fan, is named, and why."""


@pytest.mark.parametrize(("name", "part"), PARTS, ids=IDS)
def test_parts_are_whole(name: str, part: Part) -> None:
    """Paths look like paths; what is not deleted says why; what is cleared goes with an id; no secret is exported."""
    for path in (*part.by, *part.export, *part.clears):
        assert re.fullmatch(r"[a-z_]+(\[\])?(\.[a-z_]+(\[\])?)*", path), path
        assert not re.search("hash|token|secret|password|envelope|fence|lease|(^|_)key$", path.rpartition(".")[2]) or (
            path in part.by
        )
    assert len(set(part.export)) == len(part.export) and part.by
    assert bool(part.why) == (part.erase != "delete"), name
    assert not part.clears or part.erase == "unlink"
    assert part.holds == "id" or part.erase != "unlink"
    if DATA_MAP[name].personal == "secret":
        assert not {"envelope", "recovery", "secrets"} & set(part.export)


def test_whoever_is_in_it_is_declared() -> None:
    """Each collection about people has a part, or stands here with its reason; none is left over."""
    about_people = {name for name, collection in DATA_MAP.items() if collection.subject != "nobody"}
    assert about_people - {name for name, _ in PARTS} == NOT_A_PERSONS.keys() & about_people
    assert not {name for name, _ in PARTS} & NOT_A_PERSONS.keys()


def test_a_person_is_found_wherever_they_stand() -> None:
    """In lists of lists, as a key, within a text, in bytes; and what was erased is nobody."""
    user = new_id("usr")
    document = {
        "_id": new_id("msg"),
        "a": [{"b": [user]}],
        "c": {user: 1},
        "d": f"key:{user}:x",
        "e": user.encode(),
        "by": {new_id("con"): {"who": user}},
        "erased": ERASED,
    }
    assert set(places_of(document)) == {"a[].b[]", "c.<key>", "d", "e", "by.*.who"}
    assert not PERSON.search(ERASED)
    assert undeclared("messages", {"sent_by": {"id": user}, "seen": [user]}) == {"messages.seen[]"}


async def test_a_stored_person_whom_nobody_declared_is_named(fresh_mongodb_url: str) -> None:
    """The walk that every test ends with."""
    db = Database(fresh_mongodb_url)
    with pytest.raises(Unmapped):
        db.open("people")
    await db.open("labels").insert_one({"_id": new_id("lbl"), "favourite": {"of": new_id("usr")}})
    await db.open("users").insert_one({"_id": new_id("usr"), "email_key": "a"})
    assert await undeclared_people(db) == ["labels.favourite.of"]
    db.close()
