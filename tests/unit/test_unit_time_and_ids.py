"""The clock tells what the database can keep; ids tell their type and their order."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from bson import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from app.clock import from_ms, shifted, utc_now, whole_ms
from app.ids import Prefix, new_id

INSTANTS = st.datetimes(timezones=st.just(UTC))
OUTSIDE = [10**18, -(10**18), 253_402_300_800_000, -62_135_596_800_001, 2**63]


@given(INSTANTS)
def test_whole_milliseconds_survive_the_database(at: datetime) -> None:
    """What BSON gives back is what was put in, and less than a millisecond is lost, never won."""
    cut = whole_ms(at)
    assert timedelta() <= at - cut < timedelta(milliseconds=1)
    stored = decode(encode({"at": cut}))["at"].replace(tzinfo=UTC)
    assert stored == cut


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_since_1970(ms: int) -> None:
    """Exact, over the whole calendar, before 1970 too."""
    at = from_ms(ms)
    assert at.tzinfo is UTC
    assert (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == ms


@pytest.mark.parametrize("ms", OUTSIDE)
def test_no_instant_outside_the_calendar(ms: int) -> None:
    """The two errors that callers expect."""
    with pytest.raises((OverflowError, ValueError)):
        from_ms(ms)


def test_the_present() -> None:
    """Between two looks at the system's clock; a shifted clock runs beside it."""
    before = whole_ms(datetime.now(UTC))
    now, tomorrow = utc_now(), shifted(timedelta(days=1))()
    after = datetime.now(UTC)
    assert before <= now <= after
    assert before <= tomorrow - timedelta(days=1) <= after
    assert (now.microsecond % 1000, tomorrow.microsecond % 1000) == (0, 0)


@pytest.mark.parametrize("prefix", get_args(Prefix))
def test_an_id_names_its_type(prefix: Prefix) -> None:
    """A prefix and 26 characters that need no escaping anywhere."""
    assert re.fullmatch(rf"{prefix}_[0-9a-hjkmnp-tv-z]{{26}}", new_id(prefix))


def test_ids_are_unique() -> None:
    """Many in the same millisecond."""
    assert len({new_id("msg") for _ in range(5_000)}) == 5_000


def test_ids_are_ordered_by_their_millisecond() -> None:
    """Sorted as text, those of a later millisecond come later."""
    ids = []
    for _ in range(20):
        ids.append(new_id("msg"))
        made = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == made:
            pass
    assert ids == sorted(ids)
