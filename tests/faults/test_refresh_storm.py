"""Tokens that end together are refreshed once each, whatever the provider does and whichever worker dies."""

from pathlib import Path

import pytest

from tests.faults.refresh_storm import GRACE_S, kills, storm, table


@pytest.mark.timeout(300)
async def test_tokens_that_end_together(tmp_path: Path) -> None:
    report = storm(tmp_path, connections=20, uses=3, grace_s=GRACE_S, seed=7, slow_s=3)
    assert report.good, table(report)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("grace_s", [GRACE_S, 0])
async def test_a_worker_that_dies_with_the_answer_in_hand(tmp_path: Path, grace_s: int) -> None:
    report = kills(tmp_path, count=3, grace_s=grace_s)
    assert report.good, table(report)
    assert report.verdict.states.total() == 3
