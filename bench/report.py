"""What a run found: printed for people, written for whoever compares runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import Round
from bench.measure import Plan

PROCESSES = ("server", "database", "generator")
NOTE = """
Right of the bar is CPU time, 100 % being one core. The database is a stand-in, itself a Python program: the ratios tell
something, the requests/s do not.
"""


@dataclass(frozen=True)
class Row:
    """One figure beside its ceiling."""

    name: str
    value: float
    ceiling: float
    goal: float
    """What the ratio shall reach; with `lower_is_better`, what it shall not pass."""
    lower_is_better: bool = False

    @property
    def ratio(self) -> float:
        """Of the value to the ceiling."""
        return self.value / self.ceiling

    @property
    def reached(self) -> bool:
        """Whether the goal is."""
        return self.ratio <= self.goal if self.lower_is_better else self.ratio >= self.goal


def rows_of(name: str, ours: Round, ceiling: Round, *, goal: float) -> list[Row]:
    """The rows of one comparison. The goal for latency follows: at 0.6 of the rate, an answer takes 1/0.6 as long."""
    return [
        Row(f"{name}, requests/s", ours.per_s, ceiling.per_s, goal),
        Row(f"{name}, p99 ms", ours.p99_ms, ceiling.p99_ms, 1 / goal, lower_is_better=True),
    ]


def print_table(title: str, plan: Plan, found: Mapping[str, Round]) -> None:
    """Each target's median round, and how busy the processes were, where 100 % is one core."""
    print(f"\n{title} ({plan.connections} connections, median of {plan.rounds} rounds of {plan.measured_s:g} s)")
    print(f"{'':48}{'requests/s':>10}{'p50 ms':>9}{'p99 ms':>9} |" + "".join(f"{name:>11}" for name in PROCESSES))
    for name, figures in found.items():
        busy = "".join(f"{figures.cpu[process]:11.0%}" for process in PROCESSES)
        print(f"  {name:46}{figures.per_s:10,.0f}{figures.p50_ms:9.2f}{figures.p99_ms:9.2f} |{busy}", flush=True)


def print_rows(rows: Sequence[Row]) -> None:
    """The ratios, and whether they reach their goals."""
    print(f"\n{'beside the ceiling':48}{'value':>10}{'ceiling':>10}{'ratio':>8}   goal")
    for row in rows:
        goal = f"{'<=' if row.lower_is_better else '>='} {row.goal:.2f}"
        missed = "" if row.reached else "   MISSED"
        print(f"  {row.name:46}{row.value:10,.1f}{row.ceiling:10,.1f}{row.ratio:8.2f}   {goal}{missed}")
    print(NOTE)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """As JSON: a list of `{name, value, ceiling, ratio, goal, lower_is_better?}`. What was not measured now stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else []
    shown = {row["name"]: row for row in known} | {row.name: _shown(row) for row in rows}
    path.write_text(json.dumps(list(shown.values()), indent=2) + "\n")


def _shown(row: Row) -> dict[str, str | float | bool]:
    figures = {"value": row.value, "ceiling": row.ceiling, "ratio": row.ratio, "goal": row.goal}
    shown: dict[str, str | float | bool] = {"name": row.name} | {
        key: round(figure, 3) for key, figure in figures.items()
    }
    return shown | ({"lower_is_better": True} if row.lower_is_better else {})
