"""The send run: replies while the worker is killed at each of the five points around the call to Meta.

    python -m tests.faults.send_run --sends 200 --seed 7

Each reply is in the sandbox's ledger at most once. What ended `sent` is there exactly once; the rest is `unknown`
with a reason, and is never repeated blindly. The exit status is 0 only then.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import httpx

from app.models.drills import Point, SendPoint
from tests.faults.plant import Plant, plant
from tools.demo import ACCOUNT

POINTS: tuple[Point, ...] = get_args(SendPoint)
FIRST_FAN = 13
SETTINGS = {"SOUNDOPS_LEASE_S": "2", "SOUNDOPS_GRAPH_TIMEOUT_S": "1", "SOUNDOPS_SWEEP_S": "0.5"}
"""A reply is taken over two seconds after its worker's death; calls fit into that."""
WITHIN_S = 900.0
KILLED_AMONG = 12
"""The worker dies at one of so many next passings."""


@dataclass
class Outcome:
    """What became of the replies of one point. The lists name texts."""

    point: Point
    kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    in_ledger: int = 0
    troubles: list[str] = field(default_factory=list)


def fans_write(running: Plant, count: int) -> list[str]:
    """Have so many fans write; the ids of their conversations, once all are there."""
    with httpx.Client(base_url=running.sandbox.url, timeout=30, trust_env=False) as sandbox:
        for number in range(FIRST_FAN, FIRST_FAN + count):
            order = {"fan": f"fan{number}", "account": ACCOUNT, "text": "When is the vinyl back?"}
            sandbox.post("/_sandbox/fans/write", json=order).raise_for_status()
    deadline = time.monotonic() + 60
    with running.store() as db:
        while len(found := [doc["_id"] for doc in db["conversations"].find({"unread_count": 1})]) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} conversations are there")
            time.sleep(0.1)
    return found


def send_at(running: Plant, point: Point, conversations: Sequence[str], *, sends: int, rng: random.Random) -> Outcome:
    """Send so many replies while the worker dies at this point again and again; what became of them."""
    outcome = Outcome(point)
    running.worker.end()
    with running.owner() as http:
        for number in range(sends):
            path = f"/v1/labels/{running.label_id}/conversations/{conversations[number % len(conversations)]}/messages"
            http.post(path, json={"text": f"{point} {number}"}).raise_for_status()
    deadline = time.monotonic() + WITHIN_S
    while _unsettled(running) and time.monotonic() < deadline:
        if not running.worker.alive:
            outcome.kills += running.worker.process.returncode == -9
            passings = str(rng.randint(2, min(KILLED_AMONG, sends * 2 // 3)))
            drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": passings}
            running.worker.env = running.env | drill
            running.worker.start()
        time.sleep(0.05)
    running.worker.end()
    _judge(running, outcome)
    return outcome


def _unsettled(running: Plant) -> int:
    """How many replies are neither done nor in doubt."""
    with running.store() as db:
        return db["operations"].count_documents({"kind": "send_reply", "state": {"$in": ["queued", "running"]}})


def _judge(running: Plant, outcome: Outcome) -> None:
    with httpx.Client(base_url=running.sandbox.url, timeout=30, trust_env=False) as sandbox:
        rows = sandbox.get("/_sandbox/ledger", params={"kind": "message_sent"}).raise_for_status().json()["rows"]
    sent = Counter(row["text"] for row in rows if row["text"].startswith(f"{outcome.point} "))
    outcome.in_ledger = sent.total()
    with running.store() as db:
        messages = {doc["_id"]: doc for doc in db["messages"].find({"operation_id": {"$exists": True}})}
        operations = list(db["operations"].find({"kind": "send_reply"}))
        told = Counter(doc["target"] for doc in db["events"].find({"type": "message.sent"}))
        shown = Counter(doc.get("content", {}).get("original", {}).get("text") for doc in db["messages"].find())
    for operation in operations:
        message = messages[operation["target"]]
        text = message["content"]["original"]["text"]
        if not text.startswith(f"{outcome.point} "):
            continue
        outcome.states[operation["state"]] += 1
        outcome.troubles += [
            f"{text}: {trouble}"
            for trouble, there in {
                "more than once in Meta's ledger": sent[text] > 1,
                "neither sent nor in doubt": operation["state"] not in ("succeeded", "unknown"),
                "succeeded, but not in Meta's ledger": operation["state"] == "succeeded" and sent[text] != 1,
                "succeeded, but its message is not `sent`": operation["state"] == "succeeded"
                and message["state"] != "sent",
                "succeeded, but not one `message.sent`": operation["state"] == "succeeded"
                and told[message["_id"]] != 1,
                "unknown without a reason": operation["state"] == "unknown" and not operation["problem"]["detail"],
                "unknown, though Meta shows it": operation["state"] == "unknown" and sent[text] != 0,
                "shown more than once": sent[text] == 1 and operation["state"] == "succeeded" and shown[text] != 1,
            }.items()
            if there
        ]


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures, for people."""
    lines = [f"  {'killed':<15} {'kills':>5} {'sends':>5} {'sent':>5} {'unknown':>7} {'in ledger':>9} {'troubles':>8}"]
    for o in outcomes:
        figures = f"{o.kills:>5} {o.states.total():>5} {o.states['succeeded']:>5} {o.states['unknown']:>7}"
        lines.append(f"  {o.point:<15} {figures} {o.in_ledger:>9} {len(o.troubles):>8}")
        lines += [f"    {trouble}" for trouble in o.troubles[:10]]
    return "\n".join(lines)


def send_run(running: Plant, *, sends: int, seed: int, fans: int = 1) -> list[Outcome]:
    """Send so many replies for each point, to so many fans. A fan's replies go out one after the other.

    With several fans a worker may die amid a transaction of another reply, which the database then keeps for a minute.
    """
    rng = random.Random(seed)
    conversations = fans_write(running, fans)
    return [send_at(running, point, conversations, sends=sends, rng=rng) for point in POINTS]


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.send_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--sends", type=int, default=200, help="replies for each point")
    parser.add_argument("--fans", type=int, default=1, help="to how many fans they go")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where data and logs stay; else they are deleted")
    args = parser.parse_args(argv)
    print(f"send run with --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, plant(args.folder or Path(folder), **SETTINGS) as running:
        outcomes = send_run(running, sends=args.sends, seed=args.seed, fans=args.fans)
    print(table(outcomes))
    good = all(o.kills and not o.troubles and o.states.total() == args.sends for o in outcomes)
    print("  GOOD" if good else "  BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
