"""When a request is due, and when somebody is reminded of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.privacy.reminding import next_reminder
from app.services.privacy.requests import REMINDED_AFTER, one_month_after

INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-01-31", "2026-02-28"),
        ("2028-01-31", "2028-02-29"),
        ("2028-01-29", "2028-02-29"),
        ("2026-01-29", "2026-02-28"),
        ("2028-02-29", "2028-03-29"),
        ("2026-02-28", "2026-03-28"),
        ("2026-03-31", "2026-04-30"),
        ("2026-12-31", "2027-01-31"),
        ("2026-11-29", "2026-12-29"),
    ],
)
def test_the_month_is_the_calendars(received: str, due: str) -> None:
    """The same day of the next month, or its last one; at the same time of day."""
    at = datetime.fromisoformat(f"{received}T23:59:59+00:00")
    assert one_month_after(at) == datetime.fromisoformat(f"{due}T23:59:59+00:00")


@given(INSTANTS)
def test_a_month_has_28_to_31_days(at: datetime) -> None:
    """And both reminders come before it ends."""
    due = one_month_after(at)
    assert timedelta(days=28) <= due - at <= timedelta(days=31)
    assert all(at + after < due for after in REMINDED_AFTER)


@given(INSTANTS, INSTANTS)
def test_who_received_later_is_due_later(one: datetime, other: datetime) -> None:
    """Never the other way round."""
    first, second = sorted((one, other))
    assert one_month_after(first) <= one_month_after(second)


def test_reminders_come_on_day_20_and_day_27() -> None:
    """Each once; whoever slept through the first gets the second alone."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    request = {"received_at": at}
    assert next_reminder(request, now=at) == at + timedelta(days=20)
    assert next_reminder(request, now=at + timedelta(days=20)) == at + timedelta(days=27)
    assert next_reminder(request, now=at + timedelta(days=26, hours=23)) == at + timedelta(days=27)
    assert next_reminder(request, now=at + timedelta(days=27)) is None
