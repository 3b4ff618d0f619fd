"""A worker dies by SIGKILL at each point around a call: an image goes out at most once, a reaction as wished."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from app.models.drills import SendPoint
from tests.flows.flows_harness import Desk, Meta, meta_at, only_the_clock_decides, pass_by
from tests.flows.sending_harness import Talk, talk
from tests.house import House, open_house, settings_env
from tools.child import ROOT

POINTS: tuple[SendPoint, ...] = get_args(SendPoint)
FANS = ("mara", "jonas", "ines", "teo", "ada")
LEASE = timedelta(seconds=46)


@pytest.fixture
def env(mongodb_url: str, redis_url: str, key_folder: Path, sandbox_url: str, smtp_url: str) -> dict[str, str]:
    """The settings of the house, and of the workers that die."""
    urls = {"mongodb_url": mongodb_url, "redis_url": redis_url, "sandbox_url": sandbox_url, "smtp_url": smtp_url}
    return settings_env(key_folder, **urls)


@pytest.fixture
async def mortal_house(env: dict[str, str]) -> AsyncIterator[House]:
    """One whose settings are known."""
    async with open_house(env) as found:
        await only_the_clock_decides(found)
        yield found


async def die(env: dict[str, str], point: SendPoint, operation_id: str) -> None:
    """Have a worker of its own do the operation, and see it die."""
    drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.faults.dying_worker", operation_id),
        cwd=ROOT,
        env=os.environ | env | drill,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == -signal.SIGKILL, point


async def test_wherever_the_worker_dies(mortal_house: House, env: dict[str, str]) -> None:
    """Ten deaths: five images and five reactions, each in a conversation of its own; then another worker takes over."""
    async with meta_at(mortal_house.sandbox_url) as meta:
        owner = await mortal_house.person()
        label_id = await mortal_house.label(owner)
        desk = Desk(mortal_house, owner, label_id, (await mortal_house.connect(owner, label_id))["id"])
        talks = [await talk(desk, fan) for fan in FANS]
        for point, found in zip(POINTS, talks, strict=True):
            image = {"attachment": {"type": "image", "url": f"https://cdn.example.test/{point}.jpg"}}
            sent = await found.say(image)
            [inbound] = [one for one in await desk.messages(found.fan_id) if one["direction"] == "in"]
            reacted = await found.do(f"/messages/{inbound['id']}/reaction", {"emoji": "🔥"})
            await asyncio.gather(*(die(env, point, one) for one in (sent["operation_id"], reacted["id"])))
        pass_by(mortal_house, LEASE)
        for _ in range(3):
            await mortal_house.work()
        await judge(desk, meta, dict(zip(POINTS, talks, strict=True)))


async def judge(desk: Desk, meta: Meta, talks: dict[SendPoint, Talk]) -> None:
    """What the fans got, against what is shown."""
    rows = await meta.ledger("message_sent")
    for point, found in talks.items():
        there = [row for row in rows if row["recipient_id"] == found.fan_id]
        [out, inbound] = await desk.messages(found.fan_id)
        operation = await found.operation(out["operation_id"])
        assert len(there) <= 1, (point, there)
        expected = ("sent", "succeeded") if there else ("unknown", "unknown")
        assert (out["state"], operation["state"]) == expected, (point, operation)
        assert there or point in ("before_call", "during_call"), point
        assert not there or out["provider_id"] == there[0]["message_id"]
        assert inbound["reactions"] == [{"by": "account", "emoji": "🔥", "name": None}], point
    reactions = await meta.ledger("reaction_sent")
    assert {row["recipient_id"] for row in reactions} == {found.fan_id for found in talks.values()}
    assert {row["reaction"] for row in reactions} == {"🔥"}
