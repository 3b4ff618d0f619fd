"""The clock and the drain runs, in short: what has ended is shown to nobody, and our own sweeper deletes it."""

import random
from pathlib import Path

import pytest

from tests.faults import clock_run, drain_run


@pytest.mark.timeout(300)
async def test_days_and_months_pass(tmp_path: Path) -> None:
    """Some days and months of the long run, and its sweeper rests for one of them."""
    run = await clock_run.run_all(tmp_path, days=4, months=3, seed=random.randrange(10**6), rests=(1, 2))
    assert run.troubles == []
    assert run.looks > 8 and run.written > 10


@pytest.mark.timeout(300)
async def test_many_end_at_once(tmp_path: Path) -> None:
    """A few thousand, and nobody is refused. What it costs the others is for the long run to say."""
    run = await drain_run.run_all(tmp_path, documents=3_000, quiet_s=3)
    assert run.drained_s < drain_run.WITHIN_S
    assert run.refused == {}
    assert len(run.draining) >= drain_run.WARM_UP
