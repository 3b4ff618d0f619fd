"""Tokens that end together are refreshed once each, whatever the provider does and whichever worker dies."""

from pathlib import Path

import pytest

from tests.faults.refresh_storm import GRACE_S, kills, storm, table

QUICK = {"SOUNDOPS_SWEEP_S": "0.5", "SOUNDOPS_GRAPH_TIMEOUT_S": "4", "SOUNDOPS_LEASE_S": "8"}


@pytest.mark.timeout(300)
def test_tokens_that_end_together(tmp_path: Path) -> None:
    report = storm(tmp_path, connections=20, uses=3, grace_s=GRACE_S, seed=7, slow_s=2, settings=QUICK)
    assert report.good, table(report)


def test_a_worker_that_dies_with_the_answer_in_hand(tmp_path: Path) -> None:
    report = kills(tmp_path, count=4, grace_s=GRACE_S)
    assert report.good, table(report)
