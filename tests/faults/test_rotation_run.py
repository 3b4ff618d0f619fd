"""A small rotation run: under load, with the rewrapping killed, no opening fails and the old key is not missed."""

from pathlib import Path

import pytest

from tests.faults.rotation_run import rotation_run, stage, table


@pytest.mark.timeout(180)
def test_a_rotation_under_load_that_is_killed_fails_no_opening(tmp_path: Path) -> None:
    """Three processes read and refresh meanwhile; in the end only the new key is left, and everything opens."""
    with stage(tmp_path) as made:
        outcome = rotation_run(made, envelopes=600, kills=2, rate=150, seed=5)
    assert outcome.good and outcome.kills == 2, table(outcome)
