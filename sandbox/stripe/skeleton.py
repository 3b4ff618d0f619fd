"""Every field that an object of this version has, empty: read from the SDK's own types."""

from functools import cache
from typing import Any, get_args, get_origin

import stripe

ONLY_SOMETIMES = {"confirmation_secret", "currency_options", "tiers", "invoice_credit_balance", "cash_balance"}
"""Only there where the call asks to expand them."""
CLASSES: dict[str, type] = {
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
    "line_item": stripe.InvoiceLineItem,
    "item": stripe.LineItem,
    "billing_portal.configuration": stripe.billing_portal.Configuration,
    "billing_portal.session": stripe.billing_portal.Session,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "price": stripe.Price,
    "product": stripe.Product,
    "refund": stripe.Refund,
    "subscription": stripe.Subscription,
    "subscription_item": stripe.SubscriptionItem,
    "tax_id": stripe.TaxId,
    "test_helpers.test_clock": stripe.test_helpers.TestClock,
    "webhook_endpoint": stripe.WebhookEndpoint,
}


@cache
def _nulls(kind: str) -> tuple[str, ...]:
    found = []
    for name, hint in CLASSES[kind].__annotations__.items():
        optional = str(get_origin(hint)) == "typing.Union" and type(None) in get_args(hint)
        text = str(hint)
        if optional and "ListObject" not in text and "Literal[True]" not in text and name not in ONLY_SOMETIMES:
            found.append(name)
    return tuple(found)


def whole(kind: str, prefix_id: str, created: int | None, /, **fields: Any) -> dict[str, Any]:
    """An object of this kind: these fields, and null for what else it has."""
    begun: dict[str, Any] = {"id": prefix_id, "object": kind}
    begun |= dict.fromkeys(_nulls(kind))
    if created is not None:
        begun["created"] = created
    if "livemode" in CLASSES[kind].__annotations__:
        begun["livemode"] = False
    if "metadata" in CLASSES[kind].__annotations__:
        begun["metadata"] = {}
    return begun | fields


def listed(url: str, data: list[Any]) -> dict[str, Any]:
    """A list that holds all there is."""
    return {"object": "list", "data": data, "has_more": False, "url": url}
