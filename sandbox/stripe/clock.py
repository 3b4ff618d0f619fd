"""The clock: what time does, in the order in which it is due. Customers may have a test clock of their own."""

import time
from collections.abc import Callable
from typing import Any

from sandbox.stripe.checkout import expire_session
from sandbox.stripe.collect import conclude
from sandbox.stripe.customers import verify_tax_id
from sandbox.stripe.errors import bad, missing
from sandbox.stripe.events import emit
from sandbox.stripe.lists import page
from sandbox.stripe.payments import settle
from sandbox.stripe.refunds import refund_step
from sandbox.stripe.renew import invoice_due, invoice_step, sub_due, sub_step
from sandbox.stripe.session_end import settle_session
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Store, Tx, new_id

MOST_STEPS = 100_000
MOST_AT_ONCE = 10


def due_of(obj: Obj) -> int | None:
    """When time will do something to this object."""
    at: int | None = None
    match obj["object"]:
        case "subscription":
            at = min(sub_due(obj).values(), default=None)
        case "invoice":
            at = min(invoice_due(obj).values(), default=None)
        case "payment_intent":
            at = obj["_settle_at"]
        case "tax_id":
            at = obj["_verify_at"]
        case "refund":
            at = obj["_due_at"]
        case "checkout.session":
            at = obj["expires_at"] if obj["status"] == "open" else None
    return at


def _settle(tx: Tx, intent: Obj) -> None:
    outcome = settle(tx, intent)
    invoice = tx.get(intent.get("_invoice"))
    if invoice is not None:
        conclude(tx, invoice, outcome)
    settle_session(tx, intent, outcome)


STEPS: dict[str, Callable[[Tx, Obj], None]] = {
    "subscription": sub_step,
    "invoice": invoice_step,
    "payment_intent": _settle,
    "tax_id": lambda tx, obj: verify_tax_id(tx, obj["id"]),
    "refund": refund_step,
    "checkout.session": expire_session,
}


def clock_of(store: Store, obj: Obj) -> str | None:
    """The test clock that an object follows."""
    customer = store.objects.get(obj.get("customer") or "", {})
    found: str | None = obj.get("test_clock") or customer.get("test_clock")
    return found


def run_due(store: Store, clock_id: str | None, until: int) -> int:
    """Do all that is due until then, each in its own time; how many steps it took."""
    same, last = 0, ("", 0)
    for steps in range(MOST_STEPS):
        waiting = [
            (at, key)
            for key, at in store.due.items()
            if at <= until and clock_of(store, store.objects[key]) == clock_id
        ]
        if not waiting:
            return steps
        at, key = min(waiting, key=lambda found: found[0])
        tx = Tx(store)
        clock = tx.get(clock_id)
        if clock:
            tx.now = clock["frozen_time"] = max(at, clock["frozen_time"])
        else:
            tx.now = max(at, 0)
            _set_offset(tx, tx.now)
        obj = tx.the(key)
        STEPS[obj["object"]](tx, obj)
        tx.commit()
        same = same + 1 if (key, at) == last else 0  # a few things may be due at one instant
        last = (key, at)
        assert same < MOST_AT_ONCE, f"time stands still at {key}"
    raise RuntimeError("time goes in circles")


def _set_offset(tx: Tx, now: int) -> None:
    """Put the sandbox's clock forward, never back."""
    offset = now - time.time()
    if offset > tx.store.clock_offset():
        tx.add({"id": "clock", "object": "_clock", "offset_s": offset})


def advance(store: Store, to: int) -> int:
    """Put the sandbox's own clock forward to this instant; how many steps it took."""
    steps = run_due(store, None, to)
    tx = Tx(store)
    _set_offset(tx, to)
    tx.commit()
    return steps


def catch_up(store: Store) -> None:
    """Do what is due by now, and what test clocks have been told."""
    if any(at <= store.now() for at in store.due.values()):
        run_due(store, None, store.now())
    for clock in store.of_kind("test_helpers.test_clock"):
        if clock["status"] == "advancing":
            run_due(store, clock["id"], clock["_target"])
            tx = Tx(store)
            done = tx.the(clock["id"])
            done |= {"status": "ready", "frozen_time": done["_target"], "status_details": {}}
            emit(tx, "test_helpers.test_clock.ready", done)
            tx.commit()


def create_clock(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/test_helpers/test_clocks`."""
    made = whole(
        "test_helpers.test_clock",
        new_id("clock"),
        tx.now,
        deletes_after=tx.now + 30 * 86_400,
        frozen_time=params["frozen_time"],
        name=params.get("name"),
        status="ready",
        status_details={},
        _target=params["frozen_time"],
    )
    tx.add(made)
    emit(tx, "test_helpers.test_clock.created", made)
    return made


def need_clock(tx: Tx, key: str) -> Obj:
    """A test clock."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "test_helpers.test_clock" else missing("test_clock", key)


def get_clock(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/test_helpers/test_clocks/{id}`."""
    return need_clock(tx, key)


def list_clocks(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/test_helpers/test_clocks`."""
    return page(tx, "/v1/test_helpers/test_clocks", tx.all("test_helpers.test_clock"), params)


def advance_clock(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/test_helpers/test_clocks/{id}/advance`: it is `ready` again a moment later."""
    found = need_clock(tx, key)
    if found["status"] != "ready":
        bad("The test clock is advancing.", code="test_clock_advancing")
    if params["frozen_time"] <= found["frozen_time"]:
        bad("frozen_time must be later than the current frozen_time.", "frozen_time")
    found |= {"status": "advancing", "_target": params["frozen_time"]}
    found["status_details"] = {"advancing": {"target_frozen_time": params["frozen_time"]}}
    emit(tx, "test_helpers.test_clock.advancing", found)
    return found
