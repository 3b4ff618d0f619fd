"""What checks ask the database walks an index: they run all the time, beside everybody's work."""

from pathlib import Path

from app.db import Doc
from app.models.data_map import DATA_MAP
from app.services.promises.listing import PROMISES
from tests.api.test_api_inbox_plans import Finds, stages
from tests.flows.promises_broken import BREAKS
from tests.flows.promises_harness import ground
from tests.house import open_house, settings_env

SMALL = {"promise_checks", "promise_days"}
"""As many documents as there are promises; or by their own ids."""
SCANS = {"COLLSCAN"}


async def test_every_check_walks_an_index(mongodb_url: str, redis_url: str, key_folder: Path, tmp_path: Path) -> None:
    """Also where there is something to look further into: with a violation of each planted."""
    finds = Finds(DATA_MAP.keys() - SMALL)
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)
    async with open_house(env, listeners=(finds,)) as house, ground(house, tmp_path) as on:
        kept: list[Doc] = []
        for promise in PROMISES:
            await BREAKS[promise.id](on)
            finds.kept = []
            await promise.check(on.look)
            kept, finds.kept = kept + finds.kept, None
            await on.heal()
        assert len(kept) > 80
        scans = []
        for command in kept:
            find = as_find(command)
            assert find["filter"] or find.get("limit"), command
            if find["filter"]:
                told = await house.db.raw.command("explain", find, verbosity="queryPlanner")
                if set(stages(told["queryPlanner"]["winningPlan"])) & SCANS:
                    scans.append(f"{find['find']} {find['filter']}")
        assert scans == []


def as_find(command: Doc) -> Doc:
    """The same; of a count, the find that has its plan. Null is a value as others are: the embedded database knows no
    plan for it, MongoDB does."""
    find = command if "find" in command else {"find": command["aggregate"], "filter": command["pipeline"][0]["$match"]}
    return find | {"filter": {name: "null" if value is None else value for name, value in find["filter"].items()}}
