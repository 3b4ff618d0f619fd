"""A worker dies at each point around a send, and no reply goes out twice."""

from pathlib import Path

import pytest

from app.models.drills import Point
from tests.faults.plant import plant
from tests.faults.send_run import POINTS, SETTINGS, send_run, table

SENDS = 6
NEVER_CALLED: Point = "before_call"
"""Here the intent is written and the call not made: nobody can know, so such a reply stays in doubt."""


@pytest.mark.timeout(300)
def test_a_reply_is_sent_at_most_once_wherever_the_worker_dies(tmp_path: Path) -> None:
    with plant(tmp_path, **SETTINGS) as running:
        outcomes = send_run(running, sends=SENDS, seed=5)
    shown = table(outcomes)
    assert [outcome.point for outcome in outcomes] == list(POINTS)
    assert all(outcome.kills for outcome in outcomes), shown
    assert not any(outcome.troubles for outcome in outcomes), shown
    assert all(outcome.states.total() == SENDS for outcome in outcomes), shown
    in_doubt = {outcome.point: outcome.states["unknown"] for outcome in outcomes}
    assert in_doubt[NEVER_CALLED] and not in_doubt["before_intent"] and not in_doubt["after_record"], shown
