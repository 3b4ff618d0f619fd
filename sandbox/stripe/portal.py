"""The customer portal: its configurations, and sessions that lead to its page."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from sandbox.stripe.catalogue import need_price, need_product
from sandbox.stripe.customers import need_customer
from sandbox.stripe.errors import bad, missing
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.ledger import effect
from sandbox.stripe.lists import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.render import show
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id
from sandbox.stripe.subs import need_sub

LIVES_S = 3600
"""How long a session's page can be used."""
FEATURES: dict[str, Obj] = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": ["too_expensive", "unused", "other"]},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


def create_configuration(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/billing_portal/configurations`. The first one is the default."""
    made = whole(
        "billing_portal.configuration",
        new_id("bpc"),
        tx.now,
        active=True,
        business_profile=dict.fromkeys(("headline", "privacy_policy_url", "terms_of_service_url")),
        features={name: dict(feature) for name, feature in FEATURES.items()},
        is_default=not any(True for _ in tx.all("billing_portal.configuration")),
        login_page={"enabled": False, "url": None},
        updated=tx.now,
    )
    _take(tx, made, params)
    tx.add(made)
    emit(tx, "billing_portal.configuration.created", made)
    effect(tx, "billing_portal.configuration.created", made)
    return made


def _take(tx: Tx, found: Obj, params: dict[str, Any]) -> None:
    found["business_profile"] |= params.get("business_profile") or {}
    for name in ("active", "default_return_url", "name"):
        if name in params:
            found[name] = params[name] or (None if name != "active" else False)
    for name, given in params.get("features", {}).items():
        found["features"][name] = found["features"][name] | given
    update = found["features"]["subscription_update"]
    for n, one in enumerate(update["products"] or []):
        path = f"features[subscription_update][products][{n}]"
        need_product(tx, one["product"], f"{path}[product]")
        for price in one["prices"]:
            if need_price(tx, price, f"{path}[prices]")["product"] != one["product"]:
                bad("The price is not of this product.", f"{path}[prices]")
    if update["enabled"] and not update["products"]:
        bad("`products` is required when subscription_update is enabled.", "features[subscription_update][products]")
    found["metadata"] = merged(found["metadata"], params.get("metadata"))
    found["updated"] = tx.now


def need_configuration(tx: Tx, key: str, param: str = "id") -> Obj:
    """A configuration."""
    found = tx.get(key)
    if found is None or found["object"] != "billing_portal.configuration":
        missing("configuration", key, param)
    return found


def get_configuration(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`GET /v1/billing_portal/configurations/{id}`."""
    return need_configuration(tx, key)


def update_configuration(tx: Tx, params: dict[str, Any], key: str) -> Obj:
    """`POST /v1/billing_portal/configurations/{id}`."""
    found = need_configuration(tx, key)
    old = show(tx, found)
    _take(tx, found, params)
    update_event(tx, "billing_portal.configuration.updated", old, found)
    return found


def list_configurations(tx: Tx, params: dict[str, Any]) -> Obj:
    """`GET /v1/billing_portal/configurations`."""
    found = matching(tx.all("billing_portal.configuration"), params, "active", "is_default")
    return page(tx, "/v1/billing_portal/configurations", found, params)


def create_portal_session(tx: Tx, params: dict[str, Any]) -> Obj:
    """`POST /v1/billing_portal/sessions`."""
    if "customer" not in params:
        bad("Missing required param: customer.", "customer", "parameter_missing")
    customer = need_customer(tx, params["customer"], "customer")
    configuration = _configuration(tx, params)
    back = params.get("return_url") or configuration["default_return_url"]
    if "return_url" in params and urlsplit(params["return_url"]).scheme not in ("http", "https"):
        bad("Not a valid URL", "return_url", "url_invalid")
    made = whole(
        "billing_portal.session",
        new_id("bps"),
        tx.now,
        configuration=configuration["id"],
        customer=customer["id"],
        flow=_flow(tx, customer, configuration, params.get("flow_data")),
        locale=params.get("locale"),
        return_url=back,
        url=f"{tx.store.base_url}/p/session/{secrets.token_urlsafe(32)}",
        _until=tx.store.now() + LIVES_S,
    )
    tx.add(made)
    tx.add({"id": f"portal:{made['url'].rpartition('/')[2]}", "object": "_portal", "session": made["id"]})
    emit(tx, "billing_portal.session.created", made | {"url": "https://billing.stripe.com/p/session/hidden"})
    effect(tx, "billing_portal.session.created", made)
    return made


def _configuration(tx: Tx, params: dict[str, Any]) -> Obj:
    if "configuration" in params:
        return need_configuration(tx, params["configuration"], "configuration")
    default = next((one for one in tx.all("billing_portal.configuration") if one["is_default"]), None)
    if default is None:
        bad(
            "You can’t create a portal session in test mode until you save your customer portal settings in test mode, "
            "or give a configuration."
        )
    return default


def _flow(tx: Tx, customer: Obj, configuration: Obj, given: Any) -> Obj | None:
    """The one thing that this session is for."""
    if not given:
        return None
    kind = given["type"]
    names = ("subscription_cancel", "subscription_pause", "subscription_update", "subscription_update_confirm")
    feature = "subscription_update" if kind == "subscription_update_confirm" else kind
    if not configuration["features"].get(feature, {}).get("enabled"):
        bad(f"This flow is not enabled in the configuration: {kind}.", "flow_data[type]")
    if kind in names:
        if kind not in given:
            bad(f"Missing required param: flow_data[{kind}].", f"flow_data[{kind}]", "parameter_missing")
        sub = need_sub(tx, given[kind]["subscription"], f"flow_data[{kind}][subscription]")
        if sub["customer"] != customer["id"]:
            missing("subscription", sub["id"], f"flow_data[{kind}][subscription]")
    after = {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}
    return {"after_completion": after | given.get("after_completion", {}), "type": kind} | {
        name: given.get(name) for name in names
    }
