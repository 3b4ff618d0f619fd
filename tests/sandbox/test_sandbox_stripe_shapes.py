"""Stripe's stand-in: every object has every field that the SDK says is always there."""

import importlib
import sys
from typing import Any, Union, get_args, get_origin, get_type_hints

import httpx
import stripe
from stripe import StripeObject

from sandbox.stripe.skeleton import CLASSES
from tests.sandbox.stripe_harness import KEY, Stripe, sdk_warns

pytestmark = sdk_warns


def hints_of(cls: type) -> dict[str, Any]:
    """The fields of one of the SDK's classes, with their types."""
    names: dict[str, Any] = {**vars(stripe), **vars(sys.modules[cls.__module__])}
    for place in cls.__qualname__.split(".")[:-1]:
        names |= vars(names[place])
    names |= vars(cls)
    found = {}
    for name, hint in cls.__annotations__.items():
        try:
            found[name] = get_type_hints(type("_", (), {"__annotations__": {name: hint}}), names)[name]
        except (NameError, TypeError):
            found[name] = hint
    return found


def lacking(cls: type, shown: dict[str, Any], path: str) -> list[str]:
    """The paths of fields that are missing, or null and must not be."""
    found = []
    for name, hint in hints_of(cls).items():
        optional = get_origin(hint) is Union and type(None) in get_args(hint)
        if name.startswith("_") or name.isupper() or optional:
            continue
        if name not in shown or shown[name] is None:
            found.append(f"{path}.{name}")
        elif isinstance(hint, type) and issubclass(hint, StripeObject) and isinstance(shown[name], dict):
            found += lacking(hint, shown[name], f"{path}.{name}")
    return found


async def test_objects_are_whole(box: Stripe) -> None:
    importlib.import_module("stripe.checkout")
    sub = await box.subscribed(await box.price())
    customer = sub.customer
    await box.v1.customers.tax_ids.create_async(customer, {"type": "eu_vat", "value": "FRAB123456789"})
    session = await box.session(customer, sub["items"].data[0].price.id)
    box.click(session.url, "ok")
    intent = (await box.v1.payment_intents.list_async({"customer": customer})).data[0]
    refund = await box.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1})
    box.control("POST", f"/charges/{refund.charge}/dispute", {})
    features = {"customer_update": {"enabled": True, "allowed_updates": ["name"]}}
    await box.v1.billing_portal.configurations.create_async({"features": features})
    await box.v1.webhook_endpoints.create_async({"url": "http://127.0.0.1:9/x", "enabled_events": ["invoice.paid"]})
    await box.v1.test_helpers.test_clocks.create_async({"frozen_time": 1_800_000_000})
    paths = ["customers", "products", "prices", "subscriptions", "invoices", "invoice_payments", "payment_intents"]
    paths += ["charges", "refunds", "disputes", "events", "webhook_endpoints", "checkout/sessions"]
    paths += ["billing_portal/configurations", "test_helpers/test_clocks", f"customers/{customer}/tax_ids"]
    paths += [f"payment_methods?customer={customer}", f"subscription_items?subscription={sub.id}"]
    paths += [f"invoices/{sub.latest_invoice}/lines", f"checkout/sessions/{session.id}/line_items"]
    seen = set()
    for path in paths:
        for shown in get(box, path)["data"]:
            seen.add(shown["object"])
            assert not lacking(CLASSES[shown["object"]], shown, shown["object"])
            assert not [name for name in shown if name.startswith("_")]
    assert seen == set(CLASSES) - {"billing_portal.session"}


def get(box: Stripe, path: str) -> Any:
    """One list as it is sent."""
    told = {"Authorization": f"Bearer {KEY}", "Stripe-Version": "2026-10-28.endive"}
    answer: httpx.Response = box.http.get(f"/v1/{path}", headers=told)
    assert answer.status_code == 200, answer.text
    return answer.json()
