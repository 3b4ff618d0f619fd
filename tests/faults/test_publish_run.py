"""A worker dies at the steps around the call that publishes, and each post is there once."""

import random
from pathlib import Path

import pytest

from app.models.drills import PublishPoint
from tests.faults.publish_run import LATE_S, a_plant, is_good, lateness_s, open_press, p99, publish_run, table

EACH = 7
POINTS: tuple[PublishPoint, ...] = ("publish_after_container", "publish_before_call", "publish_after_call")


@pytest.mark.timeout(900)
def test_each_post_is_there_once_wherever_the_worker_dies(tmp_path: Path) -> None:
    """Of every kind one at each step, among calls that lie; and with a worker that lives, posts begin in time."""
    count = EACH * len(POINTS)
    with a_plant(tmp_path) as running:
        rng, press = random.Random(5), open_press(running)
        outcomes = publish_run(press, publications=count, rng=rng, points=POINTS, most_kills=1)
        late = lateness_s(press, count=21, within_s=10.0, rng=rng)
    assert is_good(outcomes, count), table(outcomes)
    assert len(late) == 21 and p99(late) <= LATE_S, late
