"""The watch over every test is awake: a query on a label's collection that does not name its label is caught."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.db import ALL_LABELS, Database, Doc
from tests.house import House

Query = Callable[[Database], Awaitable[Any]]
BY_ID: Doc = {"_id": "msg_1"}
CARELESS: dict[str, Query] = {
    "find": lambda db: db.open("messages").find_one(BY_ID),
    "a list": lambda db: db.open("conversations").find({}).to_list(),
    "update": lambda db: db.open("messages").update_one(BY_ID, {"$set": {"state": "sent"}}),
    "update many": lambda db: db.open("operations").update_many({}, {"$set": {"state": "failed"}}),
    "replace": lambda db: db.open("comments").replace_one(BY_ID, {"live": True}),
    "delete": lambda db: db.open("secrets").delete_one(BY_ID),
    "delete many": lambda db: db.open("events").delete_many({}),
    "count": lambda db: db.open("messages").count_documents({"state": "sent"}),
    "estimated count": lambda db: db.open("messages").estimated_document_count(),
    "distinct": lambda db: db.open("messages").distinct("state", {}),
    "aggregate": lambda db: db.open("messages").aggregate([{"$match": BY_ID}]).to_list(),
    "aggregate without a match": lambda db: db.open("messages").aggregate([{"$limit": 1}]).to_list(),
    "find and change": lambda db: db.open("operations").find_one_and_update(BY_ID, {"$set": {"state": "failed"}}),
    "a comment that is no reason": lambda db: db.open("messages").find_one(BY_ID, comment="why not"),
}
OF_A_LABEL = BY_ID | {"label_id": "lbl_1"}
CAREFUL: dict[str, Query] = {
    "find": lambda db: db.open("messages").find_one(OF_A_LABEL),
    "update": lambda db: db.open("messages").update_one(OF_A_LABEL, {"$set": {"state": "sent"}}),
    "delete": lambda db: db.open("messages").delete_many(OF_A_LABEL),
    "count": lambda db: db.open("messages").count_documents(OF_A_LABEL),
    "with a reason": lambda db: db.open("messages").find_one(BY_ID, comment=f"{ALL_LABELS}a test"),
    "nobody's collection": lambda db: db.open("users").find_one({"_id": "usr_1"}),
}


@pytest.mark.parametrize("query", CARELESS.values(), ids=CARELESS)
async def test_careless(house: House, query: Query) -> None:
    """It is caught, and once: nothing else of the house's is."""
    await query(house.db)
    assert len(house.watch.broken) == 1
    house.watch.broken.clear()


@pytest.mark.parametrize("query", CAREFUL.values(), ids=CAREFUL)
async def test_careful(house: House, query: Query) -> None:
    """It is left alone."""
    await query(house.db)
    assert house.watch.broken == []
