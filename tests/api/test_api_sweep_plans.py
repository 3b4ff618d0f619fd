"""The sweep finds what has expired by its index, the oldest first: it reads no more than it deletes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection

from app.clock import utc_now
from app.db import Doc
from app.models.data_map import EXPIRING
from app.services import retention
from tests.api.test_api_inbox_plans import BAD, Finds, stages
from tests.house import open_house, settings_env

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ODD: tuple[Any, ...] = (None, 7, "later", {"a": 1}, False)
RANGES = ({"$lte": DAY}, {"$lt": DAY}, {"$gte": DAY}, {"$gt": DAY, "$lte": DAY + timedelta(days=2)}, {"$lte": 7})


async def test_what_has_expired_is_found_by_an_index(mongodb_url: str, redis_url: str, key_folder: Path) -> None:
    """For every collection that has an end; neither all of it nor all that has expired is read or sorted."""
    finds = Finds(EXPIRING)
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)
    async with open_house(env, listeners=(finds,)) as house:
        finds.kept = []
        await retention.sweep(house.db, now=utc_now())
        await retention.lag_seconds(house.db, now=utc_now())
        kept, finds.kept = [one for one in finds.kept if "expires_at" in one["filter"]], None
        assert len(kept) == 2 * len(EXPIRING)
        for command in kept:
            told = await house.db.raw.command("explain", command, verbosity="queryPlanner")
            found = set(stages(told["queryPlanner"]["winningPlan"]))
            assert not found & BAD and "IXSCAN" in found, command


@pytest.fixture
def two(mongodb_url: str) -> Iterator[tuple[Collection[Doc], Collection[Doc]]]:
    """The same documents, some without an end or with an odd one, with an index and without."""
    rows: list[Doc] = [{"_id": number, "at": DAY + timedelta(hours=12 * number - 60)} for number in range(12)]
    rows += [{"_id": 100 + number, "at": value} for number, value in enumerate(ODD)] + [{"_id": 200}]
    with pymongo.MongoClient[Doc](mongodb_url, tz_aware=True) as client:
        found = client.get_default_database("soundops")["walked"], client.get_default_database("soundops")["sorted"]
        for one in found:
            one.insert_many(rows)
        found[0].create_index("at")
        yield found
        for one in found:
            one.drop()


@pytest.mark.parametrize("wanted", RANGES)
def test_a_range_by_the_index_is_the_range(two: tuple[Collection[Doc], Collection[Doc]], wanted: Doc) -> None:
    """The embedded database walks the index for it, which we taught it: with the same answers as without."""
    walked, plain = two
    for limit in (0, 1, 3):
        expected = list(plain.find({"at": wanted}).sort("at", 1).limit(limit))
        assert list(walked.find({"at": wanted}).sort("at", 1).limit(limit)) == expected
    assert expected
