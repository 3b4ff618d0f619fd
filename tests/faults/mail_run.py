"""The mail run: mails while the worker is killed at each of the five points around the hand-over to the mail server.

    python -m tests.faults.mail_run --mails 200 --seed 7

Each mail is in the postbox at most once. What ended `sent` is there exactly once; the rest is `unknown` with a reason.
No address and no token is in the worker's log. The exit status is 0 only then.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import httpx
import pymongo

from app.clock import utc_now
from app.db import Database, Doc, Session, create_indexes
from app.ids import new_id
from app.models.drills import Point, SendPoint
from app.services.mail import outbox
from tests.house import make_keys, settings_env
from tools import embedded
from tools.child import Child, running
from tools.plan import worker_env

POINTS: tuple[Point, ...] = get_args(SendPoint)
SETTINGS = {"SOUNDOPS_LEASE_S": "3", "SOUNDOPS_GRAPH_TIMEOUT_S": "1", "SOUNDOPS_SWEEP_S": "0.2"}
"""A mail is taken over three seconds after its worker's death; its two steps fit into two of them."""
WITHIN_S = 900.0
AT_ONCE = 2
KILLED_AMONG = 12
"""The worker dies at one of so many next passings."""
DOMAIN = "people.example"


@dataclass
class Stage:
    """What runs. `env` is the worker's environment."""

    database: Child
    postbox: Child
    worker: Child
    env: dict[str, str]


@dataclass
class Outcome:
    """What became of the mails of one point. The lists name operations."""

    point: Point
    kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    arrived: int = 0
    troubles: list[str] = field(default_factory=list)


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A database, Redis and a postbox, all running; the worker is not started yet."""
    database = embedded.mongodb_child(folder / "mongodb", ttl_sweep_s=60)
    redis = embedded.valkey_child(folder / "valkey")
    postbox = embedded.postbox_child(folder / "postbox")
    keys = make_keys(folder / "keys")
    urls = {"mongodb_url": database.url, "redis_url": redis.url, "smtp_url": embedded.smtp_url(postbox)}
    env = worker_env(settings_env(keys, **urls, SOUNDOPS_LOG_LEVEL="DEBUG", **SETTINGS))
    worker = embedded.worker_child(env, log=folder / "logs" / "worker.log")
    with running(database, redis, postbox):
        asyncio.run(_make_indexes(database.url))
        try:
            yield Stage(database, postbox, worker, env)
        finally:
            worker.end()


async def _make_indexes(url: str) -> None:
    db = Database(url)
    await create_indexes(db)
    db.close()


async def queue(url: str, point: Point, number: int) -> None:
    """Make a person, and queue a mail with a link for them."""
    db = Database(url)
    email = f"{point}{number}@{DOMAIN}"
    address = {"email": email, "email_key": email}
    person: Doc = {"_id": new_id("usr"), "name": "Mara", "policy_version": "2026-03-13"} | address
    await db.open("users").insert_one(person)

    async def work(session: Session) -> str:
        facts = {"name": "Mara"}
        return await outbox.queue(
            db, "verify_email", subject=person["_id"], facts=facts, now=utc_now(), session=session
        )

    await db.in_transaction(work)
    db.close()


def send_at(stage: Stage, point: Point, *, mails: int, rng: random.Random) -> Outcome:
    """Send so many mails while the worker dies at this point again and again; what became of them.

    A death is felt by every mail that is on its way, so there are never more than `AT_ONCE`.
    """
    outcome, queued = Outcome(point), 0
    deadline = time.monotonic() + WITHIN_S
    with pymongo.MongoClient[Doc](stage.database.url) as client:
        operations = client.get_default_database()["operations"]
        while time.monotonic() < deadline:
            waiting = operations.count_documents({"state": {"$in": ["queued", "running"]}})
            if waiting == 0 and queued == mails:
                break
            if waiting < AT_ONCE and queued < mails:
                asyncio.run(queue(stage.database.url, point, queued))
                queued += 1
            if not stage.worker.alive:
                outcome.kills += queued > 1 and stage.worker.process.returncode == -9
                passings = str(rng.randint(2, max(2, min(KILLED_AMONG, mails * 2 // 3))))
                stage.worker.env = stage.env | {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": passings}
                stage.worker.start()
            time.sleep(0.02)
    stage.worker.end()
    _judge(stage, outcome)
    return outcome


def _judge(stage: Stage, outcome: Outcome) -> None:
    with httpx.Client(base_url=stage.postbox.url, timeout=30, trust_env=False) as postbox:
        found = postbox.get("/mails").raise_for_status().json()
    with pymongo.MongoClient[Doc](stage.database.url) as client:
        db = client.get_default_database()
        people = {doc["_id"]: doc["email"] for doc in db["users"].find()}
        mails = {doc["_id"]: doc for doc in db["mails"].find()}
        operations = list(db["operations"].find({"target": {"$in": list(mails)}}))
    arrived = Counter(mail["to"] for mail in found)
    outcome.arrived = sum(count for to, count in arrived.items() if to.startswith(outcome.point))
    for operation in operations:
        mail = mails[operation["target"]]
        address = people.get(mail["user_id"], "")
        if not address.startswith(outcome.point):
            continue
        outcome.states[operation["state"]] += 1
        state, count = operation["state"], arrived[address]
        outcome.troubles += [
            f"{operation['_id']}: {trouble}"
            for trouble, there in {
                "arrived more than once": count > 1,
                "neither sent nor in doubt": state not in ("succeeded", "unknown"),
                "succeeded, but did not arrive": state == "succeeded" and count != 1,
                "succeeded, but the mail says otherwise": state == "succeeded" and mail["state"] != "sent",
                "unknown, but the mail says otherwise": state == "unknown" and mail["state"] != "unknown",
                "unknown without a reason": state == "unknown" and not operation["problem"]["detail"],
            }.items()
            if there
        ]
    log = stage.worker.log.read_text()
    secrets = {mail["token"] for mail in found if mail["token"]} | set(people.values()) | {DOMAIN, "sot_"}
    outcome.troubles += ["an address or a token is in the log"] * any(secret in log for secret in secrets)


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures, for people."""
    lines = [f"  {'killed':<15} {'kills':>5} {'mails':>5} {'sent':>5} {'unknown':>7} {'arrived':>7} {'troubles':>8}"]
    for o in outcomes:
        figures = f"{o.kills:>5} {o.states.total():>5} {o.states['succeeded']:>5} {o.states['unknown']:>7}"
        lines.append(f"  {o.point:<15} {figures} {o.arrived:>7} {len(o.troubles):>8}")
        lines += [f"    {trouble}" for trouble in o.troubles[:10]]
    return "\n".join(lines)


def mail_run(running: Stage, *, mails: int, seed: int) -> list[Outcome]:
    """Send so many mails for each point."""
    rng = random.Random(seed)
    return [send_at(running, point, mails=mails, rng=rng) for point in POINTS]


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mail_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--mails", type=int, default=200, help="mails for each point")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args(argv)
    print(f"mail run with --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as running:
        outcomes = mail_run(running, mails=args.mails, seed=args.seed)
    print(table(outcomes))
    good = all(o.kills and not o.troubles and o.states.total() == args.mails for o in outcomes)
    print("  GOOD" if good else "  BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
