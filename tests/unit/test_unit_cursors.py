"""Cursors: what was put in comes out, in its own list only, and nothing else is taken."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import cursors
from app.clock import whole_ms
from app.errors import InvalidCursor

KEY, PLACE = b"k" * 32, "messages lbl_1 cnv_1"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(whole_ms)  # noqa: DTZ001
VALUES = st.lists(st.text(st.characters(codec="utf-8")) | st.integers() | st.none(), max_size=4)


def refused(cursor: str, *, key: bytes = KEY, place: str = PLACE) -> bool:
    """Whether the cursor is refused in the one way that there is."""
    try:
        cursors.decode(key, place, cursor)
    except InvalidCursor:
        return True
    return False


@given(VALUES, st.text(st.characters(codec="utf-8")))
def test_what_goes_in_comes_out(values: list[Any], place: str) -> None:
    """Any list of plain values, in any place; and the cursor can stand in an address as it is."""
    cursor = cursors.encode(KEY, place, values)
    assert set(cursor) <= set(ALPHABET)
    assert cursors.decode(KEY, place, cursor) == values


@given(INSTANTS, st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_time_and_an_id_come_out(at: datetime, body: str) -> None:
    """To the millisecond, which is what the database keeps."""
    cursor = cursors.encode(KEY, PLACE, [at, body])
    assert cursors.decode_time_and_id(KEY, PLACE, cursor) == (at, body)


def test_no_cursor_is_the_beginning() -> None:
    """None for none."""
    assert cursors.decode_time_and_id(KEY, PLACE, None) is None
    assert cursors.decode_id(KEY, PLACE, None) is None
    assert cursors.decode_id(KEY, PLACE, cursors.encode(KEY, PLACE, ["msg_1"])) == "msg_1"


@given(VALUES, st.data())
def test_a_changed_character_is_noticed(values: list[Any], data: st.DataObject) -> None:
    """Wherever it is, the last one too, whose spare bits another character would leave as they are."""
    cursor = cursors.encode(KEY, PLACE, values)
    index = data.draw(st.integers(0, len(cursor) - 1) | st.just(len(cursor) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda character: character != cursor[index]))
    assert refused(cursor[:index] + other + cursor[index + 1 :])


@given(VALUES, st.data())
def test_an_added_or_missing_character_is_noticed(values: list[Any], data: st.DataObject) -> None:
    """Also one that a lenient base64 decoder would pass over."""
    cursor = cursors.encode(KEY, PLACE, values)
    index = data.draw(st.integers(0, len(cursor)))
    added = data.draw(st.sampled_from(ALPHABET + "=!+/ \n\0é"))
    assert refused(cursor[:index] + added + cursor[index:])
    assert refused(cursor[:index] + cursor[index + 1 :]) or index == len(cursor)


@pytest.mark.parametrize("place", ["", "messages lbl_1 cnv_2", "messages lbl_1 cnv_1 ", "comments lbl_1 cnv_1"])
def test_a_cursor_is_of_one_list(place: str) -> None:
    """Of another label's or of other filters, it is as good as none."""
    cursor = cursors.encode(KEY, PLACE, ["msg_1"])
    assert refused(cursor, place=place)
    assert refused(cursor, key=b"K" * 32)
    assert not refused(cursor)


@given(st.text() | st.text(ALPHABET) | st.text(ALPHABET, min_size=16).map(lambda text: text + "=="))
def test_garbage_is_refused(cursor: str) -> None:
    """Any text at all: `InvalidCursor`, and no other error."""
    assert refused(cursor)


@given(st.binary(max_size=80))
def test_what_others_sign_is_refused(body: bytes) -> None:
    """Valid base64 of any bytes, with a signature's length before them."""
    forged = base64.urlsafe_b64encode(b"\0" * cursors.SIGNATURE_BYTES + body).rstrip(b"=").decode()
    assert refused(forged)


def test_a_page_is_cut() -> None:
    """The cursor leads on from the last one shown, and the last page has none."""
    found = [{"_id": f"msg_{number}", "sent_at": datetime(2026, 11, 1, tzinfo=UTC)} for number in range(4)]
    page, cursor = cursors.cut(KEY, PLACE, found, ["sent_at", "_id"], limit=3)
    assert [doc["_id"] for doc in page] == ["msg_0", "msg_1", "msg_2"]
    assert cursors.decode_time_and_id(KEY, PLACE, cursor) == (datetime(2026, 11, 1, tzinfo=UTC), "msg_2")
    assert cursors.cut(KEY, PLACE, found, ["_id"], limit=4) == (found, None)
    assert cursors.cut(KEY, PLACE, [], ["_id"], limit=4) == ([], None)
