"""What checks ask the database walks an index: they run all the time, beside everybody's work."""

from pathlib import Path

from app.db import Doc
from app.models.data_map import DATA_MAP
from app.services.promises.listing import PROMISES
from app.services.promises.promise import Look
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
            await promise.check(Look(house.db, on.settings, on.now))
            kept, finds.kept = kept + finds.kept, None
            await on.heal()
        assert len(kept) > 80
        scans = []
        for command in kept:
            assert "find" not in command or command["filter"] or command.get("limit"), command
            if "find" in command and command["filter"]:
                told = await house.db.raw.command("explain", command, verbosity="queryPlanner")
                if set(stages(told["queryPlanner"]["winningPlan"])) & SCANS:
                    scans.append(f"{command['find']} {command['filter']}")
        assert scans == []
