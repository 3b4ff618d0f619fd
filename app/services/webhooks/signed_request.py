"""What Meta posts to the deauthorize and data-deletion callbacks: who it is about, signed with an app secret.

`base64url(HMAC-SHA256) + "." + base64url(JSON)`, the signature over the second part as it was received
(meta-platform.md, section 1.6).
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from app.errors import InvalidSignedRequest

Family = Literal["instagram", "facebook"]
"""Which of our two apps at Meta: each has secrets of its own, and ids of people that mean nothing to the other."""
AT_MOST = 8 * 1024
OLDEST, EARLIEST = timedelta(hours=24), timedelta(minutes=5)
"""How old it may be, and how far its clock may be ahead of ours."""
_PART = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_USER_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class SignedRequest:
    """What it says."""

    family: Family
    user_id: str
    """The person's app-scoped id."""
    issued_at: datetime


def verify(text: str, secrets: Mapping[Family, Sequence[bytes]], *, now: datetime) -> SignedRequest:
    """What Meta says in it, and by which family's secrets it was signed. Raises `InvalidSignedRequest` for all else.

    Meta leaves the padding away; it is taken as well, since the signature covers the text as it came.
    """
    parts = text.split(".") if len(text) <= AT_MOST else []
    if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidSignedRequest
    signature, payload = (_decoded(part) for part in parts)
    family = _signer(signature, parts[1].encode(), secrets)
    if family is None:
        raise InvalidSignedRequest
    found = _parsed(payload)
    if str(found.get("algorithm")).upper() != "HMAC-SHA256":
        raise InvalidSignedRequest
    return SignedRequest(family, _user_id(found.get("user_id")), _issued_at(found.get("issued_at"), now))


def _decoded(part: str) -> bytes:
    missing = -len(part) % 4
    try:
        found = base64.b64decode(part + "=" * missing, altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise InvalidSignedRequest from exc
    whole = base64.urlsafe_b64encode(found).decode()
    if part not in (whole, whole.rstrip("=")):  # half a padding, or bits behind the end that nobody signed
        raise InvalidSignedRequest
    return found


def _signer(signature: bytes, signed: bytes, secrets: Mapping[Family, Sequence[bytes]]) -> Family | None:
    """Whose secret made the signature. Every secret of every family is tried, so that the time tells nothing."""
    found: Family | None = None
    for family, ours in secrets.items():
        results = [hmac.compare_digest(hmac.digest(secret, signed, hashlib.sha256), signature) for secret in ours]
        found = family if any(results) else found
    return found


def _parsed(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise InvalidSignedRequest from exc
    if not isinstance(found, dict):
        raise InvalidSignedRequest
    return found


def _user_id(given: Any) -> str:
    """As text: as a number it may be larger than a float can hold."""
    if isinstance(given, bool) or not isinstance(given, str | int) or not _USER_ID.fullmatch(str(given)):
        raise InvalidSignedRequest
    return str(given)


def _issued_at(given: Any, now: datetime) -> datetime:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InvalidSignedRequest
    if not (now - OLDEST).timestamp() <= given <= (now + EARLIEST).timestamp():
        raise InvalidSignedRequest
    return datetime.fromtimestamp(int(given), UTC)
