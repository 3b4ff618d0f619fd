"""One call of Meta's Graph API, on whichever host: time-outs, retries, what it said of our usage, typed errors."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

import httpx

from app.clients import answers
from app.clients.credentials import Opened
from app.clients.graph_errors import GraphError, Malformed, OutcomeUnknown, RateLimited, Unavailable, error_of
from app.models.features import UsedFor

ANSWER_BYTES = 5 * 1024 * 1024
SLOW_AT_PERCENT = 95
T = TypeVar("T")
Network = Literal["instagram", "facebook"]
DEFAULT_PAUSE_S, LONGEST_PAUSE_S = 300, 24 * 3600


@dataclass(kw_only=True)
class GraphHost:
    """One of Meta's Graph hosts as one of our apps calls it, and what it lately said of our usage. One a process."""

    http: httpx.AsyncClient
    graph_url: str
    version: str
    app_id: str
    app_secret: str = field(repr=False)
    with_proof: bool = False
    """Whether calls carry an `appsecret_proof` (Meta documents it for graph.facebook.com only)."""
    timeout_s: float = 15
    _paused_until: dict[str, float] = field(default_factory=dict)
    _usage: dict[str, int] = field(default_factory=dict)

    def pause_left_s(self, account_id: str) -> float:
        """Seconds for which Meta wants no calls for this account; 0 when it does not mind."""
        return max(0.0, self._paused_until.get(account_id, 0.0) - time.monotonic())

    def usage_percent(self, account_id: str) -> int | None:
        """How much of the account's limit is used up, as this process last heard; none when nothing was said."""
        return self._usage.get(account_id)

    def note_usage(self, account_id: str, headers: Mapping[str, str]) -> None:
        """Read the usage headers; at 95 percent, pause. Malformed ones say nothing; none at all, that it is little."""
        if not any(name in headers for name in USAGE_HEADERS):
            self._usage.pop(account_id, None)
        usages = _usages(headers)
        numbers = [int(n) for usage in usages for name, n in usage.items() if name in PERCENTAGES and _is_number(n)]
        if numbers:
            self._usage[account_id] = max(numbers)
        wait_s = _wait_of(usages)
        if wait_s:
            self._paused_until[account_id] = time.monotonic() + wait_s

    def address(self, path: str) -> str:
        """The address of a versioned path."""
        return f"{self.graph_url}/{self.version}{path}"


@dataclass(frozen=True, kw_only=True)
class At:
    """Where to call, and as whom: an account's host and token."""

    host: GraphHost
    token: Opened
    network: Network
    account_id: str


USAGE_HEADERS = ("x-app-usage", "x-page-usage", "x-business-use-case-usage")
"""Meta sends them once an app has made enough calls (2026-02)."""
PERCENTAGES = ("call_count", "total_time", "total_cputime")


async def retried(host: GraphHost, method: str, url: str, **kwargs: Any) -> dict[str, Any]:
    """A call that may be repeated: twice more after `Unavailable`, a little later each time. As `once`."""
    for pause_s in (0.3, 1.0, None):
        try:
            return await once(host, method, url, repeatable=True, **kwargs)
        except Unavailable:
            if pause_s is None:
                raise
            await asyncio.sleep(pause_s)
    raise AssertionError("unreachable")


async def once(
    host: GraphHost,
    method: str,
    url: str,
    *,
    repeatable: bool,
    token: Opened | None = None,
    used_for: tuple[UsedFor, ...] = (),
    account_id: str = "",
    **kwargs: Any,
) -> dict[str, Any]:
    """One call, and the JSON object it answered. Raises `GraphError`, and `WrongUse` for a token of another use.

    The token travels in the `Authorization` header, so that no address carries one. `kwargs` are httpx's.
    """
    in_doubt: type[GraphError] = Unavailable if repeatable else OutcomeUnknown
    headers = {}
    if token is not None:
        await token.confirm()
        value = token.reveal(*used_for)
        headers["Authorization"] = f"Bearer {value}"
        if host.with_proof:
            kwargs["params"] = {**kwargs.get("params", {}), "appsecret_proof": proof_of(host.app_secret, value)}
    try:
        async with asyncio.timeout(host.timeout_s):
            status, answer_headers, raw = await _exchange(host, method, url, headers=headers, **kwargs)
        body = json.loads(raw)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
        raise Unavailable from None  # nothing left this machine
    except (httpx.HTTPError, TimeoutError, ValueError, RecursionError):
        raise in_doubt from None  # their texts hold addresses and answers
    if account_id:
        host.note_usage(account_id, answer_headers)
    if body is True:  # what DELETE may answer, as documented
        return {"success": True}
    if status >= 400 or not isinstance(body, dict) or "error" in body:
        raise _with_wait(error_of(body, status, repeatable=repeatable), answer_headers)
    return body


def need(found: T | None) -> T:
    """What an answer must hold. Raises `Malformed` when it does not."""
    if found is None:
        raise Malformed
    return found


def only_row(body: dict[str, Any]) -> dict[str, Any]:
    """The one object that an answer is about: some of Meta's come in a list under `data`. Raises `Malformed`."""
    data = body.get("data", body)
    return need(answers.table(data[0] if isinstance(data, list) and data else data))


def proof_of(app_secret: str, token: str) -> str:
    """`appsecret_proof`: lower-case hex of HMAC-SHA256 over the token (Meta, Login Security, 2026-02)."""
    return hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


async def _exchange(
    host: GraphHost, method: str, url: str, *, headers: dict[str, str], **kwargs: Any
) -> tuple[int, httpx.Headers, bytes]:
    async with host.http.stream(method, url, headers=headers, **kwargs) as response:
        raw = bytearray()
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > ANSWER_BYTES:
                raise ValueError("the answer is too large")
        return response.status_code, response.headers, bytes(raw)


def _with_wait(error: GraphError, headers: Mapping[str, str]) -> GraphError:
    if isinstance(error, RateLimited):
        error.wait = timedelta(seconds=_wait_of(_usages(headers)) or DEFAULT_PAUSE_S)
    return error


def _wait_of(usages: list[dict[str, Any]]) -> float:
    """Seconds to stay quiet, a day at most, by Meta's usage headers (minutes there); 0 when all is well."""
    wait_s = 0.0
    for usage in usages:
        numbers = [value for value in usage.values() if _is_number(value)]
        minutes = usage.get("estimated_time_to_regain_access")
        if isinstance(minutes, int | float) and minutes > 0:
            wait_s = max(wait_s, min(minutes * 60, LONGEST_PAUSE_S))
        elif max(numbers, default=0) >= SLOW_AT_PERCENT:
            wait_s = max(wait_s, DEFAULT_PAUSE_S)
    return wait_s


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 10**9


def _usages(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[Any] = []
    for name in USAGE_HEADERS:
        try:
            value = json.loads(headers.get(name, "null"))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found += [value, *(item for items in value.values() if isinstance(items, list) for item in items)]
    return [usage for usage in found if isinstance(usage, dict)]
