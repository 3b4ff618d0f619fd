"""Payment methods: how each of them behaves when it is charged."""

from typing import Any

from sandbox.stripe.customers import need_customer
from sandbox.stripe.errors import bad, missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

BEHAVIOURS = ("ok", "decline", "insufficient_funds", "expired", "authenticate", "delayed", "delayed_fail")
"""What a charge comes to: paid, refused, 3-D Secure asked for, or told only days later."""
LAST4 = {
    "ok": "4242",
    "decline": "0002",
    "insufficient_funds": "9995",
    "expired": "0069",
    "authenticate": "3184",
    "delayed": "3000",
    "delayed_fail": "3001",
}
TOKENS = {
    "pm_card_visa": "ok",
    "pm_card_chargeCustomerFail": "decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_authenticationRequired": "authenticate",
}
"""Stripe's own names for test cards, which can be attached like a payment method."""
TRY_LATER, NEEDS_3DS = "try_again_later", "authentication_required"
DECLINES = {
    "decline": ("card_declined", "generic_decline", "Your card was declined.", TRY_LATER),
    "insufficient_funds": ("card_declined", "insufficient_funds", "Your card has insufficient funds.", TRY_LATER),
    "expired": ("expired_card", None, "Your card has expired.", "confirm_card_data"),
    "authenticate": (NEEDS_3DS, NEEDS_3DS, "This payment requires authentication.", None),
    "delayed_fail": ("debit_not_authorized", None, "The customer's bank refused the debit.", None),
}


def make_method(tx: Tx, behaviour: str, customer: Obj | None) -> Obj:
    """A new card or bank debit of this behaviour, attached if it has a customer."""
    if behaviour not in BEHAVIOURS:
        bad(f"Invalid card: must be one of {', '.join(BEHAVIOURS)}", "payment_method")
    kind = "sepa_debit" if behaviour.startswith("delayed") else "card"
    person = customer or {}
    billing = {name: person.get(name) for name in ("address", "email", "name", "phone")} | {"tax_id": None}
    made = whole("payment_method", new_id("pm"), tx.now, type=kind, billing_details=billing, allow_redisplay="limited")
    others = [name for name, value in made.items() if value is None and name not in ("customer", "customer_account")]
    for name in others:
        del made[name]
    made[kind] = _details(behaviour)
    made["_behaviour"], made["_authenticated"] = behaviour, False
    tx.add(made)
    if customer is not None:
        made["customer"] = customer["id"]
        emit(tx, "payment_method.attached", made)
    return made


def _details(behaviour: str) -> Obj:
    last4 = LAST4[behaviour]
    if behaviour.startswith("delayed"):
        return {"bank_code": "19043", "branch_code": "", "country": "AT", "fingerprint": f"fp{last4}", "last4": last4}
    return {
        "brand": "visa",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": "visa",
        "exp_month": 11,
        "exp_year": 2030,
        "fingerprint": f"fp{last4}",
        "funding": "credit",
        "last4": last4,
        "networks": {"available": ["visa"], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def set_behaviour(tx: Tx, method: Obj, behaviour: str) -> None:
    """From now on this card behaves so; its number stays."""
    if behaviour not in BEHAVIOURS[:5]:
        bad(f"Invalid card: must be one of {', '.join(BEHAVIOURS[:5])}", "card")
    method["_behaviour"], method["_authenticated"] = behaviour, False


def default_method(tx: Tx, customer_id: str, sub: Obj | None = None) -> Obj | None:
    """The method that is charged: the subscription's, or else the customer's."""
    customer = tx.the(customer_id)
    of_sub = sub["default_payment_method"] if sub else None
    return tx.get(of_sub or customer["invoice_settings"]["default_payment_method"])


def make_default(tx: Tx, customer: Obj, method: Obj) -> None:
    """Charge this one from now on."""
    old = show(tx, customer)
    customer["invoice_settings"]["default_payment_method"] = method["id"]
    update_event(tx, "customer.updated", old, customer)


def need_method(tx: Tx, key: str, param: str = "id") -> Obj:
    """A payment method; one of Stripe's names for test cards makes a new one."""
    if key in TOKENS:
        return make_method(tx, TOKENS[key], None)
    found = tx.get(key)
    return found if found is not None and found["object"] == "payment_method" else missing("PaymentMethod", key, param)


def get_method(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/payment_methods/{id}`."""
    return need_method(tx, key)


def list_methods(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/payment_methods`."""
    return page(tx, "/v1/payment_methods", _attached(tx, params.get("customer"), params), params)


def list_customer_methods(tx: Tx, params: dict[str, Any], customer_id: str) -> Obj:
    """`GET /v1/customers/{id}/payment_methods`."""
    need_customer(tx, customer_id)
    found = _attached(tx, customer_id, params)
    return page(tx, f"/v1/customers/{customer_id}/payment_methods", found, params)


def _attached(tx: Tx, customer_id: str | None, params: dict[str, Any]) -> list[Obj]:
    attached = (one for one in tx.all("payment_method") if customer_id and one["customer"] == customer_id)
    return matching(attached, params, "type")


def attach(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/payment_methods/{id}/attach`."""
    if "customer" not in params:
        bad("Missing required param: customer.", "customer", "parameter_missing")
    customer = need_customer(tx, params["customer"], "customer")
    found = need_method(tx, key)
    if found["customer"] not in (None, customer["id"]):
        bad("The payment method you provided has already been attached to a customer.", "customer")
    if found["customer"] is None:
        found["customer"] = customer["id"]
        emit(tx, "payment_method.attached", found)
    return found


def detach(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/payment_methods/{id}/detach`."""
    found = need_method(tx, key)
    if found["customer"] is None:
        bad("The payment method you provided is not attached to a customer so detachment is impossible.", "id")
    detach_from(tx, found)
    return found


def detach_from(tx: Tx, method: Obj) -> None:
    """Take a method away from its customer."""
    customer = tx.the(method["customer"])
    if customer.get("invoice_settings", {}).get("default_payment_method") == method["id"]:
        customer["invoice_settings"]["default_payment_method"] = None
    method["customer"] = None
    emit(tx, "payment_method.detached", method)


def update_method(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/payment_methods/{id}`: its metadata."""
    found = need_method(tx, key)
    old = show(tx, found)
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    update_event(tx, "payment_method.updated", old, found)
    return found
