"""Time that passes at Stripe alone: all it knows becomes older, and the time stays now.

A clock that runs ahead is of use where the product's clock goes with it, as in tests. The clock of who runs the product
beside it does not: what they send would lie in the past here. So their past is moved instead.
"""

import re
from typing import Any

import orjson

from sandbox.stripe.clock import run_due
from sandbox.stripe.store import Obj, Store
from sandbox.stripe.subs import ENDED

FIRST = 1_000_000_000
"""No smaller number is an instant (2001): a few are 0 for never."""
INSTANTS = re.compile(r"(.*_)?(at|start|end|created|updated|anchor|attempt|date|time|until|after|by|told|target)")


def age(store: Store, by_s: int) -> int:
    """Make everything so much older, then do all that is due, each in its own time; how many steps it took.

    A clock that was put forward is right again afterwards: what it was ahead is age as well.
    """
    total = by_s + round(store.clock_offset())
    aged = [_older(orjson.loads(orjson.dumps(one)), total) for one in store.objects.values() if not _is_open(one)]
    for sub in aged:
        if sub["object"] == "subscription" and sub["status"] not in ENDED:
            # months are not of one length: counted from the old day's date, the next period might last a day
            sub["billing_cycle_anchor"] = min(item["current_period_end"] for item in sub["items"]["data"])
    store.commit([one for one in aged if one["id"] != "clock"], ["clock"])
    return run_due(store, None, store.now())


def _is_open(obj: Obj) -> bool:
    """Whether it is a page that somebody may have before them: nobody has sat there for a month."""
    kind, status = obj["object"], obj.get("status")
    return kind == "billing_portal.session" or (kind == "checkout.session" and status == "open")


def _older(value: Any, by_s: int, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _older(one, by_s, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_older(one, by_s, name) for one in value]
    is_instant = type(value) in (int, float) and value >= FIRST and INSTANTS.fullmatch(name)
    return value - by_s if is_instant else value
