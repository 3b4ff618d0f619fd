"""The rules' drill, small: broken off often, and all is as the dry runs say."""

from pathlib import Path

from tests.faults.rules_run import rules_run


async def test_rules_do_what_dry_runs_say_wherever_their_runner_is_broken_off(tmp_path: Path) -> None:
    assert await rules_run(tmp_path, comments=40, rules=8, breaks=10, seed=5) == []
