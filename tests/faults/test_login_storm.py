"""Log-ins at once hold nobody else up: hashing is not on the event loop."""

from pathlib import Path

from tests.faults.login_storm import login_storm

LOGINS = 50
OF_THE_STORM = 0.2
"""On the event loop, a read would wait for the whole of it (`python -m tests.faults.login_storm` holds 100 ms)."""


def test_reads_go_on_beside_fifty_log_ins(tmp_path: Path) -> None:
    """All are let in, reads are answered all along, and the memory does not grow with their number."""
    found = login_storm(tmp_path, logins=LOGINS)
    assert found.statuses == {200}
    assert found.p99_ms < found.storm_ms * OF_THE_STORM, found
    assert len(found.beside_ms) > LOGINS, found
    assert found.gained_mib < LOGINS * 19 / 4, found
