"""Billing's intents: a thousand orders while Stripe fails in every way it can, and the worker is killed.

    python -m tests.faults.billing_intents --labels 125 --seed 7

Each label tells its details, buys a plan, goes up and down, cancels, goes on, and tells its details again: eight
orders. Meanwhile calls are answered with 500 although they happened, or did not; get lost, late, cut, refused as too
many; and every few seconds the worker dies by SIGKILL. Stripe's ledger must show no effect of an order twice, no second
customer and no second subscription of a label, and no order may still be on its way. The exit status is 0 only then.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stripe as sdk

from app.db import Doc
from app.ids import new_id
from app.models.billing import BillingDetails
from app.services import operations
from app.services.audit import By
from app.services.billing import selling
from app.services.billing.orders import Desk
from app.services.billing.standing import account_of
from app.services.billing.syncing import queue_sync
from tests.faults.billing_ground import ground
from tests.flows.till_harness import Till, till_at
from tests.house import open_house
from tools import embedded
from tools.child import Child
from tools.plan import worker_env

SETTINGS = {"SOUNDOPS_LEASE_S": "6", "SOUNDOPS_GRAPH_TIMEOUT_S": "1", "SOUNDOPS_SWEEP_S": "0.3"}
AT_ONCE = 40
FAULT_EVERY_S = 0.25
"""With all labels on their way; with fewer they are rarer, or else the last one meets nothing but faults."""
KILL_AFTER_S = (1.0, 10.0)
"""Since the worker has begun to work."""
WITHIN_S = 600.0
"""So long one order may take before it counts as a trouble."""
FAULTS: tuple[Doc, ...] = (
    {"fault": "500-executed"},
    {"fault": "500-not-executed"},
    {"fault": "lost"},
    {"fault": "lost-not-executed"},
    {"fault": "gateway-executed"},
    {"fault": "gateway-not-executed"},
    {"fault": "timeout-executed", "seconds": 8},
    {"fault": "timeout-not-executed", "seconds": 8},
    {"fault": "cut"},
    {"fault": "huge"},
    {"fault": "http", "status": 429, "retry_after_s": 1},
    {"fault": "http", "status": 409},
    {"fault": "http", "status": 503},
)
BY = By("person", "usr_drill", None, None)
ONCE_A_LABEL = ("customer.created", "subscription.created")
MOST_OF_A_CUSTOMER = {"subscription.changed": 3, "subscription.updated": 2, "checkout.session.completed": 1}
"""A label goes to another plan three times, and cancels and goes on once each."""
ONCE_AN_OBJECT = ("invoice.paid", "charge.succeeded", "invoice.created")


@dataclass
class Stage:
    """What runs: the till's house asks, the worker does, and dies."""

    till: Till
    worker: Child
    seed: int
    done: bool = False
    running: int = 0
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)


@asynccontextmanager
async def stage(folder: Path, *, seed: int) -> AsyncIterator[Stage]:
    """A database, Redis and a sandbox; a worker as a process of its own."""
    async with ground(folder, **SETTINGS) as env:
        worker = embedded.worker_child(worker_env(env), log=folder / "worker.log")
        async with open_house(env) as house, till_at(house) as till:
            worker.start()
            try:
                yield Stage(till, worker, seed)
            finally:
                worker.end()


async def intents(found: Stage, *, labels: int) -> None:
    """Have so many labels place their orders, in the midst of it all."""
    room = asyncio.Semaphore(AT_ONCE)
    began = time.monotonic()

    async def one(number: int) -> None:
        async with room:
            found.running += 1
            await _orders(found, new_id("lbl"), number)
            found.running -= 1
        print(f"{sum(found.states.values())} orders, {found.kills} kills, {time.monotonic() - began:.0f} s", flush=True)

    disturbers = [asyncio.create_task(_fail(found)), asyncio.create_task(_kill(found))]
    await asyncio.gather(*(one(number) for number in range(labels)))
    found.done = True
    await asyncio.gather(*disturbers)
    await found.till.order("DELETE", "/faults")
    await _check(found)


async def _fail(found: Stage) -> None:
    """Queue one fault after the other, for whichever call comes next."""
    rng = random.Random(found.seed)
    while not found.done:
        fault = rng.choice(FAULTS)
        waiting = (await found.till.order("GET", "/faults"))["faults"]
        if len(waiting) < 3:
            await found.till.order("POST", "/faults", fault | {"method": "POST" if rng.random() < 0.8 else None})
            found.faults[fault["fault"]] += 1
        await asyncio.sleep(FAULT_EVERY_S * AT_ONCE / max(1, found.running))


async def _kill(found: Stage) -> None:
    rng = random.Random(found.seed + 1)
    log, begun = found.worker.log, 0
    while not found.done:
        if log.read_bytes().count(b"worker started") == begun:
            await asyncio.sleep(0.2)
            continue
        begun = log.read_bytes().count(b"worker started")
        await asyncio.sleep(rng.uniform(*KILL_AFTER_S))
        await asyncio.to_thread(found.worker.kill)
        found.kills += 1
        await asyncio.to_thread(found.worker.start)


async def _orders(found: Stage, label_id: str, number: int) -> None:
    """A label's eight orders, one after the other."""
    details = _details(number, "1 Night Street")
    await _place(found, label_id, lambda desk: selling.put_details(desk, details, None))
    asked: Any = {"plan": "starter", "interval": "month", "currency": None, "country": "GB", "return_to": None}
    if await _place(found, label_id, lambda desk: selling.order_checkout(desk, **asked)) != "succeeded":
        return
    await _pay(found, label_id)
    await _place(
        found, label_id, lambda desk: selling.order_change(desk, plan="pro", interval="month", preview_id=None)
    )
    await _place(
        found, label_id, lambda desk: selling.order_change(desk, plan="starter", interval="month", preview_id=None)
    )
    await _place(found, label_id, selling.order_cancel)
    await _place(found, label_id, selling.order_resume)
    await _place(found, label_id, lambda desk: selling.order_change(desk, plan="pro", interval="year", preview_id=None))
    moved = _details(number, "2 Night Street")
    await _place(found, label_id, lambda desk: selling.put_details(desk, moved, None))


def _details(number: int, street: str) -> BillingDetails:
    address = {"line1": street, "line2": None, "city": "Bristol", "postal_code": "BS1 1AA", "state": None}
    told = {"name": f"Label {number}", "email": f"books{number}@label.example", "country": "GB", "address": address}
    return BillingDetails.model_validate(told | {"tax_ids": []})


async def _place(found: Stage, label_id: str, ask: Callable[[Desk], Awaitable[tuple[Doc, Doc]]]) -> str:
    """Place an order, and wait until it has ended; how."""
    house = found.till.house
    _, operation = await ask(Desk(house.db, house.api.audit, label_id, BY, house.clock()))
    state = await _ended(found, label_id, operation["_id"])
    found.states[f"{operation['kind']} {state}"] += 1
    await _looked(found, label_id)
    return state


async def _ended(found: Stage, label_id: str, operation_id: str) -> str:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        operation = await operations.need(found.till.house.db, label_id, operation_id)
        if operation["state"] in operations.ENDED or operations.is_open(operation):
            if operation["problem"] and operation["problem"]["code"] not in ("stripe_unavailable", "checkout_ended"):
                found.troubles.append(f"{operation['kind']} of {label_id}: {operation['problem']}")
            return str(operation["state"])
        await asyncio.sleep(0.2)
    found.troubles.append(f"{operation_id} of {label_id} is still on its way: {operation['kind']} {operation['state']}")
    return "late"


async def _pay(found: Stage, label_id: str) -> None:
    """Pay in the one checkout that is open."""
    account = await account_of(found.till.house.db, label_id)
    assert account is not None
    sessions = await _asked(lambda: found.till.v1.checkout.sessions.list_async({"customer": account["customer_id"]}))
    open_ones = [one for one in sessions.data if one.status == "open"]
    if len(open_ones) != 1:
        found.troubles.append(f"{label_id} has {len(open_ones)} open checkouts")
    await found.till.order("POST", f"/checkout/{open_ones[0].id}", {"how": "ok"})
    await _looked(found, label_id)


async def _asked(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What Stripe says, asked until it does."""
    while True:
        with contextlib.suppress(sdk.StripeError):
            return await ask()
        await asyncio.sleep(0.2)


async def _looked(found: Stage, label_id: str) -> None:
    """Have a worker look at the customer, as an event would."""
    db, now = found.till.house.db, found.till.house.clock()
    if operation_id := await queue_sync(db, label_id, now=now):
        await _ended(found, label_id, operation_id)


async def _check(found: Stage) -> None:
    """Look for anything that happened twice."""
    doubles = (await found.till.order("GET", "/doubles?by=operation"))["doubles"]
    found.troubles += [f"twice by one order: {one}" for one in doubles]
    for kind in ONCE_A_LABEL:
        doubles = (await found.till.order("GET", f"/doubles?by=label&effect={kind}"))["doubles"]
        found.troubles += [f"twice of one label: {one}" for one in doubles]
    ledger = (await found.till.order("GET", "/ledger"))["rows"]
    keys: dict[tuple[str, str], set[str]] = {}
    for row in ledger:
        if operation := row["metadata"].get("soundops_operation"):
            keys.setdefault((operation, row["effect"]), set()).add(str(row["idempotency_key"]))
    of_customer = Counter((row["effect"], row["customer"]) for row in ledger)
    found.troubles += [
        f"{effect} {count} times of {customer}"
        for (effect, customer), count in of_customer.items()
        if count > MOST_OF_A_CUSTOMER.get(effect, count)
    ]
    of_object = Counter((row["effect"], row["object_id"]) for row in ledger if row["effect"] in ONCE_AN_OBJECT)
    found.troubles += [f"{name} {count} times" for name, count in of_object.items() if count > 1]
    doubles = (await found.till.order("GET", "/doubles?by=idempotency_key"))["doubles"]
    found.troubles += [f"twice under one key: {one}" for one in doubles]
    found.troubles += [f"several keys of one intent: {name} {some}" for name, some in keys.items() if len(some) > 1]
    print(f"effects {dict(Counter(row['effect'] for row in ledger))}, intents with effects {len(keys)}")


async def main(arguments: Sequence[str]) -> int:
    """Run it; 0 when nothing happened twice, and nothing is left."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.billing_intents")
    parser.add_argument("--labels", type=int, default=125)
    parser.add_argument("--seed", type=int, default=7)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder), seed=told.seed) as found:
            await intents(found, labels=told.labels)
    print(f"orders {dict(found.states)}")
    print(f"kills {found.kills}, faults {dict(found.faults)}, troubles {len(found.troubles)}")
    for trouble in found.troubles[:20]:
        print(trouble)
    return 1 if found.troubles else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
