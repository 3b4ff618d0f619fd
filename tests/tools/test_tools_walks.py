"""The launcher has sorted finds walk an index: they find what a sort finds, and tell `explain` so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.collection import Collection

from tools import embedded

Doc = dict[str, Any]
BEGUN = datetime(2026, 11, 1, tzinfo=UTC)
DOCUMENTS = 300
NEWEST_FIRST = [("at", -1), ("_id", -1)]


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection[Doc]]:
    """Documents of three labels, with words, some without a time; indexes as lists have them."""
    with (
        embedded.mongodb(tmp_path_factory.mktemp("mongo")) as url,
        pymongo.MongoClient[Doc](url, tz_aware=True) as client,
    ):
        things = client.get_default_database().things
        timed = {"at": {"$exists": True}}
        things.create_index(
            [("label", 1), ("words", 1), *NEWEST_FIRST], partialFilterExpression={"words": {"$exists": True}}
        )
        for head in ((), ("status",), ("who",)):
            things.create_index(
                [("label", 1), *((name, 1) for name in head), *NEWEST_FIRST], partialFilterExpression=timed
            )
        things.insert_many(made(n) for n in range(DOCUMENTS))
        yield things


def made(n: int) -> Doc:
    """The nth document. Several have the same time."""
    found: Doc = {"_id": f"t{n:03}", "label": n % 3, "status": n % 4, "who": None if n % 5 else f"u{n % 2}"}
    found["words"] = [word for word in ("a", "bb", "c c", "\u00e9\x00") if (n * 7 + len(word)) % 3]
    return found | ({} if n % 11 == 0 else {"at": BEGUN + timedelta(minutes=n * 37 % 100)})


def stages(plan: Any) -> list[str]:
    """The names of a plan's stages, the outermost first."""
    return [plan["stage"], *(stages(plan["inputStage"]) if "inputStage" in plan else [])]


FILTERS = st.fixed_dictionaries(
    {"label": st.integers(0, 3)},
    optional={
        "status": st.integers(0, 4),
        "who": st.sampled_from([None, "u0", "u1"]),
        "words": st.lists(st.sampled_from(["a", "bb", "c c", "\u00e9\x00", "none"]), min_size=1, unique=True).map(
            lambda words: {"$all": words}
        ),
    },
)


@given(filter=FILTERS, limit=st.integers(0, 20), after=st.integers(-1, DOCUMENTS), since=st.integers(-1, 100))
@settings(max_examples=60, deadline=None)
def test_walks_find_what_a_sort_finds(things: Collection[Doc], filter: Doc, limit: int, after: int, since: int) -> None:
    """Whatever is asked, in the same order, a page at a time."""
    asked = filter | {"at": {"$gt": BEGUN + timedelta(minutes=since)}}
    if (last := made(after).get("at")) is not None:
        asked["at"] |= {"$lte": last}
        asked["$nor"] = [{"at": last, "_id": {"$gte": made(after)["_id"]}}]
    all_of_it = [doc for doc in map(made, range(DOCUMENTS)) if is_asked(doc, filter, since, after)]
    expected = sorted(all_of_it, key=lambda doc: (doc["at"], doc["_id"]), reverse=True)
    found = list(things.find(asked).sort(NEWEST_FIRST).limit(limit))
    assert [doc["_id"] for doc in found] == [doc["_id"] for doc in expected][: limit or None]
    plan = things.find(asked).sort(NEWEST_FIRST).limit(limit or 1).explain()["queryPlanner"]["winningPlan"]
    assert "COLLSCAN" not in stages(plan) and "SORT" not in stages(plan)


def is_asked(doc: Doc, filter: Doc, since: int, after: int) -> bool:
    """Whether the document is one of those, found without a database."""
    if "at" not in doc or doc["at"] <= BEGUN + timedelta(minutes=since):
        return False
    if any(doc[name] != filter[name] for name in ("label", "status", "who") if name in filter):
        return False
    last = made(after)
    if "at" in last and (doc["at"], doc["_id"]) >= (last["at"], last["_id"]):
        return False
    return set(filter.get("words", {"$all": []})["$all"]) <= set(doc["words"])


def test_without_an_index_it_is_told(things: Collection[Doc]) -> None:
    """A sort that no index serves is sorted, a find that none serves reads everything, and `explain` says so."""
    sorted_by_hand = things.find({"label": 1}).sort("status", 1)
    assert "SORT" in stages(sorted_by_hand.explain()["queryPlanner"]["winningPlan"])
    assert [doc["status"] for doc in sorted_by_hand] == sorted(made(n)["status"] for n in range(1, DOCUMENTS, 3))
    assert stages(things.find({"status": 1}).explain()["queryPlanner"]["winningPlan"]) == ["COLLSCAN"]
