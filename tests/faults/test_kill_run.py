"""Nothing acknowledged is lost and nothing happens twice, whatever is killed; and the checker sees it when it does."""

from collections.abc import Sequence
from pathlib import Path

from tests.faults.kill_run import Blow, Report, Strike, kill_run, plan_strikes, table
from tests.faults.plant import plant

SHORT_BLOWS: dict[Blow, int] = {"api": 1, "worker": 1, "database": 1, "redis": 1, "flushall": 1}
SEED = 11


async def test_killing_every_part_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    strikes = plan_strikes(SEED, 600, SHORT_BLOWS)
    with plant(tmp_path, SOUNDOPS_SWEEP_S="1") as running:
        report = await kill_run(running, deliveries=600, rate=100, seed=SEED, strikes=strikes, done_within_s=60)
    assert report.good, table(report)
    assert report.answers["200"] == 600 < report.answers.total()


async def run_with_bug(folder: Path, bug: str, strikes: Sequence[Strike]) -> Report:
    """A short run of the product with this bug."""
    with plant(folder, bug=bug, SOUNDOPS_SWEEP_S="1") as running:
        return await kill_run(running, deliveries=150, rate=100, seed=SEED, strikes=list(strikes), done_within_s=5)


async def test_an_acknowledgement_before_the_write_is_caught(tmp_path: Path) -> None:
    report = await run_with_bug(tmp_path, "early_ack", [Strike(60, "database", 4)])
    assert not report.good and not report.unacknowledged
    assert any(line.startswith("inbox row") for line in report.verdict.lost), table(report)


async def test_a_worker_without_a_sweep_is_caught(tmp_path: Path) -> None:
    nobody_hears = [Strike(100, "redis", 3), Strike(100, "worker", 6), Strike(149, "flushall")]
    report = await run_with_bug(tmp_path, "no_sweep", nobody_hears)
    assert not report.good and not report.unacknowledged
    assert report.verdict.undrained, table(report)
    assert not report.verdict.twice, table(report)


async def test_keys_that_are_not_unique_are_caught(tmp_path: Path) -> None:
    report = await run_with_bug(tmp_path, "not_unique", [])
    assert not report.good and not report.unacknowledged
    assert any(line.startswith("event") for line in report.verdict.twice), table(report)
    assert not report.verdict.undrained, table(report)
