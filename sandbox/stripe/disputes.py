"""Disputes: a bank takes a payment back, until it is decided who is right."""

from typing import Any

from sandbox.stripe.errors import BadOrder, bad, missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.payments import need_charge
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

DUE_S = 9 * 86_400
FEE = 2000
CLOSED = ("won", "lost", "warning_closed", "prevented")
EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "uncategorized_text",
)


def open_dispute(tx: Tx, key: str, body: dict[str, Any]) -> Obj:
    """A customer's bank disputes a charge. An inquiry (`"inquiry": true`) takes no money yet."""
    charge = need_charge(tx, key)
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise BadOrder("Only a charge that has succeeded and is not disputed yet can be disputed.")
    inquiry = bool(body.get("inquiry"))
    made = whole(
        "dispute",
        new_id("du"),
        tx.now,
        amount=charge["amount_captured"],
        balance_transactions=[] if inquiry else [_movement(charge, -1)],
        charge=key,
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence=dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
        evidence_details={
            "due_by": tx.now + DUE_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=inquiry,
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": {"brand": "visa", "case_type": "chargeback"}, "type": "card"},
        reason=body.get("reason", "fraudulent"),
        status="warning_needs_response" if inquiry else "needs_response",
    )
    tx.add(made)
    charge |= {"disputed": True, "_refundable": inquiry}
    emit(tx, "charge.dispute.created", made)
    if not inquiry:
        emit(tx, "charge.dispute.funds_withdrawn", made)
    effect(tx, "dispute.created", made, amount=made["amount"], currency=made["currency"], customer=charge["customer"])
    return {"id": made["id"], "status": made["status"]}


def _movement(charge: Obj, sign: int) -> Obj:
    """What the dispute does to our balance, with its fee."""
    amount = sign * charge["amount_captured"]
    fee = FEE if sign < 0 else 0
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "currency": charge["currency"],
        "fee": fee,
        "net": amount - fee,
        "type": "adjustment",
    }


def decide(tx: Tx, key: str, body: dict[str, Any]) -> Obj:
    """The bank decides: `status` is `won`, `lost` or `warning_closed`."""
    found = need_dispute(tx, key)
    if found["status"] in CLOSED or body.get("status") not in CLOSED[:3]:
        raise BadOrder("status is won, lost or warning_closed, of a dispute that is open.")
    close_as(tx, found, body["status"])
    return {"id": key, "status": found["status"]}


def close_as(tx: Tx, found: Obj, status: str) -> None:
    """End a dispute."""
    charge = tx.the(found["charge"])
    found["status"] = status
    if status == "won":
        found["balance_transactions"] = [*found["balance_transactions"], _movement(charge, 1)]
        emit(tx, "charge.dispute.funds_reinstated", found)
    charge["_refundable"] = status != "lost"
    emit(tx, "charge.dispute.closed", found)
    effect(tx, "dispute.closed", found, customer=charge["customer"])


def need_dispute(tx: Tx, key: str) -> Obj:
    """A dispute."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "dispute" else missing("dispute", key)


def get_dispute(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/disputes/{id}`."""
    return need_dispute(tx, key)


def list_disputes(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/disputes`."""
    return page(tx, "/v1/disputes", matching(tx.all("dispute"), params, "charge", "created", "payment_intent"), params)


def update_dispute(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/disputes/{id}`: evidence is under review once it is submitted, which it is unless `submit` is false."""
    found = need_dispute(tx, key)
    old = show(tx, found)
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    if "evidence" in params:
        if found["status"] not in ("needs_response", "warning_needs_response"):
            bad("This dispute is already closed or under review.", "evidence")
        found["evidence"] |= params["evidence"]
        found["evidence_details"]["has_evidence"] = True
        if params.get("submit", True):
            found["evidence_details"]["submission_count"] += 1
            found["status"] = found["status"].replace("needs_response", "under_review")
    update_event(tx, "charge.dispute.updated", old, found)
    return found


def close_dispute(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/disputes/{id}/close`: we accept that it is lost."""
    found = need_dispute(tx, key)
    if found["status"] in CLOSED:
        bad("This dispute is already closed.")
    close_as(tx, found, "lost")
    return found
