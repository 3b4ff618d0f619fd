"""What is so at Stripe: everything of one customer, and the list of events. Reads only, but for the end of a customer.

Every function raises `StripeError`. Lists come whole: what is missing in one would look as if it were not there.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.clients import answers
from app.clients.stripe_api import PAGE, Stripe, StripeRefused, call, identifier, need, rows
from app.clients.stripe_facts import (
    Customer,
    Dispute,
    Invoice,
    Payment,
    Subscription,
    customer_of,
    dispute_of,
    invoice_of,
    payment_of,
    refund_of,
    subscription_of,
)


@dataclass(frozen=True)
class Facts:
    """All that counts of a customer, newest first. Each part was read after the look began."""

    customer: Customer
    subscriptions: list[Subscription]
    invoices: list[Invoice]
    payments: list[Payment]
    disputes: dict[str, list[Dispute]]
    """By payment."""


async def read_facts(stripe: Stripe, customer_id: str) -> Facts:
    """Everything of one customer."""
    try:
        customer, subscriptions, invoices, payments = await asyncio.gather(
            read_customer(stripe, customer_id),
            _subscriptions(stripe, customer_id),
            _invoices(stripe, customer_id),
            _payments(stripe, customer_id),
        )
    except StripeRefused as refused:  # what is of a customer that is not there cannot be listed
        customer = await read_customer(stripe, customer_id)
        if refused.code != "resource_missing" or not customer.deleted:
            raise
        subscriptions, invoices, payments = [], [], []
    contested = [one for one in payments if one.disputed]
    disputes = {one.id: await _disputes(stripe, one.id) for one in contested}
    return Facts(customer, subscriptions, invoices, payments, disputes)


async def read_customer(stripe: Stripe, customer_id: str) -> Customer:
    """The customer, with its tax numbers and its default means of payment.

    Of one that was deleted Stripe shows a stub for ever. In test mode, where all data may be wiped, one that is not
    there at all is taken for deleted. In live mode it is another account's: that is refused, and nobody loses a plan.
    """
    asked: Any = {"expand": ["tax_ids", "invoice_settings.default_payment_method"]}
    try:
        found = await call(stripe, lambda client: client.v1.customers.retrieve_async(customer_id, asked))
    except StripeRefused as refused:
        if refused.code != "resource_missing" or stripe.live:
            raise
        found = {"id": customer_id, "deleted": True}
    return customer_of(found)


async def end_customer(stripe: Stripe, customer_id: str) -> None:
    """Delete the customer: its subscriptions end at once, its means of payment go. Done twice, it is done once.

    Invoices, payments and disputes stay at Stripe, whose duty they are too (stripe.md, 10).
    """
    try:
        await call(stripe, lambda client: client.v1.customers.delete_async(customer_id))
    except StripeRefused as exc:
        if exc.code != "resource_missing" and not (await read_customer(stripe, customer_id)).deleted:
            raise


async def customer_behind(stripe: Stripe, links: Mapping[str, str]) -> str | None:
    """The customer of the payment, charge or invoice that is named; none where there is none, or nobody's."""
    try:
        if intent := links.get("payment_intent"):
            body = await call(stripe, lambda client: client.v1.payment_intents.retrieve_async(intent))
        elif charge := links.get("charge"):
            body = await call(stripe, lambda client: client.v1.charges.retrieve_async(charge))
        elif invoice := links.get("invoice"):
            body = await call(stripe, lambda client: client.v1.invoices.retrieve_async(invoice))
        else:
            return None
    except StripeRefused:  # it is gone, or was never ours
        return None
    return identifier(body, "customer") if body.get("customer") else None


async def page_of_events(
    stripe: Stripe, *, since: datetime, until: datetime, after: str | None
) -> tuple[list[dict[str, Any]], bool]:
    """Events of `since` to before `until`, the newest first, behind the one named `after`; whether there are more."""
    span = {"gte": int(since.timestamp()), "lt": int(until.timestamp())}
    asked: Any = {"created": span, "limit": PAGE} | ({"starting_after": after} if after else {})
    body = await call(stripe, lambda client: client.v1.events.list_async(asked))
    return need(answers.rows(body.get("data"))), body.get("has_more") is True


async def _subscriptions(stripe: Stripe, customer_id: str) -> list[Subscription]:
    asked = {"customer": customer_id, "status": "all", "expand": ["data.default_payment_method"]}
    found = await rows(stripe, lambda client, params: client.v1.subscriptions.list_async(params), asked)
    return [subscription_of(one) for one in found]


async def _invoices(stripe: Stripe, customer_id: str) -> list[Invoice]:
    asked = {"customer": customer_id, "expand": ["data.payments"]}
    found = await rows(stripe, lambda client, params: client.v1.invoices.list_async(params), asked)
    return [invoice_of(one) for one in found]


async def _payments(stripe: Stripe, customer_id: str) -> list[Payment]:
    asked = {"customer": customer_id, "expand": ["data.latest_charge.refunds"]}
    found = await rows(stripe, lambda client, params: client.v1.payment_intents.list_async(params), asked)
    return [await _with_all_refunds(stripe, one) for one in found]


async def _with_all_refunds(stripe: Stripe, body: dict[str, Any]) -> Payment:
    """A charge shows its ten newest refunds; where there are more, they are listed."""
    payment = payment_of(body)
    shown = answers.table((answers.table(body.get("latest_charge")) or {}).get("refunds")) or {}
    if shown.get("has_more") is not True:
        return payment
    asked = {"payment_intent": payment.id}
    found = await rows(stripe, lambda client, params: client.v1.refunds.list_async(params), asked)
    return Payment(**{**vars(payment), "refunds": tuple(refund_of(one) for one in found)})


async def _disputes(stripe: Stripe, payment_id: str) -> list[Dispute]:
    asked = {"payment_intent": payment_id}
    found = await rows(stripe, lambda client, params: client.v1.disputes.list_async(params), asked)
    return [dispute_of(one) for one in found]
