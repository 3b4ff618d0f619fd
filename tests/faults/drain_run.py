"""The drain run: 200,000 messages and comments end at once while the database's TTL monitor is off.

    python -m tests.faults.drain_run --documents 200000

Our own sweeper alone deletes them, and the API goes on answering. Printed are how long it took (15 minutes at most) and
the API's p99 beside that of a quiet time of the same run (twice at most). The exit status is 0 only then.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from app.clock import utc_now
from app.db import Doc
from app.models.data_map import CONTENT_LIFE
from tests.faults.plant import Plant, plant
from tests.faults.send_run import fans_write

WITHIN_S, MOST_RATIO = 900.0, 2.0
EVERY_S = 0.05
"""A request begins every so often, whether or not the one before was answered."""
QUIET_S = 30.0
TTL_OFF_S = "31536000"
AT_ONCE = 2_000
OF_COMMENT: Doc = {
    "kind": "comment",
    "media": {"provider_id": "1800000000", "product_type": "FEED", "ad_id": None, "original_media_id": None},
    "network": "instagram",
    "parent_provider_id": None,
    "status": "visible",
    "live": False,
    "own": False,
    "unanswered": True,
    "version": 1,
}
"""What a comment has that a message has not."""
PAGE = 30
"""Comments that a list finds first, as in an inbox that lives."""
INSERTED_PER_S = 400
"""At least so many a second are piled up."""
WARM_UP = 60
"""Answers."""


@dataclass
class Run:
    """What was measured, in seconds."""

    documents: int
    drained_s: float = 0
    quiet: list[float] = field(default_factory=list)
    draining: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    """Answers that were none, by their status."""

    @property
    def ratio(self) -> float:
        """The API's p99 while it drains, beside the quiet one."""
        return p99(self.draining) / p99(self.quiet)

    def is_good(self) -> bool:
        """Whether it drained in time, and nobody felt it much."""
        return self.drained_s <= WITHIN_S and self.ratio <= MOST_RATIO and not self.refused


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile."""
    return sorted(seconds)[int(len(seconds) * 0.99)]


async def ask(
    http: httpx.AsyncClient, paths: Sequence[str], into: list[float], goes_on: Callable[[int], bool]
) -> Counter[int]:
    """Ask for these lists in turn, at a steady pace, as long as it `goes_on`; the answers that were none."""
    asked: list[asyncio.Task[int]] = []

    async def once(path: str) -> int:
        begun = time.perf_counter()
        answer = await http.get(path)
        into.append(time.perf_counter() - begun)
        return answer.status_code

    while goes_on(len(asked)):
        asked.append(asyncio.create_task(once(paths[len(asked) % len(paths)])))
        await asyncio.sleep(EVERY_S)
    return Counter(status for status in await asyncio.gather(*asked) if status != 200)


def pile_up(running: Plant, count: int, lasts: timedelta) -> None:
    """Have so many messages and comments, half of each, that all end at the same instant; and a page of fresh ones."""
    with running.store() as db:
        connection = db["connections"].find_one({"status": "active"})
        assert connection is not None
        now = utc_now()
        shared: Doc = {"label_id": connection["label_id"], "connection_id": connection["_id"], "provider": "instagram"}
        sent = now + lasts - CONTENT_LIFE
        times = {"sent_at": sent, "ordered_at": sent, "received_at": sent, "expires_at": now + lasts}
        fresh = {"sent_at": now, "received_at": now, "expires_at": now + CONTENT_LIFE}
        by = {"author": {"provider_id": "9", "username": "fan"}, "content": {"text": "words " * 12}}
        rows = [{"_id": f"cmt_new{n:03}", "provider_id": f"new{n}"} | by | OF_COMMENT for n in range(PAGE)]
        db["comments"].insert_many([row | shared | fresh for row in rows])
        shared |= times
        for name in ("messages", "comments"):
            own: Doc = {"conversation_id": "cnv_old", "direction": "in"} if name == "messages" else OF_COMMENT
            for first in range(0, count // 2, AT_ONCE):
                some = range(first, min(first + AT_ONCE, count // 2))
                rows = [{"_id": f"old_{n:09}", "provider_id": f"old{n}"} | by | own for n in some]
                db[name].insert_many([row | shared for row in rows], ordered=False)


def any_left(running: Plant) -> bool:
    """Whether one of them is still there. Asked by the index, so that asking does not slow what is measured."""
    with running.store() as db:
        over = {"expires_at": {"$lte": utc_now()}}
        return any(db[name].find_one(over, {"_id": 1}, sort=[("expires_at", 1)]) for name in ("messages", "comments"))


async def measure(running: Plant, count: int, *, quiet_s: float) -> Run:
    """The pile, a quiet time beside it, and its end."""
    run = Run(count)
    conversation = fans_write(running, 5)[0]
    label = f"/v1/labels/{running.label_id}"
    paths = (f"{label}/conversations", f"{label}/comments", f"{label}/conversations/{conversation}/messages")
    lasts_s = 10 + quiet_s + count / INSERTED_PER_S
    ends = time.monotonic() + lasts_s
    await asyncio.to_thread(pile_up, running, count, timedelta(seconds=lasts_s))
    if time.monotonic() > ends - quiet_s:
        raise TimeoutError("this machine is too slow to pile them up in time")
    async with client(running) as http:
        await ask(http, paths, [], lambda asked: asked < WARM_UP)
        run.refused += await ask(http, paths, run.quiet, until(time.monotonic() + quiet_s))
    await asyncio.sleep(max(0, ends - time.monotonic()))
    draining = asyncio.create_task(drained(running, run, since=ends))
    async with client(running) as http:
        run.refused += await ask(http, paths, run.draining, lambda asked: not draining.done() or asked < WARM_UP)
    await draining
    return run


async def drained(running: Plant, run: Run, *, since: float) -> None:
    """Wait until none of them is left."""
    while await asyncio.to_thread(any_left, running) and time.monotonic() - since < WITHIN_S:
        await asyncio.sleep(0.5)
    run.drained_s = time.monotonic() - since


def client(running: Plant) -> httpx.AsyncClient:
    """A client of the label's owner, who has just logged in."""
    with running.owner() as known:
        headers = {"Authorization": known.headers["Authorization"]}
    return httpx.AsyncClient(base_url=running.api.url, headers=headers, timeout=60, trust_env=False)


def until(deadline: float) -> Callable[[int], bool]:
    """Go on until then."""
    return lambda asked: time.monotonic() < deadline


async def run_all(folder: Path, *, documents: int, quiet_s: float = QUIET_S) -> Run:
    """The whole run."""
    with plant(folder, ttl_sweep_s=TTL_OFF_S) as running:
        return await measure(running, documents, quiet_s=quiet_s)


def report(run: Run) -> str:
    """What was measured, in words."""
    figures = [
        f"{name}: p50 {median(some) * 1000:.1f} ms, p99 {p99(some) * 1000:.1f} ms of {len(some)} answers"
        for name, some in (("quiet", run.quiet), ("draining", run.draining))
    ]
    verdict = "good" if run.is_good() else "BAD"
    drained = f"{run.documents} documents that ended at once were gone after {run.drained_s:.0f} s"
    return "\n".join([drained, *figures, f"p99: {run.ratio:.2f} times; refused: {dict(run.refused)}", verdict])


def main(argv: Sequence[str]) -> int:
    """Run the drill; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=200_000)
    args: Any = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        run = asyncio.run(run_all(Path(folder), documents=args.documents))
    print(report(run))
    return int(not run.is_good())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
