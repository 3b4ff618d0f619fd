"""From all that is so at Stripe to what the account says: of several subscriptions, and since when one is late."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from app.clients.stripe_facts import Customer, Invoice, Party, Subscription
from app.clients.stripe_reading import Facts
from app.db import Doc
from app.services.billing import projecting
from app.services.billing.standing import GRACE, plan_of

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NOBODY = Party(name=None, country=None, address={}, tax_ids=())
BEFORE: Doc = {"subscription": None, "known_status": None, "past_due_since": None, "had_trial": False}


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


def invoice(of: str, status: str, *, days: float, reason: str = "subscription_cycle") -> Invoice:
    """One of this subscription, final since so many days."""
    at, paid = days_ago(days), status == "paid"
    return Invoice(
        id=f"in_{of}_{days}",
        number=None,
        status=status,
        reason=reason,
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


def account(subscriptions: list[Subscription], invoices: list[Invoice] | None = None, before: Doc | None = None) -> Doc:
    """What the account says of these."""
    customer = Customer(id="cus_1", deleted=False, label_id=None, email=None, party=NOBODY, method=None)
    facts = Facts(customer, subscriptions, invoices or [], [], {})
    return projecting.account_of(facts, before or BEFORE, now=NOW)


PRO = subscription("pro", "active", "pro", days=40)
LATE = [invoice("late", "open", days=3)]


@pytest.mark.parametrize(
    ("others", "invoices", "expected"),
    [
        ([subscription("new", "active", "starter")], [], "pro"),
        ([subscription("new", "active", "label_group")], [], "label_group"),
        ([subscription("new", "active", None)], [], "pro"),
        ([subscription("new", "active", "label_group")], [invoice("new", "open", days=0)], "pro"),
        ([subscription("late", "past_due", "label_group")], LATE, "label_group"),
        ([subscription("late", "past_due", "label_group")], [invoice("late", "open", days=8)], "pro"),
        ([subscription("late", "past_due", "pro")], LATE, "pro"),
        ([subscription("new", "unpaid", "label_group")], [], "pro"),
        ([subscription("new", "incomplete", "label_group")], [], "pro"),
        ([subscription("new", "frozen_by_a_new_version", "label_group")], [], "pro"),
        ([subscription("gone", "canceled", "label_group", days=1)], [], "pro"),
    ],
)
def test_of_several_the_one_that_gives_most(others: list[Subscription], invoices: list[Invoice], expected: str) -> None:
    """Whoever pays for a plan has it, whatever else is begun beside it, and in whatever order Stripe lists them."""
    firsts = [replace(one, reason="subscription_create") for one in invoices if one.subscription_id == "new"]
    for listed in permutations([PRO, *others]):
        found = account(list(listed), firsts or invoices)
        assert plan_of(found, now=NOW) == expected
        assert found["access"] == ("full" if expected == "pro" or others[0].status == "active" else "grace")


def test_among_equals_the_newest() -> None:
    """Of the same plan, and of those that have ended; one that is live comes before those."""
    twice = [subscription("a", "active", "pro", days=9), subscription("b", "active", "pro", days=2)]
    assert account(twice)["subscription"]["id"] == "b"
    ended = [subscription("a", "canceled", "starter", days=2), subscription("b", "canceled", "pro", days=9)]
    assert account(ended)["subscription"]["id"] == "a"
    assert account([*ended, subscription("c", "active", None, days=20)])["subscription"]["id"] == "c"
    assert account([])["access"] == "free"


def test_an_unknown_status_is_known_by_its_own_subscription() -> None:
    """What another one was says nothing of this one."""
    strange = subscription("pro", "frozen_by_a_new_version", "pro")
    before = BEFORE | account([PRO])
    assert account([strange], before=before)["access"] == "full"
    assert account([replace(strange, id="other")], before=before)["access"] == "free"


@pytest.mark.parametrize(
    ("unpaid", "paid", "since"),
    [
        ([2], [33], 2),
        ([2, 33], [64], 33),  # two months late, without a payment between
        ([2, 64], [33], 2),  # an old one was left open, and all was well again
        ([33], [2], 33),  # still late, Stripe says, although a later one was paid
        ([2], [], 2),
    ],
)
def test_since_when_it_is_late(unpaid: list[int], paid: list[int], since: int) -> None:
    """From the invoice with which it began, in whatever order they are listed, and whatever was seen before."""
    made = [invoice("late", "open", days=one) for one in unpaid] + [invoice("late", "paid", days=one) for one in paid]
    made.append(invoice("other", "open", days=80))
    mine = subscription("late", "past_due", "pro", days=90)
    seen = BEFORE | account([mine], [invoice("late", "open", days=70)])
    for invoices in (made, made[::-1]):
        for before in (BEFORE, seen):
            found = account([mine], invoices, before)
            assert found["past_due_since"] == days_ago(since)
            assert found["access"] == ("grace" if timedelta(days=since) < GRACE else "read_only")


def test_late_without_an_invoice() -> None:
    """Then by when we first saw it."""
    mine = subscription("late", "past_due", "pro", days=90)
    assert account([mine])["past_due_since"] == NOW
    before = BEFORE | account([mine]) | {"past_due_since": days_ago(5)}
    assert account([mine], before=before)["past_due_since"] == days_ago(5)
