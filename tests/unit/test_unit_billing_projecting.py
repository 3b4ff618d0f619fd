"""From all that is so at Stripe to what the account says: of several subscriptions, and since when one is late."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from app.clients.stripe_facts import Invoice, Subscription
from app.clients.stripe_reading import Facts
from app.db import Doc
from app.services.billing import projecting
from app.services.billing.standing import GRACE, plan_of
from tests.unit.billing_makers import NOW, customer, days_ago, invoice, subscription

BEFORE: Doc = {"subscription": None, "known_status": None, "past_due_since": None, "had_trial": False}


def account(subscriptions: list[Subscription], invoices: list[Invoice] | None = None, before: Doc | None = None) -> Doc:
    """What the account says of these."""
    facts = Facts(customer(), subscriptions, invoices or [], [], {})
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
