"""Lines of invoices: what is billed for which time, and the tax on it."""

from typing import Any

from sandbox.stripe.catalogue import amount_in
from sandbox.stripe.places import EU
from sandbox.stripe.skeleton import whole
from sandbox.stripe.store import Obj, Tx, new_id

RATES = {"DE": 190, "FR": 200, "GB": 200, "IT": 220, "ES": 210, "NL": 210, "AT": 200, "IE": 230, "JP": 100, "CH": 81}
"""Tax by country, in thousandths, for automatic tax; nothing is due in any other country."""
HOME = "DE"
"""Where our account is: a company elsewhere in the EU that has a VAT id owes the tax itself."""


def whole_period(tx: Tx, sub: Obj, item: Obj, *, trial: bool = False) -> Obj:
    """An item's whole period; a trial costs nothing."""
    price = tx.the(item["price"])
    name = tx.the(price["product"])["name"]
    quantity = item["quantity"]
    unit = 0 if trial else amount_in(price, sub["currency"])
    every = price["recurring"]["interval"]
    words = f"Trial period for {name}" if trial else f"{quantity} × {name} (at {unit} / {every})"
    span = (item["current_period_start"], item["current_period_end"])
    return line(tx, sub, item, price, unit * quantity, words, span, proration=False)


def line(
    tx: Tx,
    sub: Obj,
    item: Obj,
    price: Obj,
    amount: int,
    words: str,
    span: tuple[int, int],
    *,
    proration: bool,
) -> Obj:
    """One line, without its tax."""
    quantity = item["quantity"]
    details = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": sub["id"],
        "subscription_item": item["id"],
    }
    return whole(
        "line_item",
        new_id("il"),
        None,
        amount=amount,
        currency=sub["currency"],
        description=words,
        discount_amounts=[],
        discountable=not proration,
        discounts=[],
        metadata=dict(sub["metadata"]),
        parent={
            "type": "subscription_item_details",
            "subscription_item_details": details,
            "invoice_item_details": None,
        },
        period={"start": span[0], "end": span[1]},
        pretax_credit_amounts=[],
        pricing={
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": str(amount_in(price, sub["currency"])),
        },
        quantity=quantity,
        quantity_decimal=str(quantity),
        subtotal=amount,
        subscription=sub["id"],
        taxes=[],
        _tax_behavior=price["tax_behavior"],
    )


def prorated(tx: Tx, sub: Obj, old: Obj, new: Obj, at: int) -> list[Obj]:
    """The unused time of what an item was, given back, and the remaining time of what it becomes."""
    start, end = old["current_period_start"], old["current_period_end"]
    left, length = max(0, end - at), max(1, end - start)
    found = []
    for item, sign, word in ((old, -1, "Unused"), (new, 1, "Remaining")):
        price = tx.the(item["price"])
        full = amount_in(price, sub["currency"]) * item["quantity"]
        amount = sign * ((full * left * 2 + length) // (2 * length))
        words = f"{word} time on {tx.the(price['product'])['name']} after {at}"
        found.append(line(tx, sub, item, price, amount, words, (at, end), proration=True))
    return found


def tax(tx: Tx, customer: Obj, found: list[Obj]) -> list[Obj]:
    """Put the tax on the lines; their sum, as `total_taxes`."""
    country = (customer["address"] or {}).get("country")
    thousandths = RATES.get(country or "", 0)
    has_vat = any(one["customer"] == customer["id"] and one["type"] == "eu_vat" for one in tx.all("tax_id"))
    reason = "standard_rated" if thousandths else "not_collecting"
    if customer["tax_exempt"] == "exempt":
        thousandths, reason = 0, "customer_exempt"
    elif customer["tax_exempt"] == "reverse" or (has_vat and country in EU and country != HOME):
        thousandths, reason = 0, "reverse_charge"
    sums: dict[str, Obj] = {}
    for one in found:
        behavior = "inclusive" if one["_tax_behavior"] == "inclusive" else "exclusive"
        whole_part = 1000 + thousandths if behavior == "inclusive" else 1000
        amount = _share(one["amount"], thousandths, whole_part)
        taxable = one["amount"] - (amount if behavior == "inclusive" else 0)
        told: dict[str, Any] = {
            "amount": amount,
            "tax_behavior": behavior,
            "tax_rate_details": {"tax_rate": f"txr_{country or 'none'}_{thousandths}"},
            "taxability_reason": reason,
            "taxable_amount": taxable if thousandths else 0,
            "type": "tax_rate_details",
        }
        one["taxes"] = [told]
        kept = sums.setdefault(behavior, told | {"amount": 0, "taxable_amount": 0})
        kept["amount"] += amount
        kept["taxable_amount"] += told["taxable_amount"]
    return list(sums.values())


def _share(amount: int, part: int, of: int) -> int:
    """`amount * part / of`, to the nearest unit, half away from zero."""
    size = (abs(amount) * part * 2 + of) // (2 * of)
    return size if amount >= 0 else -size
