"""`./soundops` from a terminal: what it says of the promises, and by its exit status."""

import asyncio
import json
import os
from datetime import timedelta
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
    planted = {"_id": "mai_1", "label_id": None, "user_id": "usr_1", "template": "summer_sale", "state": "sent"}
    await house.db.open("mails").insert_one(planted | {"expires_at": house.clock() + timedelta(days=1)})
    status, printed, _ = await soundops(env, "promises", "--now")
    assert (status, printed.count("DOES NOT HOLD"), printed.count("mails mai_1")) == (1, 1, 1)
    away = env | {"SOUNDOPS_MONGODB_URL": "mongodb://127.0.0.1:9/nothing?retryWrites=false"}
    status, printed, troubles = await soundops(away, "promises")
    assert (status, printed, troubles.count("\n")) == (1, "", 1)


@pytest.mark.timeout(200)
async def test_a_reader_who_has_read_enough(house: House, mongodb_url: str, redis_url: str, key_folder: Path) -> None:
    """A closed pipe is no trouble, and not the status of a promise that does not hold."""
    env = {"PATH": os.environ["PATH"]} | settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)
    reader, writer = os.pipe()
    os.close(reader)
    pipe = asyncio.subprocess.PIPE
    run = await asyncio.create_subprocess_exec(str(ROOT / "soundops"), "promises", env=env, stdout=writer, stderr=pipe)
    os.close(writer)
    _, troubles = await run.communicate()
    assert (run.returncode, troubles) == (141, b"")
