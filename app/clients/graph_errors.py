"""How a Graph call can fail. Decided by code and subcode, never by text (Meta; meta-platform.md, section 7).

GraphError
├── Unavailable      it did not happen: try again
├── RateLimited      it did not happen: try again when the window reopens
├── OutcomeUnknown   it may have happened: ask before trying again
├── TokenDead        the account must be connected anew
└── Refused          the same call will fail again; `reason` says why
"""

from datetime import timedelta
from typing import Any, Literal

Reason = Literal[
    "window_closed",
    "action_blocked",
    "permission_lost",
    "recipient_unavailable",
    "not_thread_owner",
    "thread_gone",
    "message_gone",
    "attachment_refused",
    "sending_paused",
    "not_found",
    "invalid_request",
    "unknown_error",
]


class GraphError(Exception):
    """A call that gave no result. Holds codes and Meta's trace id, never the answer's text."""

    def __init__(self, code: int = 0, subcode: int = 0, *, http_status: int = 0, trace_id: str = "") -> None:
        self.code, self.subcode, self.http_status, self.trace_id = code, subcode, http_status, trace_id
        super().__init__(f"Graph {code}/{subcode}, HTTP {http_status}, trace {trace_id}")


class Unavailable(GraphError):
    """It did not happen: try again."""


class OutcomeUnknown(GraphError):
    """It may have happened: ask before trying again."""


class TokenDead(GraphError):
    """The token is no longer good: stop, and have the account connected anew."""


class RateLimited(GraphError):
    """It did not happen, and will not before `wait` is over."""

    wait = timedelta(minutes=5)


class Refused(GraphError):
    """The same call will fail again."""

    reason: Reason = "unknown_error"


WINDOW_CLOSED = {2534022, 2018278, 2018065}
RECIPIENT_GONE = {1545041, 2018108, 2018001, 2534014}
BLOCKED = {368, 1390008}
RATE_CODES = {4, 17, 32, 341, 613}
TRANSIENT_CODES = {1, 2, -1, -2}
TOKEN_CODES = {190, 102}
OF_MESSAGES: dict[int, Reason] = {
    2534037: "not_thread_owner",
    2534001: "thread_gone",
    9000001: "message_gone",
    2018047: "attachment_refused",
    1893063: "sending_paused",
}
"""What a code or subcode of the Send API says (meta-platform.md, section 3.8)."""


def error_of(body: Any, http_status: int, *, repeatable: bool) -> GraphError:
    """The error that this answer means. A write that may have happened (`repeatable=False`) is `OutcomeUnknown`."""
    error = body.get("error") if isinstance(body, dict) else None
    in_doubt = Unavailable if repeatable else OutcomeUnknown
    if not isinstance(error, dict):
        kind: type[GraphError] = in_doubt if http_status >= 500 or http_status < 400 else Refused
        return kind(http_status=http_status)
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    trace_id = str(error.get("fbtrace_id") or "")[:64]
    kind, reason = _kind_of(code, subcode, http_status, error.get("is_transient") is True, in_doubt)
    found = kind(code, subcode, http_status=http_status, trace_id=trace_id)
    if isinstance(found, Refused):
        found.reason = reason
    return found


def _kind_of(
    code: int, subcode: int, http_status: int, transient: bool, in_doubt: type[GraphError]
) -> tuple[type[GraphError], Reason]:
    if code in TOKEN_CODES:
        return TokenDead, "unknown_error"
    if code == 10 and subcode in WINDOW_CLOSED:
        return Refused, "window_closed"
    if (code == 4 and subcode == 2207051) or code in BLOCKED:
        return Refused, "action_blocked"
    if subcode in RECIPIENT_GONE or code == 551:
        return Refused, "recipient_unavailable"
    if subcode in OF_MESSAGES or code in OF_MESSAGES:
        return Refused, OF_MESSAGES.get(subcode) or OF_MESSAGES[code]
    if code in RATE_CODES or 80000 <= code < 80100 or http_status == 429:
        return RateLimited, "unknown_error"
    if code in TRANSIENT_CODES or transient or http_status >= 500:
        return in_doubt, "unknown_error"
    return Refused, _refusal(code, subcode)


def _refusal(code: int, subcode: int) -> Reason:
    if code in (3, 10) or 200 <= code <= 299:
        return "permission_lost"
    if (code == 100 and subcode == 33) or code in (803, 2500):
        return "not_found"
    return "invalid_request" if code == 100 else "unknown_error"


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
