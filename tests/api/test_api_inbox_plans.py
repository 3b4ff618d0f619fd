"""Every list of the inbox walks an index: what the routes ask the database is explained, filter by filter."""

from collections.abc import AsyncIterator, Iterator, Set
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.db import Doc
from tests.house import House, delivery, message_change, open_house, settings_env

WATCHED = {"conversations", "messages", "comments", "notes", "saved_replies"}
BAD = {"COLLSCAN", "SORT", "SORT_KEY_GENERATOR"}
FILTERS: dict[str, str] = {
    "status": "open",
    "assignee": "none",
    "unread": "true",
    "connection_id": "con_x",
    "tag": "vip",
    "q": "hello there",
}
FURTHER: list[tuple[str, dict[str, str]]] = [
    ("/conversations", {"assignee": "usr_x"}),
    ("/conversations", {"unread": "false", "status": "snoozed"}),
    ("/conversations/{conversation}/messages", {}),
    ("/conversations/{conversation}/notes", {}),
    ("/saved-replies", {}),
    ("/comments", {}),
    ("/comments", {"status": "visible"}),
    ("/comments", {"media_id": "1800"}),
]


class Finds(CommandListener):
    """Keeps the finds and aggregations on these collections, while it is told to."""

    def __init__(self, watched: Set[str] = WATCHED) -> None:
        self.watched = watched
        self.kept: list[Doc] | None = None

    def started(self, event: CommandStartedEvent) -> None:
        """Look at one command."""
        name = event.command_name
        if self.kept is None or name not in ("find", "aggregate") or event.command[name] not in self.watched:
            return
        shown = ("find", "aggregate", "filter", "sort", "limit", "projection", "pipeline", "cursor")
        self.kept.append({part: event.command[part] for part in (name, *shown) if part in event.command})

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to do."""


@pytest.fixture
async def watched_house(mongodb_url: str, redis_url: str, key_folder: Path) -> AsyncIterator[tuple[House, Finds]]:
    """The product, whose finds are kept."""
    finds = Finds()
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)
    async with open_house(env, listeners=(finds,)) as house:
        yield house, finds


def stages(plan: Any) -> Iterator[str]:
    """The names of all stages of a plan, wherever they stand."""
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan["stage"]
        for part in plan.values():
            yield from stages(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from stages(part)


async def test_every_list_walks_an_index(watched_house: tuple[House, Finds]) -> None:
    """No combination of filters, on the first page or a later one, reads a collection or sorts what it has read."""
    house, finds = watched_house
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    words: Doc = {"text": "hello there"}
    items = [message_change(f"m{n}", ms=house.ms(timedelta(minutes=n)), fan=f"90{n}", **words) for n in range(3)]
    assert (await house.deliver(delivery(*items))).status_code == 200
    await house.work()
    path = f"/v1/labels/{label_id}"
    conversation = (await owner.get(f"{path}/conversations")).json()["data"][0]["id"]
    asked = [("/conversations", dict(some)) for size in range(7) for some in combinations(FILTERS.items(), size)]
    finds.kept = []
    for place, params in asked + FURTHER:
        where, query = path + place.format(conversation=conversation), params | {"limit": "1"}
        page = (await owner.get(where, params=query)).raise_for_status().json()
        if page["next_cursor"]:
            (await owner.get(where, params=query | {"cursor": page["next_cursor"]})).raise_for_status()
    kept, finds.kept = finds.kept, None
    assert len(kept) > len(asked) + len(FURTHER) and {found.get("find") for found in kept} == WATCHED
    plans: dict[str, Doc] = {}
    for command in kept:
        told = await house.db.raw.command("explain", command, verbosity="queryPlanner")
        found = set(stages(told["queryPlanner"]["winningPlan"]))
        assert found and not found & BAD, (command, told["queryPlanner"]["winningPlan"])
        plans[str(sorted(command["filter"]))] = told
    assert len(plans) > 20


async def test_a_query_that_no_index_serves_is_seen(watched_house: tuple[House, Finds]) -> None:
    """The test above can fail: a field without an index is a collection scan, and a sort beside the index is one."""
    house, _ = watched_house
    for command in (
        {"find": "messages", "filter": {"direction": "in"}},
        {"find": "messages", "filter": {"label_id": "lbl_x"}, "sort": {"state": 1}},
    ):
        told = await house.db.raw.command("explain", command, verbosity="queryPlanner")
        assert set(stages(told["queryPlanner"]["winningPlan"])) & BAD
