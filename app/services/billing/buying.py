"""The worker's part of buying: a checkout in which one subscription of the label can be paid, and the portal.

Before a checkout is made, every other one that is open is ended, and the customer's subscriptions are looked at: what
was paid in another tab a moment ago is there then. The address goes to who asked, sealed, and never into a log.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from app.clients import stripe_shop
from app.clients.stripe_api import StripeRefused
from app.db import Doc
from app.services.billing import accounts, customers, links, orders, plans
from app.services.billing.pricing import need_price
from app.services.billing.trouble import once, told_by_stripe
from app.services.connections.hands import Hands
from app.services.labels.labels import is_deleting
from app.services.operations import GiveUp

PORTAL_LIFE = timedelta(minutes=5)
"""So long we show a portal's address. Stripe's own end comes soon after."""


async def billing_checkout(hands: Hands, operation: Doc) -> Doc:
    """Make the checkout of an order. It may be begun again at any point, and makes one session."""
    label_id = operation["label_id"]
    order = await orders.need(hands.db, label_id, operation["target"])
    async with told_by_stripe(operation, now=hands.clock(), lasting=False):
        session = await _checkout(hands, order)
    if session.url is None:
        raise GiveUp("checkout_ended", "The checkout was paid or has ended.")
    expires_at = min(session.expires_at, order["payable_until"])
    await links.keep(hands.db, hands.settings, label_id, order["_id"], session.url, expires_at=expires_at)
    return {"order_id": order["_id"]}


async def _checkout(hands: Hands, order: Doc) -> stripe_shop.Session:
    await _check_wanted(hands, order)
    stripe, label_id = customers.stripe_of(hands), order["label_id"]
    customer_id = await customers.need_customer(hands, label_id)
    await customers.bring_details(hands, order, customer_id)
    for other in await stripe_shop.open_checkouts(stripe, customer_id):
        if other.metadata.get("soundops_order") != order["_id"]:
            await end_checkout(hands, order, customer_id, other.id)
    subscriptions = await stripe_shop.subscriptions_of(stripe, customer_id)
    if any(one.live for one in subscriptions):
        await customers.look(hands, label_id)
        raise GiveUp("already_subscribed", "The label has a subscription: change that one.")
    if "price_id" not in order:
        price_id = await need_price(hands, order["plan"], order["interval"])
        account = await accounts.need(hands.db, label_id)
        had_trial = account["had_trial"] or any(one.had_trial for one in subscriptions)  # our copy may be older
        trial = 0 if had_trial else plans.PLANS[order["plan"]].trial_days
        await orders.note(hands.db, order, price_id=price_id, trial_days=trial, customer_id=customer_id)
    params = _params(hands, order)

    async def find() -> stripe_shop.Session | None:
        found = await stripe_shop.open_checkouts(stripe, customer_id)
        return next((one for one in found if one.metadata.get("soundops_order") == order["_id"]), None)

    made = await once(
        hands.db,
        order,
        "checkout",
        make=lambda key: stripe_shop.create_checkout(stripe, params, key=key),
        find=find,
        now=hands.clock(),
    )
    try:
        await _check_wanted(hands, order)
    except GiveUp:  # this worker stood still meanwhile: whoever came after it did not see this session
        await end_checkout(hands, order, customer_id, made.id)
        raise
    return made


async def _check_wanted(hands: Hands, order: Doc) -> None:
    if not await orders.is_current(hands.db, order):
        raise GiveUp("superseded", "Somebody of the label has begun another checkout.")
    if await is_deleting(hands.db, order["label_id"]):
        raise GiveUp(*orders.DELETING)


async def end_checkout(hands: Hands, order: Doc, customer_id: str, session_id: str) -> None:
    """End a session, so that nobody can pay in it. Whether somebody has, subscriptions tell afterwards."""
    stripe = customers.stripe_of(hands)

    async def find() -> bool | None:
        still_open = await stripe_shop.open_checkouts(stripe, customer_id)
        return all(one.id != session_id for one in still_open) or None

    async def make(key: str) -> bool:
        with suppress(StripeRefused):  # it was paid, or has ended, since it was listed
            await stripe_shop.expire_checkout(stripe, session_id, key=key)
        return True

    await once(hands.db, order, f"expire_{session_id}", make=make, find=find, now=hands.clock())


def _params(hands: Hands, order: Doc) -> Mapping[str, Any]:
    """What is sent, from what was frozen with the order alone: the same each time."""
    about = {"soundops_label": order["label_id"], "soundops_order": order["_id"]}
    about["soundops_operation"] = order["operation_id"]
    back = order["return_to"] or f"{hands.settings.app_url}/billing?label={order['label_id']}"
    subscription: dict[str, Any] = {"metadata": about}
    if order["trial_days"]:
        ends = {"end_behavior": {"missing_payment_method": "cancel"}}
        subscription |= {"trial_period_days": order["trial_days"], "trial_settings": ends}
    return {
        "mode": "subscription",
        "customer": order["customer_id"],
        "client_reference_id": order["label_id"],
        "line_items": [{"price": order["price_id"], "quantity": 1}],
        "currency": order["currency"],
        "success_url": _with_query(back, "checkout=done"),
        "cancel_url": _with_query(back, "checkout=cancelled"),
        "expires_at": int(order["payable_until"].timestamp()),
        "automatic_tax": {"enabled": True},
        "tax_id_collection": {"enabled": True},
        "customer_update": {"address": "auto", "name": "auto"},
        "billing_address_collection": "required",
        "subscription_data": subscription,
        "metadata": about,
    }


def _with_query(address: str, more: str) -> str:
    parts = urlsplit(address)
    return parts._replace(query=f"{parts.query}&{more}" if parts.query else more).geturl()


async def billing_portal(hands: Hands, operation: Doc) -> Doc:
    """Make a portal session for one click."""
    label_id = operation["label_id"]
    order = await orders.need(hands.db, label_id, operation["target"])
    account = await accounts.need(hands.db, label_id)
    stripe = customers.stripe_of(hands)
    async with told_by_stripe(operation, now=hands.clock(), lasting=False):
        if "configuration" not in order:
            found = await stripe_shop.portal_configuration(stripe)
            await orders.note(hands.db, order, configuration=found, customer_id=account["customer_id"])
        back = order["return_to"] or f"{hands.settings.app_url}/billing?label={order['label_id']}"
        params: dict[str, Any] = {"customer": order["customer_id"], "return_url": back}
        params |= {"configuration": order["configuration"]} if order["configuration"] else {}

        async def nothing() -> None:
            """Sessions are not listed; another one does no harm."""

        url = await once(
            hands.db,
            order,
            "portal",
            make=lambda key: stripe_shop.create_portal(stripe, params, key=key),
            find=nothing,
            now=hands.clock(),
        )
    expires_at = operation["created_at"] + PORTAL_LIFE
    await links.keep(hands.db, hands.settings, label_id, order["_id"], url, expires_at=expires_at)
    return {"order_id": order["_id"]}


async def billing_details(hands: Hands, operation: Doc) -> Doc:
    """Bring what invoices name to Stripe, as it is now. A label that is no customer yet is told of at its checkout."""
    label_id = operation["label_id"]
    order = await orders.need(hands.db, label_id, operation["target"])
    account = await accounts.need(hands.db, label_id)
    if account["customer_id"]:
        async with told_by_stripe(operation, now=hands.clock(), lasting=True):
            await customers.bring_details(hands, order, account["customer_id"])
            await customers.look(hands, label_id)
    return {"order_id": order["_id"]}
