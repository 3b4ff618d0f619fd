"""Subscriptions as they are: made, looked up, moved from status to status, ended."""

from collections.abc import Sequence
from typing import Any

from sandbox.stripe.cards import default_method
from sandbox.stripe.customers import need_customer
from sandbox.stripe.errors import missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.invoices import announce, finalize, intent_of, make_invoice, void
from sandbox.stripe.ledger import effect
from sandbox.stripe.lines import whole_period
from sandbox.stripe.lists import matching, page, within
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import listed, whole
from sandbox.stripe.store import Obj, Tx, new_id
from sandbox.stripe.times import next_boundary

ENDED = ("canceled", "incomplete_expired")
INCOMPLETE_FOR_S = 23 * 3600


def make_sub(tx: Tx, customer: Obj, bought: Sequence[tuple[Obj, int]], currency: str, fields: dict[str, Any]) -> Obj:
    """A subscription to these prices, in its trial or not yet paid. Its first invoice is not made yet."""
    key, trial_end = new_id("sub"), fields.get("trial_end")
    recurring = bought[0][0]["recurring"]
    anchor = trial_end or tx.now
    end = trial_end or next_boundary(anchor, tx.now, recurring["interval"], recurring["interval_count"])
    items = [make_item(tx, key, price, quantity, (tx.now, end)) for price, quantity in bought]
    made = whole(
        "subscription",
        key,
        tx.now,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None},
        billing_cycle_anchor=anchor,
        billing_mode={"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": None},
        billing_schedules=[],
        cancel_at_period_end=False,
        cancellation_details=dict.fromkeys(("comment", "feedback", "feedback_option", "reason")),
        collection_method="charge_automatically",
        currency=currency,
        customer=customer["id"],
        default_tax_rates=[],
        discounts=[],
        invoice_settings={"account_tax_ids": None, "custom_fields": None, "description": None, "footer": None}
        | {"issuer": {"type": "self"}},
        items=listed(f"/v1/subscription_items?subscription={key}", items),
        payment_settings={"payment_method_options": None, "payment_method_types": None}
        | {"save_default_payment_method": "off"},
        start_date=tx.now,
        status="trialing" if trial_end else "incomplete",
        test_clock=customer["test_clock"],
        trial_settings={"end_behavior": {"missing_payment_method": "create_invoice"}},
        trial_start=tx.now if trial_end else None,
        _pending_lines=[],
        _pending=None,
        _will_end_told=False,
        _upcoming_told=0,
        _resuming=None,
    )
    made |= fields
    return tx.add(made)


def make_item(tx: Tx, sub_id: str, price: Obj, quantity: int, period: tuple[int, int]) -> Obj:
    """An item of a subscription."""
    return whole(
        "subscription_item",
        new_id("si", 14),
        tx.now,
        current_period_start=period[0],
        current_period_end=period[1],
        discounts=[],
        price=price["id"],
        quantity=quantity,
        subscription=sub_id,
        tax_rates=[],
    )


def begin(tx: Tx, sub: Obj) -> Obj:
    """Make the first invoice final, and tell of the new subscription. The invoice is not paid yet."""
    found = [whole_period(tx, sub, item, trial=sub["trial_end"] is not None) for item in sub["items"]["data"]]
    invoice = announce(tx, make_invoice(tx, sub, found, "subscription_create"))
    sub["latest_invoice"] = invoice["id"]
    emit(tx, "customer.subscription.created", sub)
    effect(tx, "subscription.created", sub)
    finalize(tx, invoice)
    return invoice


def set_sub(tx: Tx, sub: Obj, **fields: Any) -> None:
    """Change a subscription and tell of it."""
    old = show(tx, sub)
    sub |= fields
    tell_sub(tx, sub, old)


def tell_sub(tx: Tx, sub: Obj, old: Obj) -> None:
    """Tell what has changed since `old`: by an event, and where it was paused or resumed by one more."""
    update_event(tx, "customer.subscription.updated", old, sub)
    if sub["status"] != old["status"] and "paused" in (sub["status"], old["status"]):
        kind = "paused" if sub["status"] == "paused" else "resumed"
        emit(tx, f"customer.subscription.{kind}", sub)


def pause_status(tx: Tx, sub: Obj, why: str) -> None:
    """No more invoices and no more periods."""
    told = {"subscription": {"type": why}, "transitioned_at": tx.now, "type": "subscription"}
    set_sub(tx, sub, status="paused", status_details={"paused": told})


def end_sub(tx: Tx, sub: Obj, reason: str, status: str = "canceled") -> None:
    """End it. What is open is no longer collected."""
    for invoice in (*open_invoices(tx, sub), *open_invoices(tx, sub, "draft")):
        invoice |= {"auto_advance": False, "next_payment_attempt": None, "automatically_finalizes_at": None}
    if sub["_pending"]:
        sub |= {"_pending": None, "pending_update": None}
    old = show(tx, sub)
    sub |= {"status": status, "ended_at": tx.now, "canceled_at": sub["canceled_at"] or tx.now}
    sub |= {"pause_collection": None, "status_details": None}
    if status == "canceled":
        sub["cancellation_details"] = sub["cancellation_details"] | {"reason": reason}
        emit(tx, "customer.subscription.deleted", sub)
        effect(tx, "subscription.canceled", sub)
    else:
        update_event(tx, "customer.subscription.updated", old, sub)


def expire_incomplete(tx: Tx, sub: Obj) -> None:
    """The first payment has not come within 23 hours."""
    for invoice in open_invoices(tx, sub):
        void(tx, invoice)
    end_sub(tx, sub, "payment_failed", "incomplete_expired")


def open_invoices(tx: Tx, sub: Obj, status: str = "open") -> list[Obj]:
    """Invoices of this subscription that wait for their payment, or are of another status."""
    found = [one["id"] for one in tx.all("invoice") if one["status"] == status and sub["id"] == _sub_of(one)]
    return [tx.the(key) for key in found]


def _sub_of(invoice: Obj) -> Any:
    return invoice["parent"]["subscription_details"]["subscription"]


def is_settling(tx: Tx, sub: Obj) -> bool:
    """Whether the bank has not yet said how the debit for its latest invoice went."""
    invoice = tx.peek(sub["latest_invoice"])
    intent = intent_of(tx, invoice) if invoice else None
    return intent is not None and intent["status"] == "processing"


def has_method(tx: Tx, sub: Obj) -> bool:
    """Whether anything can be charged."""
    return default_method(tx, sub["customer"], sub) is not None


def need_sub(tx: Tx, key: str, param: str = "id") -> Obj:
    """A subscription. The call goes on in the time of its customer."""
    found = tx.get(key)
    if found is None or found["object"] != "subscription":
        missing("subscription", key, param)
    if not (tx.peek(found["customer"]) or {}).get("deleted"):
        need_customer(tx, found["customer"])
    return found


def get_sub(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/subscriptions/{id}`."""
    return need_sub(tx, key)


def list_subs(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/subscriptions`: those that have not been canceled, unless `status` says otherwise."""
    found = matching(tx.all("subscription"), params, "created", "customer", "collection_method", "test_clock")
    status = params.get("status")
    if status == "ended":
        found = [one for one in found if one["status"] in ENDED]
    elif status != "all":
        found = [one for one in found if (one["status"] == status if status else one["status"] != "canceled")]
    if "price" in params:
        found = [one for one in found if any(item["price"] == params["price"] for item in one["items"]["data"])]
    for name in ("current_period_start", "current_period_end"):
        if name in params:
            found = [one for one in found if within(one["items"]["data"][0][name], params[name])]
    return page(tx, "/v1/subscriptions", found, params)


def get_item(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/subscription_items/{id}`."""
    for sub in tx.all("subscription"):
        for item in show(tx, sub)["items"]["data"]:
            if item["id"] == key:
                found: Obj = item
                return found
    return missing("subscription_item", key)


def list_items(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/subscription_items`."""
    data = show(tx, need_sub(tx, params["subscription"], "subscription"))["items"]["data"]
    return page(tx, "/v1/subscription_items", data[::-1], params)
