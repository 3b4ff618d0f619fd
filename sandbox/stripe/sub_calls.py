"""Calls that make, change, cancel, pause and resume subscriptions."""

from typing import Any

from sandbox.stripe.cards import need_method
from sandbox.stripe.catalogue import amount_in, need_price
from sandbox.stripe.change import apply_change, declined, metadata_of, plan_change
from sandbox.stripe.collect import collect
from sandbox.stripe.customers import need_customer
from sandbox.stripe.errors import bad, missing
from sandbox.stripe.invoices import announce, finalize, make_invoice
from sandbox.stripe.ledger import effect
from sandbox.stripe.lines import prorated, whole_period
from sandbox.stripe.metadata import merged
from sandbox.stripe.renew import end_trial
from sandbox.stripe.store import Obj, Tx
from sandbox.stripe.subs import ENDED, begin, end_sub, has_method, make_sub, need_sub, pause_status, set_sub
from sandbox.stripe.times import next_boundary

DAY_S = 86_400


def create_sub(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/subscriptions`."""
    customer = need_customer(tx, params.get("customer", ""), "customer")
    given = params.get("items", [])
    bought = [(need_price(tx, one.get("price", ""), "items"), one.get("quantity", 1)) for one in given]
    if not bought:
        bad("Missing required param: items.", "items", "parameter_missing")
    currency: str = params["currency"] if "currency" in params else bought[0][0]["currency"]
    for price, _ in bought:
        amount_in(price, currency)
    customer["currency"] = currency
    fields = sub_fields(tx, customer, params)
    sub = make_sub(tx, customer, bought, currency, fields)
    behavior = params.get("payment_behavior", "allow_incomplete")
    if behavior == "error_if_incomplete" and not has_method(tx, sub) and not sub["trial_end"]:
        raise declined("This customer has no attached payment source or default payment method.", "resource_missing")
    invoice = begin(tx, sub)
    if invoice["amount_due"] and behavior == "default_incomplete":
        return sub
    if invoice["status"] == "open" and collect(tx, invoice) != "paid" and behavior == "error_if_incomplete":
        raise declined("Your card was declined.")
    return sub


def sub_fields(tx: Tx, customer: Obj, params: dict[str, Any]) -> dict[str, Any]:
    """What a call, or a session's `subscription_data`, says of the new subscription."""
    fields: dict[str, Any] = {"metadata": merged({}, params.get("metadata"))}
    for name in ("description", "trial_settings", "cancel_at_period_end"):
        if name in params:
            fields[name] = params[name]
    if "trial_period_days" in params:
        if not 1 <= params["trial_period_days"] <= 730:
            bad("The minimum number of trial period days is 1.", "trial_period_days")
        fields["trial_end"] = tx.now + params["trial_period_days"] * DAY_S
    if params.get("trial_end") not in (None, "now"):
        if params["trial_end"] <= tx.now:
            bad("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
        fields["trial_end"] = params["trial_end"]
    if params.get("automatic_tax", {}).get("enabled"):
        fields["automatic_tax"] = {"disabled_reason": None, "enabled": True, "liability": {"type": "self"}}
        if not (customer["address"] or {}).get("country"):
            bad("The customer's location isn't recognized.", "customer", "customer_tax_location_invalid")
    if "default_payment_method" in params:
        method = need_method(tx, params["default_payment_method"], "default_payment_method")
        fields["default_payment_method"] = method["id"]
    return fields


def update_sub(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/subscriptions/{id}`."""
    sub = need_sub(tx, key)
    if sub["status"] in ENDED:
        bad("A canceled subscription can only update its cancellation_details and metadata.")
    more = metadata_of(sub, params) | _ending(tx, sub, params)
    for name in ("description", "trial_settings"):
        if name in params:
            more[name] = params[name]
    if "default_payment_method" in params:
        given = params["default_payment_method"]
        more["default_payment_method"] = need_method(tx, given, "default_payment_method")["id"] if given else None
    if "pause_collection" in params:
        given = params["pause_collection"]
        more["pause_collection"] = {"resumes_at": None} | given if given else None
    if params.get("trial_end", "now") != "now":
        more |= _trial(tx, sub, params["trial_end"])
    anchored = params.get("billing_cycle_anchor", {}).get("type") == "now"
    if "items" not in params and not anchored:
        set_sub(tx, sub, **more)
        if params.get("trial_end") == "now" and sub["status"] == "trialing":
            end_trial(tx, sub)
        effect(tx, "subscription.updated", sub)
        return sub
    if sub["status"] == "paused":
        bad("A paused subscription can't change its items: resume it first.", "items")
    apply_change(tx, sub, plan_change(tx, sub, params.get("items", []), params), params, more)
    return sub


def _ending(tx: Tx, sub: Obj, params: dict[str, Any]) -> dict[str, Any]:
    """When the subscription is to end, or that it is not to end any more."""
    found: dict[str, Any] = {}
    details: Obj = sub["cancellation_details"]
    if "cancellation_details" in params:
        given = {name: value or None for name, value in params["cancellation_details"].items()}
        found["cancellation_details"] = details = details | given
    if "cancel_at_period_end" in params and "cancel_at" in params:
        bad("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
    end = max(item["current_period_end"] for item in sub["items"]["data"])
    if params.get("cancel_at_period_end"):
        found |= {"cancel_at_period_end": True, "cancel_at": end, "canceled_at": sub["canceled_at"] or tx.now}
        found["cancellation_details"] = details | {"reason": "cancellation_requested"}
    elif "cancel_at_period_end" in params or params.get("cancel_at") == "":
        found |= {"cancel_at_period_end": False, "cancel_at": None, "canceled_at": None}
        found["cancellation_details"] = details | {"reason": None}
    elif "cancel_at" in params:
        at = end if isinstance(params["cancel_at"], str) else params["cancel_at"]
        if at <= tx.now:
            bad("Invalid timestamp: cancel_at must be in the future.", "cancel_at")
        found |= {"cancel_at": at, "canceled_at": sub["canceled_at"] or tx.now, "cancel_at_period_end": False}
        found["cancellation_details"] = details | {"reason": "cancellation_requested"}
    return found


def _trial(tx: Tx, sub: Obj, at: int) -> dict[str, Any]:
    """A new end of the trial."""
    if at <= tx.now:
        bad("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
    items = [item | {"current_period_end": at} for item in sub["items"]["data"]]
    found = {"trial_end": at, "status": "trialing", "billing_cycle_anchor": at, "_will_end_told": False}
    return found | {"trial_start": sub["trial_start"] or tx.now, "items": sub["items"] | {"data": items}}


def cancel_sub(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`DELETE /v1/subscriptions/{id}`: at once."""
    sub = need_sub(tx, key)
    if sub["status"] in ENDED:
        missing("subscription", key)
    given = {name: value or None for name, value in params.get("cancellation_details", {}).items()}
    sub["cancellation_details"] = sub["cancellation_details"] | given
    if params.get("prorate") and sub["status"] not in ("trialing", "incomplete"):
        for item in sub["items"]["data"]:
            sub["_pending_lines"] = [*sub["_pending_lines"], prorated(tx, sub, item, item, tx.now)[0]]
    if params.get("invoice_now") and sub["_pending_lines"]:
        invoice = announce(tx, make_invoice(tx, sub, sub["_pending_lines"], "manual"))
        sub |= {"_pending_lines": [], "latest_invoice": invoice["id"]}
        if finalize(tx, invoice):
            collect(tx, invoice)
    end_sub(tx, sub, "cancellation_requested")
    return sub


def pause_sub(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/subscriptions/{id}/pause`."""
    sub = need_sub(tx, key)
    if sub["status"] not in ("active", "past_due", "unpaid", "trialing"):
        bad(f"A subscription whose status is {sub['status']} can't be paused.")
    if sub["schedule"]:
        bad("A subscription that is under a schedule can't be paused.")
    credited = params.get("bill_for", {}).get("unused_time_from", {}).get("type", "now")
    if credited == "now" and sub["status"] == "active":
        lines = [prorated(tx, sub, item, item, tx.now)[0] for item in sub["items"]["data"]]
        sub["_pending_lines"] = sub["_pending_lines"] + lines
    if params.get("invoicing_behavior") == "invoice" and sub["_pending_lines"]:
        invoice = announce(tx, make_invoice(tx, sub, sub["_pending_lines"], "subscription_update"))
        sub |= {"_pending_lines": [], "latest_invoice": invoice["id"]}
        if finalize(tx, invoice):
            collect(tx, invoice)
    pause_status(tx, sub, "pause_requested")
    effect(tx, "subscription.paused", sub)
    return sub


def resume_sub(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/subscriptions/{id}/resume`: a new period begins, and with `…_success` once it is paid."""
    sub = need_sub(tx, key)
    if sub["status"] != "paused":
        bad("You can only resume a paused subscription.")
    if sub["_resuming"]:
        bad("This subscription is being resumed: its invoice waits for its payment.")
    recurring = tx.the(sub["items"]["data"][0]["price"])["recurring"]
    end = next_boundary(tx.now, tx.now, recurring["interval"], recurring["interval_count"])
    items = [item | {"current_period_start": tx.now, "current_period_end": end} for item in sub["items"]["data"]]
    sub |= {"billing_cycle_anchor": tx.now, "trial_end": None}
    sub["items"]["data"] = items
    lines = [whole_period(tx, sub, item) for item in items]
    invoice = announce(tx, make_invoice(tx, sub, sub["_pending_lines"] + lines, "subscription_update"))
    sub |= {"_pending_lines": [], "latest_invoice": invoice["id"], "_resuming": invoice["id"]}
    effect(tx, "subscription.resumed", sub)
    if finalize(tx, invoice):
        collect(tx, invoice)
    if sub["_resuming"] and params.get("payment_behavior", "resume_on_payment_attempt") == "resume_on_payment_attempt":
        sub["_resuming"] = None
        set_sub(tx, sub, status="past_due", status_details=None)
    return sub
