"""`python -m bench`: measure the hot paths beside their ceilings, print it, and write `bench/results/latest.json`.

`--quick` only shows that it works, in a few seconds; its figures mean little.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.inbox import MANY, measure_growth
from bench.paths import measure_intake, measure_lists
from bench.report import Row, print_rows, write_rows
from bench.stage import open_stage
from bench.vault import measure_vault

LATEST = Path(__file__).parent / "results" / "latest.json"


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status is 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each; misses no goal")
    parser.add_argument("--to", type=Path, default=LATEST, help="the file to write")
    parser.add_argument("--growth", type=int, metavar="N", help="only how the inbox grows, to N stored messages")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="soundops-bench-") as home,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as generator,
    ):
        if not options.growth:
            with open_stage(Path(home)) as stage:
                rows += measure_intake(stage, generator, quick=options.quick)
                rows += measure_lists(stage, generator, quick=options.quick)
            rows += measure_vault(quick=options.quick)
        rows += measure_growth(generator, Path(home), messages=options.growth or MANY, quick=options.quick)
    print_rows(rows)
    write_rows(options.to, rows)
    return 0 if options.quick or all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
