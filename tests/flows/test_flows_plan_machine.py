"""Edit, cancel, approve, publish now, schedule and crash, in any order and at once: no invariant is broken.

`SOUNDOPS_PLAN_EXAMPLES=500` tries so many stories; without it a few, for the suite.
"""

import asyncio
import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.api.people import user_of
from tests.api.publishing_harness import open_desk
from tests.flows.plan_machine import machine
from tests.house import House

EXAMPLES = int(os.environ.get("SOUNDOPS_PLAN_EXAMPLES", "12"))


@pytest.mark.timeout(120 + 10 * EXAMPLES)
async def test_no_story_breaks_it(house: House) -> None:
    """Each of up to 20 steps, of which each lets up to three act at the same time."""
    desk = await open_desk(house)
    users = {name: (await user_of(house, f"{name}@example.com"))["_id"] for name in ("owner", "editor")}
    told = settings(
        max_examples=EXAMPLES,
        stateful_step_count=20,
        deadline=None,
        phases=(Phase.generate,),  # a story tells itself; to shorten one takes longer than to read it
        suppress_health_check=list(HealthCheck),
    )
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(run_state_machine_as_test, machine(desk, users, loop), settings=told)
