"""From Stripe's statuses to access, by one table; and amounts of every kind of currency."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import Subscription

from app.db import Doc
from app.services.billing.amounts import WITH_THREE_DIGITS, WITHOUT_DIGITS, digits_of, in_words
from app.services.billing.standing import ACCESS, GRACE, access_of, plan_of

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def account(status: str | None, *, since: datetime | None = None, known: str | None = None, **more: Any) -> Doc:
    """An account whose subscription has this status."""
    shown = {"status": status, "plan": "pro", "first_paid": True} | more
    return {"subscription": shown if status else None, "past_due_since": since, "known_status": known}


def test_the_table_knows_every_status() -> None:
    """All that this version of the SDK has."""
    assert set(get_args(get_args(Subscription.__annotations__["status"])[0])) == set(ACCESS)


@pytest.mark.parametrize(("status", "access"), ACCESS.items())
def test_each_status(status: str, access: str) -> None:
    """And the plan that counts by it."""
    found = account(status, since=NOW)
    assert access_of(found, now=NOW) == access
    assert plan_of(found, now=NOW) == ("free" if access == "free" else "pro")


def test_without_a_subscription() -> None:
    """No account, or one that has not chosen: the free plan."""
    assert access_of(None, now=NOW) == access_of(account(None), now=NOW) == "free"
    assert plan_of(None, now=NOW) == "free"


def test_grace_ends_by_the_clock() -> None:
    """To the millisecond, and without anybody asking Stripe."""
    found = account("past_due", since=NOW)
    assert access_of(found, now=NOW + GRACE - timedelta(milliseconds=1)) == "grace"
    assert access_of(found, now=NOW + GRACE) == "read_only"


def test_payment_comes_before_access() -> None:
    """An active subscription whose first invoice is still being paid gives nothing yet; a trial does."""
    assert access_of(account("active", first_paid=False), now=NOW) == "free"
    assert access_of(account("trialing", first_paid=True), now=NOW) == "full"


@pytest.mark.parametrize(("known", "access"), [("active", "full"), ("unpaid", "read_only"), (None, "free")])
def test_an_unknown_status_changes_nothing(known: str | None, access: str) -> None:
    """The last one that was known counts."""
    assert access_of(account("frozen_by_a_new_version", known=known), now=NOW) == access


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1900, "eur", "19.00 EUR"),
        (5, "usd", "0.05 USD"),
        (3000, "jpy", "3000 JPY"),
        (1234, "kwd", "1.234 KWD"),
        (-1900, "gbp", "-19.00 GBP"),
        (0, "bhd", "0.000 BHD"),
        (500, "isk", "5.00 ISK"),
        (10**14 + 1, "eur", "1000000000000.01 EUR"),
    ],
)
def test_amounts_in_words(amount: int, currency: str, text: str) -> None:
    """By the currency's digits, exactly."""
    assert in_words(amount, currency) == text


@given(st.integers(-(10**15), 10**15), st.sampled_from(["eur", *sorted(WITHOUT_DIGITS | WITH_THREE_DIGITS)]))
def test_no_amount_loses_a_unit(amount: int, currency: str) -> None:
    """What is shown, without its point, is the amount again."""
    number, _, code = in_words(amount, currency).partition(" ")
    assert int(number.replace(".", "")) == amount and code == currency.upper()
    assert len(number.partition(".")[2]) == digits_of(currency)
