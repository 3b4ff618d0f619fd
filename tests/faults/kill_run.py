"""The kill run: deliveries at a steady rate while the API, the worker, the database and Redis are killed.

    python -m tests.faults.kill_run --deliveries 5000 --rate 120 --seed 7

Nothing that was acknowledged may be lost, and nothing may take effect twice. The exit status is 0 only then.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import redis

from tests.faults.checker import Verdict, check, undrained
from tests.faults.meta import Meta
from tests.faults.plant import WEBHOOK, Part, Plant, plant
from tests.faults.traffic import make_traffic

Blow = Literal[Part, "flushall"]
BLOWS: dict[Blow, int] = {"api": 4, "worker": 4, "database": 4, "redis": 4, "flushall": 2}
"""How often each is struck in a long run."""
FIRST, LAST = 0.03, 0.92
"""Between which shares of the deliveries blows fall."""
DOWN_S = (0.1, 2.5)
DONE_WITHIN_S = 120.0
LOWEST_RATE = 100.0
SHOWN = 10


@dataclass(frozen=True)
class Strike:
    """When delivery `at` begins, kill this, and start it again after `down_s` seconds (`flushall`: only empty it)."""

    at: int
    blow: Blow
    down_s: float = 0.0


@dataclass
class Report:
    """What a run did and what came of it; times in seconds."""

    seed: int
    strikes: list[Strike]
    deliveries: int
    changes: int
    answers: Counter[str]
    rate: float
    unacknowledged: int
    slowest_s: float
    done_s: float
    """From the last restart until nothing waited any more; negative when it was done before."""
    verdict: Verdict

    @property
    def good(self) -> bool:
        """Whether all that was promised held."""
        return self.verdict.good and not self.unacknowledged and self.done_s <= DONE_WITHIN_S


@dataclass
class Hand:
    """Strikes. A part that is down is not struck again before it is up."""

    plant: Plant
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    last_restart: float = 0.0

    async def strike(self, strike: Strike) -> None:
        """Do it, and return when the part is up again."""
        part: Part = "redis" if strike.blow == "flushall" else strike.blow
        child = self.plant.part(part)
        async with self.locks.setdefault(part, asyncio.Lock()):
            if strike.blow == "flushall":
                with redis.Redis.from_url(child.url) as client:
                    await asyncio.to_thread(client.flushall)
                return
            await asyncio.to_thread(child.kill)
            await asyncio.sleep(strike.down_s)
            child.start()
            await asyncio.to_thread(child.wait_ready, 60)
            self.last_restart = time.monotonic()


def plan_strikes(seed: int, deliveries: int, blows: dict[Blow, int]) -> list[Strike]:
    """Seeded random moments and lengths. The last is Redis, down while the last deliveries come: nobody hears them."""
    rng = random.Random(f"strikes {seed}")
    moments = [blow for blow, count in blows.items() for _ in range(count)]
    found = [Strike(int(deliveries * rng.uniform(FIRST, LAST)), blow, rng.uniform(*DOWN_S)) for blow in moments]
    return sorted([*found, Strike(int(deliveries * 0.97), "redis", 1.0)], key=lambda strike: strike.at)


async def kill_run(
    running: Plant, *, deliveries: int, rate: float, seed: int, strikes: list[Strike], done_within_s: float
) -> Report:
    """Deliver, strike, wait until all is done (at most `done_within_s` after the last restart), and check."""
    traffic = make_traffic(deliveries, seed=seed, now_ms=int(time.time() * 1000))
    await asyncio.to_thread(look_no_more, running)
    meta = Meta(running.api.url + WEBHOOK, traffic, rate, random.Random(seed))
    hand = Hand(running, last_restart=time.monotonic())
    waiting = list(strikes)
    async with asyncio.TaskGroup() as group:

        def on_begun(number: int) -> None:
            while waiting and waiting[0].at <= number:
                group.create_task(hand.strike(waiting.pop(0)))

        await meta.deliver_all(on_begun)
    while await asyncio.to_thread(undrained, running) and time.monotonic() < hand.last_restart + done_within_s:
        await asyncio.sleep(0.2)
    done_s = time.monotonic() - hand.last_restart
    return Report(
        seed=seed,
        strikes=strikes,
        deliveries=deliveries,
        changes=len(traffic.changes),
        answers=meta.answers,
        rate=deliveries / meta.begun_in_s,
        unacknowledged=len(traffic.changes) - len(meta.acknowledged),
        slowest_s=meta.slowest_s,
        done_s=done_s,
        verdict=await asyncio.to_thread(check, running, traffic),
    )


def look_no_more(running: Plant) -> None:
    """Have no worker read back at the sandbox what only this drill has delivered: it would find it gone."""
    with running.store() as db:
        db["connections"].update_many({}, {"$unset": {"comments_at": "", "repair_at": "", "check_at": ""}})


def table(report: Report) -> str:
    """The figures of a run, for people."""
    verdict = report.verdict
    struck = Counter(strike.blow for strike in report.strikes)
    rows = [
        ("seed", report.seed),
        ("deliveries", f"{report.deliveries} with {report.changes} changes, begun at {report.rate:.0f}/s"),
        ("answers", ", ".join(f"{answer}: {count}" for answer, count in report.answers.most_common())),
        ("kill -9", ", ".join(f"{blow} {count}x" for blow, count in struck.items() if blow != "flushall")),
        ("FLUSHALL", f"{struck['flushall']}x"),
        ("slowest 200", f"{report.slowest_s:.2f} s"),
        ("not acknowledged", report.unacknowledged),
        ("acknowledged and lost", len(verdict.lost)),
        ("effects twice", len(verdict.twice)),
        ("wrong end states", len(verdict.wrong)),
        ("not drained, parked", f"{verdict.undrained}, {verdict.parked}"),
        ("done after last restart", f"{report.done_s:.1f} s (at most {DONE_WITHIN_S:.0f} s)"),
        ("result", "GOOD" if report.good else "BAD"),
    ]
    lines = [f"  {name:<24} {value}" for name, value in rows]
    for kind in (verdict.lost, verdict.twice, verdict.wrong):
        lines += [f"    {line}" for line in kind[:SHOWN]]
    return "\n".join(lines)


async def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--deliveries", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=120, help="deliveries a second")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where data and logs stay; else they are deleted")
    args = parser.parse_args(argv)
    print(f"kill run with --seed {args.seed}", flush=True)
    strikes = plan_strikes(args.seed, args.deliveries, BLOWS)
    with tempfile.TemporaryDirectory() as folder, plant(args.folder or Path(folder)) as running:
        report = await kill_run(
            running,
            deliveries=args.deliveries,
            rate=args.rate,
            seed=args.seed,
            strikes=strikes,
            done_within_s=DONE_WITHIN_S,
        )
    print(table(report))
    slow = report.rate < LOWEST_RATE
    if slow:
        print(f"  The load was below {LOWEST_RATE:.0f}/s: this run proves too little.")
    return 0 if report.good and not slow else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
