"""Refunds, which may also fail later: the money then comes back to us."""

from typing import Any

from sandbox.stripe.errors import Refused, bad, missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.payments import need_charge
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

SETTLES_AFTER_S = 2 * 86_400


def create_refund(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/refunds`, by charge or payment intent, of all that is left or of a part."""
    if ("charge" in params) == ("payment_intent" in params):
        bad("One of charge or payment_intent is needed.", "charge", "parameter_missing")
    if "payment_intent" in params:
        intent = tx.peek(params["payment_intent"])
        if intent is None or intent["object"] != "payment_intent":
            missing("payment_intent", params["payment_intent"], "payment_intent")
        if intent["status"] != "succeeded":
            bad("This PaymentIntent does not have a successful charge to refund.", "payment_intent")
        charge = need_charge(tx, intent["latest_charge"], "payment_intent")
    else:
        charge = need_charge(tx, params["charge"], "charge")
    return refund(tx, charge, params.get("amount"), params.get("reason"), merged({}, params.get("metadata")))


def refund(tx: Tx, charge: Obj, amount: int | None, reason: str | None, metadata: dict[str, str]) -> Obj:
    """Give money back. What was paid by bank debit is pending for some days."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left == 0:
        raise Refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if charge["disputed"] and not charge.get("_refundable", True):
        raise Refused(f"Charge {charge['id']} has been charged back.", code="charge_disputed")
    wanted = left if amount is None else amount
    if not 0 < wanted <= left:
        bad(f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left})", "amount")
    pending = "sepa_debit" in charge["payment_method_details"]
    made = whole(
        "refund",
        new_id("re"),
        tx.now,
        amount=wanted,
        balance_transaction=new_id("txn"),
        charge=charge["id"],
        currency=charge["currency"],
        destination_details={"type": "card", "card": {"reference_status": "pending", "type": "refund"}},
        metadata=metadata,
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="pending" if pending else "succeeded",
        _due_at=tx.now + SETTLES_AFTER_S if pending else None,
    )
    for name in ("failure_balance_transaction", "failure_reason", "instructions_email", "next_action"):
        made.pop(name, None)
    tx.add(made)
    charge["amount_refunded"] += wanted
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    emit(tx, "refund.created", made)
    emit(tx, "charge.refunded", charge)
    effect(tx, "refund.created", made, amount=wanted, currency=made["currency"], customer=charge["customer"])
    return made


def refund_step(tx: Tx, found: Obj) -> None:
    """The bank has paid it out."""
    old = show(tx, found)
    found |= {"status": "succeeded", "_due_at": None}
    update_event(tx, "refund.updated", old, found)


def fail_refund(tx: Tx, found: Obj, reason: str) -> None:
    """The bank has sent the money back, maybe long after the refund had succeeded."""
    if found["status"] in ("failed", "canceled"):
        bad(f"This refund is {found['status']}.")
    old = show(tx, found)
    found |= {"status": "failed", "_due_at": None, "failure_reason": reason}
    found["failure_balance_transaction"] = new_id("txn")
    charge = tx.the(found["charge"])
    charge["amount_refunded"] -= found["amount"]
    charge["refunded"] = False
    update_event(tx, "refund.updated", old, found)
    emit(tx, "refund.failed", found)
    effect(tx, "refund.failed", found, amount=found["amount"], currency=found["currency"], customer=charge["customer"])


def need_refund(tx: Tx, key: str) -> Obj:
    """A refund."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "refund" else missing("refund", key)


def get_refund(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/refunds/{id}`."""
    return need_refund(tx, key)


def update_refund(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/refunds/{id}`: its metadata."""
    found = need_refund(tx, key)
    old = show(tx, found)
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    update_event(tx, "refund.updated", old, found)
    return found


def list_refunds(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/refunds`."""
    return page(tx, "/v1/refunds", matching(tx.all("refund"), params, "charge", "created", "payment_intent"), params)
