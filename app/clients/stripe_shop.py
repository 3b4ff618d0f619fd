"""What we have Stripe do for a label that buys: customers, checkout, the portal, and changes of a subscription.

Every call that makes something carries a key of the caller's (`key`), under which it happens once however often it is
made. What they raise: any `StripeError`. Amounts are whole numbers of the currency's smallest unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.clients import answers
from app.clients.stripe_api import Stripe, amount, call, identifier, need, rows
from app.clients.stripe_facts import item_of

Metadata = dict[str, str]
ENDED = ("canceled", "incomplete_expired")
"""Statuses of a subscription that nothing comes after."""


@dataclass(frozen=True)
class Session:
    """A checkout session. `url` is where a person pays; whoever has it may."""

    id: str
    status: str
    """`open`, `complete` or `expired`."""
    url: str | None
    expires_at: datetime
    metadata: Metadata


@dataclass(frozen=True)
class Subscription:
    """A subscription, as far as changing it needs."""

    id: str
    status: str
    item_id: str
    price_id: str
    lookup_key: str | None
    cancel_at_period_end: bool
    has_end: bool
    """Whether a day is set on which it ends, be it the period's end or another."""
    had_trial: bool
    pending_update: bool
    pending_price_id: str | None
    """The price of a change that waits for its payment."""
    latest_invoice_id: str | None

    @property
    def live(self) -> bool:
        """Whether something may come after its status."""
        return self.status not in ENDED


@dataclass(frozen=True)
class Preview:
    """What a change would cost. Negative amounts are credits."""

    currency: str
    due_now: int
    """What is charged at once, after credits and the customer's balance."""
    tax: int
    total: int
    """Of all lines, taxes included."""
    lines: tuple[tuple[str, int], ...]
    """Each line's words and amount."""


@dataclass(frozen=True)
class TaxId:
    """A tax id of a customer's."""

    id: str
    type: str
    value: str


async def create_customer(stripe: Stripe, details: Mapping[str, Any], *, label_id: str, key: str) -> str:
    """Make the customer of a label; its id."""
    params: Any = {**details, "metadata": {"soundops_label": label_id}}
    made = await call(stripe, lambda client: client.v1.customers.create_async(params, {"idempotency_key": key}))
    return identifier(made)


async def customer_of(stripe: Stripe, label_id: str, *, since: datetime) -> str | None:
    """The customer of a label that was made since then, by our metadata; none when there is none."""
    asked = {"created": {"gte": int(since.timestamp())}}
    found = await rows(stripe, lambda client, params: client.v1.customers.list_async(params), asked)
    ours = (one for one in found if _metadata(one).get("soundops_label") == label_id)
    return next((identifier(one) for one in ours), None)


async def change_customer(stripe: Stripe, customer_id: str, details: Mapping[str, Any], *, key: str) -> None:
    """Set the customer's name, mail address and address. An empty text clears a field."""
    params: Any = dict(details)
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.customers.update_async(customer_id, params, options))


async def tax_ids(stripe: Stripe, customer_id: str) -> list[TaxId]:
    """The customer's tax ids."""

    async def page(client: Any, params: Any) -> Any:
        return await client.v1.customers.tax_ids.list_async(customer_id, params)

    return [
        TaxId(identifier(one), need(answers.text(one.get("type"))), need(answers.text(one.get("value"))))
        for one in await rows(stripe, page, {})
    ]


async def add_tax_id(stripe: Stripe, customer_id: str, kind: str, value: str, *, key: str) -> None:
    """Give the customer a tax id. `StripeRefused` with `tax_id_invalid` where its form is wrong."""
    params: Any = {"type": kind, "value": value}
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.customers.tax_ids.create_async(customer_id, params, options))


async def remove_tax_id(stripe: Stripe, customer_id: str, tax_id: str) -> None:
    """Take a tax id away."""
    await call(stripe, lambda client: client.v1.customers.tax_ids.delete_async(customer_id, tax_id))


async def price_id_of(stripe: Stripe, lookup_key: str) -> str | None:
    """The active price of this key; none when there is none."""
    params: Any = {"lookup_keys": [lookup_key], "active": True, "limit": 1}
    found = await call(stripe, lambda client: client.v1.prices.list_async(params))
    prices = need(answers.rows(found.get("data")))
    return identifier(prices[0]) if prices else None


async def create_checkout(stripe: Stripe, params: Mapping[str, Any], *, key: str) -> Session:
    """Make a checkout session."""
    sent: Any = dict(params)
    options: Any = {"idempotency_key": key}
    return _session(await call(stripe, lambda client: client.v1.checkout.sessions.create_async(sent, options)))


async def open_checkouts(stripe: Stripe, customer_id: str) -> list[Session]:
    """The customer's sessions in which somebody can still pay."""
    asked = {"customer": customer_id, "status": "open"}
    found = await rows(stripe, lambda client, params: client.v1.checkout.sessions.list_async(params), asked)
    return [_session(one) for one in found]


async def expire_checkout(stripe: Stripe, session_id: str, *, key: str) -> None:
    """End a session, so that nobody can pay in it. `StripeRefused` when it is not open (any more)."""
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.checkout.sessions.expire_async(session_id, {}, options))


async def portal_configuration(stripe: Stripe) -> str | None:
    """The configuration of the portal that `sync-plans` has made; none before it has."""
    asked = {"active": True}
    found = await rows(stripe, lambda client, params: client.v1.billing_portal.configurations.list_async(params), asked)
    return next((identifier(one) for one in found if _metadata(one).get("soundops") == "portal"), None)


async def create_portal(stripe: Stripe, params: Mapping[str, Any], *, key: str) -> str:
    """Make a portal session; its address, which works for some minutes, for whoever has it."""
    sent: Any = dict(params)
    options: Any = {"idempotency_key": key}
    made = await call(stripe, lambda client: client.v1.billing_portal.sessions.create_async(sent, options))
    return need(answers.text(made.get("url")))


async def subscriptions_of(stripe: Stripe, customer_id: str) -> list[Subscription]:
    """All the customer's subscriptions, also those that have ended."""
    asked = {"customer": customer_id, "status": "all"}
    found = await rows(stripe, lambda client, params: client.v1.subscriptions.list_async(params), asked)
    return [_subscription(one) for one in found]


async def subscription(stripe: Stripe, subscription_id: str) -> Subscription:
    """A subscription as it is now."""
    return _subscription(await call(stripe, lambda client: client.v1.subscriptions.retrieve_async(subscription_id)))


async def change_subscription(
    stripe: Stripe, subscription_id: str, params: Mapping[str, Any], *, key: str
) -> Subscription:
    """Change a subscription; as it is then."""
    sent: Any = dict(params)
    options: Any = {"idempotency_key": key}
    return _subscription(
        await call(stripe, lambda client: client.v1.subscriptions.update_async(subscription_id, sent, options))
    )


async def resume_subscription(stripe: Stripe, subscription_id: str, *, key: str) -> None:
    """Go on with a paused one, once its first invoice is paid."""
    params: Any = {"payment_behavior": "resume_on_payment_success"}
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.subscriptions.resume_async(subscription_id, params, options))


async def end_subscription(stripe: Stripe, subscription_id: str, *, key: str) -> None:
    """End a subscription at once, without a refund. `StripeRefused` with `resource_missing` when it has ended."""
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.subscriptions.cancel_async(subscription_id, {}, options))


async def preview_change(stripe: Stripe, params: Mapping[str, Any]) -> Preview:
    """What the next invoice would be after a change. Nothing is changed."""
    sent: Any = dict(params)
    found = await call(stripe, lambda client: client.v1.invoices.create_preview_async(sent))
    data = answers.rows((answers.table(found.get("lines")) or {}).get("data")) or []
    return Preview(
        currency=need(answers.text(found.get("currency"), most=3)),
        due_now=need(amount(found.get("amount_due"))),
        tax=sum(need(amount(one.get("amount"))) for one in answers.rows(found.get("total_taxes")) or []),
        total=need(amount(found.get("total"))),
        lines=tuple((answers.name(one.get("description")) or "", need(amount(one.get("amount")))) for one in data),
    )


async def payment_page(stripe: Stripe, invoice_id: str) -> tuple[Literal["open", "other"], str | None]:
    """Whether an invoice waits for its payment, and the page where somebody pays it."""
    found = await call(stripe, lambda client: client.v1.invoices.retrieve_async(invoice_id))
    state: Literal["open", "other"] = "open" if found.get("status") == "open" else "other"
    return state, answers.text(found.get("hosted_invoice_url"), most=2000)


def _metadata(body: Mapping[str, Any]) -> Metadata:
    found = answers.table(body.get("metadata")) or {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _session(body: Mapping[str, Any]) -> Session:
    return Session(
        id=identifier(body),
        status=need(answers.text(body.get("status"), most=40)),
        url=answers.text(body.get("url"), most=5000),
        expires_at=need(answers.instant(body.get("expires_at"))),
        metadata=_metadata(body),
    )


def _subscription(body: Mapping[str, Any]) -> Subscription:
    item = item_of(body)
    price = need(answers.table(item.get("price")))
    waiting = answers.table(body.get("pending_update"))
    changed = answers.rows((waiting or {}).get("subscription_items")) or []
    same = next((one for one in changed if one.get("id") == item.get("id")), None)
    return Subscription(
        id=identifier(body),
        status=need(answers.text(body.get("status"), most=40)),
        item_id=identifier(item),
        price_id=identifier(price),
        lookup_key=answers.text(price.get("lookup_key"), most=200),
        cancel_at_period_end=body.get("cancel_at_period_end") is True,
        has_end=body.get("cancel_at") is not None,
        had_trial=body.get("trial_start") is not None,
        pending_update=waiting is not None,
        pending_price_id=identifier(same, "price") if same else None,
        latest_invoice_id=identifier(body, "latest_invoice") if body.get("latest_invoice") else None,
    )
