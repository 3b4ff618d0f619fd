"""The worker's part of changing a subscription: what it would cost, another plan, cancelling, going on.

Each change is looked for before it is made: what the subscription is already is not done again, under whatever key. One
that did not work at once is given up when somebody has asked for something else since: it would come after that.
An upgrade is charged at once and happens once it is paid; a downgrade happens at once, and what was paid for the rest
of the time is a credit. Both are reckoned from the second that was shown (`proration_at`).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.clients import stripe_shop
from app.clients.stripe_api import Stripe
from app.clients.stripe_shop import Subscription
from app.db import Doc
from app.services.billing import customers, entitlements, following, links, orders, usage
from app.services.billing.amounts import digits_of
from app.services.billing.pricing import need_price
from app.services.billing.trouble import once, told_by_stripe
from app.services.connections.hands import Hands
from app.services.labels.labels import is_deleting
from app.services.operations import GiveUp

PAYABLE = timedelta(hours=23)
"""A change that waits for its payment ends then."""
NOT_SUBSCRIBED = ("not_subscribed", "The subscription has ended meanwhile.")


async def billing_preview(hands: Hands, operation: Doc) -> Doc:
    """Ask what a change would cost."""
    order = await orders.need(hands.db, operation["label_id"], operation["target"])
    stripe = customers.stripe_of(hands)
    async with told_by_stripe(operation, now=hands.clock(), lasting=False):
        current = await _current(stripe, order)
        price_id = await _price(hands, order)
        await _check_as_asked(hands, order, current)
        details: dict[str, Any] = {"items": [{"id": current.item_id, "price": price_id}]}
        details |= _proration(order, current)
        sent = {"subscription": current.id, "subscription_details": details}
        found = await stripe_shop.preview_change(stripe, sent)
    charged = order["direction"] == "up" and current.status != "trialing"
    shown: Doc = {"currency": found.currency.upper(), "digits": digits_of(found.currency)}
    shown |= {"due_now": found.due_now if charged else 0, "tax": found.tax, "total": found.total}
    lines = [{"text": text, "amount": amount} for text, amount in found.lines]
    await orders.note(hands.db, order, preview=shown | {"lines": lines})
    return {"order_id": order["_id"]}


async def billing_change(hands: Hands, operation: Doc) -> Doc:
    """Do a change. It may be begun again at any point, and is done once."""
    label_id = operation["label_id"]
    order = await orders.need(hands.db, label_id, operation["target"])
    async with told_by_stripe(operation, now=hands.clock(), lasting=True):
        if order.get("with_label"):
            await following.follow_label(hands, order)
        elif order["kind"] == "change":
            await _change_plan(hands, order, operation)
        else:
            await _cancel_or_resume(hands, order, operation)
        await customers.look(hands, label_id)
    return {"order_id": order["_id"]}


async def _change_plan(hands: Hands, order: Doc, operation: Doc) -> None:
    stripe = customers.stripe_of(hands)
    current = await _current(stripe, order)
    price_id = await _price(hands, order)
    if price_id not in (current.price_id, current.pending_price_id):
        await _check_wanted(hands, order, operation)
        await _check_as_asked(hands, order, current)
        await _check_room(hands, order)
        params: dict[str, Any] = {"items": [{"id": current.item_id, "price": price_id}]}
        params |= _proration(order, current)
        if order["direction"] == "up":
            params["payment_behavior"] = "pending_if_incomplete"
        current = await _update(hands, order, current, params)
    if current.price_id != price_id and current.pending_update:
        await _ask_for_payment(hands, stripe, order, current)


async def _check_wanted(hands: Hands, order: Doc, operation: Doc) -> None:
    """Look whether it is still wanted, before it is made: later it would be made in spite of what was asked since."""
    if order["kind"] != "cancel" and await is_deleting(hands.db, order["label_id"]):
        raise GiveUp(*orders.DELETING)
    if operation["attempts"] > 1 and await orders.is_undone(hands.db, order, operation):
        raise GiveUp("superseded", "Somebody of the label has asked for something else since.")


async def _check_as_asked(hands: Hands, order: Doc, current: Subscription) -> None:
    """Look whether the subscription is what it was when it was asked for: what is charged was told for that one."""
    if order.get("from_price_id", current.price_id) != current.price_id:
        await customers.look(hands, order["label_id"])
        raise GiveUp("subscription_changed", "The subscription has changed since this was asked for. Ask again.")
    if current.pending_update:
        await customers.look(hands, order["label_id"])
        raise GiveUp("payment_needed", "An earlier change waits for its payment. It is paid first, or ends by itself.")


async def _check_room(hands: Hands, order: Doc) -> None:
    """Look once more whether all fits: something may have been added since it was asked for."""
    used = await usage.all_used(hands.db, order["label_id"], now=hands.clock())
    if order["direction"] == "down" and entitlements.too_much_for(order["plan"], used):
        raise GiveUp("plan_too_small", "Something was added that the plan has no room for. Ask again to see what.")


async def _update(hands: Hands, order: Doc, current: Subscription, params: Mapping[str, Any]) -> Subscription:
    stripe, wanted = customers.stripe_of(hands), order["price_id"]
    if "sent" not in order:  # under one key the same is sent each time, whatever has changed meanwhile
        await orders.note(hands.db, order, sent=params)
    sent = order["sent"]

    async def find() -> Subscription | None:
        found = await stripe_shop.subscription(stripe, current.id)
        return found if wanted in (found.price_id, found.pending_price_id) else None

    return await once(
        hands.db,
        order,
        "change",
        make=lambda key: stripe_shop.change_subscription(stripe, current.id, sent, key=key),
        find=find,
        now=hands.clock(),
    )


async def _ask_for_payment(hands: Hands, stripe: Stripe, order: Doc, current: Subscription) -> None:
    """The bank wants to hear from the card's owner, or the card was declined: show where the invoice can be paid."""
    mine = {"label_id": order["label_id"]}
    await hands.db.open("billing_accounts").update_one(mine, {"$set": {"change_order": order["_id"]}})
    if current.latest_invoice_id is None:
        return
    state, url = await stripe_shop.payment_page(stripe, current.latest_invoice_id)
    if state == "open" and url:
        ends = order["created_at"] + PAYABLE
        await links.keep(hands.db, hands.settings, order["label_id"], order["_id"], url, expires_at=ends)


async def _cancel_or_resume(hands: Hands, order: Doc, operation: Doc) -> None:
    stripe, cancels = customers.stripe_of(hands), order["kind"] == "cancel"
    current = await _current(stripe, order)
    if following.is_so(current, ends=cancels) and (cancels or current.status != "paused"):
        return
    await _check_wanted(hands, order, operation)
    if current.status == "paused" and not cancels:
        await _unpause(hands, order, current)
    await following.set_end(hands, order, current, ends=cancels)


async def _unpause(hands: Hands, order: Doc, current: Subscription) -> None:
    stripe = customers.stripe_of(hands)

    async def find() -> bool | None:
        return (await stripe_shop.subscription(stripe, current.id)).status != "paused" or None

    async def make(key: str) -> bool:
        await stripe_shop.resume_subscription(stripe, current.id, key=key)
        return True

    await once(hands.db, order, "resume", make=make, find=find, now=hands.clock())


async def _current(stripe: Stripe, order: Doc) -> Subscription:
    found = await stripe_shop.subscription(stripe, order["subscription_id"])
    if not found.live:
        raise GiveUp(*NOT_SUBSCRIBED)
    return found


async def _price(hands: Hands, order: Doc) -> str:
    """The price of the wished plan, as it was when it was first looked for."""
    if "price_id" not in order:
        await orders.note(hands.db, order, price_id=await need_price(hands, order["plan"], order["interval"]))
    return str(order["price_id"])


def _proration(order: Doc, current: Subscription) -> dict[str, Any]:
    """How the rest of the time is reckoned. A trial has no price yet: there is nothing to reckon."""
    if current.status == "trialing":
        return {"proration_behavior": "none"}
    behaviour = "always_invoice" if order["direction"] == "up" else "create_prorations"
    return {"proration_behavior": behaviour, "proration_date": int(order["proration_at"].timestamp())}
