"""What people of a label ask of billing: each checked against what we know, then written down for a worker.

Nothing here asks Stripe. What the label may not have is refused before anything is stored.
"""

from collections.abc import Mapping
from datetime import timedelta

from app.billing_errors import (
    NotACustomer,
    NotSubscribed,
    PaymentNeeded,
    PlanTooSmall,
    PreviewOutdated,
    SamePlan,
)
from app.db import Doc, Session
from app.errors import NotFound, StaleVersion
from app.models.billing import BillingDetails, Currency, Interval, OrderKind, PaidPlan
from app.services import operations
from app.services.billing import orders, plans, usage
from app.services.billing.entitlements import too_much_for
from app.services.billing.orders import Desk
from app.services.billing.standing import ENDED, account_of, awaits_first_payment
from app.services.labels.labels import is_deleting

PREVIEW_LIFE = timedelta(minutes=30)
CURRENCIES: Mapping[str, Currency] = {"US": "USD", "GB": "GBP", "JP": "JPY"}
"""Countries whose own currency we sell in; the others pay in the default one."""
CHANGEABLE = ("trialing", "active")
"""Of these nothing is open; what is, is paid first."""
RANK: dict[str, int] = {name: place for place, name in enumerate(plans.PLANS)}


async def order_checkout(
    desk: Desk, *, plan: PaidPlan, interval: Interval, currency: Currency | None, country: str, return_to: str | None
) -> tuple[Doc, Doc]:
    """The order and its operation. Raises `AlreadySubscribed`, `PlanTooSmall`."""
    await _check_fits(desk, plan)
    wished = (currency or CURRENCIES.get(country) or plans.DEFAULT_CURRENCY).lower()
    wish: Doc = {"plan": plan, "interval": interval, "currency": wished, "return_to": return_to}
    return await orders.place_checkout(desk, wish)


async def order_portal(desk: Desk, *, return_to: str | None) -> tuple[Doc, Doc]:
    """The order and its operation. Raises `NotACustomer`."""
    account = await account_of(desk.db, desk.label_id)
    if account is None or account["customer_id"] is None or account.get("customer_gone"):
        raise NotACustomer
    return await orders.place(desk, "portal", {"return_to": return_to})


async def order_preview(desk: Desk, *, plan: PaidPlan, interval: Interval) -> tuple[Doc, Doc]:
    """The order and its operation. Raises as `order_change`."""
    subscription = await _changeable(desk)
    wish = await _wish(desk, subscription, plan, interval)
    return await orders.place(desk, "preview", wish)


async def order_change(desk: Desk, *, plan: PaidPlan, interval: Interval, preview_id: str | None) -> tuple[Doc, Doc]:
    """The order and its operation.

    Raises `NotSubscribed`, `PaymentNeeded`, `SamePlan`, `PlanTooSmall`, `PreviewOutdated`.
    """
    subscription = await _changeable(desk)
    wish = await _wish(desk, subscription, plan, interval)
    if preview_id is not None:
        wish |= await _as_shown(desk, wish, preview_id)
    return await orders.place(desk, "change", wish)


async def order_cancel(desk: Desk) -> tuple[Doc, Doc]:
    """Have the subscription end with what is paid for. Raises `NotSubscribed`."""
    return await orders.place(desk, "cancel", {"subscription_id": (await _subscription(desk))["id"]})


async def order_resume(desk: Desk) -> tuple[Doc, Doc]:
    """Have it go on after all. Raises `NotSubscribed`."""
    return await orders.place(desk, "resume", {"subscription_id": (await _subscription(desk))["id"]})


async def cancel_with_label(desk: Desk, *, session: Session) -> None:
    """A label is going to be deleted: nothing more is charged, and what is paid for goes on if it is restored.

    Always asked of a customer, whatever our copy says: a worker sees what is so at Stripe.
    """
    await _follow_label(desk, "cancel", session)


async def resume_with_label(desk: Desk, *, session: Session) -> None:
    """It is not: what was ended for that goes on, if time is left."""
    await _follow_label(desk, "resume", session)


async def cancel_again(desk: Desk) -> None:
    """A look has been at the label: if it is to be deleted and has a subscription that goes on, have that cancelled."""
    if not await is_deleting(desk.db, desk.label_id):
        return

    async def all_of_it(session: Session) -> None:
        account = await _account(desk, session)
        renewed = account is not None and account.get("renewing_subscriptions") and "ending" not in account
        if not renewed or not await is_deleting(desk.db, desk.label_id, session=session):
            return
        waiting = await orders.changes_waiting(desk.db, desk.label_id, session=session)
        if not any(one.get("with_label") for one in waiting):
            await _follow_label(desk, "cancel", session)

    await desk.db.in_transaction(all_of_it)


async def _follow_label(desk: Desk, kind: OrderKind, session: Session) -> None:
    account = await _account(desk, session)
    if account is not None and account["customer_id"] is not None:
        await orders.place_in(desk, kind, {"with_label": True}, session=session)


async def put_details(desk: Desk, details: BillingDetails, versions: list[int] | None) -> tuple[Doc, Doc]:
    """Write down whom invoices name, and have it brought to Stripe; what changed of the account, and the operation.

    Raises `StaleVersion`.
    """
    changes: Doc = {}

    async def change(session: Session) -> Doc:
        version = details_version(await _account(desk, session))
        if versions is not None and version not in versions:
            raise StaleVersion
        changes.update(details_wished=details.model_dump(), details_version=version + 1)
        return changes

    _, operation = await orders.place(desk, "details", {}, also=change)
    return changes, operation


def details_version(account: Doc | None) -> int:
    """How often the details were told."""
    return int(account.get("details_version", 0)) if account else 0


async def _account(desk: Desk, session: Session) -> Doc | None:
    found: Doc | None = await desk.db.open("billing_accounts").find_one({"label_id": desk.label_id}, session=session)
    return found


async def _subscription(desk: Desk) -> Doc:
    account = await account_of(desk.db, desk.label_id)
    found: Doc | None = account["subscription"] if account else None
    if found is None or found["status"] in ENDED:
        raise NotSubscribed
    return found


async def _changeable(desk: Desk) -> Doc:
    found = await _subscription(desk)
    if found["status"] not in CHANGEABLE or found["pending_update"] or awaits_first_payment(found):
        raise PaymentNeeded
    return found


async def _wish(desk: Desk, subscription: Doc, plan: PaidPlan, interval: Interval) -> Doc:
    """The change, and whether it leads up or down: to a larger plan, or of the same one to the longer interval."""
    before, after = ((RANK[name], span == "year") for name, span in _both(subscription, plan, interval))
    if before == after:
        raise SamePlan
    if after < before:
        await _check_fits(desk, plan)
    wish: Doc = {"plan": plan, "interval": interval, "subscription_id": subscription["id"]}
    wish |= {"from_price_id": subscription["price_id"]}
    return wish | {"direction": "up" if after > before else "down", "proration_at": desk.now}


def _both(subscription: Doc, plan: PaidPlan, interval: Interval) -> tuple[tuple[str, str], tuple[str, str]]:
    return (subscription["plan"], subscription["interval"]), (plan, interval)


async def _check_fits(desk: Desk, plan: PaidPlan) -> None:
    limits = too_much_for(plan, await usage.all_used(desk.db, desk.label_id, now=desk.now))
    if limits:
        raise PlanTooSmall(limits)


async def _as_shown(desk: Desk, wish: Doc, preview_id: str) -> Doc:
    """What a preview has fixed: from which second it is reckoned, and at which prices."""
    try:
        shown = await orders.need(desk.db, desk.label_id, preview_id)
    except NotFound:
        raise PreviewOutdated from None
    same = all(shown.get(name) == wish[name] for name in ("plan", "interval", "subscription_id", "direction"))
    fresh = shown["created_at"] + PREVIEW_LIFE > desk.now
    operation = await operations.need(desk.db, desk.label_id, shown["operation_id"])
    if shown["kind"] != "preview" or not same or not fresh or operation["state"] != "succeeded":
        raise PreviewOutdated
    return {name: shown[name] for name in ("proration_at", "price_id", "from_price_id")}
