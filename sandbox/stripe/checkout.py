"""Checkout sessions in subscription mode, as calls see them. What a person does on their page is in `session_end`."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from sandbox.stripe.catalogue import amount_in, need_price
from sandbox.stripe.customers import need_customer
from sandbox.stripe.errors import bad, missing
from sandbox.stripe.events import emit
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id
from sandbox.stripe.sub_calls import sub_fields
from sandbox.stripe.subs import ENDED

SHORTEST_S, LONGEST_S = 30 * 60, 24 * 3600
MOST_LINES = 20
COPIED = ("client_reference_id", "allow_promotion_codes", "locale", "allowed_payment_method_types")
KEPT = ("subscription_data", "customer_update", "automatic_tax")


def create_session(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/checkout/sessions`."""
    _check_kind(params)
    customer = need_customer(tx, params["customer"], "customer") if "customer" in params else None
    bought = _bought(tx, params)
    currency: str = params["currency"] if "currency" in params else bought[0][0]["currency"]
    _check_currency(tx, customer, currency)
    _check_tax(params, customer)
    key = new_id("cs_test", 58)
    lines = [_line(price, quantity, currency) for price, quantity in bought]
    made = whole(
        "checkout.session",
        key,
        tx.now,
        adaptive_pricing={"enabled": False},
        automatic_tax=_automatic_tax(params),
        amount_subtotal=sum(line["amount_subtotal"] for line in lines),
        cancel_url=params.get("cancel_url"),
        currency=currency,
        custom_fields=[],
        custom_text=dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        customer=customer["id"] if customer else None,
        customer_details=_details(tx, customer, params.get("customer_email")),
        customer_email=params.get("customer_email"),
        expires_at=_expiry(tx, params),
        metadata=merged({}, params.get("metadata")),
        mode="subscription",
        payment_method_collection=params.get("payment_method_collection", "always"),
        payment_method_types=["card", "sepa_debit"],
        payment_status="unpaid",
        phone_number_collection={"enabled": False},
        shipping_options=[],
        status="open",
        success_url=params["success_url"],
        tax_id_collection={"enabled": False, "required": "never"} | params.get("tax_id_collection", {}),
        ui_mode="hosted_page",
        url=f"{tx.store.base_url}/c/pay/{key}#{secrets.token_urlsafe(24)}",
        _lines=lines,
        _bought=[(price["id"], quantity) for price, quantity in bought],
        _params={name: params[name] for name in KEPT if name in params},
        _authenticating=False,
        _filled_in={},
        _said=None,
    )
    made |= {name: params[name] for name in COPIED if name in params}
    _check_subscription_data(tx, customer, params)
    _price_it(made)
    tx.add(made)
    effect(tx, "checkout.session.created", made)
    return made


def _check_kind(params: dict[str, Any]) -> None:
    if params.get("mode") != "subscription":
        bad("Only `mode=subscription` is served here.", "mode", "parameter_missing" if "mode" not in params else None)
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        bad("Only `ui_mode=hosted_page` is served here.", "ui_mode")
    if "customer" in params and "customer_email" in params:
        bad("You may only specify one of these parameters: customer, customer_email.", "customer")
    for name in ("success_url", "cancel_url"):
        if name in params and urlsplit(params[name]).scheme not in ("http", "https"):
            bad("Not a valid URL", name, "url_invalid")
    if "success_url" not in params:
        bad("Missing required param: success_url.", "success_url", "parameter_missing")
    if "payment_intent_data" in params:
        bad("You can not pass `payment_intent_data` in `subscription` mode.", "payment_intent_data")


def _bought(tx: Tx, params: dict[str, Any]) -> list[tuple[Obj, int]]:
    given = params.get("line_items") or []
    if not given:
        bad("Missing required param: line_items.", "line_items", "parameter_missing")
    if len(given) > MOST_LINES:
        bad(f"You may only specify up to {MOST_LINES} recurring line items.", "line_items")
    found = []
    for n, one in enumerate(given):
        path = f"line_items[{n}]"
        if "price" not in one:
            bad(f"Missing required param: {path}[price].", f"{path}[price]", "parameter_missing")
        price = need_price(tx, one["price"], f"{path}[price]")
        if not price["active"]:
            bad("The price specified is inactive. This field only accepts active prices.", f"{path}[price]")
        if not price["recurring"]:
            bad("You must provide at least one recurring price in `subscription` mode.", path)
        if one.get("quantity", 0) < 1:
            bad(f"Quantity is required. Add `quantity` to `{path}`", f"{path}[quantity]")
        found.append((price, one["quantity"]))
    return found


def _check_currency(tx: Tx, customer: Obj | None, currency: str) -> None:
    """A customer who has a subscription in one currency can buy nothing in another."""
    if customer is None:
        return
    live = (one for one in tx.all("subscription") if one["customer"] == customer["id"] and one["status"] not in ENDED)
    if any(one["currency"] != currency for one in live):
        bad(f"You cannot combine currencies on a single customer: {currency} is not the one of its subscription.")


def _check_tax(params: dict[str, Any], customer: Obj | None) -> None:
    update = params.get("customer_update", {})
    if customer is None:
        if update:
            bad("`customer_update` can only be used with `customer`.", "customer_update")
        return
    if params.get("tax_id_collection", {}).get("enabled") and update.get("name") != "auto":
        words = "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an"
        bad(f"{words} existing customer, please set `customer_update[name]` to `auto`.", "tax_id_collection")
    located = (customer["address"] or {}).get("country")
    if params.get("automatic_tax", {}).get("enabled") and not located and update.get("address") != "auto":
        words = "Automatic tax calculation in Checkout requires a valid address on the Customer."
        words += " Add one, or set `customer_update[address]` to 'auto'."
        bad(words, "automatic_tax", "customer_tax_location_invalid")


def _check_subscription_data(tx: Tx, customer: Obj | None, params: dict[str, Any]) -> None:
    data = params.get("subscription_data", {})
    if "trial_end" in data and data["trial_end"] < tx.now + 48 * 3600:
        bad("The `trial_end` date has to be at least 2 days in the future.", "subscription_data[trial_end]")
    sub_fields(tx, customer or {"address": None}, data)


def _expiry(tx: Tx, params: dict[str, Any]) -> int:
    at: int = params.get("expires_at", tx.now + LONGEST_S)
    if not tx.now + SHORTEST_S - 5 <= at <= tx.now + LONGEST_S + 5:
        bad("The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from creation.", "expires_at")
    return at


def _automatic_tax(params: dict[str, Any]) -> Obj:
    enabled = params.get("automatic_tax", {}).get("enabled", False)
    liability = {"type": "self"} if enabled else None
    status = "requires_location_inputs" if enabled else None
    return {"enabled": enabled, "liability": liability, "provider": "stripe" if enabled else None, "status": status}


def _line(price: Obj, quantity: int, currency: str) -> Obj:
    amount = amount_in(price, currency, "line_items") * quantity
    shown = {name: value for name, value in price.items() if not name.startswith("_")}
    return whole(
        "item",
        new_id("li"),
        None,
        amount_discount=0,
        amount_subtotal=amount,
        amount_tax=0,
        amount_total=amount,
        currency=currency,
        price=shown,
        quantity=quantity,
    )


def _price_it(session: Obj) -> None:
    """What is to be paid now: nothing in a trial. Tax comes with the address."""
    data = session["_params"].get("subscription_data", {})
    in_trial = "trial_period_days" in data or "trial_end" in data
    total = 0 if in_trial else session["amount_subtotal"]
    session |= {"amount_total": total, "amount_subtotal": total}
    session["total_details"] = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}


def _details(tx: Tx, customer: Obj | None, email: str | None) -> Obj | None:
    if customer is None:
        told = dict.fromkeys(("address", "business_name", "individual_name", "name", "phone"))
        return told | {"email": email, "tax_exempt": "none", "tax_ids": []} if email else None
    of_customer = (one for one in tx.all("tax_id") if one["customer"] == customer["id"])
    ids = [{"type": one["type"], "value": one["value"]} for one in of_customer]
    names = ("address", "business_name", "email", "individual_name", "name", "phone", "tax_exempt")
    return {name: customer[name] for name in names} | {"tax_ids": ids}


def details_of(tx: Tx, customer: Obj) -> Obj:
    """Who has bought, as the session tells it."""
    found = _details(tx, customer, None)
    assert found is not None
    return found


def need_session(tx: Tx, key: str) -> Obj:
    """A session."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "checkout.session" else missing("checkout.session", key)


def get_session(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/checkout/sessions/{id}`."""
    return need_session(tx, key)


def update_session(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/checkout/sessions/{id}`: its metadata."""
    found = need_session(tx, key)
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    return found


def list_sessions(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/checkout/sessions`."""
    names = ("created", "customer", "payment_intent", "status", "subscription")
    found = matching(tx.all("checkout.session"), params, *names)
    return page(tx, "/v1/checkout/sessions", found, params)


def list_session_lines(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/checkout/sessions/{id}/line_items`."""
    return page(tx, f"/v1/checkout/sessions/{key}/line_items", need_session(tx, key)["_lines"][::-1], params)


def expire(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/checkout/sessions/{id}/expire`."""
    found = need_session(tx, key)
    if found["status"] != "open":
        words = 'Only Checkout Sessions with a status in ["open"] can be expired.'
        bad(f"{words} This Checkout Session has a status of `{found['status']}`.")
    expire_session(tx, found)
    return found


def expire_session(tx: Tx, session: Obj) -> None:
    """Nobody can pay with it any more."""
    session |= {"status": "expired", "url": None, "_authenticating": False}
    emit(tx, "checkout.session.expired", session)
    effect(tx, "checkout.session.expired", session)
