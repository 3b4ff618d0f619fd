"""A worker dies at each step of publishing, and each post is there once."""

import random
from pathlib import Path

import pytest

from tests.faults.plant import plant
from tests.faults.publish_run import (
    LATE_S,
    POINTS,
    SETTINGS,
    is_good,
    lateness_s,
    open_press,
    p99,
    publish_run,
    table,
)

EACH, AMONG = 7, 2


@pytest.mark.timeout(900)
def test_each_post_is_there_once_wherever_the_worker_dies(tmp_path: Path) -> None:
    """Of every kind one at each step, among calls that lie; and with a worker that lives, posts begin in time."""
    with plant(tmp_path, **SETTINGS) as running:
        rng, press = random.Random(5), open_press(running)
        outcomes = publish_run(press, publications=EACH * len(POINTS), rng=rng, among=AMONG)
        late = lateness_s(press, count=21, within_s=10.0, rng=rng)
    assert is_good(outcomes, EACH * len(POINTS)), table(outcomes)
    assert len(late) == 21 and p99(late) <= LATE_S, late
