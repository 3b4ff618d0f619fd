"""Calls that move an invoice on: finalize, pay, void; and the preview of one."""

from typing import Any

from sandbox.stripe.cards import need_method
from sandbox.stripe.catalogue import amount_in, need_price
from sandbox.stripe.change import plan_change, supersede
from sandbox.stripe.collect import collect
from sandbox.stripe.customers import address_of, need_customer
from sandbox.stripe.errors import Refused, bad
from sandbox.stripe.invoices import finalize, make_invoice, mark_paid, need_invoice, subscription_of, void
from sandbox.stripe.lines import prorated, whole_period
from sandbox.stripe.render import show
from sandbox.stripe.store import Obj, Tx, new_id
from sandbox.stripe.sub_calls import sub_fields
from sandbox.stripe.subs import make_sub, need_sub, set_sub
from sandbox.stripe.times import next_boundary


def finalize_invoice(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/invoices/{id}/finalize`. With `auto_advance` it is collected too, by the next tick of the clock."""
    found = need_invoice(tx, key)
    if found["status"] != "draft":
        bad("This invoice is already finalized, you can't re-finalize a non-draft invoice.", "invoice")
    if not finalize(tx, found):
        raise Refused(found["last_finalization_error"]["message"], code="customer_tax_location_invalid", executed=True)
    if params.get("auto_advance", found["auto_advance"]):
        found["next_payment_attempt"] = tx.now
    return found


def pay_invoice(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/invoices/{id}/pay`: 402 where it fails; what it has tried stays."""
    found = need_invoice(tx, key)
    if found["status"] == "paid":
        raise Refused("Invoice is already paid", code="invoice_already_paid")
    if found["status"] == "draft":
        finalize(tx, found)
    if found["status"] not in ("open", "uncollectible"):
        bad(f"This invoice can't be paid: it is {found['status']}.", "invoice")
    if params.get("paid_out_of_band"):
        mark_paid(tx, found, out_of_band=True)
        return found
    method = need_method(tx, params["payment_method"], "payment_method") if "payment_method" in params else None
    outcome = collect(tx, found, method)
    if outcome in ("failed", "action"):
        code = "card_declined" if outcome == "failed" else "invoice_payment_intent_requires_action"
        words = "Your card was declined." if outcome == "failed" else "This payment requires additional user action."
        raise Refused(words, status=402, kind="card_error", code=code, executed=True, kept=True)
    return found


def void_invoice(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/invoices/{id}/void`: a resumption is off, and a change that waited for it is dropped."""
    found = need_invoice(tx, key)
    if found["status"] not in ("open", "uncollectible"):
        bad(f"You can only pass in open or uncollectible invoices. This invoice is {found['status']}.", "invoice")
    void(tx, found)
    sub = tx.get(subscription_of(found))
    if sub and sub["_resuming"] == key:
        sub["_resuming"] = None
    if sub and sub["_pending"] and sub["_pending"]["invoice"] == key:
        sub["_pending"] = None
        set_sub(tx, sub, pending_update=None)
    return found


def create_preview(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/invoices/create_preview`: worked out aside, so that nothing of it stays."""
    aside = Tx(tx.store)
    details = params.get("subscription_details", {})
    if "subscription" in params:
        sub = need_sub(aside, params["subscription"], "subscription")
        lines = _of_change(aside, sub, details)
    else:
        sub, lines = _of_start(aside, params, details)
    customer = need_customer(aside, sub["customer"], "customer")
    given = params.get("customer_details", {})
    if given.get("address"):
        customer["address"] = address_of(given["address"])
    if "automatic_tax" in params:
        sub["automatic_tax"] = sub["automatic_tax"] | {"enabled": params["automatic_tax"]["enabled"]}
    reason = "subscription_update" if details.get("items") or not lines else "upcoming"
    invoice = make_invoice(aside, sub, lines or [_nothing(aside, sub)], reason)
    told = show(aside, invoice, params.get("expand", ()))
    told["id"] = new_id("upcoming_in")
    told["lines"]["url"] = f"/v1/invoices/{told['id']}/lines"
    return told


def _nothing(tx: Tx, sub: Obj) -> Obj:
    return whole_period(tx, sub, sub["items"]["data"][0], trial=True)


def _of_change(tx: Tx, sub: Obj, details: dict[str, Any]) -> list[Obj]:
    """What a change would bill now with `always_invoice`; else the next renewal, with what is pending."""
    if details.get("cancel_now"):
        given = details.get("proration_behavior", "create_prorations")
        items = sub["items"]["data"] if given != "none" else []
        return [*sub["_pending_lines"], *(prorated(tx, sub, item, item, tx.now)[0] for item in items)]
    supersede(tx, sub)
    lines = list(sub["_pending_lines"])
    items = sub["items"]["data"]
    if details.get("items") or details.get("billing_cycle_anchor"):
        change = plan_change(tx, sub, details.get("items", []), details)
        if change.at_once or details.get("proration_behavior") == "always_invoice":
            return lines + change.lines
        lines, items = lines + change.lines, change.items
    recurring = tx.the(items[0]["price"])["recurring"]
    start = items[0]["current_period_end"]
    end = next_boundary(sub["billing_cycle_anchor"], start, recurring["interval"], recurring["interval_count"])
    following = [item | {"current_period_start": start, "current_period_end": end} for item in items]
    if not sub["cancel_at_period_end"] or details.get("cancel_at_period_end") is False:
        lines += [whole_period(tx, sub, item) for item in following]
    return lines


def _of_start(tx: Tx, params: dict[str, Any], details: dict[str, Any]) -> tuple[Obj, list[Obj]]:
    """The first invoice of a subscription that does not exist yet."""
    if "customer" not in params:
        bad("Missing required param: customer.", "customer", "parameter_missing")
    customer = need_customer(tx, params["customer"], "customer")
    given = details.get("items", [])
    if not given:
        raise Refused("No upcoming invoices for customer.", status=404, code="invoice_upcoming_none")
    bought = [(need_price(tx, one.get("price", ""), "items"), one.get("quantity", 1)) for one in given]
    currency: str = params["currency"] if "currency" in params else bought[0][0]["currency"]
    for price, _ in bought:
        amount_in(price, currency)
    sub = make_sub(tx, customer, bought, currency, sub_fields(tx, customer, details))
    trial = sub["trial_end"] is not None
    return sub, [whole_period(tx, sub, item, trial=trial) for item in sub["items"]["data"]]
