"""The launcher's repair finds by index, and finds what it found before."""

import time
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection

from tools import embedded, secantus_indexes

DOCUMENTS = 5_000
Doc = dict[str, Any]


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection[Doc]]:
    """Documents with an index on `kind` and one on a field that not all have."""
    with (
        embedded.mongodb(tmp_path_factory.mktemp("mongo")) as url,
        pymongo.MongoClient[Doc](url) as client,
    ):
        things = client.get_default_database().things
        things.create_index([("kind", 1), ("n", 1)])
        things.create_index([("rare", 1)], sparse=True)
        has_due = {"due": {"$exists": True}}
        things.create_index([("kind", 1), ("due", -1)], unique=True, partialFilterExpression=has_due)
        things.create_index([("due", 1)], partialFilterExpression=has_due)
        things.insert_many(
            {"_id": n, "n": n, "kind": n % 7, "state": "queued"}
            | ({"rare": n} if n % 1000 == 0 else {})
            | ({"due": n} if n % 100 == 0 else {})
            for n in range(DOCUMENTS)
        )
        yield things


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"_id": 7}, {7}),
        ({"_id": 7, "n": 8}, set()),
        ({"_id": -1}, set()),
        ({"_id": {"$in": [1, 2]}, "$or": [{"n": 2}, {"n": 3}]}, {2}),
        ({"_id": 9, "$expr": {"$eq": ["$n", "$_id"]}}, {9}),
        ({"_id": 9, "$expr": {"$ne": ["$n", "$_id"]}}, set()),
        ({"$and": [{"n": {"$gte": 10}}, {"_id": {"$in": [9, 10]}}]}, {10}),
        ({"$and": [{"$or": [{"_id": 1}, {"_id": 2}]}, {"kind": 2}]}, {2}),
        ({"$or": [{"_id": 1}, {"n": 2}]}, {1, 2}),
        ({"$nor": [{"n": {"$gt": 0}}]}, {0}),
        ({"kind": 3, "n": {"$lt": 12}, "$or": [{"state": "queued"}, {"rare": 1}]}, {3, 10}),
        ({"$or": [{"rare": 1000}, {"n": 3}], "n": {"$lt": 5}}, {3}),
        ({"kind": 2, "due": 100}, {100}),
        ({"kind": 2, "due": 101}, set()),
        ({"due": {"$lte": 200}}, {0, 100, 200}),
        ({"due": {"$lte": 200}, "kind": {"$in": [2, 4]}}, {100, 200}),
        ({"due": {"$in": [100, 7, 300]}, "state": {"$ne": "gone"}}, {100, 300}),
        ({"kind": 3, "due": {"$exists": False}, "n": {"$lt": 20}}, {3, 10, 17}),
        ({"kind": 3, "due": None, "n": {"$lt": 9}}, {3}),
        ({"kind": 0, "due": {"$lt": 1}, "gone": {"$exists": False}}, {0}),
        ({"kind": 3, "_id": {"$lt": 11}}, {3, 10}),
        ({"kind": 3, "_id": {"$in": [3, 4]}}, {3}),
        ({"rare": None, "$and": [{"n": {"$lt": 2}}]}, {1}),
    ],
)
def test_filters_match_as_they_should(things: Collection[Doc], filter: Doc, expected: set[int]) -> None:
    """Operators at the top change which index is used, never what is found, changed or counted."""
    assert {doc["_id"] for doc in things.find(filter)} == expected
    assert things.update_many(filter, {"$set": {"seen": True}}).matched_count == len(expected)
    taken = things.find_one_and_update(filter, {"$inc": {"takes": 1}}, sort=[("_id", 1)])
    assert (taken["_id"] if taken else None) == (min(expected) if expected else None)


def test_find_one_and_update_gives_each_change_once(things: Collection[Doc]) -> None:
    """By `_id` and a condition, the first caller gets the document and the second nothing."""
    claim = {"_id": 42, "state": "queued"}, {"$set": {"state": "taken"}}
    first = things.find_one_and_update(*claim, return_document=pymongo.ReturnDocument.AFTER)
    assert first is not None and (first["_id"], first["state"]) == (42, "taken")
    assert things.find_one_and_update(*claim) is None
    deleted = things.find_one_and_delete({"_id": 42})
    assert deleted is not None and things.find_one({"_id": 42}) is None
    made = things.find_one_and_update({"_id": 42}, {"$set": {"n": 42}}, upsert=True, return_document=True)
    assert made == {"_id": 42, "n": 42}


def test_find_one_and_update_does_not_scan(things: Collection[Doc]) -> None:
    """Without the repair each of these reads every document, which takes 30 ms and more."""
    begun = time.monotonic()
    for n in range(100):
        things.find_one_and_update({"_id": 100 + n}, {"$inc": {"n": 0}})
    assert time.monotonic() - begun < 1.5


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repair knows one version only."""
    monkeypatch.setattr(secantus_indexes, "version", lambda name: "0.8.0")
    with pytest.raises(SystemExit, match=r"SecantusDB 0\.8\.0 is installed; this launcher knows 0\.7\.0b3"):
        secantus_indexes.repair_index_lookup()
