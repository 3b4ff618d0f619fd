"""The leave run: two accounts are disconnected while their provider is down, and the worker killed at each step.

    python -m tests.faults.leave_run --seed 7

In each round no use is made a second after the disconnect, what came from the accounts is erased while the provider is
down, and no receipt is given; once it is back, it is asked to revoke exactly once, no sealed token is left in any
store, and the receipts verify. The exit status is 0 only then.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import httpx
import redis
from bson import BSON

from app.clock import utc_now
from app.db import Database, Doc
from app.models.data_map import DATA_MAP
from app.models.drills import LeavePoint
from app.receipts import NotGood, verify
from app.services.vault.ring import WatchedPublicRing
from app.services.vault.secrets import put_secret
from tests.faults.plant import Plant, plant
from tests.flows.leaving_harness import PAGE, ROBIN, of_page, robins_tokens
from tools import demo

POINTS: tuple[LeavePoint, ...] = get_args(LeavePoint)
SETTINGS = {"SOUNDOPS_LEASE_S": "4", "SOUNDOPS_GRAPH_TIMEOUT_S": "2", "SOUNDOPS_SWEEP_S": "0.5"}
DOWN = {"match": {"path": "subscribed_apps|permissions|debug_token"}, "fault": "http", "code": 503, "times": 100_000}
REPLIES = 8
AT_ONCE_S = 1.0
DOWN_S = 3.0
WITHIN_S = 150.0


@dataclass
class Round:
    """What became of one disconnect of both accounts. Times in seconds; `troubles` is empty when all was well."""

    point: LeavePoint | None
    kills: int = 0
    refused_s: float = 0.0
    erased_s: float = 0.0
    ended_s: float = 0.0
    revocations: int = 0
    troubles: list[str] = field(default_factory=list)

    def expect(self, good: bool, otherwise: str) -> None:
        """Note a trouble unless it is good."""
        if not good:
            self.troubles.append(otherwise)


@dataclass
class Hand:
    """Keeps the worker running: it dies at the point, and comes back without it."""

    running: Plant
    outcome: Round

    def start(self, *, armed: bool) -> None:
        """Start the worker, to die at the point or not."""
        point = self.outcome.point if armed else None
        drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": "1"} if point else {}
        self.running.worker.env = self.running.env | drill
        self.running.worker.start()

    def until(self, check: Callable[[], bool], within_s: float = WITHIN_S) -> bool:
        """Wait until it is so, with a worker at work; whether it came so in time."""
        deadline = time.monotonic() + within_s
        while not check():
            if time.monotonic() > deadline:
                return False
            if not self.running.worker.alive:
                self.outcome.kills += self.running.worker.process.returncode == -9
                self.start(armed=False)
            time.sleep(0.05)
        return True


async def connect_page(running: Plant, like: Doc) -> str:
    """Store an active connection of a Page, as the log-in leaves it; its id."""
    db, ring = Database(running.database.url), WatchedPublicRing(Path(running.env["SOUNDOPS_VAULT_PUBLIC_RING_FILE"]))
    tokens = await robins_tokens(running.sandbox.url, running.api.url, PAGE)
    account = like["account"] | {"provider_id": PAGE, "kind": "page"}
    found = like | of_page(PAGE) | {"_id": f"con_p{like['_id'][5:]}", "account": account}
    found |= {"account_ids": [PAGE], "active_account_id": PAGE}
    await db.open("connections").insert_one(found)
    for purpose, token in tokens.items():
        await put_secret(db, ring, token, connection=found, purpose=purpose, now=utc_now())
    db.close()
    return str(found["_id"])


def leave_once(running: Plant, point: LeavePoint | None) -> Round:
    """Connect, receive, reply, disconnect while the provider is down, and have it come back; what became of it."""
    outcome = Round(point)
    hand = Hand(running, outcome)
    label = f"/v1/labels/{running.label_id}"
    with running.owner() as http, httpx.Client(base_url=running.sandbox.url, timeout=20, trust_env=False) as box:
        ids, conversation = _connect_both(running, http, box)
        ciphertexts = _ciphertexts(running, ids)
        since = box.get("/_sandbox/ledger").json()["last_seq"]
        running.worker.end()
        hand.start(armed=True)
        for number in range(REPLIES):
            http.post(f"{label}/conversations/{conversation}/messages", json={"text": f"{number}"}).raise_for_status()
        box.post("/_sandbox/faults", json=DOWN).raise_for_status()
        for connection_id in ids:
            http.delete(f"{label}/connections/{connection_id}").raise_for_status()
        ended_at = time.time()
        _no_use(outcome, http, f"{label}/conversations/{conversation}/messages")
        outcome.refused_s = time.time() - ended_at
        outcome.expect(hand.until(lambda: not _left(running, ids, "erase")), "not erased while the provider is down")
        outcome.erased_s = time.time() - ended_at
        time.sleep(DOWN_S)
        early = [http.get(f"{label}/connections/{one}/receipt").status_code for one in ids]
        outcome.expect(early == [409, 409], f"receipts while the provider is down: {early}")
        outcome.expect(len(_left(running, ids, "destroy")) > 0, "the token was destroyed before it was revoked")
        box.request("DELETE", "/_sandbox/faults").raise_for_status()
        found: list[httpx.Response] = []

        def are_there() -> bool:
            found[:] = [http.get(f"{label}/connections/{one}/receipt") for one in ids]
            return all(one.status_code == 200 for one in found)

        outcome.expect(hand.until(are_there), "no receipt after the provider came back")
        outcome.ended_s = time.time() - ended_at
        hand.until(lambda: _operations_ended(running, ids))
        _judge(outcome, running, http, [one.json() for one in found], ids=ids, ciphertexts=ciphertexts)
        rows = [row for row in box.get("/_sandbox/ledger").json()["rows"] if row["seq"] > since]
        outcome.revocations = sum(row["kind"] == "permissions_revoked" and row["account_id"] == ROBIN for row in rows)
        outcome.expect(outcome.revocations == 1, f"{outcome.revocations} revocations")
        late = [row for row in rows if row["kind"] == "message_sent" and row["at"] > (ended_at + AT_ONCE_S) * 1000]
        outcome.expect(not late, f"{len(late)} replies went out a second after the disconnect")
    return outcome


def _connect_both(running: Plant, http: httpx.Client, box: httpx.Client) -> tuple[list[str], str]:
    """An Instagram account with a conversation, and a Page: their ids, and the conversation's."""
    if not demo.is_connected(http, running.label_id):
        demo.connect(http, running.label_id, api_url=running.api.url, public_url=running.api.url)
    shown = http.get(f"/v1/labels/{running.label_id}/connections", params={"limit": 100}).json()["data"]
    instagram = next(one["id"] for one in shown if one["status"] == "active")
    order = {"fan": "mara", "account": demo.ACCOUNT, "text": "When is the vinyl back?"}
    box.post("/_sandbox/fans/write", json=order).raise_for_status()
    with running.store() as db:
        page = asyncio.run(connect_page(running, db["connections"].find_one({"_id": instagram}) or {}))
        deadline = time.monotonic() + 30
        while (conversation := db["conversations"].find_one({"connection_id": instagram})) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("what the fan wrote did not come")
            time.sleep(0.1)
    return [instagram, page], str(conversation["_id"])


def _no_use(outcome: Round, http: httpx.Client, path: str) -> None:
    answer = http.post(path, json={"text": "Too late"})
    told = answer.json().get("code") if answer.is_error else answer.status_code
    outcome.expect(told in ("connection_not_active", "not_found"), f"a reply after the disconnect: {told}")


def _left(running: Plant, ids: list[str], what: str) -> list[Doc]:
    names = [name for name, collection in DATA_MAP.items() if collection.of_connection == what]
    with running.store() as db:
        return [doc for name in names for doc in db[name].find({"connection_id": {"$in": ids}})]


def _operations_ended(running: Plant, ids: list[str]) -> bool:
    waiting = {"connection_id": {"$in": ids}, "state": {"$in": ["queued", "running", "unknown"]}}
    with running.store() as db:
        return db["operations"].find_one(waiting) is None


def _ciphertexts(running: Plant, ids: list[str]) -> list[bytes]:
    with running.store() as db:
        found = [bytes(doc["envelope"]["ciphertext"]) for doc in db["secrets"].find({"connection_id": {"$in": ids}})]
    if len(found) != 3:
        raise ValueError(f"{len(found)} sealed tokens, not 3")
    return found


def _judge(
    outcome: Round, running: Plant, http: httpx.Client, receipts: list[Any], *, ids: list[str], ciphertexts: list[bytes]
) -> None:
    jwks = http.get("/.well-known/jwks.json").json()
    for receipt in receipts:
        try:
            verify(httpx.Response(200, json=receipt).text, jwks)
        except NotGood as exc:
            outcome.troubles.append(str(exc))
    outcome.expect(_operations_ended(running, ids), "operations that have not ended")
    left = [doc["_id"] for what in ("erase", "destroy") for doc in _left(running, ids, what)]
    outcome.expect(not left, f"left: {left}")
    held = _documents(running) + _redis(running)
    outcome.expect(not any(one in held for one in ciphertexts), "a sealed token is left in a store")
    with running.store() as db:
        states = {doc["_id"]: (doc["status"], doc["account"]) for doc in db["connections"].find({"_id": {"$in": ids}})}
    outcome.expect(set(states.values()) == {("revoked", None)}, f"connections as {states}")


def _documents(running: Plant) -> bytes:
    with running.store() as db:
        return b"".join(BSON.encode(doc) for name in db.list_collection_names() for doc in db[name].find())


def _redis(running: Plant) -> bytes:
    with redis.Redis.from_url(running.redis.url) as client:
        return b"".join(key + (client.get(key) or b"") for key in client.scan_iter(_type="string"))


def table(rounds: Sequence[Round]) -> str:
    """The figures, for people."""
    head = f"  {'killed':<26} {'kills':>5} {'refused':>8} {'erased':>7} {'ended':>7} {'revoked':>7} {'troubles':>8}"
    lines = [head]
    for one in rounds:
        times = f"{one.refused_s:>6.2f} s {one.erased_s:>5.1f} s {one.ended_s:>5.1f} s"
        lines.append(
            f"  {one.point or 'nothing':<26} {one.kills:>5} {times} {one.revocations:>7} {len(one.troubles):>8}"
        )
        lines += [f"    {trouble}" for trouble in one.troubles]
    return "\n".join(lines)


def is_good(one: Round) -> bool:
    """Whether all that was promised held, and the worker died where it was to."""
    return not one.troubles and one.refused_s < AT_ONCE_S and one.kills == (1 if one.point else 0)


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.leave_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the points' order")
    parser.add_argument("--folder", type=Path, help="where data and logs stay; else they are deleted")
    args = parser.parse_args(argv)
    print(f"leave run with --seed {args.seed}", flush=True)
    points = random.Random(args.seed).sample(POINTS, len(POINTS))
    with tempfile.TemporaryDirectory() as folder, plant(args.folder or Path(folder), **SETTINGS) as running:
        rounds = [leave_once(running, point) for point in (None, *points)]
    print(table(rounds))
    good = all(is_good(one) for one in rounds)
    print("  GOOD" if good else "  BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
