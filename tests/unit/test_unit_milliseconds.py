"""Milliseconds: an instant that goes through a number comes back as it was, whatever the year."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from app import clock, cursors

KEY, PLACE = b"k" * 32, "messages:lbl_1:cnv_1"


@given(st.integers(-(2**45), 2**47))
@example(2**31 * 1000 + 2)
def test_there_and_back(ms: int) -> None:
    """From a number to an instant and back, before 1970 too."""
    at = clock.from_ms(ms)
    assert (at.tzinfo, clock.whole_ms(at)) == (UTC, at)
    assert clock.to_ms(at) == ms


@given(st.integers(0, 2**47), st.text(min_size=1, max_size=40))
@example(2**31 * 1000 + 2, "msg_1")
def test_a_cursor_continues_where_the_page_ended(ms: int, last_id: str) -> None:
    """One millisecond less, and a document of that millisecond would be on no page."""
    at: datetime = clock.from_ms(ms)
    cursor = cursors.encode(KEY, PLACE, [at, last_id])
    assert cursors.decode_time_and_id(KEY, PLACE, cursor) == (at, last_id)
