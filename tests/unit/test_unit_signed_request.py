"""`signed_request`: the reference's vector, every forgery that we know, and text that nobody meant (R-43)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidSignedRequest
from app.services.webhooks.signed_request import AT_MOST, Family, SignedRequest, verify

VECTOR = (
    "--xXsXTcRiyqEWQUrwmbuwblGethUawkGdtl-NKOyL8."
    "eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsImlzc3VlZF9hdCI6MTc5NTQyMDgwMCwidXNlcl9pZCI6IjcwMDAwMDAwMDAwMDA5OSJ9"
)
"""meta-platform.md, section 1.6; with the secret of its other vectors."""
VECTOR_SECRET = b"soundops-test-secret-0001"
ISSUED_AT = 1_795_420_800
NOW = datetime.fromtimestamp(ISSUED_AT, UTC) + timedelta(minutes=1)
SECRETS: dict[Family, list[bytes]] = {
    "instagram": [b"newest-instagram-secret", b"older-instagram-secret"],
    "facebook": [b"newest-meta-secret", b"older-meta-secret"],
}
SIGNED = st.sampled_from([(family, secret) for family, secrets in SECRETS.items() for secret in secrets])
GOOD: dict[str, Any] = {"algorithm": "HMAC-SHA256", "issued_at": ISSUED_AT, "user_id": "700000000000099"}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: Any, secret: bytes = SECRETS["instagram"][0]) -> str:
    """What Meta would send; a payload of bytes as it is."""
    text = encoded(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return f"{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}.{text}"


def padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def signed_with_padding(payload: Any, secret: bytes = SECRETS["instagram"][0]) -> str:
    text = padded(encoded(json.dumps(payload).encode()))
    assert text.endswith("=")
    return f"{padded(encoded(hmac.digest(secret, text.encode(), hashlib.sha256)))}.{text}"


def test_the_vector() -> None:
    """The reference's own, at its own time: its signature begins with `-`, which plain base64 chokes on."""
    found = verify(VECTOR, {"instagram": [VECTOR_SECRET], "facebook": []}, now=NOW)
    assert found == SignedRequest("instagram", "700000000000099", datetime.fromtimestamp(ISSUED_AT, UTC))


@given(SIGNED, st.one_of(st.from_regex(r"[0-9]{1,40}", fullmatch=True), st.integers(0, 10**39)), st.integers(0, 86_000))
def test_who_signed_is_known(who: tuple[Family, bytes], user_id: str | int, age_s: int) -> None:
    """Any secret of any family, ids as text or as numbers of any size, any time of the last day."""
    family, secret = who
    payload = GOOD | {"user_id": user_id, "issued_at": ISSUED_AT - age_s, "expires": 0, "unknown": [1]}
    found = verify(signed(payload, secret), SECRETS, now=NOW)
    assert (found.family, found.user_id) == (family, str(user_id))
    assert found.issued_at.timestamp() == ISSUED_AT - age_s


@given(SIGNED, st.integers(0), st.integers(1, 255))
def test_any_flipped_byte_is_refused(who: tuple[Family, bytes], at: int, by: int) -> None:
    """Wherever it is: no two texts mean the same."""
    raw = bytearray(signed(GOOD, who[1]).encode())
    raw[at % len(raw)] ^= by
    refused(raw.decode("latin-1"))


def refused(text: str, *, now: datetime = NOW, secrets: dict[Family, list[bytes]] = SECRETS) -> None:
    with pytest.raises(InvalidSignedRequest) as caught:
        verify(text, secrets, now=now)
    assert caught.value.status == 400
    assert caught.value.detail == InvalidSignedRequest.title, "every refusal says the same"


@given(st.text(max_size=200))
def test_nonsense_is_refused(text: str) -> None:
    """Any text, alone and as one of the parts."""
    for forged in (text, f"{text}.{signed(GOOD).split('.')[1]}", f"{signed(GOOD).split('.')[0]}.{text}"):
        refused(forged)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_payload_is_read_or_refused(value: Any) -> None:
    """What is signed well and says something odd is refused in the same way, whatever it is."""
    for payload in (value, GOOD | {"algorithm": value}, GOOD | {"issued_at": [value]}, GOOD | {"user_id": [value]}):
        refused(signed(json.dumps(payload).encode("utf-8", "surrogatepass")))


FORGERIES: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "a dot": lambda: ".",
    "no signature": lambda: "." + signed(GOOD).split(".")[1],
    "no payload": lambda: signed(GOOD).split(".")[0] + ".",
    "one part": lambda: signed(GOOD).split(".")[1],
    "three parts": lambda: signed(GOOD) + "." + signed(GOOD).split(".")[1],
    "a dot behind": lambda: signed(GOOD) + ".",
    "wrong secret": lambda: signed(GOOD, b"somebody else's"),
    "empty secret": lambda: signed(GOOD, b""),
    "cut signature": lambda: encoded(b"\0" * 8) + "." + signed(GOOD).split(".")[1],
    "SHA-1": lambda: encoded(b"\0" * 20) + "." + signed(GOOD).split(".")[1],
    "tampered payload": lambda: signed(GOOD).split(".")[0] + "." + signed(GOOD | {"user_id": "7"}).split(".")[1],
    "signed once decoded": lambda: (
        encoded(hmac.digest(SECRETS["instagram"][0], json.dumps(GOOD).encode(), hashlib.sha256))
        + "."
        + encoded(json.dumps(GOOD).encode())
    ),
    "half a padding": lambda: signed(GOOD).replace(".", "=.") + "=",
    "too much padding": lambda: signed(GOOD).replace(".", "==="),
    "plain base64": lambda: signed(b'{"\xff\xff\xff": "???>>>"}').replace("_", "/").replace("-", "+"),
    "space around": lambda: f" {signed(GOOD)}",
    "a line behind": lambda: signed(GOOD) + "\n",
    "too long": lambda: signed(GOOD | {"more": "x" * AT_MOST}),
    "algorithm none": lambda: signed(GOOD | {"algorithm": "none"}),
    "algorithm SHA-1": lambda: signed(GOOD | {"algorithm": "HMAC-SHA1"}),
    "algorithm missing": lambda: signed({name: GOOD[name] for name in ("issued_at", "user_id")}),
    "no JSON": lambda: signed(b"{"),
    "no UTF-8": lambda: signed(b"\xff\xfe"),
    "deep": lambda: signed(b"[" * 5000),
    "a list": lambda: signed([GOOD]),
    "a text": lambda: signed("HMAC-SHA256"),
    "no user": lambda: signed(GOOD | {"user_id": None}),
    "empty user": lambda: signed(GOOD | {"user_id": ""}),
    "true as user": lambda: signed(GOOD | {"user_id": True}),
    "a float as user": lambda: signed(GOOD | {"user_id": 7.5e14}),
    "half a surrogate as user": lambda: signed(GOOD | {"user_id": "\ud800"}),
    "an operator as user": lambda: signed(GOOD | {"user_id": {"$ne": None}}),
    "an endless number as user": lambda: signed(b'{"user_id":' + b"9" * 5000 + b"}"),
    "a long user": lambda: signed(GOOD | {"user_id": "7" * 200}),
    "no time": lambda: signed(GOOD | {"issued_at": None}),
    "time as text": lambda: signed(GOOD | {"issued_at": str(ISSUED_AT)}),
    "true as time": lambda: signed(GOOD | {"issued_at": True}),
    "no number as time": lambda: signed(GOOD | {"issued_at": float("nan")}),
    "infinity as time": lambda: signed(GOOD | {"issued_at": float("inf")}),
    "milliseconds": lambda: signed(GOOD | {"issued_at": ISSUED_AT * 1000}),
    "too old": lambda: signed(GOOD | {"issued_at": ISSUED_AT - 86_400}),
    "ahead": lambda: signed(GOOD | {"issued_at": ISSUED_AT + 361}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries(name: str) -> None:
    """Each is refused, as the same error (meta-platform.md, section 9, item 13)."""
    refused(FORGERIES[name]())


def test_padding_is_taken() -> None:
    """Meta sends none; with it the very text must be signed."""
    payload = GOOD | {"x": "12"}
    assert verify(signed_with_padding(payload), SECRETS, now=NOW).user_id == GOOD["user_id"]
    signature, text = signed(payload).split(".")
    assert verify(f"{padded(signature)}.{text}", SECRETS, now=NOW).family == "instagram"
    refused(f"{signature}.{padded(text)}")


@pytest.mark.parametrize("algorithm", ["HMAC-SHA256", "hmac-sha256", "Hmac-Sha256"])
def test_the_algorithm_in_any_case(algorithm: str) -> None:
    """It is compared without looking at the case."""
    assert verify(signed(GOOD | {"algorithm": algorithm}), SECRETS, now=NOW).family == "instagram"


def test_the_other_family_is_not_this_one() -> None:
    """The same text is the one's or the other's by its secret alone, and nobody's where that app does not exist."""
    text = signed(GOOD, SECRETS["facebook"][1])
    assert verify(text, SECRETS, now=NOW).family == "facebook"
    refused(text, secrets=SECRETS | {"facebook": []})


def test_its_time() -> None:
    """To the second: a day back and five minutes ahead; a time with a fraction is taken."""
    issued = datetime.fromtimestamp(ISSUED_AT, UTC)
    for good in (timedelta(hours=24), timedelta(minutes=-5), timedelta()):
        assert verify(signed(GOOD), SECRETS, now=issued + good).issued_at == issued
    for bad in (timedelta(hours=24, seconds=1), timedelta(minutes=-5, seconds=-1)):
        refused(signed(GOOD), now=issued + bad)
    assert verify(signed(GOOD | {"issued_at": ISSUED_AT + 0.5}), SECRETS, now=NOW).issued_at == issued
