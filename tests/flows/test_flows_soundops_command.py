"""`./soundops` from a terminal: what it says of the promises, and by its exit status."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from app.services.promises.listing import PROMISES
from tests.house import House, settings_env

ROOT = Path(__file__).parents[2]


async def soundops(env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Run it; its exit status and what it printed."""
    told = {"PATH": os.environ["PATH"]} | env
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(str(ROOT / "soundops"), *words, env=told, stdout=pipe, stderr=pipe)
    printed, troubles = await process.communicate()
    return process.returncode or 0, printed.decode(), troubles.decode()


@pytest.mark.timeout(200)
async def test_promises(house: House, mongodb_url: str, redis_url: str, key_folder: Path) -> None:
    """Nothing is measured: 1. Measured now: 0. One is broken: 1, and it is named. The database is away: a sentence."""
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)
    status, printed, _ = await soundops(env, "promises")
    assert (status, printed.count("NOT MEASURED")) == (1, len(PROMISES))
    status, printed, troubles = await soundops(env, "promises", "--now", "--json")
    assert (status, json.loads(printed)["broken"]) == (0, []), troubles
    await house.db.open("promise_checks").update_one({"_id": "messages-30-days"}, {"$set": {"holding": False}})
    status, printed, _ = await soundops(env, "promises")
    assert (status, printed.count("DOES NOT HOLD")) == (1, 1)
    assert f"{len(PROMISES) - 1} of {len(PROMISES)} promises hold." in printed
    away = env | {"SOUNDOPS_MONGODB_URL": "mongodb://127.0.0.1:9/nothing?retryWrites=false"}
    status, printed, troubles = await soundops(away, "promises")
    assert (status, printed, troubles.count("\n")) == (1, "", 1)
