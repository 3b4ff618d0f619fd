"""The restore run, small."""

import random
from pathlib import Path

import pytest

from tests.faults.publish_run import a_plant, open_press
from tests.faults.restore_run import PEOPLE, restore_run


@pytest.mark.timeout(900)
def test_a_restore_sends_nothing_twice_and_brings_nobody_back(tmp_path: Path) -> None:
    """With the real commands, worker and API."""
    with a_plant(tmp_path) as running:
        found = restore_run(open_press(running), tmp_path, publications=9, rng=random.Random(3))
    assert found.troubles == []
    assert found.told["taken_back"]["people erased"] == PEOPLE
