"""Everything that planning asks the database walks an index: what the routes ask is explained."""

from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.db import Doc
from tests.api.publishing_harness import open_desk
from tests.api.test_api_inbox_plans import BAD, stages
from tests.house import House, open_house, settings_env

LISTS = {"publications", "publication_versions", "publication_comments", "slots", "release_plans"}
WATCHED = LISTS | {"publication_targets", "connections", "assets"}


class Finds(CommandListener):
    """Keeps the finds and counts on these collections, while it is told to."""

    def __init__(self) -> None:
        self.kept: list[Doc] | None = None

    def started(self, event: CommandStartedEvent) -> None:
        """Look at one command."""
        name = event.command_name
        if self.kept is None or name not in ("find", "aggregate") or event.command[name] not in WATCHED:
            return
        shown = ("filter", "sort", "limit", "projection", "pipeline", "cursor")
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


async def test_planning_walks_indexes(watched_house: tuple[House, Finds]) -> None:
    """Lists by each filter and page, and whatever is asked to write, check, schedule, move and import."""
    house, finds = watched_house
    desk = await open_desk(house)
    path = f"/v1/labels/{desk.label_id}"
    every = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    plan = (await desk.owner.post(f"{path}/release-plans", json={"title": "A", "release_date": "2027-02-26"})).json()
    slot: Doc = {"name": "A", "connection_ids": [desk.page], "days": every, "time": "18:30"}
    finds.kept = []
    for _ in range(2):
        (await desk.owner.post(f"{path}/slots", json=slot)).raise_for_status()
        (
            await desk.owner.post(f"{path}/release-plans", json={"title": "B", "release_date": "2027-02-26"})
        ).raise_for_status()
    made = [
        await desk.draft(plan_id=plan["id"], offset={"days": n, "time": "10:00"}, scheduled_at=None) for n in range(3)
    ]
    one = f"/publications/{made[0]['id']}"
    (await desk.owner.patch(path + one, json={"caption": "Another"})).raise_for_status()
    for text in ("a", "b"):
        (await desk.owner.post(f"{path}{one}/comments", json={"text": text})).raise_for_status()
    for draft, order in zip(made, ({"next_free_slot": True}, None, None), strict=True):
        (await desk.step(draft, "schedule", order)).raise_for_status()
    (
        await desk.owner.post(f"{path}/release-plans/{plan['id']}/move", json={"release_date": "2027-03-26"})
    ).raise_for_status()
    await desk.owner.post(f"{path}/publications/import", json={"csv": "kind,targets\npage_post,nightjar.page\n"})
    some = {"state": "scheduled", "connection_id": desk.page, "plan_id": plan["id"]}
    asked: list[tuple[str, Any]] = [
        ("/publications", dict(few)) for size in range(4) for few in combinations(some.items(), size)
    ]
    asked += [
        (f"{one}/versions", {}),
        (f"{one}/comments", {}),
        ("/slots", {}),
        ("/release-plans", {}),
        ("/calendar", {}),
    ]
    asked += [("/calendar", {"from": "2027-03-01", "to": "2027-05-01"}), ("/calendar", {"connection_id": desk.page})]
    for place, params in asked:
        page = (await desk.owner.get(path + place, params=params | {"limit": 1})).raise_for_status().json()
        more = params | {"limit": 1, "cursor": page["next_cursor"]}
        if page["next_cursor"]:
            (await desk.owner.get(path + place, params=more)).raise_for_status()
    kept, finds.kept = finds.kept, None
    assert {found.get("find", found.get("aggregate")) for found in kept} >= LISTS | {
        "publication_targets",
        "connections",
    }
    for command in kept:
        told = await house.db.raw.command("explain", command, verbosity="queryPlanner")
        found = set(stages(told["queryPlanner"]["winningPlan"] if "queryPlanner" in told else told))
        scans = found & ({"COLLSCAN"} if command.get("find") == "publication_targets" else BAD)
        assert found and not scans, (command, scans)
