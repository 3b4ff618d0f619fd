"""The rotation run: a key is exchanged while processes read and refresh, and the command is killed again and again.

    python -m tests.faults.rotation_run --envelopes 20000

No opening fails, the old key is destroyed in the end, and everything still opens. The exit status is 0 only then.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pymongo

from app.clock import utc_now
from app.db import Database, Doc, create_indexes
from app.ids import new_id
from app.services.vault import ledger
from app.services.vault.envelope import SealBroken, seal, unseal
from app.services.vault.private_ring import load_private
from app.services.vault.ring import WatchedPublicRing
from app.services.vault.secrets import binding_of, binding_of_stored
from tests.faults.rotation_reader import PURPOSE, connection_of
from tests.house import make_keys, settings_env
from tools import embedded
from tools.child import Child, running
from tools.plan import worker_env

READERS = 3
BETWEEN_LOOKS_S = 0.02
WITHIN_S = 900.0
AT_ONCE = 1_000


@dataclass
class Outcome:
    """What came of a run."""

    envelopes: int
    kills: int = 0
    reads: int = 0
    refreshed: int = 0
    failed: list[str] = field(default_factory=list)
    rewrap_s: float = 0.0
    all_s: float = 0.0
    opened_at_end: int = 0
    left_on_old_keys: int = 0
    nonces: int = 0
    keys_left: list[str] = field(default_factory=list)
    states: Mapping[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all was as it should be."""
        whole = self.opened_at_end == self.nonces == self.envelopes and not self.left_on_old_keys
        rotated = self.keys_left == ["k2"] and self.states == {"k1": "retired", "k2": "current"}
        return whole and rotated and not self.failed and not self.refusals and self.reads > 0


@dataclass(frozen=True)
class Stage:
    """What runs, and the settings of a worker."""

    folder: Path
    database: Child
    env: Mapping[str, str]

    def command(self, *arguments: str) -> Child:
        """The operator's command, not started yet."""
        command = [sys.executable, "-m", "workers.vault", *arguments]
        return Child("the command", command, log=self.folder / "logs" / "vault.log", env=self.env)


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A database, running, and keys."""
    database = embedded.mongodb_child(folder / "mongodb", ttl_sweep_s=60)
    env = settings_env(make_keys(folder / "keys"), mongodb_url=database.url, redis_url="redis://127.0.0.1:9")
    with running(database):
        yield Stage(folder, database, worker_env(env))


async def fill(stage: Stage, count: int) -> None:
    """Seal so many tokens under the first key, each of a connection of its own."""
    db, ring = Database(stage.database.url), WatchedPublicRing(stage.folder / "keys" / "ring.public.json")
    await create_indexes(db)
    now = utc_now()
    for first in range(0, count, AT_ONCE):
        rows: list[Doc] = []
        for connection in map(connection_of, range(first, min(first + AT_ONCE, count))):
            secret_id = new_id("sec")
            of = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": PURPOSE}
            binding = binding_of(secret_id, connection, PURPOSE)
            envelope = await seal(ring, f"token of {connection['_id']}, first", binding)
            rows.append(of | {"_id": secret_id, "provider": "instagram", "envelope": envelope, "created_at": now})
        await ledger.count_uses(db, "local", "k1", uses=len(rows), now=now)
        await db.open("secrets").insert_many(rows, ordered=False)
    db.close()


def rotate(stage: Stage, outcome: Outcome, *, kills: int, rate: float, rng: random.Random) -> None:
    """Add, promote, rewrap with `kills` deaths spread over it, retire. Raises `RuntimeError` when a step is refused."""
    begun = time.monotonic()
    for step in ("add", "promote"):
        _do(stage.command(step))
    rewrap_begun = time.monotonic()
    with pymongo.MongoClient[Doc](stage.database.url) as client:
        secrets = client.get_default_database()["secrets"]
        for number in range(1, kills + 1):
            until = outcome.envelopes * (kills + 1 - number - rng.random() / 2) / (kills + 1)
            killed = stage.command("--rate", str(rate), "rewrap")
            killed.start()
            while killed.alive and secrets.count_documents({"envelope.key_id": "k1"}) > until:
                time.sleep(BETWEEN_LOOKS_S)
            if killed.alive:
                outcome.kills += killed.kill() == -9
    _do(stage.command("--rate", str(rate), "rewrap"))
    outcome.rewrap_s = time.monotonic() - rewrap_begun
    _do(stage.command("retire"))
    outcome.all_s = time.monotonic() - begun


def _do(command: Child) -> None:
    """Run it to its end; a refusal of `promote` while a reader has not yet looked is tried again."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        command.start()
        if command.process.wait(WITHIN_S) == 0:
            return
        time.sleep(1)
    raise RuntimeError(command.last_words())


async def look(stage: Stage, outcome: Outcome) -> None:
    """Open everything with the private file as it is now, and read the ledger."""
    db, ring = Database(stage.database.url), load_private(stage.folder / "keys" / "ring.private.json")
    nonces = set()
    async for stored in db.open("secrets").find({}, comment="all-labels: a drill looks at all"):
        nonces.add(bytes(stored["envelope"]["nonce"]))
        outcome.left_on_old_keys += stored["envelope"]["key_id"] != "k2"
        try:
            token = await unseal(ring, stored["envelope"], binding_of_stored(stored))
            outcome.opened_at_end += token.startswith(f"token of {stored['connection_id']}, ")
        except SealBroken:
            outcome.failed.append(f"{stored['_id']} does not open in the end")
    outcome.nonces, outcome.keys_left = len(nonces), sorted(ring.keys)
    outcome.states = {key.key_id: key.state for key in await ledger.keys(db)}
    db.close()


def rotation_run(stage: Stage, *, envelopes: int, kills: int, rate: float, seed: int) -> Outcome:
    """Do all of it once."""
    outcome = Outcome(envelopes)
    asyncio.run(fill(stage, envelopes))
    reports = [stage.folder / f"reader{number}.json" for number in range(READERS)]
    module = [sys.executable, "-m", "tests.faults.rotation_reader"]
    readers = [
        Child(
            f"reader {number}",
            [*module, str(report), str(seed * READERS + number), str(envelopes)],
            log=report.with_suffix(".log"),
            env=stage.env,
        )
        for number, report in enumerate(reports)
    ]
    with ExitStack() as ending:
        for reader in readers:
            ending.callback(reader.end)
            reader.start()
        time.sleep(3)
        try:
            rotate(stage, outcome, kills=kills, rate=rate, rng=random.Random(seed))
        except RuntimeError as refused:
            outcome.refusals.append(str(refused))
        time.sleep(2)
    for report in reports:
        figures = json.loads(report.read_text())
        outcome.reads += figures["reads"]
        outcome.refreshed += figures["refreshed"]
        outcome.failed += figures["failed"]
    asyncio.run(look(stage, outcome))
    return outcome


def table(outcome: Outcome) -> str:
    """The figures, for people."""
    figures = {
        "envelopes": f"{outcome.envelopes:,}",
        "processes that read and refreshed": f"{READERS}",
        "openings during the rotation": f"{outcome.reads:,}",
        "of these failed": f"{len(outcome.failed):,}",
        "tokens refreshed meanwhile": f"{outcome.refreshed:,}",
        "rewrapping killed": f"{outcome.kills} times",
        "rewrapping took": f"{outcome.rewrap_s:.1f} s ({outcome.envelopes / max(outcome.rewrap_s, 0.001):,.0f}/s)",
        "the rotation took": f"{outcome.all_s:.1f} s",
        "under older keys in the end": f"{outcome.left_on_old_keys:,}",
        "keys left in the ring": ", ".join(outcome.keys_left),
        "the ledger": ", ".join(f"{key} {state}" for key, state in outcome.states.items()),
        "opened with what is left": f"{outcome.opened_at_end:,}",
        "different nonces": f"{outcome.nonces:,}",
    }
    lines = [f"  {name:<36} {figure}" for name, figure in figures.items()]
    return "\n".join(lines + [f"    {trouble}" for trouble in (outcome.failed + outcome.refusals)[:10]])


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.rotation_run", description=__doc__)
    parser.add_argument("--envelopes", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rate", type=float, default=1_000, help="rewrapped a second at most")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args(argv)
    print(f"rotation run with --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as made:
        outcome = rotation_run(made, envelopes=args.envelopes, kills=args.kills, rate=args.rate, seed=args.seed)
    good = outcome.good and outcome.kills == args.kills
    print(table(outcome))
    print("  GOOD" if good else "  BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
