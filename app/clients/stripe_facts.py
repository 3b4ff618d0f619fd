"""What Stripe says of a customer, as plain facts: texts, whole numbers and instants. Nothing of the SDK, no decimals.

Every status and reason is an open word: Stripe adds new ones between versions (stripe.md, 1). Each function raises
`StripeUnsure` for an answer that lacks what its object always has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.clients import answers
from app.clients.stripe_api import amount, identifier, need

WORD = 120
"""Characters of a word of Stripe's, at most."""
ADDRESS = ("line1", "line2", "city", "postal_code", "state")


@dataclass(frozen=True)
class Method:
    """How is paid: a card's brand and end, or the kind of another means."""

    brand: str
    last4: str | None
    exp_month: int | None
    exp_year: int | None


@dataclass(frozen=True)
class TaxId:
    """A tax number, by Stripe's kind of it (`eu_vat`)."""

    type: str
    value: str


@dataclass(frozen=True)
class Party:
    """Whom invoices name."""

    name: str | None
    country: str | None
    address: dict[str, str | None]
    tax_ids: tuple[TaxId, ...]


@dataclass(frozen=True)
class Customer:
    """A customer. One that was deleted at Stripe is a stub without anything else."""

    id: str
    deleted: bool
    label_id: str | None
    """What our metadata says."""
    email: str | None
    party: Party
    method: Method | None
    balance: int
    """Negative: what it has paid too much, which is taken off its next invoices (`currency`)."""
    currency: str | None


@dataclass(frozen=True)
class Subscription:
    """A subscription to one plan."""

    id: str
    status: str
    created_at: datetime
    item_id: str
    price_id: str
    product_id: str
    lookup_key: str | None
    interval: str
    currency: str
    current_period_end: datetime
    """The latest end of its items' periods."""
    cancel_at_period_end: bool
    cancel_at: datetime | None
    ended_at: datetime | None
    had_trial: bool
    trial_end: datetime | None
    paused_reason: str | None
    pending_update: bool
    collection_paused: bool
    method: Method | None
    metadata: dict[str, str]
    """Of the subscription and, below it, of its price."""


@dataclass(frozen=True)
class Invoice:
    """An invoice that has been finalized, or a draft."""

    id: str
    number: str | None
    status: str
    reason: str | None
    """Why it was made (`subscription_create`, `subscription_cycle`, …)."""
    subscription_id: str | None
    currency: str
    subtotal: int
    tax: int
    total: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    credited: int
    """By credit notes."""
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    finalized_at: datetime | None
    paid_at: datetime | None
    closed_at: datetime | None
    """When it was voided or written off."""
    period_start: datetime
    period_end: datetime
    hosted_url: str | None
    pdf_url: str | None
    party: Party
    payment_ids: tuple[str, ...]
    """The payment intents that pay it, or try to."""


@dataclass(frozen=True)
class Refund:
    """Money that goes back, of one payment."""

    id: str
    amount: int
    currency: str
    status: str
    reason: str | None
    created_at: datetime


@dataclass(frozen=True)
class Dispute:
    """A payment that its payer contests."""

    id: str
    amount: int
    currency: str
    status: str
    reason: str | None
    created_at: datetime
    due_by: datetime | None
    """Until when we may answer."""


@dataclass(frozen=True)
class Payment:
    """A payment intent, with what became of its money."""

    id: str
    status: str
    amount: int
    amount_received: int
    amount_refunded: int
    currency: str
    created_at: datetime
    failure_code: str | None
    charge_id: str | None
    charged_at: datetime | None
    country: str | None
    """Of the payer, as the charge says for good."""
    disputed: bool
    refunds: tuple[Refund, ...]


def customer_of(body: Mapping[str, Any]) -> Customer:
    """A customer, with `tax_ids` and the default payment method expanded."""
    settings = answers.table(body.get("invoice_settings")) or {}
    kinds = answers.table(body.get("tax_ids")) or {}
    party = party_of(body.get("name"), body.get("address"), answers.rows(kinds.get("data")))
    return Customer(
        id=identifier(body),
        deleted=body.get("deleted") is True,
        label_id=metadata_of(body).get("soundops_label"),
        email=answers.text(body.get("email"), most=512),
        party=party,
        method=method_of(settings.get("default_payment_method")),
        balance=amount(body.get("balance")) or 0,
        currency=answers.text(body.get("currency"), most=3),
    )


def party_of(name: Any, address: Any, tax_ids: list[dict[str, Any]] | None) -> Party:
    """Whom an invoice names, in the order in which Stripe tells it."""
    found = answers.table(address) or {}
    numbers = [_tax_id_of(one) for one in tax_ids or ()]
    return Party(
        name=answers.name(name),
        country=answers.text(found.get("country"), most=2),
        address={part: answers.name(found.get(part)) for part in ADDRESS},
        tax_ids=tuple(sorted((one for one in numbers if one), key=lambda one: one.value)),
    )


def _tax_id_of(body: Mapping[str, Any]) -> TaxId | None:
    kind, value = (answers.text(body.get(name), most=WORD) for name in ("type", "value"))
    return TaxId(kind, value) if kind and value else None


def method_of(value: Any) -> Method | None:
    """A payment method that came expanded; none for no other."""
    found = answers.table(value)
    kind = answers.text(found.get("type"), most=WORD) if found else None
    if found is None or kind is None:
        return None
    told = answers.table(found.get(kind)) or {}
    return Method(
        brand=answers.text(told.get("brand"), most=WORD) or kind,
        last4=answers.text(told.get("last4"), most=4),
        exp_month=answers.whole(told.get("exp_month")),
        exp_year=answers.whole(told.get("exp_year")),
    )


def subscription_of(body: Mapping[str, Any]) -> Subscription:
    """A subscription, with `default_payment_method` expanded."""
    items = _items_of(body)
    item = item_of(body)
    price = need(answers.table(item.get("price")))
    every = answers.table(price.get("recurring")) or {}
    return Subscription(
        id=identifier(body),
        status=word(body, "status"),
        created_at=instant(body, "created"),
        item_id=identifier(item),
        price_id=identifier(price),
        product_id=identifier(price, "product"),
        lookup_key=_lookup_key(item),
        interval=word(every, "interval"),
        currency=word(body, "currency"),
        current_period_end=max(instant(one, "current_period_end") for one in items),
        cancel_at_period_end=body.get("cancel_at_period_end") is True,
        cancel_at=answers.instant(body.get("cancel_at")),
        ended_at=answers.instant(body.get("ended_at")),
        had_trial=answers.instant(body.get("trial_start")) is not None,
        trial_end=answers.instant(body.get("trial_end")),
        paused_reason=_paused_reason(body),
        pending_update=answers.table(body.get("pending_update")) is not None,
        collection_paused=answers.table(body.get("pause_collection")) is not None,
        method=method_of(body.get("default_payment_method")),
        metadata=metadata_of(price) | metadata_of(body),
    )


def item_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The subscription's item that is the plan: of several the one whose price says so, then one with a lookup key."""
    items = _items_of(body)
    ours = (one for one in items if "soundops_plan" in metadata_of(answers.table(one.get("price")) or {}))
    return next(ours, None) or next((one for one in items if _lookup_key(one)), need(items[0] if items else None))


def _items_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return need(answers.rows((answers.table(body.get("items")) or {}).get("data")))


def _lookup_key(item: Mapping[str, Any]) -> str | None:
    return answers.text((answers.table(item.get("price")) or {}).get("lookup_key"), most=200)


def _paused_reason(body: Mapping[str, Any]) -> str | None:
    """Below `status_details.paused.subscription.type`, since endive."""
    found: Mapping[str, Any] = body
    for name in ("status_details", "paused", "subscription"):
        found = answers.table(found.get(name)) or {}
    return answers.text(found.get("type"), most=WORD)


def invoice_of(body: Mapping[str, Any]) -> Invoice:
    """An invoice, with `payments` expanded."""
    moments = answers.table(body.get("status_transitions")) or {}
    parent = answers.table(body.get("parent")) or {}
    about = answers.table(parent.get("subscription_details")) or {}
    paid = answers.rows((answers.table(body.get("payments")) or {}).get("data")) or []
    intents = [(answers.table(one.get("payment")) or {}).get("payment_intent") for one in paid]
    taxes = answers.rows(body.get("total_taxes")) or []
    closed = moments.get("voided_at") or moments.get("marked_uncollectible_at")
    return Invoice(
        id=identifier(body),
        number=answers.text(body.get("number"), most=WORD),
        status=word(body, "status"),
        reason=answers.text(body.get("billing_reason"), most=WORD),
        subscription_id=identifier(about, "subscription") if about.get("subscription") else None,
        currency=word(body, "currency"),
        subtotal=money(body, "subtotal"),
        tax=sum(money(one, "amount") for one in taxes),
        total=money(body, "total"),
        amount_due=money(body, "amount_due"),
        amount_paid=money(body, "amount_paid"),
        amount_remaining=money(body, "amount_remaining"),
        credited=sum(amount(body.get(f"{when}_payment_credit_notes_amount")) or 0 for when in ("pre", "post")),
        attempts=answers.whole(body.get("attempt_count")) or 0,
        next_attempt_at=answers.instant(body.get("next_payment_attempt")),
        created_at=instant(body, "created"),
        finalized_at=answers.instant(moments.get("finalized_at")),
        paid_at=answers.instant(moments.get("paid_at")),
        closed_at=answers.instant(closed),
        period_start=instant(body, "period_start"),
        period_end=instant(body, "period_end"),
        hosted_url=web_address(body.get("hosted_invoice_url")),
        pdf_url=web_address(body.get("invoice_pdf")),
        party=party_of(
            body.get("customer_name"), body.get("customer_address"), answers.rows(body.get("customer_tax_ids"))
        ),
        payment_ids=tuple(found for one in intents if (found := answers.text(_id_of(one), most=255))),
    )


def payment_of(body: Mapping[str, Any]) -> Payment:
    """A payment intent, with `latest_charge.refunds` expanded."""
    charge = answers.table(body.get("latest_charge")) or {}
    payer = answers.table((answers.table(charge.get("billing_details")) or {}).get("address")) or {}
    failure = answers.table(body.get("last_payment_error")) or {}
    refunds = answers.rows((answers.table(charge.get("refunds")) or {}).get("data")) or []
    return Payment(
        id=identifier(body),
        status=word(body, "status"),
        amount=money(body, "amount"),
        amount_received=amount(body.get("amount_received")) or 0,
        amount_refunded=amount(charge.get("amount_refunded")) or 0,
        currency=word(body, "currency"),
        created_at=instant(body, "created"),
        failure_code=answers.text(failure.get("decline_code") or failure.get("code"), most=WORD),
        charge_id=identifier(charge) if charge else None,
        charged_at=instant(charge, "created") if charge else None,
        country=answers.text(payer.get("country"), most=2),
        disputed=charge.get("disputed") is True,
        refunds=tuple(refund_of(one) for one in refunds),
    )


def refund_of(body: Mapping[str, Any]) -> Refund:
    """A refund."""
    return Refund(
        id=identifier(body),
        amount=money(body, "amount"),
        currency=word(body, "currency"),
        status=answers.text(body.get("status"), most=WORD) or "pending",
        reason=answers.text(body.get("reason"), most=WORD),
        created_at=instant(body, "created"),
    )


def dispute_of(body: Mapping[str, Any]) -> Dispute:
    """A dispute."""
    evidence = answers.table(body.get("evidence_details")) or {}
    return Dispute(
        id=identifier(body),
        amount=money(body, "amount"),
        currency=word(body, "currency"),
        status=word(body, "status"),
        reason=answers.text(body.get("reason"), most=WORD),
        created_at=instant(body, "created"),
        due_by=answers.instant(evidence.get("due_by")),
    )


def metadata_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Our own words on an object."""
    found = answers.table(body.get("metadata")) or {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def web_address(value: Any) -> str | None:
    """An address that a browser may open; the stand-in's are plain HTTP."""
    found = answers.text(value, most=answers.LONGEST_ADDRESS)
    return found if found and found.startswith(("https://", "http://")) and found.isprintable() else None


def word(body: Mapping[str, Any], name: str) -> str:
    """A word that is always there."""
    return need(answers.text(body.get(name), most=WORD))


def money(body: Mapping[str, Any], name: str) -> int:
    """An amount that is always there."""
    return need(amount(body.get(name)))


def instant(body: Mapping[str, Any], name: str) -> datetime:
    """A time that is always there."""
    return need(answers.instant(body.get(name)))


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value
