"""The refresh storm: Spotify connections whose tokens all end in one second, while Spotify behaves at its worst.

    python -m tests.faults.refresh_storm --connections 300 --seed 7

Two APIs and two workers, of which one is killed in the middle. Spotify rotates refresh tokens, answers some calls after
15 s, loses some answers, and calls some good tokens invalid. Then workers are killed between Spotify's answer and our
write. Each connection is refreshed once, no dead token is used, none is deleted. Where a used refresh token still works
for a while every connection ends active; where it does not, one whose answer was lost waits for a new log-in.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pymongo

from app.clock import utc_now
from app.db import Doc
from tests.faults.refresh_stage import Stage, Verdict, connect, judge, stage, wait_until_settled

ENDS_SOON_S = 60
"""Our workers use no token that ends within this time."""
A_CONNECTION_S = 0.06
"""For making one, on a busy machine."""
GRACE_S = 600
SETTINGS = {"SOUNDOPS_SWEEP_S": "0.5", "SOUNDOPS_GRAPH_TIMEOUT_S": "20"}
KILL_SETTINGS = {"SOUNDOPS_LEASE_S": "3", "SOUNDOPS_GRAPH_TIMEOUT_S": "1", "SOUNDOPS_SWEEP_S": "0.2"}
WITHIN_S = 420.0
SHOWN = 10


@dataclass
class Report:
    """One run: its name, what came of it, and how long it took from the first use."""

    name: str
    connections: int
    grace_s: int
    verdict: Verdict
    kills: int
    settled_s: float
    slowest_api_s: float = 0.0
    troubles: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all that was promised held."""
        return not self.verdict.troubles and not self.troubles


def storm(
    folder: Path,
    *,
    connections: int,
    uses: int,
    grace_s: int,
    seed: int,
    slow_s: float = 15,
    share: float = 0.1,
    settings: Mapping[str, str] = SETTINGS,
) -> Report:
    """Have all connections used at the moment when their tokens end."""
    with stage(folder, workers=2, apis=2, **settings) as running:
        used_at = utc_now() + timedelta(seconds=10 + connections * A_CONNECTION_S)
        ends_at = used_at + timedelta(seconds=ENDS_SOON_S)
        asyncio.run(connect(running, connections, ends_at=ends_at, used_at=used_at, uses=uses))
        running.options(
            rotate=True,
            rotation_grace_s=grace_s,
            slow_s=slow_s,
            slow_share=share,
            lost_share=share,
            lie_share=share,
            seed=seed,
        )
        late_s = (utc_now() - used_at).total_seconds()
        for worker in running.workers:
            worker.start()
        time.sleep(max(0.0, -late_s))
        with watched_apis(running) as slowest:
            blow = Blow(running, at=connections // 3)
            settled_s = wait_until_settled(running, within_s=WITHIN_S, watch=blow.strike)
        verdict = asyncio.run(judge(running))
    report = Report("storm", connections, grace_s, verdict, blow.kills, settled_s, slowest[0])
    return checked(report, uses=uses, kills=1)


@dataclass
class Blow:
    """Kills one worker as soon as Spotify has executed so many refreshes, and starts it again two seconds later."""

    running: Stage
    at: int
    kills: int = 0
    killed_at: float = 0.0

    def strike(self) -> None:
        """Do what is due."""
        worker = self.running.workers[1]
        if not self.kills and len(self.running.ledger("spotify_token_refreshed")) >= self.at:
            worker.kill()
            self.kills, self.killed_at = 1, time.monotonic()
        elif self.kills and not worker.alive and time.monotonic() - self.killed_at > 2:
            worker.start()


class watched_apis:
    """Asks both APIs for the connections all the while; the longest that an answer took, in a list of one."""

    def __init__(self, running: Stage) -> None:
        self.running, self.slowest, self.over = running, [0.0], threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> list[float]:
        self.thread.start()
        return self.slowest

    def __exit__(self, *_: Any) -> None:
        self.over.set()
        self.thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=30, trust_env=False, headers=self.running.owner) as http:
            while not self.over.wait(0.5):
                for api in self.running.apis:
                    began = time.monotonic()
                    with suppress(httpx.TransportError):
                        http.get(f"{api.url}/v1/labels/{self.running.label_id}/connections", params={"limit": 100})
                    self.slowest[0] = max(self.slowest[0], time.monotonic() - began)


def kills(folder: Path, *, count: int, grace_s: int) -> Report:
    """Kill a worker so many times between Spotify's answer and the write, each time with one more refresh to do.

    Then let one finish.
    """
    done, began = 0, time.monotonic()
    with stage(folder, workers=1, apis=1, **KILL_SETTINGS) as running:
        ends_at = utc_now() + timedelta(hours=1)
        asyncio.run(connect(running, count, ends_at=ends_at, used_at=ends_at, uses=0))
        running.options(rotate=True, rotation_grace_s=grace_s)
        [worker] = running.workers
        env = worker.env
        worker.env = {**env, "SOUNDOPS_KILL_AT": "refresh_answered"}
        for number in range(count):
            make_due(running, number)
            worker.start()
            while worker.alive and time.monotonic() - began < WITHIN_S:
                time.sleep(0.05)
            done += worker.process.returncode == -9
        worker.end()
        worker.env = env
        worker.start()
        settled_s = wait_until_settled(running, within_s=WITHIN_S)
        verdict = asyncio.run(judge(running))
    return checked(Report("kills", count, grace_s, verdict, done, settled_s), uses=0, kills=count)


def make_due(running: Stage, number: int) -> None:
    """Have the refresh of this connection due."""
    with pymongo.MongoClient[Doc](running.database_url) as client:
        connections = client.get_default_database()["connections"]
        [found] = connections.find().sort("_id", 1).skip(number).limit(1)
        connections.update_one({"_id": found["_id"]}, {"$set": {"refresh_at": utc_now()}})


def checked(report: Report, *, uses: int, kills: int) -> Report:
    """The report, with what it lacks."""
    verdict, ends = report.verdict, {"succeeded"} | ({"needs_reauth"} if not report.grace_s else set())
    report.troubles = [
        trouble
        for trouble, there in {
            "connections are missing": verdict.states.total() != report.connections,
            "not all ended active": bool(report.grace_s) and verdict.states["active"] != report.connections,
            f"a use ended otherwise than {sorted(ends)}": not set(verdict.uses) <= ends,
            "uses are missing": verdict.uses.total() != report.connections * uses,
            f"{report.kills} kills instead of {kills}": report.kills != kills,
            "something was still to be done": report.settled_s >= WITHIN_S,
        }.items()
        if there
    ]
    return report


def table(report: Report) -> str:
    """The figures, for people."""
    verdict = report.verdict
    rows = [
        (f"{report.name}, {report.grace_s} s of grace", "GOOD" if report.good else "BAD"),
        ("connections", f"{report.connections}: {_counted(verdict.states)}"),
        ("refreshed by Spotify", f"{verdict.refreshed}, and {verdict.repeated} answers given once more"),
        ("refused by Spotify", _counted(verdict.refused)),
        ("workers killed", report.kills),
        ("most attempts at one refresh", verdict.attempts),
        ("uses", _counted(verdict.uses)),
        ("mails", verdict.mails),
        ("settled after", f"{report.settled_s:.1f} s"),
        ("slowest answer of the APIs", f"{report.slowest_api_s:.2f} s"),
    ]
    lines = [f"  {name:<32} {value}" for name, value in rows]
    return "\n".join([*lines, *(f"    {trouble}" for trouble in [*report.troubles, *verdict.troubles][:SHOWN])])


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(found.items())) or "none"


def main(argv: Sequence[str]) -> int:
    """Run all four once; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.refresh_storm", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--uses", type=int, default=4, help="how often each is used at once")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args(argv)
    print(f"refresh storm with --seed {args.seed}", flush=True)
    reports: list[Report] = []
    for grace_s in (GRACE_S, 0):
        with tempfile.TemporaryDirectory() as folder:
            told = {"connections": args.connections, "uses": args.uses, "seed": args.seed}
            reports.append(storm(Path(folder), **told, grace_s=grace_s))
        print(table(reports[-1]), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            reports.append(kills(Path(folder), count=args.kills, grace_s=grace_s))
        print(table(reports[-1]), flush=True)
    return 0 if all(report.good for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
