"""Products and prices."""

from decimal import Decimal
from typing import Any

from sandbox.stripe.errors import Refused, bad, missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

_CODES = "usd eur gbp jpy chf sek nok dkk pln czk huf ron bgn cad aud nzd sgd hkd krw brl mxn zar kwd bhd jod omr tnd"
CURRENCIES = frozenset(_CODES.split())


def need_product(tx: Tx, key: str, param: str = "id") -> Obj:
    """A product."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "product" else missing("product", key, param)


def need_price(tx: Tx, key: str, param: str = "id") -> Obj:
    """A price."""
    found = tx.get(key)
    return found if found is not None and found["object"] == "price" else missing("price", key, param)


def create_product(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/products`."""
    wanted = params.get("id") or new_id("prod", 14)
    if tx.peek(wanted):
        bad(f"Product already exists: {wanted}", "id", "resource_already_exists")
    if "default_price_data" in params:
        bad("default_price_data is not served here: make the price by itself.", "default_price_data")
    made = whole("product", wanted, tx.now, active=True, images=[], marketing_features=[], type="service")
    made["updated"] = tx.now
    made |= {name: params[name] for name in PRODUCT_FIELDS if name in params} | {"name": params["name"]}
    made["metadata"] = merged({}, params.get("metadata"))
    tx.add(made)
    emit(tx, "product.created", made)
    effect(tx, "product.created", made)
    return made


PRODUCT_FIELDS = ("active", "description", "images", "marketing_features", "tax_code", "unit_label", "url")


def update_product(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/products/{id}`."""
    found = need_product(tx, key)
    old = show(tx, found)
    for name in (*PRODUCT_FIELDS, "name", "default_price"):
        if name in params:
            found[name] = params[name] if params[name] != "" else None
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    found["updated"] = tx.now
    update_event(tx, "product.updated", old, found)
    return found


def get_product(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/products/{id}`."""
    return need_product(tx, key)


def list_products(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/products`."""
    found = matching(tx.all("product"), params, "active", "created", "url")
    if "ids" in params:
        found = [one for one in found if one["id"] in params["ids"]]
    return page(tx, "/v1/products", found, params)


def delete_product(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`DELETE /v1/products/{id}`."""
    found = need_product(tx, key)
    if any(price["product"] == key for price in tx.all("price")):
        bad("This product cannot be deleted because it has one or more user-created prices.", "id")
    tx.cut(key)
    emit(tx, "product.deleted", found)
    return {"id": key, "object": "product", "deleted": True}


def create_price(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/prices`."""
    if "product" not in params:
        bad("Missing required param: product.", "product", "parameter_missing")
    need_product(tx, params["product"], "product")
    currency = _currency(params["currency"], "currency")
    main = _amount(params, currency, params.get("tax_behavior", "unspecified"), "")
    options = {currency: dict(main)}
    for name, option in params.get("currency_options", {}).items():
        options[_currency(name, "currency_options")] = _amount(
            option, name, option.get("tax_behavior", "unspecified"), f"currency_options[{name}]"
        )
    made = whole("price", new_id("price"), tx.now, active=params.get("active", True), billing_scheme="per_unit")
    made |= main | {"currency": currency, "product": params["product"], "_currency_options": options}
    made |= {"nickname": params.get("nickname"), "type": "one_time", "metadata": merged({}, params.get("metadata"))}
    every = params.get("recurring")
    if every:
        recurring = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"} | every
        made |= {"type": "recurring", "recurring": recurring}
    tx.add(made)
    _take_lookup_key(tx, made, params)
    emit(tx, "price.created", made)
    effect(tx, "price.created", made)
    return made


def _currency(code: str, param: str) -> str:
    if code != code.lower() or code not in CURRENCIES:
        bad(f"Invalid currency: {code}. Stripe currently supports these currencies: {_CODES}", param)
    return code


def _amount(given: dict[str, Any], currency: str, tax_behavior: str, path: str) -> dict[str, Any]:
    """`unit_amount` and `unit_amount_decimal`, which may have twelve places."""
    if ("unit_amount" in given) == ("unit_amount_decimal" in given):
        bad("Prices require one of `unit_amount` or `unit_amount_decimal`.", path or "unit_amount", "parameter_missing")
    exact = Decimal(given["unit_amount"] if "unit_amount" in given else given["unit_amount_decimal"])
    if exact < 0:
        bad("Invalid non-negative integer", f"{path}[unit_amount]" if path else "unit_amount")
    if currency in ("kwd", "bhd", "jod", "omr", "tnd") and exact % 10:
        bad("Amounts in three-decimal currencies must end in 0.", path or "unit_amount")
    amount = int(exact) if exact == exact.to_integral_value() else None
    plain = f"{exact:f}"
    return {
        "unit_amount": amount,
        "unit_amount_decimal": str(amount) if amount is not None else plain,
        "tax_behavior": tax_behavior,
        "custom_unit_amount": None,
    }


def _take_lookup_key(tx: Tx, price: Obj, params: dict[str, Any]) -> None:
    """Give the price its key, taken from the price that has it where the call says so."""
    if "lookup_key" not in params:
        return
    key = params["lookup_key"] or None
    if key and len(key) > 200:
        bad("Invalid string: must be at most 200 characters", "lookup_key")
    others = (one for one in tx.all("price") if one["id"] != price["id"])
    holder = next((one for one in others if key and one["lookup_key"] == key), None)
    if holder and not params.get("transfer_lookup_key"):
        raise Refused(
            f"A price (`{holder['id']}`) already uses that lookup key.",
            code="resource_already_exists",
            param="lookup_key",
        )
    if holder:
        loser = tx.the(holder["id"])
        old = show(tx, loser)
        loser["lookup_key"] = None
        update_event(tx, "price.updated", old, loser)
    price["lookup_key"] = key


def update_price(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/prices/{id}`: all but the amount of its own currency."""
    found = need_price(tx, key)
    old = show(tx, found)
    for name in ("active", "nickname"):
        if name in params:
            found[name] = params[name]
    if "tax_behavior" in params and params["tax_behavior"] != found["tax_behavior"]:
        if found["tax_behavior"] != "unspecified":
            bad("The tax behavior of a price cannot be changed once it is inclusive or exclusive.", "tax_behavior")
        found["tax_behavior"] = params["tax_behavior"]
    for name, option in (params.get("currency_options") or {}).items():
        if name == found["currency"]:
            bad("You cannot update the amount of the price's own currency.", f"currency_options[{name}]")
        behavior = option.get("tax_behavior", "unspecified")
        found["_currency_options"][_currency(name, "currency_options")] = _amount(
            option, name, behavior, f"currency_options[{name}]"
        )
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    _take_lookup_key(tx, found, params)
    update_event(tx, "price.updated", old, found)
    return found


def get_price(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/prices/{id}`."""
    return need_price(tx, key)


def list_prices(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/prices`."""
    found = matching(tx.all("price"), params, "active", "created", "currency", "product", "type")
    if "lookup_keys" in params:
        if len(params["lookup_keys"]) > 10:
            bad("You may only specify up to 10 lookup_keys.", "lookup_keys")
        found = [one for one in found if one["lookup_key"] in params["lookup_keys"]]
    asked = params.get("recurring", {})
    found = [one for one in found if all((one["recurring"] or {}).get(name) == value for name, value in asked.items())]
    return page(tx, "/v1/prices", found, params)


def amount_in(price: Obj, currency: str, param: str = "currency") -> int:
    """What one unit costs in this currency, in its smallest unit."""
    option = price["_currency_options"].get(currency)
    if option is None:
        bad(f"The price specified does not support the currency {currency}.", param)
    if option["unit_amount"] is None:
        return round(Decimal(option["unit_amount_decimal"]))
    amount: int = option["unit_amount"]
    return amount
