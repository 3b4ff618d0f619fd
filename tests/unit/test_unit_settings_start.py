"""A process that may not start says why, and ends: the real programs."""

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import pytest

from app.keys import create as create_keys
from app.libraries import FLOORS, too_old
from app.settings import ApiSettings, Settings, WorkerSettings
from tests.unit.settings_values import BAD, BAD_FOR_THE_API, BAD_IN_PRODUCTION, GOOD, NEEDED, PRODUCTION

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("program", "kind"), [("app", ApiSettings), ("workers", WorkerSettings)])
def test_a_process_says_what_is_missing_and_ends(tmp_path: Path, program: str, kind: type[Settings]) -> None:
    """A sentence for each, status 2, no traceback."""
    ended = start(program, tmp_path, {})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sorted(ended.stderr.splitlines()) == sorted(f"SOUNDOPS_{name} is missing." for name in NEEDED[kind])


def test_bad_configurations_end_the_process(tmp_path: Path) -> None:
    """The real programs, as soon as they end without any settings, with status 2, and one sentence that names it.

    A few of each kind: starting a program takes a second, and the tests above try each of 80 and more.
    """
    worker = [("workers", *bad) for bad in (*BAD[::20], *BAD_IN_PRODUCTION[::5])]
    api = [("app", *bad) for bad in (*BAD_FOR_THE_API[::5], ("LIMITS", "canary=1/60"))]
    missing = [("app" if kind is ApiSettings else "workers", NEEDED[kind][-1], "") for kind in NEEDED]
    assert len(BAD) + len(BAD_IN_PRODUCTION) + len(BAD_FOR_THE_API) > 80 and len([*worker, *api, *missing]) >= 10
    create_keys(tmp_path / "keys")
    good = GOOD | {name: str(tmp_path / "keys" / Path(value).name) for name, value in GOOD.items() if "_FILE" in name}
    production = {f"SOUNDOPS_{name}": value for name, value in PRODUCTION.items()}

    def how_long(program: str) -> float:
        """Seconds until it ends that has no settings."""
        began = perf_counter()
        start(program, tmp_path, {})
        return perf_counter() - began

    def refused(program: str, name: str, value: str) -> str | None:
        """What is wrong with how this one ends; None when nothing is."""
        env = good | (production if (name, value) in BAD_IN_PRODUCTION else {}) | {f"SOUNDOPS_{name}": value}
        began = perf_counter()
        ended = start(program, tmp_path, env)
        took_s, said = perf_counter() - began, ended.stderr.splitlines()
        told = len(said) == 1 and said[0].startswith(f"SOUNDOPS_{name}") and "canary" not in said[0]
        as_soon = took_s < 4 * empty_s
        return None if (ended.returncode, told, as_soon) == (2, True, True) else f"{name} {took_s:.1f} s {said}"

    with ThreadPoolExecutor(2) as pool:
        empty_s = max(pool.map(how_long, ["app", "workers"]))
        found = list(pool.map(lambda one: refused(*one), [*worker, *api, *missing]))
    assert [trouble for trouble in found if trouble] == []


def test_a_library_below_its_floor_is_named() -> None:
    """Releases are compared by their numbers; what is not installed is not missed."""
    assert too_old(FLOORS) == too_old({}) == too_old({"starlette": "1.10.0", "pymongo": "4.20", "other": "0"}) == []
    found = too_old({"starlette": "1.5", "python-multipart": "0.0.26.post1", "pymongo": "4.8.9"})
    assert found == [
        "The library starlette must be 1.5.1 or later.",
        "The library python-multipart must be 0.0.27 or later.",
        "The library pymongo must be 4.9 or later.",
    ]


@pytest.mark.parametrize("program", ["app", "workers"])
def test_a_process_does_not_start_with_an_old_library(tmp_path: Path, program: str) -> None:
    """Whatever else is wrong with it: a sentence, and status 2."""
    (tmp_path / "starlette-1.5.0.dist-info").mkdir()
    (tmp_path / "starlette-1.5.0.dist-info" / "METADATA").write_text("Name: starlette\nVersion: 1.5.0\n")
    ended = start(program, tmp_path, {})
    assert (ended.returncode, ended.stderr) == (2, "The library starlette must be 1.5.1 or later.\n")


def start(program: str, folder: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Start one of our programs with these settings alone, in this folder, and wait for its end."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **settings}
    command = [sys.executable, "-m", program]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
