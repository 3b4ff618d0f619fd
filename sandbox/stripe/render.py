"""Objects as calls and events show them: without our private fields, and with what the call asks to expand."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from sandbox.stripe.errors import bad
from sandbox.stripe.skeleton import listed
from sandbox.stripe.store import Obj, Tx

DEEPEST = 4


def show(tx: Tx, obj: Obj, expand: Sequence[str] = ()) -> Obj:
    """A copy for the outside."""
    found = _plain(tx, obj)
    for path in expand:
        parts = path.split(".")
        if len(parts) - (parts[0] == "data") > DEEPEST:
            bad(f"You cannot expand more than {DEEPEST} levels of a property. Property: {path}", "expand")
        _expand(tx, found, parts, path)
    return found


def _plain(tx: Tx, obj: Obj) -> Obj:
    found: Obj = orjson.loads(orjson.dumps({name: value for name, value in obj.items() if not name.startswith("_")}))
    if obj["object"] == "subscription":
        waiting = (found["pending_update"] or {}).get("subscription_items", [])
        for item in (*found["items"]["data"], *waiting):
            _fill_item(tx, item)
    if obj["object"] == "list":
        found["data"] = [_plain(tx, one) for one in obj["data"]]
    return found


def _fill_item(tx: Tx, item: Obj) -> None:
    """An item holds its price, and the plan that it was called before."""
    if not isinstance(item["price"], str):
        return
    price = tx.peek(item["price"])
    assert price is not None
    item["price"] = _plain(tx, price)
    every = price["recurring"]
    item["plan"] = {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": every["interval"],
        "interval_count": every["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def _expand(tx: Tx, at: Any, parts: list[str], path: str) -> None:
    if isinstance(at, list):
        for one in at:
            _expand(tx, one, parts, path)
        return
    if not isinstance(at, dict):
        return
    name, rest = parts[0], parts[1:]
    if name not in at or (at.get("object"), name) in ASKED_FOR:
        maker = ASKED_FOR.get((at.get("object", ""), name))
        if maker is None:
            if at.get("deleted"):
                return
            bad(f"This property cannot be expanded ({name}). You may want to try expanding 'data.{path}'.", "expand")
        at[name] = maker(tx, at)
    elif isinstance(at[name], str):
        found = tx.peek(at[name])
        if found is None:
            bad(f"This property cannot be expanded ({name}).", "expand")
        at[name] = _plain(tx, found)
    if rest:
        _expand(tx, at[name], rest, path)


def _payments(tx: Tx, invoice: Obj) -> Any:
    found = [_plain(tx, one) for one in tx.all("invoice_payment") if one["invoice"] == invoice["id"]]
    return listed("/v1/invoice_payments", found)


def _secret(tx: Tx, invoice: Obj) -> Any:
    payments = (one for one in tx.all("invoice_payment") if one["invoice"] == invoice["id"])
    intents = (tx.peek(one["payment"]["payment_intent"]) for one in payments)
    found = next((intent for intent in intents if intent), None)
    return {"client_secret": found["client_secret"], "type": "payment_intent"} if found else None


def _tax_ids(tx: Tx, customer: Obj) -> Any:
    found = [_plain(tx, one) for one in tx.all("tax_id") if one["customer"] == customer["id"]]
    return listed(f"/v1/customers/{customer['id']}/tax_ids", found)


def _subscriptions(tx: Tx, customer: Obj) -> Any:
    found = [
        _plain(tx, one)
        for one in tx.all("subscription")
        if one["customer"] == customer["id"] and one["status"] not in ("canceled", "incomplete_expired")
    ]
    return listed(f"/v1/customers/{customer['id']}/subscriptions", found)


def _lines(tx: Tx, session: Obj) -> Any:
    return listed(f"/v1/checkout/sessions/{session['id']}/line_items", (tx.peek(session["id"]) or {})["_lines"])


def _options(tx: Tx, price: Obj) -> Any:
    return (tx.peek(price["id"]) or {})["_currency_options"]


def _refunds(tx: Tx, charge: Obj) -> Any:
    found = [_plain(tx, one) for one in tx.all("refund") if one["charge"] == charge["id"]]
    return listed(f"/v1/charges/{charge['id']}/refunds", found)


ASKED_FOR: dict[tuple[str, str], Callable[[Tx, Obj], Any]] = {
    ("invoice", "payments"): _payments,
    ("invoice", "confirmation_secret"): _secret,
    ("customer", "tax_ids"): _tax_ids,
    ("customer", "subscriptions"): _subscriptions,
    ("checkout.session", "line_items"): _lines,
    ("price", "currency_options"): _options,
    ("charge", "refunds"): _refunds,
}
"""What an object has only where the call asks for it."""
