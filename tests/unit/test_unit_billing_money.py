"""Records of money: when something happened to them last, by which the law reckons; and whose law it is."""

from dataclasses import replace
from typing import Any

import pytest

from app.clients.stripe_facts import Party, TaxId
from app.clients.stripe_reading import Facts
from app.db import Doc
from app.services.billing.money import Record, records_of
from tests.unit.billing_makers import NOW, customer, days_ago, dispute, invoice, payment, refund

SOLD = invoice("sub_1", "paid", days=300, id="in_1", paid_at=days_ago(295), payment_ids=("pi_0", "pi_1"))
TRIED = payment("pi_0", days=300, status="requires_payment_method")
PAID = payment("pi_1", days=299, charged_at=days_ago(295))
GERMAN = Party("Label", "DE", {}, (TaxId("eu_vat", "DE123456789"),))


def recorded(*payments: Any, known: dict[str, Doc] | None = None, disputes: Any = (), **more: Any) -> list[Record]:
    """What is recorded of a sale with these payments; `more` is the invoice's."""
    facts = Facts(customer(), [], [replace(SOLD, **more)], list(payments), {"pi_1": list(disputes)})
    return records_of(facts, known or {}, now=NOW)


def stored(records: list[Record]) -> dict[str, Doc]:
    """The same, as the records of the label are known the next time."""
    return {one.provider_id: one.fields | {"_id": one.id, "latest_at": one.latest_at} for one in records}


@pytest.mark.parametrize(
    ("payments", "disputes", "days"),
    [
        ([TRIED, PAID], [], 295),
        ([PAID], [], 295),
        ([replace(PAID, refunds=(refund(days=100),))], [], 100),
        ([replace(PAID, refunds=(refund(days=100),))], [dispute(days=40)], 40),
    ],
)
def test_a_sale_is_kept_in_whole(payments: list[Any], disputes: list[Any], days: int) -> None:
    """An invoice of one year that is paid, refunded or contested in the next: all of it belongs to the next."""
    found = recorded(*payments, disputes=disputes)
    assert {one.latest_at for one in found} == {days_ago(days)}
    assert {one.provider_id: one.at for one in found}["in_1"] == days_ago(300)


@pytest.mark.parametrize(
    ("payments", "disputes", "credited"),
    [
        ([PAID], [], 500),
        ([replace(PAID, refunds=(refund(days=100, status="failed"),))], [], 0),
        ([PAID], [dispute(days=100, status="lost")], 0),
        ([replace(PAID, status="canceled")], [], 0),
    ],
)
def test_what_stripe_gives_no_time_for_happens_when_it_is_seen(
    payments: list[Any], disputes: list[Any], credited: int
) -> None:
    """A credit note, a refund that fails later, a dispute that is decided; and the next look does not forget it."""
    first = recorded(replace(PAID, refunds=(refund(days=100),)), disputes=[dispute(days=100)])
    assert {one.latest_at for one in first} == {days_ago(100)}
    again = recorded(replace(PAID, refunds=(refund(days=100),)), disputes=[dispute(days=100)], known=stored(first))
    assert {one.latest_at for one in again} == {days_ago(100)} and [one.id for one in again] == [
        one.id for one in first
    ]
    changed = recorded(*payments, disputes=disputes, credited=credited, known=stored(first))
    assert {one.latest_at for one in changed} == {NOW}
    later = recorded(*payments, disputes=disputes, credited=credited, known=stored(changed))
    assert {one.latest_at for one in later} == {NOW}


def test_the_law_of_what_was_paid_is_not_the_customers_of_today() -> None:
    """A payment without an invoice is dated by its charge: a tax number that goes, or a customer, changes nothing."""
    for now in (customer(party=GERMAN), customer(), customer(deleted=True)):
        [one] = records_of(Facts(now, [], [], [PAID], {}), {}, now=NOW)
        assert (one.party.country, one.party.tax_ids) == ("DE", ())
    [sold, paid] = recorded(PAID, party=GERMAN)
    assert sold.party == paid.party == GERMAN
