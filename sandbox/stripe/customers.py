"""Customers and their tax ids."""

import secrets
from typing import Any

from sandbox.stripe.errors import Refused, bad, missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.places import COUNTRIES, TAX_ID_FORMS
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
PLAIN = ("business_name", "description", "email", "individual_name", "name", "phone", "preferred_locales")


def need_customer(tx: Tx, key: str, param: str = "id") -> Obj:
    """A customer that has not been deleted. The call goes on in the time of their test clock, if they have one."""
    found = tx.get(key)
    if found is None or found["object"] != "customer" or found.get("deleted"):
        missing("customer", key, param)
    clock = tx.peek(found["test_clock"])
    if clock:
        tx.now = clock["frozen_time"]
    return found


def create_customer(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/customers`."""
    made = whole(
        "customer",
        new_id("cus", 14),
        tx.now,
        balance=params.get("balance", 0),
        delinquent=False,
        invoice_prefix=secrets.token_hex(4).upper(),
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
    )
    if "test_clock" in params:
        clock = tx.peek(params["test_clock"])
        made["test_clock"] = clock["id"] if clock else missing("test_clock", params["test_clock"], "test_clock")
    if "payment_method" in params:
        bad("Attach the payment method in a call of its own.", "payment_method")
    tx.add(made)
    _take(tx, made, params)
    emit(tx, "customer.created", made)
    for datum in params.get("tax_id_data", []):
        add_tax_id(tx, made, datum["type"], datum["value"], "tax_id_data")
    effect(tx, "customer.created", made)
    return made


def _take(tx: Tx, customer: Obj, params: dict[str, Any]) -> None:
    for name in PLAIN:
        if name in params:
            customer[name] = params[name] if params[name] != "" else None
    if "email" in params and customer["email"] and "@" not in customer["email"]:
        bad(f"Invalid email address: {customer['email']}", "email", "email_invalid")
    if "address" in params:
        customer["address"] = address_of(params["address"])
    if "tax_exempt" in params:
        customer["tax_exempt"] = params["tax_exempt"] or "none"
    if "balance" in params:
        customer["balance"] = params["balance"]
    settings = params.get("invoice_settings", {})
    if "default_payment_method" in settings:
        method = tx.peek(settings["default_payment_method"])
        if settings["default_payment_method"] and (method is None or method["customer"] != customer["id"]):
            missing("PaymentMethod", settings["default_payment_method"], "invoice_settings[default_payment_method]")
        customer["invoice_settings"]["default_payment_method"] = method["id"] if method else None
    customer["metadata"] = merged(customer["metadata"], params.get("metadata"))


def address_of(given: Any) -> Obj | None:
    """An address as it was told, by a call or on a page. None where it is cleared."""
    if given == "":
        return None
    country = given.get("country")
    if country and country not in COUNTRIES:
        bad(f"Country '{country}' is unknown. Try using a 2-character alphanumeric country code.", "address[country]")
    return {name: given.get(name) or None for name in ADDRESS}


def update_customer(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/customers/{id}`."""
    found = need_customer(tx, key)
    old = show(tx, found)
    _take(tx, found, params)
    update_event(tx, "customer.updated", old, found)
    return found


def get_customer(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/customers/{id}`; a stub of one that was deleted."""
    found = tx.peek(key)
    return found if found is not None and found["object"] == "customer" else missing("customer", key)


def list_customers(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/customers`."""
    found = (one for one in tx.all("customer") if not one.get("deleted"))
    return page(tx, "/v1/customers", matching(found, params, "created", "email", "test_clock"), params)


def create_tax_id(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/customers/{id}/tax_ids`."""
    return add_tax_id(tx, need_customer(tx, key), params["type"], params["value"], "value")


def add_tax_id(tx: Tx, customer: Obj, kind: str, value: str, param: str) -> Obj:
    """Give a customer a tax id. Its verification ends a moment later, by an event."""
    form = TAX_ID_FORMS.get(kind)
    if form and not form.fullmatch(value):
        raise Refused(f"Invalid value for {kind}.", code="tax_id_invalid", param=param)
    of_customer = [one for one in tx.all("tax_id") if one["customer"] == customer["id"]]
    if len(of_customer) >= 5:
        bad("A customer can have at most five tax IDs.", param)
    if any((one["type"], one["value"]) == (kind, value) for one in of_customer):
        bad("This tax ID already exists for this customer.", param, "resource_already_exists")
    address = customer["address"] or {}
    made = whole(
        "tax_id",
        new_id("txi"),
        tx.now,
        country=value[:2] if kind == "eu_vat" else address.get("country"),
        customer=customer["id"],
        owner={"type": "customer", "customer": customer["id"]},
        type=kind,
        value=value,
        verification={"status": "pending", "verified_address": None, "verified_name": None},
        _verify_at=tx.now + 1,
    )
    tx.add(made)
    emit(tx, "customer.tax_id.created", made)
    effect(tx, "tax_id.created", made)
    return made


def verify_tax_id(tx: Tx, key: str) -> None:
    """End the verification. A value that ends in `000` is not to be found."""
    found = tx.the(key)
    old = show(tx, found)
    found["_verify_at"] = None
    status = "unverified" if found["value"].endswith("000") else "verified"
    name = (tx.the(found["customer"]).get("name") or "A company").upper()
    found["verification"] = {
        "status": status,
        "verified_address": "ON RECORD" if status == "verified" else None,
        "verified_name": name if status == "verified" else None,
    }
    update_event(tx, "customer.tax_id.updated", old, found)


def need_tax_id(tx: Tx, customer_id: str, key: str) -> Obj:
    """A tax id of this customer's."""
    found = tx.get(key)
    if found is None or found["object"] != "tax_id" or found["customer"] != customer_id:
        missing("tax_id", key)
    return found


def get_tax_id(tx: Tx, params: dict[str, Any], customer_id: str, key: str) -> Obj:
    """`GET /v1/customers/{id}/tax_ids/{id}`."""
    return need_tax_id(tx, customer_id, key)


def list_tax_ids(tx: Tx, params: dict[str, Any], customer_id: str) -> Obj:
    """`GET /v1/customers/{id}/tax_ids`."""
    need_customer(tx, customer_id)
    found = [one for one in tx.all("tax_id") if one["customer"] == customer_id]
    return page(tx, f"/v1/customers/{customer_id}/tax_ids", found, params)


def delete_tax_id(tx: Tx, params: dict[str, Any], customer_id: str, key: str) -> Obj:
    """`DELETE /v1/customers/{id}/tax_ids/{id}`."""
    need_customer(tx, customer_id)
    found = need_tax_id(tx, customer_id, key)
    tx.cut(key)
    emit(tx, "customer.tax_id.deleted", found)
    effect(tx, "tax_id.deleted", found)
    return {"id": key, "object": "tax_id", "deleted": True}
