"""Payment intents and charges."""

from typing import Any, Literal

from sandbox.stripe.cards import DECLINES
from sandbox.stripe.customers import need_customer
from sandbox.stripe.errors import bad, missing
from sandbox.stripe.events import emit
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

SETTLES_AFTER_S = 3 * 86_400
Outcome = Literal["paid", "processing", "action", "failed"]


def make_intent(tx: Tx, customer: Obj, amount: int, currency: str, **fields: Any) -> Obj:
    """A payment intent that waits for its payment method."""
    key = new_id("pi")
    made = whole(
        "payment_intent",
        key,
        tx.now,
        amount=amount,
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        automatic_payment_methods=None,
        capture_method="automatic",
        client_secret=f"{key}_secret_{new_id('x')[2:]}",
        confirmation_method="automatic",
        currency=currency,
        customer=customer["id"],
        payment_method_types=["card", "sepa_debit"],
        setup_future_usage="off_session",
        status="requires_payment_method",
        _settle_at=None,
    )
    made |= fields
    tx.add(made)
    emit(tx, "payment_intent.created", made)
    return made


def attempt(tx: Tx, intent: Obj, method: Obj | None) -> Outcome:
    """Try to take the money. A method that asks for 3-D Secure is paid once its owner has approved."""
    if method is None:
        return _refuse(tx, intent, None, ("payment_method_missing", None, "There is no payment method.", None))
    intent["payment_method"] = method["id"]
    behaviour = method["_behaviour"]
    if behaviour == "authenticate" and not intent.get("_approved"):
        intent["status"] = "requires_action"
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        emit(tx, "payment_intent.requires_action", intent)
        return "action"
    if behaviour.startswith("delayed"):
        intent |= {"status": "processing", "_settle_at": tx.now + SETTLES_AFTER_S}
        _charge(tx, intent, method, "pending")
        emit(tx, "payment_intent.processing", intent)
        return "processing"
    if behaviour in ("ok", "authenticate"):
        return succeed(tx, intent, method)
    return _refuse(tx, intent, method, DECLINES[behaviour])


def succeed(tx: Tx, intent: Obj, method: Obj) -> Outcome:
    """The money has come."""
    charge = tx.get(intent["latest_charge"])
    if charge is None or charge["status"] != "pending":
        charge = _charge(tx, intent, method, "succeeded")
    charge |= {"status": "succeeded", "paid": True, "amount_captured": intent["amount"], "captured": True}
    charge["balance_transaction"] = new_id("txn")
    emit(tx, "charge.succeeded", charge)
    intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    intent |= {"next_action": None, "last_payment_error": None, "_settle_at": None}
    emit(tx, "payment_intent.succeeded", intent)
    effect(tx, "charge.succeeded", charge, amount=intent["amount"], currency=intent["currency"])
    return "paid"


def settle(tx: Tx, intent: Obj) -> Outcome:
    """The bank's late word about a debit."""
    method = tx.the(intent["payment_method"])
    if method["_behaviour"] == "delayed_fail":
        return _refuse(tx, intent, method, DECLINES["delayed_fail"])
    return succeed(tx, intent, method)


def _refuse(tx: Tx, intent: Obj, method: Obj | None, decline: tuple[str, str | None, str, str | None]) -> Outcome:
    code, decline_code, message, advice = decline
    error = {"code": code, "decline_code": decline_code, "message": message, "advice_code": advice}
    error["type"] = "card_error"
    shown: Obj = {name: value for name, value in error.items() if value is not None}
    if method is not None:
        charge = tx.get(intent["latest_charge"])
        if charge is None or charge["status"] != "pending":
            charge = _charge(tx, intent, method, "failed")
        charge |= {"status": "failed", "failure_code": code, "failure_message": message}
        charge["outcome"] = {"type": "issuer_declined", "reason": decline_code, "network_status": "declined_by_network"}
        emit(tx, "charge.failed", charge)
        shown["charge"] = charge["id"]
        shown["payment_method"] = show(tx, method)
    intent |= {"status": "requires_payment_method", "last_payment_error": shown, "next_action": None}
    intent |= {"payment_method": None, "_settle_at": None}
    emit(tx, "payment_intent.payment_failed", intent)
    return "failed"


def _charge(tx: Tx, intent: Obj, method: Obj, status: str) -> Obj:
    key = new_id("ch")
    made = whole(
        "charge",
        key,
        tx.now,
        amount=intent["amount"],
        amount_captured=0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        captured=False,
        currency=intent["currency"],
        customer=intent["customer"],
        disputed=False,
        paid=False,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"type": method["type"], method["type"]: method[method["type"]]},
        receipt_url=f"https://pay.stripe.test/receipts/{key}",
        refunded=False,
        status=status,
    )
    made["metadata"] = dict(intent["metadata"])
    intent["latest_charge"] = key
    return tx.add(made)


def cancel_intent(tx: Tx, intent: Obj) -> None:
    """Nothing more will be paid with it."""
    if intent["status"] not in ("succeeded", "canceled"):
        intent |= {"status": "canceled", "canceled_at": tx.now, "cancellation_reason": "void_invoice"}
        intent["_settle_at"] = None
        emit(tx, "payment_intent.canceled", intent)


def get_intent(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/payment_intents/{id}`."""
    found = tx.peek(key)
    return found if found is not None and found["object"] == "payment_intent" else missing("payment_intent", key)


def list_intents(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/payment_intents`."""
    return page(tx, "/v1/payment_intents", matching(tx.all("payment_intent"), params, "created", "customer"), params)


def need_charge(tx: Tx, key: str, param: str = "id") -> Obj:
    """A charge."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "charge" else missing("charge", key, param)


def get_charge(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/charges/{id}`."""
    return need_charge(tx, key)


def list_charges(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/charges`."""
    found = matching(tx.all("charge"), params, "created", "customer", "payment_intent")
    return page(tx, "/v1/charges", found, params)


def create_intent(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/payment_intents`, to be confirmed by nobody: for a payment outside of subscriptions."""
    if "customer" not in params:
        bad("A customer is needed here.", "customer")
    if params["amount"] < 1:
        bad("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    customer = need_customer(tx, params["customer"], "customer")
    made = make_intent(tx, customer, params["amount"], params["currency"], metadata=merged({}, params.get("metadata")))
    effect(tx, "payment_intent.created", made, amount=made["amount"], currency=made["currency"])
    return made
