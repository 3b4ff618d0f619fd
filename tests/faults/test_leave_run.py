"""A worker dies while accounts are disconnected and their provider is down, and all ends as it must."""

from pathlib import Path

import pytest

from app.models.drills import LeavePoint
from tests.faults.leave_run import SETTINGS, is_good, leave_once, table
from tests.faults.plant import plant

SHORT: tuple[LeavePoint | None, ...] = (None, "leave_during_erase", "leave_after_revoke", "leave_before_destroy")
"""`python -m tests.faults.leave_run` dies at every point."""


@pytest.mark.timeout(300)
def test_leaving_ends_as_promised_wherever_the_worker_dies(tmp_path: Path) -> None:
    with plant(tmp_path, **SETTINGS) as running:
        rounds = [leave_once(running, point) for point in SHORT]
    assert all(is_good(one) for one in rounds), table(rounds)
