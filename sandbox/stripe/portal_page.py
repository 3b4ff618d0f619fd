"""The page of the customer portal: cancel, resume, pause, switch the plan, a new card, the address."""

from html import escape
from typing import Any

from sandbox.stripe.cards import LAST4, default_method, make_default, make_method
from sandbox.stripe.catalogue import amount_in
from sandbox.stripe.customers import ADDRESS, add_tax_id, address_of
from sandbox.stripe.errors import BadOrder
from sandbox.stripe.events import update_event
from sandbox.stripe.html import button, document, field, money, said
from sandbox.stripe.render import show
from sandbox.stripe.store import Obj, Tx
from sandbox.stripe.sub_calls import cancel_sub, pause_sub, resume_sub, update_sub
from sandbox.stripe.subs import ENDED, set_sub

CARDS = ("ok", "decline", "insufficient_funds", "authenticate")


def live_subs(tx: Tx, customer_id: str) -> list[Obj]:
    """The customer's subscriptions that have not ended."""
    return [one for one in tx.all("subscription") if one["customer"] == customer_id and one["status"] not in ENDED]


def portal_page(tx: Tx, session: Obj, told: str | None = None) -> str:
    """The page as it is now, or the part of it that the session's flow is for."""
    features = tx.the(session["configuration"])["features"]
    only = (session["flow"] or {}).get("type")
    subs = live_subs(tx, session["customer"])
    parts = [_sub(tx, sub, features, only) for sub in subs]
    if features["payment_method_update"]["enabled"] and only in (None, "payment_method_update"):
        method = default_method(tx, session["customer"], subs[-1] if subs else None)
        number = (method or {}).get("card", {}).get("last4", "none")
        choices = "".join(button("card", card, f"Use card {LAST4[card]}") for card in CARDS)
        parts.append(f"<h2>Card</h2><p>Now: {escape(number)}</p>{_form('card', choices)}")
    if features["customer_update"]["enabled"] and only in (None, "customer_update"):
        parts.append(f"<h2>Billing details</h2>{_form('details', _details(tx, session, features))}")
    if features["invoice_history"]["enabled"] and only is None:
        parts.append(_invoices(tx, session["customer"]))
    back = session["return_url"]
    away = f'<p><a href="{escape(back)}">Return to SoundOps</a></p>' if back else ""
    note = '<p class="small">A stand-in for Stripe\'s customer portal. No money moves.</p>'
    return document("Billing", f"<h1>Billing</h1>{said(told)}{''.join(parts) or '<p>Nothing here.</p>'}{away}{note}")


def _form(act: str, inner: str, sub: str = "") -> str:
    hidden = f'<input type=hidden name=subscription value="{escape(sub)}">' if sub else ""
    return f'<form method=post><input type=hidden name=act value="{act}">{hidden}{inner}</form>'


def _sub(tx: Tx, sub: Obj, features: Obj, only: str | None) -> str:
    price = tx.the(sub["items"]["data"][0]["price"])
    name = escape(tx.the(price["product"])["name"])
    ending = " (ends with the period)" if sub["cancel_at_period_end"] else ""
    found = [f"<h2>{name}: {escape(sub['status'])}{ending}</h2>"]
    if features["subscription_cancel"]["enabled"] and only in (None, "subscription_cancel"):
        act, label = ("resume", "Don't cancel") if sub["cancel_at_period_end"] else ("cancel", "Cancel plan")
        found.append(_form(act, button("go", "1", label), sub["id"]))
    if features["subscription_pause"]["enabled"] and only in (None, "subscription_pause"):
        act, label = ("unpause", "Resume plan") if sub["status"] == "paused" else ("pause", "Pause plan")
        found.append(_form(act, button("go", "1", label), sub["id"]))
    if features["subscription_update"]["enabled"] and only in (None, "subscription_update"):
        choices = "".join(_choice(tx, sub, key) for key in _prices(features) if key != price["id"])
        found.append(_form("switch", choices, sub["id"]))
    if only == "subscription_update_confirm":
        found.append(_form("confirm", button("go", "1", "Confirm"), sub["id"]))
    return "".join(found)


def _choice(tx: Tx, sub: Obj, key: str) -> str:
    price = tx.the(key)
    name, every = tx.the(price["product"])["name"], price["recurring"]["interval"]
    return button("price", key, f"{name}, {money(amount_in(price, sub['currency']), sub['currency'])} a {every}")


def _prices(features: Obj) -> list[str]:
    return [price for one in features["subscription_update"]["products"] for price in one["prices"]]


def _details(tx: Tx, session: Obj, features: Obj) -> str:
    allowed = features["customer_update"]["allowed_updates"]
    customer = tx.the(session["customer"])
    asked = [field(name, name, customer[name] or "") for name in ("name", "email") if name in allowed]
    if "address" in allowed:
        asked += [field(name, name, (customer["address"] or {}).get(name) or "") for name in ADDRESS]
    if "tax_id" in allowed:
        asked.append(field("tax_id", "VAT id (eu_vat)"))
    return "".join(asked) + button("go", "1", "Save")


def _invoices(tx: Tx, customer_id: str) -> str:
    found = [one for one in tx.all("invoice") if one["customer"] == customer_id and one["hosted_invoice_url"]]
    rows = "".join(
        f'<li><a href="{escape(one["hosted_invoice_url"])}">{escape(one["number"])}</a> '
        f"{money(one['total'], one['currency'])}, {one['status']}</li>"
        for one in reversed(found)
    )
    return f"<h2>Invoices</h2><ul>{rows}</ul>"


def portal_act(tx: Tx, session: Obj, form: dict[str, str]) -> None:
    """Do what a button says, as far as the configuration lets a customer."""
    features = tx.the(session["configuration"])["features"]
    act = form.get("act", "")
    needed = NEEDS.get(act)
    if needed is None or not features[needed]["enabled"]:
        raise BadOrder("This page does not offer that.")
    if act == "card":
        _new_card(tx, session, form.get("card", "ok"))
    elif act == "details":
        _new_details(tx, session, form, features["customer_update"]["allowed_updates"])
    else:
        _change_sub(tx, session, act, form, features)


NEEDS = {
    "card": "payment_method_update",
    "details": "customer_update",
    "cancel": "subscription_cancel",
    "resume": "subscription_cancel",
    "pause": "subscription_pause",
    "unpause": "subscription_pause",
    "switch": "subscription_update",
    "confirm": "subscription_update",
}


def _change_sub(tx: Tx, session: Obj, act: str, form: dict[str, str], features: Obj) -> None:
    key = form.get("subscription", "")
    if key not in [sub["id"] for sub in live_subs(tx, session["customer"])]:
        raise BadOrder("There is no such subscription.")
    if act == "cancel" and features["subscription_cancel"]["mode"] == "immediately":
        cancel_sub(tx, {"prorate": features["subscription_cancel"]["proration_behavior"] != "none"}, key)
    elif act in ("cancel", "resume"):
        details = {"feedback": form["feedback"]} if form.get("feedback") else {}
        update_sub(tx, {"cancel_at_period_end": act == "cancel", "cancellation_details": details}, key)
    elif act == "pause":
        pause_sub(tx, {}, key)
    elif act == "unpause":
        resume_sub(tx, {"payment_behavior": "resume_on_payment_success"}, key)
    elif act == "switch":
        _switch(tx, key, form.get("price", ""), features)
    else:
        given = (session["flow"] or {}).get("subscription_update_confirm") or {}
        if given.get("subscription") != key:
            raise BadOrder("There is nothing to confirm.")
        update_sub(tx, _behavior(features) | {"items": given["items"]}, key)


def _switch(tx: Tx, key: str, price: str, features: Obj) -> None:
    if price not in _prices(features):
        raise BadOrder("This plan is not on offer.")
    item = tx.the(key)["items"]["data"][0]
    update_sub(tx, _behavior(features) | {"items": [{"id": item["id"], "price": price}]}, key)


def _behavior(features: Obj) -> dict[str, Any]:
    given: str = features["subscription_update"]["proration_behavior"]
    return {"proration_behavior": given, "payment_behavior": "pending_if_incomplete"}


def _new_card(tx: Tx, session: Obj, card: str) -> None:
    """A new card, for all that is charged from now on."""
    if card not in CARDS:
        raise BadOrder(f"card must be one of {', '.join(CARDS)}.")
    customer = tx.the(session["customer"])
    method = make_method(tx, card, customer)
    make_default(tx, customer, method)
    for sub in live_subs(tx, customer["id"]):
        if sub["default_payment_method"]:
            set_sub(tx, tx.the(sub["id"]), default_payment_method=method["id"])


def _new_details(tx: Tx, session: Obj, form: dict[str, str], allowed: list[str]) -> None:
    customer = tx.the(session["customer"])
    old = show(tx, customer)
    for name in ("name", "email"):
        if name in allowed and form.get(name):
            customer[name] = form[name]
    if "address" in allowed and form.get("country"):
        customer["address"] = address_of(form)
    update_event(tx, "customer.updated", old, customer)
    if "tax_id" in allowed and form.get("tax_id"):
        add_tax_id(tx, customer, form.get("tax_id_type") or "eu_vat", form["tax_id"], "tax_id")
