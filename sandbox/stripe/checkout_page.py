"""The page of a Checkout session: pay, be declined, be asked for 3-D Secure, pay by bank debit, or go back."""

from html import escape

from sandbox.stripe.html import button, document, field, money, said
from sandbox.stripe.store import Obj, Tx

CARDS = (
    ("ok", "Pay by card 4242"),
    ("decline", "Card that is declined"),
    ("insufficient_funds", "Card without funds"),
    ("authenticate", "Card that needs 3-D Secure"),
    ("delayed", "Bank debit that succeeds later"),
    ("delayed_fail", "Bank debit that fails later"),
)

ADDRESS = (
    ("country", "Country, two letters"),
    ("postal_code", "Postal code"),
    ("line1", "Street"),
    ("city", "City"),
)


def checkout_page(tx: Tx, session: Obj) -> str:
    """The page as it is now."""
    if session["status"] == "complete":
        return document("Paid", "<h1>You're all done here</h1><p>You have already completed this payment.</p>")
    if session["status"] == "expired":
        return document("Expired", "<h1>This page has expired</h1><p>Your session has timed out.</p>")
    if session["_authenticating"]:
        choice = button("how", "approve", "Approve") + button("how", "fail", "Fail")
        return document("3-D Secure", f"<h1>Your bank asks: is it you?</h1><form method=post>{choice}</form>")
    rows = "".join(
        f"<li>{line['quantity']} × {escape(_name(tx, line))}: {money(line['amount_subtotal'], line['currency'])}</li>"
        for line in session["_lines"]
    )
    trial = session["amount_total"] == 0
    total = money(session["amount_total"], session["currency"])
    title = f"Start your trial, {total} today" if trial else f"Subscribe for {total}"
    choices = "".join(button("how", how, label) for how, label in CARDS)
    if trial and session["payment_method_collection"] == "if_required":
        choices = button("how", "none", "Start without a card") + choices
    form = f"<form method=post>{_fields(session)}{choices}</form>"
    back = session["cancel_url"]
    away = f'<p><a href="{escape(back)}">Back</a></p>' if back else ""
    note = '<p class="small">A stand-in for Stripe Checkout. No money moves.</p>'
    return document("Checkout", f"<h1>{title}</h1><ul>{rows}</ul>{said(session['_said'])}{form}{away}{note}")


def _name(tx: Tx, line: Obj) -> str:
    product = tx.peek(line["price"]["product"])
    return product["name"] if product else "?"


def _fields(session: Obj) -> str:
    details = session["customer_details"] or {}
    address = details.get("address") or {}
    asked = [] if session["customer"] else [field("email", "E-mail", session["customer_email"] or "")]
    if session["customer"] is None or session["_params"].get("customer_update", {}).get("name"):
        asked.append(field("name", "Name", details.get("name") or ""))
    if session["customer"] is None or session["_params"].get("customer_update", {}).get("address"):
        asked += [field(name, label, address.get(name) or "") for name, label in ADDRESS]
    if session["tax_id_collection"]["enabled"]:
        asked.append(field("tax_id", "VAT id (eu_vat)"))
    return "".join(asked)
