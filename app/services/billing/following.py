"""Subscriptions follow their label: what is to be deleted is not renewed, and what is restored goes on.

A worker does what is so of the label when it comes, and not what was asked first: deleted, restored and deleted again,
the last one counts. It looks at all subscriptions that are at Stripe, since our copy may be older than the deletion.
"""

from typing import Any

from app.clients import stripe_shop
from app.clients.stripe_shop import Subscription
from app.db import Doc
from app.services.billing import accounts, buying, customers
from app.services.billing.trouble import once
from app.services.connections.hands import Hands
from app.services.labels.labels import is_deleting


async def follow_label(hands: Hands, order: Doc) -> None:
    """End what can be paid and renewed of a label that is to be deleted; else let go on what was ended for that."""
    account = await accounts.need(hands.db, order["label_id"])
    if await is_deleting(hands.db, order["label_id"]):
        await _end_all(hands, order, account["customer_id"])
    else:
        await _go_on(hands, order, account.get("ended_with_label", []))


async def _end_all(hands: Hands, order: Doc, customer_id: str) -> None:
    """Checkouts first: what is paid in one before it ends is a subscription then. What was cancelled stays as it is."""
    stripe = customers.stripe_of(hands)
    for session in await stripe_shop.open_checkouts(stripe, customer_id):
        await buying.end_checkout(hands, order, customer_id, session.id)
    for one in await stripe_shop.subscriptions_of(stripe, customer_id):
        if one.live and not one.cancel_at_period_end:
            ended = {"$addToSet": {"ended_with_label": one.id}}  # before it is: broken off between, it is known as ours
            await hands.db.open("billing_accounts").update_one({"label_id": order["label_id"]}, ended)
            await set_end(hands, order, one, ends=True)


async def _go_on(hands: Hands, order: Doc, ended: list[str]) -> None:
    for subscription_id in ended:
        current = await stripe_shop.subscription(customers.stripe_of(hands), subscription_id)
        if current.live:
            await set_end(hands, order, current, ends=False)
    forgotten = {"$unset": {"ended_with_label": ""}}
    await hands.db.open("billing_accounts").update_one({"label_id": order["label_id"]}, forgotten)


async def set_end(hands: Hands, order: Doc, current: Subscription, *, ends: bool) -> None:
    """Have a subscription end with what is paid for, or go on; nothing when it does."""
    if is_so(current, ends=ends):
        return
    stripe = customers.stripe_of(hands)
    step, sent = "end" if ends else "go_on", dict[str, Any](cancel_at_period_end=ends)
    if not ends and not current.cancel_at_period_end:  # a day that somebody set at Stripe, which takes one of the two
        step, sent = "any_day", {"cancel_at": ""}

    async def find() -> Subscription | None:
        found = await stripe_shop.subscription(stripe, current.id)
        return found if is_so(found, ends=ends) else None

    await once(
        hands.db,
        order,
        f"{step}_{current.id}",
        make=lambda key: stripe_shop.change_subscription(stripe, current.id, sent, key=key),
        find=find,
        now=hands.clock(),
    )


def is_so(current: Subscription, *, ends: bool) -> bool:
    """Whether it ends with what is paid for; or whether it has no end."""
    return current.cancel_at_period_end if ends else not (current.cancel_at_period_end or current.has_end)
