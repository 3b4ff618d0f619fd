"""Invoices: made as drafts, finalized, paid, voided."""

import secrets
from collections.abc import Sequence
from typing import Any

import orjson

from sandbox.stripe.customers import need_customer
from sandbox.stripe.errors import Refused, bad, missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.ledger import effect
from sandbox.stripe.lines import tax
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.payments import cancel_intent, make_intent
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import listed, whole
from sandbox.stripe.store import Obj, Tx, new_id

BEGUN = orjson.dumps(
    {
        "account_country": "DE",
        "account_name": "SoundOps",
        "amount_overpaid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "payment_settings": dict.fromkeys(("default_mandate", "payment_method_options", "payment_method_types")),
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
    }
)
"""What every invoice begins with."""


def make_invoice(
    tx: Tx, sub: Obj, found: Sequence[Obj], reason: str, *, finalize_at: int | None = None, since: int | None = None
) -> Obj:
    """A draft of these lines. With `finalize_at` the clock finalizes it; without it somebody else must.

    A renewal's own period is the one before (`since`); what is paid for, the lines tell.
    """
    key = new_id("in")
    customer = tx.the(sub["customer"])
    automatic = sub["automatic_tax"]["enabled"]
    made = whole(
        "invoice",
        key,
        tx.now,
        auto_advance=finalize_at is not None,
        automatic_tax={
            "disabled_reason": None,
            "enabled": automatic,
            "liability": {"type": "self"} if automatic else None,
            "provider": "stripe" if automatic else None,
            "status": _tax_status(customer, automatic),
        },
        automatically_finalizes_at=finalize_at,
        billing_reason=reason,
        collection_method=sub["collection_method"],
        currency=sub["currency"],
        customer=customer["id"],
        parent={
            "quote_details": None,
            "subscription_details": {"metadata": dict(sub["metadata"]), "subscription": sub["id"]},
            "type": "subscription_details",
        },
        period_start=since or tx.now,
        period_end=tx.now,
        status="draft",
        status_transitions=dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
        test_clock=customer["test_clock"],
    )
    made |= orjson.loads(BEGUN)
    data = [one | {"invoice": key} for one in found]
    made["total_taxes"] = tax(tx, customer, data) if automatic else []
    for one in data:
        del one["_tax_behavior"]
    made["lines"] = listed(f"/v1/invoices/{key}/lines", data)
    _snapshot(tx, made, customer)
    _sum_up(made, customer)
    tx.add(made)
    return made


def _tax_status(customer: Obj, automatic: bool) -> str | None:
    located = (customer["address"] or {}).get("country")
    return None if not automatic else "complete" if located else "requires_location_inputs"


def _snapshot(tx: Tx, invoice: Obj, customer: Obj) -> None:
    """Who the customer is now; stays so from when the invoice is final."""
    for name in ("address", "email", "name", "phone", "shipping", "tax_exempt"):
        invoice[f"customer_{name}"] = customer.get(name)
    tax_ids = (one for one in tx.all("tax_id") if one["customer"] == customer["id"])
    invoice["customer_tax_ids"] = [{"type": one["type"], "value": one["value"]} for one in tax_ids]


def _sum_up(invoice: Obj, customer: Obj) -> None:
    """The totals, and what the customer's balance takes from or adds to what is due."""
    subtotal = sum(one["amount"] for one in invoice["lines"]["data"])
    extra = sum(one["amount"] for one in invoice["total_taxes"] if one["tax_behavior"] == "exclusive")
    within = sum(one["amount"] for one in invoice["total_taxes"] if one["tax_behavior"] == "inclusive")
    total = subtotal + extra
    due = max(0, total + customer["balance"])
    invoice |= {"subtotal": subtotal, "subtotal_excluding_tax": subtotal - within, "total": total}
    invoice |= {"total_excluding_tax": total - extra - within, "starting_balance": customer["balance"]}
    invoice |= {"amount_due": due, "amount_paid": 0, "amount_remaining": due}


def announce(tx: Tx, invoice: Obj) -> Obj:
    """Tell that a draft has been made."""
    emit(tx, "invoice.created", invoice)
    effect(tx, "invoice.created", invoice, amount=invoice["total"], currency=invoice["currency"])
    return invoice


def finalize(tx: Tx, invoice: Obj) -> bool:
    """Make it final: numbered, and to be paid. Without a place for automatic tax it stays a draft."""
    customer = tx.the(invoice["customer"])
    old = show(tx, invoice)
    if invoice["automatic_tax"]["enabled"] and not (customer["address"] or {}).get("country"):
        words = "The customer's location isn't recognized. Set a valid customer address in order to calculate tax."
        invoice["automatic_tax"] |= {"status": "requires_location_inputs"}
        invoice["last_finalization_error"] = {
            "code": "customer_tax_location_invalid",
            "message": words,
            "type": "invalid_request_error",
        }
        invoice |= {"automatically_finalizes_at": None}
        emit(tx, "invoice.finalization_failed", invoice)
        return False
    _snapshot(tx, invoice, customer)
    _sum_up(invoice, customer)
    number, token = customer["next_invoice_sequence"], secrets.token_urlsafe(18)
    customer["next_invoice_sequence"] = number + 1
    used = invoice["total"] + customer["balance"]
    customer["balance"] = min(0, used)
    invoice |= {"ending_balance": customer["balance"], "number": f"{customer['invoice_prefix']}-{number:04d}"}
    invoice |= {"status": "open", "effective_at": tx.now, "automatically_finalizes_at": None}
    invoice |= {"last_finalization_error": None, "_token": token}
    base = f"{tx.store.base_url}/i/{invoice['id']}/{token}"
    invoice |= {"hosted_invoice_url": base, "invoice_pdf": f"{base}/pdf"}
    invoice["status_transitions"]["finalized_at"] = tx.now
    if invoice["amount_due"] > 0:
        _await_payment(tx, invoice, customer)
    emit(tx, "invoice.finalized", invoice)
    update_event(tx, "invoice.updated", old, invoice)
    return True


def _await_payment(tx: Tx, invoice: Obj, customer: Obj) -> None:
    details = invoice["parent"]["subscription_details"]
    intent = make_intent(
        tx, customer, invoice["amount_due"], invoice["currency"], description=f"Invoice {invoice['number']}"
    )
    intent["_invoice"], intent["_subscription"] = invoice["id"], details["subscription"]
    payment = tx.add(
        whole(
            "invoice_payment",
            new_id("inpay"),
            tx.now,
            amount_requested=invoice["amount_due"],
            currency=invoice["currency"],
            invoice=invoice["id"],
            is_default=True,
            payment={"type": "payment_intent", "payment_intent": intent["id"]},
            status="open",
            status_transitions={"canceled_at": None, "paid_at": None},
        )
    )
    invoice["_payment"] = payment["id"]


def payment_of(tx: Tx, invoice: Obj) -> Obj | None:
    """The payment that the invoice waits for or was paid with."""
    return tx.get(invoice.get("_payment"))


def intent_of(tx: Tx, invoice: Obj) -> Obj | None:
    """The payment intent of the invoice."""
    payment = payment_of(tx, invoice)
    return tx.get(payment["payment"].get("payment_intent")) if payment else None


def mark_paid(tx: Tx, invoice: Obj, *, out_of_band: bool = False) -> None:
    """It is paid."""
    payment = payment_of(tx, invoice)
    if payment and out_of_band:
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = tx.now
    elif payment:
        payment |= {"status": "paid", "amount_paid": invoice["amount_due"]}
        payment["status_transitions"]["paid_at"] = tx.now
        emit(tx, "invoice_payment.paid", payment)
    invoice |= {"status": "paid", "attempted": True, "amount_paid": invoice["amount_due"], "amount_remaining": 0}
    invoice |= {"next_payment_attempt": None, "auto_advance": False}
    if out_of_band:
        invoice["amount_paid_off_stripe"] = invoice["amount_due"]
    invoice["status_transitions"]["paid_at"] = tx.now
    emit(tx, "invoice.paid", invoice)
    if not out_of_band:
        emit(tx, "invoice.payment_succeeded", invoice)
    effect(tx, "invoice.paid", invoice, amount=invoice["amount_due"], currency=invoice["currency"])


def void(tx: Tx, invoice: Obj) -> None:
    """It is void: nothing is owed for it any more."""
    intent, payment = intent_of(tx, invoice), payment_of(tx, invoice)
    if intent is not None:
        cancel_intent(tx, intent)
    if payment is not None:
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = tx.now
    invoice |= {"status": "void", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = tx.now
    emit(tx, "invoice.voided", invoice)


def write_off(tx: Tx, invoice: Obj) -> None:
    """Nobody believes any more that it will be paid."""
    invoice |= {"status": "uncollectible", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["marked_uncollectible_at"] = tx.now
    emit(tx, "invoice.marked_uncollectible", invoice)


def need_invoice(tx: Tx, key: str, param: str = "id") -> Obj:
    """An invoice. The call goes on in the time of its customer."""
    found = tx.get(key)
    if found is None or found["object"] != "invoice":
        missing("invoice", key, param)
    if not (tx.peek(found["customer"]) or {}).get("deleted"):
        need_customer(tx, found["customer"])
    return found


def get_invoice(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/invoices/{id}`."""
    return need_invoice(tx, key)


def list_invoices(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/invoices`."""
    found = matching(tx.all("invoice"), params, "created", "customer", "status", "collection_method")
    if "subscription" in params:
        found = [one for one in found if subscription_of(one) == params["subscription"]]
    return page(tx, "/v1/invoices", found, params)


def list_lines(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/invoices/{id}/lines`."""
    return page(tx, f"/v1/invoices/{key}/lines", need_invoice(tx, key)["lines"]["data"][::-1], params)


def list_payments(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/invoice_payments`."""
    found = matching(tx.all("invoice_payment"), params, "created", "invoice", "status")
    asked = params.get("payment")
    if asked:
        found = [one for one in found if one["payment"].get(asked["type"]) == asked.get(asked["type"])]
    return page(tx, "/v1/invoice_payments", found, params)


def get_payment(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/invoice_payments/{id}`."""
    found = tx.peek(key)
    return found if found is not None and found["object"] == "invoice_payment" else missing("invoice_payment", key)


def update_invoice(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/invoices/{id}`: metadata, and `auto_advance` or `description` of a draft."""
    found = need_invoice(tx, key)
    old = show(tx, found)
    for name in ("auto_advance", "description"):
        if name in params:
            if name == "description" and found["status"] != "draft":
                refuse_state("Finalized invoices can't be updated in this way.")
            found[name] = params[name]
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    update_event(tx, "invoice.updated", old, found)
    return found


def subscription_of(invoice: Obj) -> str | None:
    """The subscription that an invoice is of."""
    details = (invoice["parent"] or {}).get("subscription_details")
    return details["subscription"] if details else None


def refuse_state(message: str) -> None:
    """The invoice is not in a state for this."""
    raise Refused(message, code="invoice_not_editable")


def mark_uncollectible(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/invoices/{id}/mark_uncollectible`."""
    found = need_invoice(tx, key)
    if found["status"] != "open":
        bad(f"You can only pass in open invoices. This invoice is {found['status']}.", "invoice")
    write_off(tx, found)
    return found


def delete_invoice(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`DELETE /v1/invoices/{id}` of a draft."""
    found = need_invoice(tx, key)
    if found["status"] != "draft":
        bad("You can only delete draft invoices.", "invoice")
    tx.cut(key)
    emit(tx, "invoice.deleted", found)
    return {"id": key, "object": "invoice", "deleted": True}
