"""The publish run: publications of all kinds against the fault table, the worker killed at each named step.

    python -m tests.faults.publish_run --publications 1000 --seed 7

The sandbox's ledger shows each at most once. None is said to have failed that is there; at least 95 of a hundred end
`published` by themselves, and the rest is `unknown`, with what to do. In the end it is measured how late posts begin
while a worker lives: 99 of 100 at most 10 seconds. The exit status is 0 only then.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from app.db import Doc
from app.models.drills import PublishPoint
from tests.faults.plant import Plant, plant
from tests.faults.press import Files, Press

POINTS: tuple[PublishPoint, ...] = get_args(PublishPoint)
SETTINGS = {"SOUNDOPS_LEASE_S": "5", "SOUNDOPS_GRAPH_TIMEOUT_S": "2", "SOUNDOPS_SWEEP_S": "0.5"}
"""What a dead worker had is taken over five seconds later."""
TRANSACTION_S = "4"
WITHIN_S = 1200.0
A_KILL_EACH = 6
"""The worker dies once among so many publications, as they pass the point."""
MOST_KILLS = 12
"""After so many deaths at a point, a worker lives: else the last posts would wait for luck."""
STARTED_S = 15.0
"""So long after its start a worker surely works."""
RESOLVED = 0.95
LATE_S = 10.0
"""So late 99 of 100 posts may begin."""
AT_PUBLISHING = r"/media_publish$|/v\d+\.\d+/(\d+_\d+|14\d{15})$"
"""The calls that show something: of containers, and of a Page's hidden posts and videos."""
FAULT_TABLE: tuple[dict[str, Any], ...] = (
    {"fault": "lost"},
    {"fault": "500-executed"},
    {"fault": "error-executed", "code": 4, "subcode": 2207051},
    {"fault": "200-not-executed"},
    {"fault": "slow", "seconds": 2.4},
    {"fault": "error", "code": 2},
    {"fault": "error", "code": -1, "subcode": 2207001},
    {"fault": "http", "code": 500},
    {"fault": "empty"},
    {"fault": "html"},
)
ELSEWHERE: tuple[tuple[str, dict[str, Any]], ...] = (
    (r"/media$|/photos$|/feed$|/videos$", {"fault": "lost"}),
    (r"/media$|/photos$|/feed$|/videos$", {"fault": "500-executed"}),
    (r"/media$|/photos$|/feed$|/videos$", {"fault": "error", "code": -2, "subcode": 2207003}),
    (r"/comments$", {"fault": "lost"}),
    (r"/content_publishing_limit$", {"fault": "http", "code": 500}),
)
ORDERS = ("error", "expired", "slow")


@dataclass
class Outcome:
    """What became of the publications of one point. The troubles name publications."""

    point: str
    kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    shown: int = 0
    seconds: float = 0.0
    troubles: list[str] = field(default_factory=list)

    @property
    def resolved(self) -> int:
        """How many ended without a person."""
        return self.states["published"]


def publish_at(press: Press, point: PublishPoint, *, count: int, rng: random.Random, most_kills: int) -> Outcome:
    """Publish so many while the worker dies at this point again and again; what became of them."""
    running, outcome = press.plant, Outcome(point)
    running.worker.end()
    ids = press.schedule(point, count, rng)
    _make_trouble(press, count, rng)
    began = time.monotonic()
    while _unsettled(running, ids) and time.monotonic() - began < WITHIN_S:
        if not running.worker.alive:
            outcome.kills += running.worker.process.returncode == -9
            passings = rng.randint(1, max(3, count // A_KILL_EACH))
            drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": str(passings)}
            running.worker.env = undrilled(running) | (drill if outcome.kills < most_kills else {})
            running.worker.start()
        time.sleep(0.1)
    running.worker.end()
    press.control("DELETE", "/faults")
    press.control("DELETE", "/publishing/orders")
    outcome.seconds = time.monotonic() - began
    judge(press, ids, outcome)
    return outcome


def _make_trouble(press: Press, count: int, rng: random.Random) -> None:
    """Let about every third call that publishes suffer, and some of the others."""
    table = [(AT_PUBLISHING, rng.choice(FAULT_TABLE)) for _ in range(count // 3)]
    table += [rng.choice(ELSEWHERE) for _ in range(count // 10)]
    rng.shuffle(table)
    for path, fault in table:
        press.control("POST", "/faults", match={"path": path, "method": "POST"}, **fault)
    for _ in range(count // 20):
        press.control("POST", "/publishing/orders", behaviour=rng.choice(ORDERS), seconds=3)


def _unsettled(running: Plant, ids: Sequence[str]) -> int:
    """How many are neither done nor left to a person."""
    with running.store() as db:
        targets = [doc["_id"] for doc in db["publication_targets"].find({"publication_id": {"$in": list(ids)}})]
        return db["operations"].count_documents({"target": {"$in": targets}, "due_at": {"$exists": True}})


def judge(press: Press, ids: Sequence[str], outcome: Outcome) -> None:
    """Compare what is said of each with what Meta has shown."""
    shown, comments = Counter(press.shown()), Counter(press.comments())
    with press.plant.store() as db:
        targets = {doc["publication_id"]: doc for doc in db["publication_targets"].find()}
        states = {doc["_id"]: doc["state"] for doc in db["publications"].find({}, {"state": 1})}
    for publication_id in ids:
        target, words = targets[publication_id], press.words[publication_id]
        outcome.states[target["state"]] += 1
        outcome.shown += shown[words]
        outcome.troubles += [
            f"{words} ({target['kind']}, {target['state']}): {trouble} {target['problem'] or ''}".rstrip()
            for trouble, there in _troubles(target, shown[words], comments, states[publication_id]).items()
            if there
        ]


def _troubles(target: Doc, shown: int, comments: Counter[str], state: str) -> dict[str, bool]:
    comment = target["snapshot"]["first_comment"]
    problem = target["problem"] or {}
    return {
        "more than once at Meta": shown > 1,
        "published, and not at Meta": target["state"] == "published" and shown != 1,
        "failed, and at Meta": target["state"] == "failed" and shown > 0,
        "failed, though nothing was wrong with it": target["state"] == "failed",
        "unknown without what to do": target["state"] == "unknown" and "decide" not in problem.get("detail", ""),
        "not ended": target["state"] not in ("published", "failed", "unknown"),
        "its publication says otherwise": state != target["state"],
        "its first comment is there twice": bool(comment) and comments[comment] > 1,
        "no id": target["state"] == "published" and target["provider_id"] is None and target["kind"] != "story",
    }


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures, for people."""
    named = f"{'kills':>5} {'all':>5} {'published':>9} {'unknown':>7} {'failed':>6} {'at Meta':>7} {'s':>5}"
    lines = [f"  {'killed':<26} {named}"]
    for o in outcomes:
        states = f"{o.states.total():>5} {o.resolved:>9} {o.states['unknown']:>7} {o.states['failed']:>6}"
        lines.append(f"  {o.point:<26} {o.kills:>5} {states} {o.shown:>7} {o.seconds:>5.0f}")
        lines += [f"    {trouble}" for trouble in o.troubles[:10]]
    return "\n".join(lines)


def is_good(outcomes: Sequence[Outcome], count: int) -> bool:
    """Whether all that was promised held."""
    total = sum(outcome.states.total() for outcome in outcomes)
    resolved = sum(outcome.resolved for outcome in outcomes)
    held = all(outcome.kills and not outcome.troubles for outcome in outcomes)
    return held and total == count and resolved >= RESOLVED * total


def undrilled(running: Plant) -> dict[str, str]:
    """The worker's environment without a drill."""
    return {name: value for name, value in running.worker.env.items() if "KILL" not in name}


def lateness_s(press: Press, *, count: int, within_s: float, rng: random.Random) -> list[float]:
    """How late so many posts began that were due one after the other, with a worker that lives; the least first."""
    running = press.plant
    running.worker.end()
    running.worker.env = undrilled(running)
    running.worker.start()
    ids = press.schedule("on time", count, rng, from_s=STARTED_S, within_s=within_s)
    deadline = time.monotonic() + within_s + WITHIN_S
    while _unsettled(running, ids) and time.monotonic() < deadline:
        time.sleep(0.2)
    with running.store() as db:
        targets = list(db["publication_targets"].find({"publication_id": {"$in": ids}}))
    return sorted((one["started_at"] - one["due_at"]).total_seconds() for one in targets)


def p99(figures: Sequence[float]) -> float:
    """The figure that one in a hundred is above."""
    return figures[min(len(figures) - 1, int(len(figures) * 0.99))]


def open_press(running: Plant) -> Press:
    """A label that publishes at the plant. Its worker has Meta fetch from us from here on: each file is told apart."""
    files = Files()
    press = Press(running, files)
    press.connect()
    press.control("PUT", "/publishing", video_s=0.5, quota_total=100_000, containers_total=100_000)
    running.worker.end()
    running.worker.env = running.env | {"SOUNDOPS_PUBLIC_URL": files.url}
    running.worker.start()
    return press


def publish_run(
    press: Press,
    *,
    publications: int,
    rng: random.Random,
    points: Sequence[PublishPoint] = POINTS,
    most_kills: int = MOST_KILLS,
) -> list[Outcome]:
    """Publish so many, as many at each of these points."""
    shares = [publications // len(points) + (n < publications % len(points)) for n in range(len(points))]
    found = []
    for point, count in zip(points, shares, strict=True):
        found.append(publish_at(press, point, count=count, rng=rng, most_kills=most_kills))
        print(table(found[-1:]), flush=True)
    return found


def a_plant(folder: Path) -> AbstractContextManager[Plant]:
    """Where posts are published."""
    return plant(folder, transaction_s=TRANSACTION_S, **SETTINGS)


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.publish_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--publications", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where data and logs stay; else they are deleted")
    args = parser.parse_args(argv)
    print(f"publish run with --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, a_plant(args.folder or Path(folder)) as running:
        rng, press = random.Random(args.seed), open_press(running)
        outcomes = publish_run(press, publications=args.publications, rng=rng)
        late = lateness_s(press, count=100, within_s=60.0, rng=rng)
    print(table(outcomes))
    print(f"  {len(late)} due within a minute: {late[len(late) // 2]:.1f} s late (median), {p99(late):.1f} s (p99)")
    good = is_good(outcomes, args.publications) and p99(late) <= LATE_S
    print("  GOOD" if good else "  BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
