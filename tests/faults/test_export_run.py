"""The export run, small: undisturbed, and with a worker that dies when the object is there and nobody knows."""

import random
from pathlib import Path

import pytest

from tests.faults.export_ground import ground
from tests.faults.export_run import export


@pytest.mark.timeout(180)
def test_an_export_is_complete_wherever_its_worker_dies(tmp_path: Path) -> None:
    """Every field, every row once, one object, one mail; nothing of another label's."""
    rng = random.Random(3)
    with ground(tmp_path, rows=600, seed=3) as made:
        outcomes = [export(made, tmp_path, killed, rng) for killed in ("never", "export_after_finish")]
    assert [outcome.troubles for outcome in outcomes] == [[], []]
    assert outcomes[1].kills == 1
