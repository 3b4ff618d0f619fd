"""Rounds that take turns, so that whatever else the machine does hits all alike; and the median of each figure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from statistics import median

from bench.load import Load, Round, run


@dataclass(frozen=True)
class Target:
    """A handler, and what is asked of it."""

    name: str
    server: str
    """Which of the watched processes it runs in."""
    port: int
    requests: Callable[[], Iterator[bytes]]
    database: str = "database"
    """Which of them its database is."""


@dataclass(frozen=True)
class Plan:
    """How long and how hard."""

    rounds: int
    connections: int
    warm_up_s: float
    measured_s: float


def take_turns(
    generator: Executor,
    targets: Sequence[Target],
    plan: Plan,
    *,
    watched: Mapping[str, int],
    before: Callable[[], None] = lambda: None,
) -> dict[str, Round]:
    """The median round of each target, by name. `before` is called before each. Raises `BadAnswer`."""
    found: dict[str, list[Round]] = {target.name: [] for target in targets}
    for number in range(plan.rounds):
        turn = number % len(targets)
        for target in (*targets[turn:], *targets[:turn]):
            before()
            pids = {"server": watched[target.server], "database": watched[target.database]}
            load = Load(target.port, target.requests, plan.connections, plan.warm_up_s, plan.measured_s, pids)
            found[target.name].append(generator.submit(run, load).result())
    return {name: _median(rounds) for name, rounds in found.items()}


def _median(rounds: list[Round]) -> Round:
    return Round(
        per_s=median(r.per_s for r in rounds),
        p50_ms=median(r.p50_ms for r in rounds),
        p95_ms=median(r.p95_ms for r in rounds),
        p99_ms=median(r.p99_ms for r in rounds),
        cpu={name: median(r.cpu[name] for r in rounds) for name in rounds[0].cpu},
    )
