"""The tests where there is no browser."""

import os
import subprocess
import sys

import pytest

from tools.child import ROOT

MANUAL = "tests/browser/test_browser_manual.py"


@pytest.mark.parametrize(
    ("ci", "processes", "status", "said"),
    [
        ("", "1", 0, "SKIPPED: browser tests (no chromium; apt-get install chromium)"),
        ("true", "0", 1, "no chromium: CI must have one"),
    ],
    ids=["at home", "in CI"],
)
def test_without_a_browser(ci: str, processes: str, status: int, said: str) -> None:
    """A developer's tests are skipped, and a line says how to get one; in CI that is a failure."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", processes, "-p", "no:cacheprovider", MANUAL],
        cwd=ROOT,
        env=os.environ | {"PATH": "/nowhere", "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status and said in ended.stdout, ended.stdout
