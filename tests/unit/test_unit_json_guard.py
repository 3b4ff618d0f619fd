"""Which JSON is taken: what every part of the house can hold, and nothing on which two parsers could differ."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import InvalidJson
from app.json_guard import DEPTH, NAMES, check_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
MANY = "[" * 200_000
TAKEN = [
    "0",
    '""',
    "[]",
    "{}",
    "null",
    " \n[1]\t",
    str(2**63 - 1),
    str(-(2**63)),
    "1e308",
    "-0.0",
    '"\\ud83c\\udfb5"',
    '{"a": {"a": {"a": 1}}}',
    '{"a": [{"b": 1}, {"b": 2}]}',
]
REFUSED = [
    "",
    " ",
    "[",
    "{]",
    "[1,]",
    '{"a":1,}',
    "{'a':1}",
    "[1] [2]",
    "[1]x",
    "// no\n1",
    "01",
    "+1",
    ".5",
    "0x10",
    "1_000",
    "\u0661",
    "NaN",
    "Infinity",
    "-Infinity",
    '{"a": [NaN]}',
    "1e309",
    "-1e999999999",
    str(2**63),
    str(-(2**63) - 1),
    "1" * 5_000,
    "-" + "9" * 200_000,
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '[{"x":{"b":1,"c":2,"b":3}}]',
    '"\\ud800"',
    '"\\udfb5\\ud83c"',
    '{"\\udc00":1}',
    '"\\u0000"',
    '["a\\u0000b"]',
    '{"a\\u0000":1}',
    '"a\0b"',
    '"line\nbreak"',
    '"\\x41"',
    '"\\u12"',
    "\ufeff{}",
    MANY,
    MANY + "]" * 200_000,
    '{"a":' * 200_000,
    "[" * 990 + "]" * 990,
]
NOT_UTF_8 = [
    b"\xff",
    b'"\xff"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b'"\xed\xa0\xbc\xed\xbe\xb5"',
    b'"\xf5\x80\x80\x80"',
    '{"a": 1}'.encode("utf-16"),
    '{"a": 1}'.encode("utf-16-le"),
    '{"a": 1}'.encode("utf-32-be"),
    '{"a": 1}'.encode("utf-8-sig"),
]


def refused(body: bytes) -> bool:
    """Whether the body is refused in the one way that there is."""
    try:
        check_json(body)
    except InvalidJson:
        return True
    return False


@given(st.binary() | st.text(st.sampled_from('{}[]",:0123456789.eE+-\\u ntrfalse\0')).map(str.encode))
@example(b"\\")
@example(b'"\\ud83c\\u0041"')
def test_any_bytes(body: bytes) -> None:
    """Taken or `InvalidJson`, and no other error; what is taken is JSON in UTF-8."""
    if not refused(body):
        json.loads(body.decode(), parse_constant=pytest.fail)


@given(VALUES, st.booleans())
def test_what_can_be_stored_is_taken(value: object, ascii_only: bool) -> None:
    """Any value in bounds, however it is escaped."""
    assert not refused(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(VALUES)
def test_a_cut_off_body_is_refused(value: object) -> None:
    """A list without its end."""
    assert refused(json.dumps([value])[:-1].encode())


@pytest.mark.parametrize("text", TAKEN)
def test_taken(text: str) -> None:
    """At the edge, but inside."""
    assert not refused(text.encode())


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:24]))
def test_refused(text: str) -> None:
    """Outside."""
    assert refused(text.encode())


@pytest.mark.parametrize("body", NOT_UTF_8)
def test_only_utf_8(body: bytes) -> None:
    """RFC 8259, section 8.1: nothing else, and no byte order mark."""
    assert refused(body)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(opening: str, closing: str) -> None:
    """As deep as allowed, and one deeper."""
    assert not refused((opening * DEPTH + "1" + closing * DEPTH).encode())
    assert refused((opening * (DEPTH + 1) + "1" + closing * (DEPTH + 1)).encode())


def test_number_of_names() -> None:
    """All objects of a body together."""
    halves = [{f"n{number}": 0 for number in range(NAMES // 2)} for _ in range(2)]
    assert not refused(json.dumps(halves).encode())
    assert refused(json.dumps([*halves, {"one": "more"}]).encode())
