"""Orders about one object: pay a session, let a card fail, settle a debit, fail a refund."""

from typing import Any

from sandbox.stripe.cards import default_method, make_default, make_method, set_behaviour
from sandbox.stripe.checkout import need_session
from sandbox.stripe.collect import collect, conclude
from sandbox.stripe.customers import need_customer
from sandbox.stripe.disputes import decide, open_dispute
from sandbox.stripe.errors import BadOrder
from sandbox.stripe.events import emit
from sandbox.stripe.invoices import intent_of, need_invoice
from sandbox.stripe.payments import settle, succeed
from sandbox.stripe.refunds import fail_refund, need_refund
from sandbox.stripe.session_end import act, settle_session
from sandbox.stripe.store import Obj, Tx


def pay_session(tx: Tx, key: str, body: dict[str, Any]) -> Obj:
    """Do on a session's page what `how` says; `goes_to` is where the browser goes then."""
    session = need_session(tx, key)
    form = {name: str(value) for name, value in body.items()}
    where = act(tx, session, body.get("how", "ok"), form)
    names = ("status", "payment_status", "subscription", "invoice", "customer")
    return {name: session[name] for name in names} | {"goes_to": where, "said": session["_said"]}


def set_card(tx: Tx, key: str, body: dict[str, Any]) -> Obj:
    """Let the card that is charged behave as `card` says; a customer without one gets one. With `pay` try again.

    With `exp_year` and `exp_month` the bank has renewed the card.
    """
    customer = need_customer(tx, key)
    behaviour = body.get("card", "ok")
    subs = [one for one in tx.all("subscription") if one["customer"] == key]
    methods = {m["id"]: m for sub in [*subs, None] if (m := default_method(tx, key, sub)) is not None}
    if not methods:
        made = make_method(tx, behaviour, customer)
        make_default(tx, customer, made)
        methods = {made["id"]: made}
    for method in methods.values():
        set_behaviour(tx, method, behaviour)
        if "exp_year" in body:
            method["card"] |= {"exp_month": int(body.get("exp_month", 1)), "exp_year": int(body["exp_year"])}
            emit(tx, "payment_method.automatically_updated", method)
    tried = _pay_all(tx, key) if body.get("pay") else {}
    return {"payment_methods": list(methods), "invoices": tried}


def _pay_all(tx: Tx, customer_id: str) -> dict[str, str]:
    waiting = [one["id"] for one in tx.all("invoice") if one["customer"] == customer_id and one["status"] == "open"]
    return {key: collect(tx, tx.the(key)) for key in waiting}


def approve(tx: Tx, key: str, body: dict[str, Any]) -> Obj:
    """The owner approves the 3-D Secure question of an open invoice."""
    invoice = need_invoice(tx, key)
    intent = intent_of(tx, invoice)
    if intent is None or intent["status"] != "requires_action":
        raise BadOrder("This invoice waits for no approval.")
    intent["_approved"] = True
    conclude(tx, invoice, succeed(tx, intent, tx.the(intent["payment_method"])))
    return {"status": invoice["status"]}


def settle_now(tx: Tx, key: str, body: dict[str, Any]) -> Obj:
    """Let the bank's late word about a debit come now: `how` is `succeed` or `fail`, or what its account does."""
    intent = tx.get(key)
    if intent is None or intent["object"] != "payment_intent" or intent["status"] != "processing":
        raise BadOrder("There is no such debit under way.")
    from_how = {"succeed": "delayed", "fail": "delayed_fail"}
    method = tx.the(intent["payment_method"])
    if "how" in body:
        if body["how"] not in from_how:
            raise BadOrder("how is succeed or fail.")
        method["_behaviour"] = from_how[body["how"]]
    outcome = settle(tx, intent)
    invoice = tx.get(intent.get("_invoice"))
    if invoice is not None:
        conclude(tx, invoice, outcome)
    settle_session(tx, intent, outcome)
    return {"outcome": outcome}


def refund_fails(tx: Tx, key: str, body: dict[str, Any]) -> Obj:
    """The bank sends a refund back."""
    found = need_refund(tx, key)
    fail_refund(tx, found, body.get("reason", "lost_or_stolen_card"))
    return {"status": found["status"]}


ACTS = {
    "/charges/{key}/dispute": open_dispute,
    "/disputes/{key}/decide": decide,
    "/checkout/{key}": pay_session,
    "/customers/{key}/card": set_card,
    "/invoices/{key}/approve": approve,
    "/payment_intents/{key}/settle": settle_now,
    "/refunds/{key}/fail": refund_fails,
}
