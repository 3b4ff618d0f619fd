"""What Stripe may say of a customer, made up: each with sensible defaults."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.clients.stripe_facts import Customer, Dispute, Invoice, Party, Payment, Refund, Subscription

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NOBODY = Party(name=None, country=None, address={}, tax_ids=())


def days_ago(days: float) -> datetime:
    """So many days before now."""
    return NOW - timedelta(days=days)


def subscription(name: str, status: str, plan: str | None, *, days: float = 0, **more: Any) -> Subscription:
    """One that was made so many days ago, of a plan of ours or of none."""
    made = Subscription(
        id=name,
        status=status,
        created_at=days_ago(days),
        item_id=f"si_{name}",
        price_id=f"price_{plan}",
        product_id="prod_1",
        lookup_key=f"soundops_{plan}_month" if plan else None,
        interval="month",
        currency="eur",
        current_period_end=NOW + timedelta(days=20),
        cancel_at_period_end=False,
        cancel_at=None,
        ended_at=None,
        had_trial=False,
        trial_end=None,
        paused_reason=None,
        pending_update=False,
        collection_paused=False,
        method=None,
        metadata={},
    )
    return replace(made, **more)


def invoice(of: str, status: str, *, days: float, **more: Any) -> Invoice:
    """One of this subscription, final since so many days."""
    at, paid = days_ago(days), status == "paid"
    made = Invoice(
        id=f"in_{of}_{days}",
        number=None,
        status=status,
        reason="subscription_cycle",
        subscription_id=of,
        currency="eur",
        subtotal=1900,
        tax=0,
        total=1900,
        amount_due=1900,
        amount_paid=1900 if paid else 0,
        amount_remaining=0 if paid else 1900,
        credited=0,
        attempts=1,
        next_attempt_at=None,
        created_at=at,
        finalized_at=at,
        paid_at=at if paid else None,
        closed_at=None,
        period_start=at,
        period_end=at,
        hosted_url=None,
        pdf_url=None,
        party=NOBODY,
        payment_ids=(),
    )
    return replace(made, **more)


def payment(name: str, *, days: float, **more: Any) -> Payment:
    """One that was made so many days ago, and has succeeded."""
    made = Payment(
        id=name,
        status="succeeded",
        amount=1900,
        amount_received=1900,
        amount_refunded=0,
        currency="eur",
        created_at=days_ago(days),
        failure_code=None,
        charge_id=f"ch_{name}",
        charged_at=days_ago(days),
        country="DE",
        disputed=False,
        refunds=(),
    )
    return replace(made, **more)


def refund(*, days: float, status: str = "succeeded") -> Refund:
    """One that was made so many days ago."""
    made = days_ago(days)
    return Refund(id="re_1", amount=500, currency="eur", status=status, reason=None, created_at=made)


def dispute(*, days: float, status: str = "needs_response") -> Dispute:
    """One that was opened so many days ago."""
    made = days_ago(days)
    return Dispute(id="dp_1", amount=1900, currency="eur", status=status, reason=None, created_at=made, due_by=None)


def customer(**more: Any) -> Customer:
    """The customer, of whom nothing is known."""
    made = Customer(
        id="cus_1", deleted=False, label_id=None, email=None, party=NOBODY, method=None, balance=0, currency=None
    )
    return replace(made, **more)
