"""How a call to Stripe can fail. Decided by the SDK's class, the status and the `code`, never by text (stripe.md, 3).

StripeError
├── StripeRefused   the same call will fail again; `code` is Stripe's word for it, `param` the parameter it is about
├── StripeBusy      it did not happen, and may after `retry_after`
├── StripeUnsure    it may have happened: repeat it under the same key. `replayed`: a failure stored under that key, so
│                   that repeating answers nothing more: look by our metadata whether it happened, then use a new key
└── StripeKeyDead   our key is wrong, rolled, expired, or lacks a permission: people must mend it
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import stripe

CONTENTION = timedelta(seconds=2)
"""The wait after a 409: another call has the object or the key."""
BURST = timedelta(seconds=5)
"""The wait after a 429 that names none."""
LONGEST_WAIT = timedelta(hours=1)
_WORD = re.compile(r"[a-z0-9_]{1,80}")
_PARAM = re.compile(r"[a-zA-Z0-9_\[\]]{1,80}")
_REQUEST = re.compile(r"req_[A-Za-z0-9_]{1,60}")


class StripeError(Exception):
    """A call that gave no result. Holds codes and Stripe's id of the request, never an answer's text, nor our key."""

    def __init__(self, code: str = "", status: int = 0, request_id: str = "") -> None:
        self.code, self.status, self.request_id = code, status, request_id
        told = ", ".join(part for part in (code, f"HTTP {status}" if status else "", request_id) if part)
        super().__init__(f"Stripe says {told}" if told else "Stripe cannot be reached")


class StripeRefused(StripeError):
    """The same call will fail again."""

    def __init__(self, code: str = "", status: int = 0, request_id: str = "", *, param: str = "") -> None:
        super().__init__(code, status, request_id)
        self.param = param


class StripeBusy(StripeError):
    """It did not happen, and may after `retry_after`."""

    def __init__(self, retry_after: timedelta, code: str = "", status: int = 0, request_id: str = "") -> None:
        super().__init__(code, status, request_id)
        self.retry_after = retry_after


class StripeUnsure(StripeError):
    """It may have happened: repeat it under the same key. Of what only reads: try again."""

    def __init__(self, code: str = "", status: int = 0, request_id: str = "", *, replayed: bool = False) -> None:
        super().__init__(code, status, request_id)
        self.replayed = replayed


class StripeKeyDead(StripeError):
    """Our key is wrong, rolled, expired, or lacks a permission."""


def error_of(exc: stripe.StripeError) -> StripeError:
    """What the SDK's error means."""
    headers: Mapping[str, str] = exc.headers or {}
    told = _told(exc)
    code = _word(told.get("code")) or _word(told.get("type"))
    status = exc.http_status or 0
    request_id = headers.get("request-id", "")
    about = (code, status, request_id if _REQUEST.fullmatch(request_id) else "")
    if isinstance(exc, stripe.AuthenticationError | stripe.PermissionError):
        return StripeKeyDead(*about)
    if isinstance(exc, stripe.RateLimitError):
        return StripeBusy(_wait(headers), *about)
    if status == 409:
        return StripeBusy(CONTENTION, *about)
    if 400 <= status < 500:
        param = told.get("param")
        return StripeRefused(*about, param=param if isinstance(param, str) and _PARAM.fullmatch(param) else "")
    return StripeUnsure(*about, replayed=headers.get("idempotent-replayed") == "true")


def _told(exc: stripe.StripeError) -> dict[str, Any]:
    body = exc.json_body
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _wait(headers: Mapping[str, str]) -> timedelta:
    text = headers.get("retry-after", "").strip()
    told = timedelta(seconds=int(text)) if re.fullmatch(r"[0-9]{1,6}", text) else BURST
    return min(max(told, timedelta(seconds=1)), LONGEST_WAIT)
