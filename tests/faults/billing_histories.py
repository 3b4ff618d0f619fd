"""Billing's histories: what happens at Stripe to many customers, and its events delivered as on the worst of days.

    python -m tests.faults.billing_histories --histories 334 --seed 7

Each customer has a history of its own: it subscribes, goes to other plans, fails to pay and recovers, pauses, cancels,
is refunded, disputes. Between the steps its events come in any order, twice, late, or never, and nobody looks without
being told. Every few weeks the list of events is walked. After each walk the state here is compared with Stripe's,
field by field, by code that shares nothing with the product's. So a history is three random orders of its events, one
between two walks. The exit status is 0 only if all agree each time.
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
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import stripe as sdk
from pymongo.errors import PyMongoError

from app.clients.stripe_api import StripeError, rows
from app.db import Doc
from app.ids import new_id
from app.services import operations
from app.services.billing import reconciling, working_off
from tests.faults.billing_ground import ground
from tests.flows.till_harness import Till, till_at
from tests.house import open_house
from workers import jobs

T = TypeVar("T")
PERIODS, PHASES = 3, 3
"""So often the list is walked, and so many steps a customer takes before each walk."""
DAYS = (2, 5, 9)
"""How far the clock goes on after each step. Three steps and a walk are less than the 30 days of Stripe's list."""
LOST, LATE, TWICE = 0.25, 0.3, 0.3
BATCH = 25
PLANS = ("soundops_starter_month", "soundops_pro_month", "soundops_pro_year", "soundops_label_group_month")
LIVE = ("active", "trialing", "past_due", "unpaid", "paused", "incomplete")
ACCESS = {"active": "full", "trialing": "full", "past_due": "late", "unpaid": "read_only", "paused": "read_only"}
"""Of which `late` is either of grace and read-only: that is the clock's, and tested where the clock is."""


@dataclass
class Customer:
    """A label, its customer, and which events are still to come."""

    label_id: str
    id: str
    rng: random.Random
    late: list[Doc] = field(default_factory=list)


@dataclass
class Outcome:
    """What came of it."""

    histories: int = 0
    events: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    troubles: list[str] = field(default_factory=list)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Till]:
    """The product in this process, with a database, Redis and a sandbox of its own."""
    async with ground(folder) as env, open_house(env) as house, till_at(house) as till:
        yield till


async def live(till: Till, *, histories: int, seed: int) -> Outcome:
    """Live through so many histories."""
    outcome = Outcome(histories)
    for begun in range(0, histories, BATCH):
        began = time.monotonic()
        await till.order("POST", "/reset")
        await till.adjust()
        await till.make_prices()
        await till.house.db.open("stripe_cursors").delete_many({})
        count = min(BATCH, histories - begun)
        await _live(till, [random.Random(seed * 100_003 + begun + number) for number in range(count)], outcome)
        took_s = time.monotonic() - began
        print(f"{begun + count}/{histories} {took_s:.0f} s, {len(outcome.troubles)} troubles", flush=True)
    return outcome


async def _live(till: Till, rngs: list[random.Random], outcome: Outcome) -> None:
    customers = []
    for rng in rngs:
        label_id = new_id("lbl")
        customers.append(Customer(label_id, await till.customer(label_id), rng))
    known: set[str] = set()
    for _ in range(PERIODS):
        for phase in range(PHASES):
            for one in customers:
                await _step(till, one, outcome)
            await till.advance(DAYS[phase])
            await _deliver(till, customers, known, outcome)
            await _patiently(partial(_work, till))
        for one in customers:
            await _arrive(till, one.late)
            one.late = []
        await _patiently(partial(_reconcile, till))
        for one in customers:
            outcome.compared += 1
            if differences := await _patiently(partial(compare, till, one)):
                outcome.troubles.append(f"{one.label_id}: {differences}")


async def _step(till: Till, one: Customer, outcome: Outcome) -> None:
    """Something that fits how the subscription stands; what Stripe refuses has not happened."""
    name = one.rng.choice(("change", "change", "fail", "recover", "pause", "cancel", "end", "refund", "dispute"))
    try:
        subs = await till.v1.subscriptions.list_async({"customer": one.id, "status": "all"})
        live = [sub for sub in subs.data if sub.status in LIVE]
        name = name if live else "subscribe"
        await STEPS[name](till, one, live[0] if live else None)
        outcome.steps[name] += 1
    except sdk.StripeError:
        outcome.steps["refused"] += 1


async def _subscribe(till: Till, one: Customer, sub: Any) -> None:
    more: Doc = {"trial_period_days": one.rng.choice((5, 14))} if one.rng.random() < 0.3 else {}
    await till.subscribe(one.id, one.rng.choice(PLANS), **more)


async def _change(till: Till, one: Customer, sub: Any) -> None:
    unpaid = one.rng.choice(("pending_if_incomplete", "allow_incomplete"))
    await till.change(sub, one.rng.choice(PLANS), payment_behavior=unpaid)


async def _fail(till: Till, one: Customer, sub: Any) -> None:
    card = one.rng.choice(("decline", "insufficient_funds", "authenticate"))
    await till.order("POST", f"/customers/{one.id}/card", {"card": card})


async def _recover(till: Till, one: Customer, sub: Any) -> None:
    await till.order("POST", f"/customers/{one.id}/card", {"card": "ok", "pay": True})


async def _pause(till: Till, one: Customer, sub: Any) -> None:
    if sub.status == "paused":
        await till.v1.subscriptions.resume_async(sub.id)
    elif one.rng.random() < 0.5:
        await till.v1.subscriptions.pause_async(sub.id, {"type": "subscription"})
    else:
        await till.v1.subscriptions.update_async(sub.id, {"pause_collection": {"behavior": "void"}})


async def _cancel(till: Till, one: Customer, sub: Any) -> None:
    await till.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": not sub.cancel_at_period_end})


async def _end(till: Till, one: Customer, sub: Any) -> None:
    await till.v1.subscriptions.cancel_async(sub.id)


async def _refund(till: Till, one: Customer, sub: Any) -> None:
    paid = await till.v1.payment_intents.list_async({"customer": one.id})
    done = [intent for intent in paid.data if intent.status == "succeeded"]
    if done:
        found = one.rng.choice(done)
        part = {"amount": max(1, found.amount // 3)} if one.rng.random() < 0.7 else {}
        await till.v1.refunds.create_async({"payment_intent": found.id} | part)


async def _dispute(till: Till, one: Customer, sub: Any) -> None:
    charges = await till.v1.charges.list_async({"customer": one.id})
    done = [charge for charge in charges.data if charge.status == "succeeded" and not charge.disputed]
    if done:
        await till.order("POST", f"/charges/{one.rng.choice(done).id}/dispute", {})


STEPS = {
    "subscribe": _subscribe,
    "change": _change,
    "fail": _fail,
    "recover": _recover,
    "pause": _pause,
    "cancel": _cancel,
    "end": _end,
    "refund": _refund,
    "dispute": _dispute,
}


async def _deliver(till: Till, customers: list[Customer], known: set[str], outcome: Outcome) -> None:
    """Everything new, as a bad day has it: some lost, some kept back, some twice, all of it shuffled."""
    fresh = [event for event in await _patiently(till.events) if event["id"] not in known]
    known |= {event["id"] for event in fresh}
    batch: list[Doc] = []
    rng = customers[0].rng
    for one in customers:
        back, one.late = one.late, []
        for event in [*back, *(event for event in fresh if _customer_of(event) == one.id)]:
            fate = one.rng.random()
            outcome.events["lost" if fate < LOST else "late" if fate < LOST + LATE else "delivered"] += 1
            if fate < LOST:
                continue
            if fate < LOST + LATE:
                one.late.append(event)
                continue
            batch += [event] * (2 if one.rng.random() < TWICE else 1)
    rng.shuffle(batch)
    outcome.events["twice"] += len(batch) - len({event["id"] for event in batch})
    await _arrive(till, batch)


async def _arrive(till: Till, events: list[Doc]) -> None:
    """Deliver each until it is taken: while the store is slow it is a 503, and Stripe delivers again."""
    for event in events:
        while True:
            with contextlib.suppress(AssertionError):
                await till.deliver([event])
                break
            await asyncio.sleep(1)


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """As a worker's loop: what the store or the stand-in broke off, being slow, is begun again."""
    while True:
        with contextlib.suppress(PyMongoError, StripeError):
            return await work()
        await asyncio.sleep(1)


def _customer_of(event: Doc) -> str | None:
    shown = event["data"]["object"]
    found = shown["id"] if shown["object"] == "customer" else shown.get("customer")
    return str(found) if found else None


async def _work(till: Till) -> None:
    """Work off what was told; no look but those that events ask for."""
    why = "all-labels: the drill has nobody look by themselves"
    await till.house.db.open("billing_accounts").update_many({}, {"$unset": {"look_at": ""}}, comment=why)
    while True:
        await working_off.work_off(till.house.db, till.stripe, now=till.house.clock())
        begun = await jobs.start_due(till.house.worker)
        await asyncio.gather(*begun)
        left = {"state": {"$nin": list(operations.ENDED)}, "due_at": {"$exists": True}}
        waiting = await till.house.db.open("operations").find_one(left, comment=why)
        if not begun and waiting is None:
            return
        if not begun:
            await till.advance(0.001)  # it was put off, or broken off: its time comes


async def _reconcile(till: Till) -> None:
    while not await reconciling.walk_window(till.house.db, till.stripe, now=till.house.clock()):
        pass
    await _work(till)


async def compare(till: Till, one: Customer) -> list[str]:
    """In what the state here is not Stripe's; nothing where all agrees."""
    account = await till.account(one.label_id)
    found = await _differs_in_subscription(till, one, account)
    theirs, ours = await _money_there(till, one), await _money_here(till, one)
    apart = [key for key in theirs | ours if theirs.get(key) != ours.get(key)]
    return found + [f"{key}: {theirs.get(key)} != {ours.get(key)}" for key in apart]


async def _differs_in_subscription(till: Till, one: Customer, account: Doc) -> list[str]:
    asked = {"customer": one.id, "status": "all"}
    subs = await rows(till.stripe, lambda client, params: client.v1.subscriptions.list_async(params), asked)
    live = [sub for sub in subs if sub["status"] in LIVE]
    newest = max(live or subs, key=lambda sub: (sub["created"], sub["id"]), default=None)
    if newest is None:
        return [] if account["subscription"] is None else ["a subscription that is not there"]
    item, ours = newest["items"]["data"][0], account["subscription"] or {}
    theirs = {
        "id": newest["id"],
        "status": newest["status"],
        "plan": item["price"]["lookup_key"].split("_", 1)[1].rpartition("_")[0],
        "price_id": item["price"]["id"],
        "period": item["current_period_end"],
        "cancel": newest["cancel_at_period_end"],
        "pending": newest["pending_update"] is not None,
        "paused": newest["pause_collection"] is not None,
        "live": len(live),
        "access": ACCESS.get(newest["status"], "free"),
    }
    access = account.get("access")
    shown = {name: ours.get(name) for name in ("id", "status", "plan", "price_id")}
    shown["period"] = int(ours["current_period_end"].timestamp()) if ours else None
    shown |= {"cancel": ours.get("cancel_at_period_end"), "pending": ours.get("pending_update")}
    shown |= {"paused": ours.get("collection_paused"), "live": account["live_subscriptions"], "access": access}
    if theirs["access"] == "late" and access in ("grace", "read_only"):
        theirs["access"] = access
    return [f"{name}: {value} != {shown[name]}" for name, value in theirs.items() if value != shown[name]]


async def _money_there(till: Till, one: Customer) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    mine = {"customer": one.id}
    for row in await rows(till.stripe, lambda client, params: client.v1.invoices.list_async(params), mine):
        if row["status"] != "draft":
            found[row["id"]] = (row["status"], row["total"], row["amount_paid"], row["attempt_count"])
    charges = await rows(till.stripe, lambda client, params: client.v1.charges.list_async(params), mine)
    back = {charge["payment_intent"]: charge["amount_refunded"] for charge in reversed(charges)}
    for row in await rows(till.stripe, lambda client, params: client.v1.payment_intents.list_async(params), mine):
        if row["latest_charge"]:
            found[row["id"]] = (row["status"], row["amount"], row["amount_received"], back[row["id"]])
            of_payment = {"payment_intent": row["id"]}
            refunds = await rows(till.stripe, lambda client, params: client.v1.refunds.list_async(params), of_payment)
            found |= {refund["id"]: (refund["status"], refund["amount"]) for refund in refunds}
            disputes = await rows(till.stripe, lambda client, params: client.v1.disputes.list_async(params), of_payment)
            found |= {dispute["id"]: (dispute["status"], dispute["amount"]) for dispute in disputes}
    return found


async def _money_here(till: Till, one: Customer) -> dict[str, tuple[Any, ...]]:
    names = {
        "invoice": ("status", "amount", "amount_paid", "attempts"),
        "payment": ("status", "amount", "amount_received", "amount_refunded"),
        "refund": ("status", "amount"),
        "dispute": ("status", "amount"),
    }
    found = till.house.db.open("money_records").find({"label_id": one.label_id})
    return {row["provider_id"]: tuple(row[name] for name in names[row["kind"]]) async for row in found}


async def main(arguments: Sequence[str]) -> int:
    """Run it; 0 when the state here is Stripe's each time."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.billing_histories")
    parser.add_argument("--histories", type=int, default=334)
    parser.add_argument("--seed", type=int, default=7)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder)) as till:
            outcome = await live(till, histories=told.histories, seed=told.seed)
    print(f"histories {outcome.histories}, orders compared {outcome.compared}, steps {dict(outcome.steps)}")
    print(f"events {dict(outcome.events)}")
    for trouble in outcome.troubles[:20]:
        print(trouble)
    return 1 if outcome.troubles else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
