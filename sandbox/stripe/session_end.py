"""What a person does on the page of a Checkout session."""

from typing import Any

from sandbox.stripe.cards import BEHAVIOURS, DECLINES, make_method
from sandbox.stripe.checkout import details_of
from sandbox.stripe.collect import collect
from sandbox.stripe.customers import ADDRESS, add_tax_id, address_of, create_customer
from sandbox.stripe.errors import BadOrder
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.invoices import intent_of
from sandbox.stripe.ledger import effect
from sandbox.stripe.options import options_of
from sandbox.stripe.payments import Outcome
from sandbox.stripe.render import show
from sandbox.stripe.store import Obj, Tx
from sandbox.stripe.sub_calls import sub_fields
from sandbox.stripe.subs import ENDED, begin, make_sub

HOWS = (*BEHAVIOURS, "approve", "fail", "none")


def act(tx: Tx, session: Obj, how: str, form: dict[str, str]) -> str:
    """Do what the person chose; where the browser goes, or an empty string for the page again.

    `how` is a card's behaviour, `approve` or `fail` of 3-D Secure, or `none` where no card is asked for.
    """
    if session["status"] != "open":
        raise BadOrder(f"This session is {session['status']}.")
    if how not in HOWS:
        raise BadOrder(f"how must be one of {', '.join(HOWS)}.")
    if how in ("approve", "fail") and not session["_authenticating"]:
        raise BadOrder("Nothing waits for 3-D Secure.")
    session["_said"] = None
    if how == "authenticate":
        session |= {"_authenticating": True, "_filled_in": form}
        return ""
    if how in DECLINES and how != "delayed_fail":
        return _stay(tx, session, DECLINES[how][2])
    if how == "fail":
        return _stay(tx, session, "We are unable to authenticate your payment method. Please choose a different one.")
    free = session["amount_total"] == 0 and session["payment_method_collection"] == "if_required"
    if how == "none" and not free:
        return _stay(tx, session, "A card is needed.")
    if how == "approve":
        return _complete(tx, session, "authenticate", session["_filled_in"] | form)
    return _complete(tx, session, how, form)


def _stay(tx: Tx, session: Obj, said: str) -> str:
    session |= {"_said": said, "_authenticating": False}
    effect(tx, "checkout.session.declined", session)
    return ""


def _complete(tx: Tx, session: Obj, how: str, form: dict[str, str]) -> str:
    customer = _customer(tx, session, form)
    live = (one for one in tx.all("subscription") if one["customer"] == customer["id"] and one["status"] not in ENDED)
    if options_of(tx.store).one_subscription and any(live):
        return _stay(tx, session, "You already have a subscription.")
    data: dict[str, Any] = session["_params"].get("subscription_data", {})
    tax = session["_params"].get("automatic_tax", {})
    if tax.get("enabled") and not (customer["address"] or {}).get("country"):
        return _stay(tx, session, "Your address is needed for the tax.")
    method = None if how == "none" else make_method(tx, how, customer)
    fields = sub_fields(tx, customer, data | {"automatic_tax": tax})
    fields["default_payment_method"] = method["id"] if method else None
    bought = [(tx.the(price), quantity) for price, quantity in session["_bought"]]
    customer["currency"] = session["currency"]
    sub = make_sub(tx, customer, bought, session["currency"], fields)
    invoice = begin(tx, sub)
    intent = intent_of(tx, invoice)
    if intent is not None:
        intent["_approved"], intent["_session"] = how == "authenticate", session["id"]
    outcome = collect(tx, invoice)
    _close(tx, session, customer, sub, invoice, outcome)
    url: str = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
    return url


def _close(tx: Tx, session: Obj, customer: Obj, sub: Obj, invoice: Obj, outcome: Outcome) -> None:
    tax = sum(one["amount"] for one in invoice["total_taxes"])
    paid = "paid" if outcome == "paid" else "unpaid"
    session |= {
        "status": "complete",
        "payment_status": "no_payment_required" if invoice["total"] == 0 else paid,
        "subscription": sub["id"],
        "invoice": invoice["id"],
        "customer": customer["id"],
        "customer_details": details_of(tx, customer),
        "url": None,
        "amount_total": invoice["total"],
        "total_details": session["total_details"] | {"amount_tax": tax},
        "_authenticating": False,
    }
    if session["automatic_tax"]["enabled"]:
        session["automatic_tax"]["status"] = "complete"
    emit(tx, "checkout.session.completed", session)
    effect(tx, "checkout.session.completed", session, amount=invoice["total"], currency=session["currency"])


def _customer(tx: Tx, session: Obj, form: dict[str, str]) -> Obj:
    """The buyer, with what the form says where the session lets it."""
    if session["customer"] is None:
        given: dict[str, Any] = {"email": session["customer_email"] or form.get("email") or "someone@example.test"}
        customer = create_customer(tx, given)
        allowed = {"address": "auto", "name": "auto"}
    else:
        customer = tx.the(session["customer"])
        allowed = session["_params"].get("customer_update", {})
    old = show(tx, customer)
    address = {name: form[name] for name in ADDRESS if form.get(name)}
    if address and allowed.get("address") == "auto":
        customer["address"] = address_of(address)
    if form.get("name") and allowed.get("name") == "auto":
        customer["name"] = form["name"]
    update_event(tx, "customer.updated", old, customer)
    if session["tax_id_collection"]["enabled"] and form.get("tax_id"):
        add_tax_id(tx, customer, form.get("tax_id_type") or "eu_vat", form["tax_id"], "tax_id")
    return customer


def settle_session(tx: Tx, intent: Obj, outcome: Outcome) -> None:
    """The bank's late word about what was bought with a delayed payment method."""
    session = tx.get(intent.get("_session"))
    if session is None or session["payment_status"] != "unpaid":
        return
    if outcome == "paid":
        session["payment_status"] = "paid"
        emit(tx, "checkout.session.async_payment_succeeded", session)
    else:
        emit(tx, "checkout.session.async_payment_failed", session)
