"""The export run: a label with very many rows is exported, first undisturbed, then while workers die.

    python -m tests.faults.export_run --rows 100000 --seed 7

Undisturbed it takes at most 120 s, and the worker's memory stays below 200 MB. Killed between its files, around the
moment when the object is there, and at random moments, it is complete in the end: every field that the data map says,
every row once, nothing of another label's, and nothing left behind. The exit status is 0 only then.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from app.models.drills import ExportPoint
from tests.faults.export_ground import Ground, ask, ground, judge, state_of

WITHIN_S = 600.0
MOST_S, MOST_MB = 120.0, 200.0
RANDOM_KILLS = 4
MEGABYTE = 1024.0


@dataclass
class Outcome:
    """One export."""

    killed: str
    kills: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    troubles: list[str] = field(default_factory=list)


def peak_mb(made: Ground) -> float:
    """The most memory that the worker has had (`VmHWM`); 0 when it is gone."""
    try:
        status = Path(f"/proc/{made.worker.process.pid}/status").read_text()
    except OSError:
        return 0.0
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")] or ["VmHWM: 0 kB"]
    return int(line.split()[1]) / MEGABYTE


def export(made: Ground, folder: Path, killed: str, rng: random.Random) -> Outcome:
    """Have an export made while workers die like this; what became of it."""
    outcome, points = Outcome(killed), get_args(ExportPoint)
    kill = {"SOUNDOPS_KILL_AT": killed} if killed in points else {}
    export_id, began = asyncio.run(ask(made)), time.monotonic()
    next_kill = began + rng.uniform(1, 4) if killed == "at random" else None
    started = False
    while (state := asyncio.run(state_of(made, export_id))) in ("queued", "running"):
        if time.monotonic() - began > WITHIN_S:
            break
        if not made.worker.alive:
            outcome.kills += bool(kill) and started and outcome.kills < 1
            after = {"SOUNDOPS_KILL_AFTER": str(rng.randint(1, 30) if killed == "export_after_sheet" else 1)}
            made.worker.env = made.env | (kill | after if kill and outcome.kills < 1 else {})
            made.worker.start()
            started = True
        if next_kill and time.monotonic() > next_kill and outcome.kills < RANDOM_KILLS:
            made.worker.process.kill()
            made.worker.process.wait()
            outcome.kills, next_kill = outcome.kills + 1, time.monotonic() + rng.uniform(3, 8)
        outcome.peak_mb = max(outcome.peak_mb, peak_mb(made))
        time.sleep(0.1)
    outcome.seconds = time.monotonic() - began
    if state != "succeeded":
        outcome.troubles.append(f"it is {state}")
    made.worker.end()
    outcome.troubles += asyncio.run(judge(made, export_id, folder / "export.zip"))
    return outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures, for people."""
    lines = [f"  {'killed':<22} {'kills':>5} {'seconds':>8} {'peak MB':>8} {'troubles':>8}"]
    for o in outcomes:
        lines.append(f"  {o.killed:<22} {o.kills:>5} {o.seconds:>8.1f} {o.peak_mb:>8.1f} {len(o.troubles):>8}")
        lines += [f"    {trouble}" for trouble in o.troubles[:10]]
    return "\n".join(lines)


def export_run(made: Ground, folder: Path, *, seed: int) -> list[Outcome]:
    """Once undisturbed, once for each point, once at random."""
    rng, outcomes = random.Random(seed), list[Outcome]()
    for killed in ("never", *get_args(ExportPoint), "at random"):
        outcomes.append(export(made, folder, killed, rng))
        print(table(outcomes[-1:]), flush=True)
    return outcomes


def is_good(outcomes: Sequence[Outcome], *, rows: int) -> bool:
    """Whether all was complete, and the first fast and small enough; a larger label may take longer in proportion."""
    first, *killed = outcomes
    fits = first.seconds <= MOST_S * max(1, rows / 100_000) and first.peak_mb <= MOST_MB
    return fits and all(o.kills for o in killed) and not any(o.troubles for o in outcomes)


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.export_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args(argv)
    print(f"export run with --rows {args.rows} --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ground(folder, rows=args.rows, seed=args.seed) as made:
            outcomes = export_run(made, folder, seed=args.seed)
    good = is_good(outcomes, rows=args.rows)
    print("  GOOD" if good else "  BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
