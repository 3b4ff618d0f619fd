"""Nobody can tell a known address from an unknown one; and the measure would notice."""

import random
from pathlib import Path

from tests.faults.alike import BAR_MS, Compared, alike, interval, table

PAIRS = 40


def test_known_and_unknown_addresses_look_and_take_the_same(tmp_path: Path) -> None:
    """Registering, logging in, asking for a new password; `python -m tests.faults.alike` does 500 pairs."""
    found = alike(tmp_path, pairs=PAIRS)
    assert len(found) == 3 and all(one.good for one in found), table(found)


def test_a_difference_would_be_seen() -> None:
    """Twice the bar among ten times as much noise, over 500 pairs; and none where there is none."""
    noise = random.Random(3)
    for shift, good in ((2 * BAR_MS, False), (0.0, True)):
        differences = sorted(noise.gauss(shift, 10 * BAR_MS) for _ in range(500))
        low, high = interval(differences)
        found = Compared("register", 500, 1, differences[250], low, high, 30.0)
        assert found.good is good, table([found])
    assert not Compared("register", 500, 2, 0, -1, 1, 30.0).good
