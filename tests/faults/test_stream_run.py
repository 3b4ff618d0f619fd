"""The stream over real processes: killed and started again, every listener hears every event once and in order."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests.faults.listeners import Ear, listening
from tests.faults.plant import plant
from tests.faults.stream_run import difference, ears_of, interrupted, measure

LISTENERS, MESSAGES = 30, 60
ENDS_WITHIN_S = 3.0


@pytest.mark.parametrize("heard", ["ac", "abbc", "acb", "ab", "abcd", ""])
def test_the_checker_sees_a_difference(heard: str) -> None:
    """A gap, a repeat, another order, an end that is missing, something that never happened, nothing at all."""
    ear = Ear("", 0, "", "", heard=[{"id": one} for one in heard])
    assert difference(0, ear, ["a", "b", "c"])
    assert not difference(0, ear, list(heard))


async def test_a_listener_that_loses_its_place_is_caught(tmp_path: Path) -> None:
    """The same run, where coming back begins anew."""
    with plant(tmp_path, bug="begins_now", SOUNDOPS_SWEEP_S="1") as running:
        heard = await interrupted(running, listeners=3, messages=40, rate=20, kills=1, heard_within_s=3)
    assert not heard.good and len(heard.wrong) == 3, heard


async def test_every_listener_hears_everything_once(tmp_path: Path) -> None:
    """Beside load, through a kill of the API, of the worker, and an emptied Redis; then SIGTERM ends it all at once."""
    with plant(tmp_path, SOUNDOPS_SWEEP_S="1") as running:
        late = await measure(running, seconds=1, rate=40, first=0)
        assert late.missing == 0 and len(late.event_ms) == 40
        heard = await interrupted(running, listeners=LISTENERS, messages=MESSAGES, rate=20, kills=1)
        assert heard.good, heard
        assert heard.connections >= 2 * LISTENERS and not heard.refused
        async with listening(ears_of(running, 5)):
            began = time.monotonic()
            status = await asyncio.to_thread(running.api.kill, signal.SIGTERM)
            took_s = time.monotonic() - began
        assert status == 0 and took_s < ENDS_WITHIN_S
