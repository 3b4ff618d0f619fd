"""Instagram's hosts: the calls we make. Errors are in `graph_errors`; every function may raise any of them.

Tokens travel in the `Authorization` header wherever Meta takes them there, so that no address carries one.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from app.clients.graph_errors import GraphError, OutcomeUnknown, RateLimited, Refused, Unavailable, error_of

ANSWER_BYTES = 5 * 1024 * 1024
SLOW_AT_PERCENT = 95
DEFAULT_PAUSE_S = 300
SUBSCRIBED_FIELDS = {
    "messages": [
        *("messages", "message_edit", "message_reactions", "messaging_optins"),
        *("messaging_postbacks", "messaging_referral", "messaging_seen", "standby"),
    ],
    "comments": ["comments", "live_comments", "mentions"],
}
CORE_FIELDS = {"messages": ["messages"], "comments": ["comments"]}


@dataclass
class Graph:
    """Where Instagram is, and what it lately said of our usage. One a process."""

    http: httpx.AsyncClient
    www_url: str
    api_url: str
    graph_url: str
    version: str
    app_id: str
    app_secret: str = field(repr=False)
    timeout_s: float = 15
    _paused_until: dict[str, float] = field(default_factory=dict)

    def pause_left_s(self, account_id: str) -> float:
        """Seconds for which Meta wants no calls for this account; 0 when it does not mind."""
        return max(0.0, self._paused_until.get(account_id, 0.0) - time.monotonic())

    def note_usage(self, account_id: str, headers: Mapping[str, str]) -> None:
        """Read the usage headers; at 95 percent, pause. Malformed ones say nothing."""
        wait_s = _wait_of(headers)
        if wait_s:
            self._paused_until[account_id] = time.monotonic() + wait_s


@dataclass(frozen=True)
class ShortToken:
    """What a code is exchanged for: good for an hour."""

    token: str = field(repr=False)
    account_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class LongToken:
    """Good for about 60 days."""

    token: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True)
class Account:
    """A professional account. Webhooks name it by `provider_id`; `scoped_id` is its id within our app."""

    provider_id: str
    scoped_id: str
    username: str
    name: str | None
    picture_url: str | None
    kind: str


@dataclass(frozen=True)
class RemoteMessage:
    """A message as the Conversations API shows it."""

    mid: str
    from_id: str
    text: str | None
    created_at: datetime


async def exchange_code(graph: Graph, code: str, *, redirect_uri: str) -> ShortToken:
    """Exchange an authorization code; it works once. Source: Meta, Business Login, 2026-02."""
    form = {
        "client_id": graph.app_id,
        "client_secret": graph.app_secret,
        "grant_type": "authorization_code",
        "redirect_uri": redirect_uri,
        "code": code,
    }
    body = await _once(graph, "POST", f"{graph.api_url}/oauth/access_token", repeatable=False, data=form)
    found = body.get("data", body)
    found = found[0] if isinstance(found, list) and found else found
    scopes = found.get("permissions") or []
    names = scopes.split(",") if isinstance(scopes, str) else scopes
    return ShortToken(
        token=str(found["access_token"]),
        account_id=str(found["user_id"]),
        scopes=tuple(str(name).strip() for name in names),
    )


async def exchange_for_long(graph: Graph, short: str) -> LongToken:
    """Exchange a short token for a long one. It may be repeated while the short one lives."""
    params = {"grant_type": "ig_exchange_token", "client_secret": graph.app_secret, "access_token": short}
    body = await _retried(graph, "GET", f"{graph.graph_url}/access_token", params=params)
    return LongToken(token=str(body["access_token"]), lifetime=timedelta(seconds=int(body["expires_in"])))


async def get_account(graph: Graph, token: str) -> Account:
    """The account a token belongs to."""
    params = {"fields": "id,user_id,username,name,account_type,profile_picture_url"}
    body = await _retried(graph, "GET", _path(graph, "/me"), token=token, params=params)
    found = body.get("data", body)
    found = found[0] if isinstance(found, list) and found else found
    return Account(
        provider_id=str(found.get("user_id") or found["id"]),
        scoped_id=str(found["id"]),
        username=str(found["username"]),
        name=found.get("name"),
        picture_url=found.get("profile_picture_url"),
        kind=str(found.get("account_type", "")).lower(),
    )


async def subscribe(graph: Graph, token: str, features: list[str]) -> list[str]:
    """Switch on the webhooks of these features; the fields now subscribed.

    One unknown field fails the whole call (code 100), so a refused list is tried again with the core set.
    """
    url = _path(graph, "/me/subscribed_apps")
    for known in (SUBSCRIBED_FIELDS, CORE_FIELDS):
        fields = [name for feature in features for name in known.get(feature, [])]
        try:
            await _retried(graph, "POST", url, token=token, params={"subscribed_fields": ",".join(fields)})
        except Refused as exc:
            if exc.code != 100 or known is CORE_FIELDS:
                raise
        else:
            return fields
    raise AssertionError("unreachable")


async def send_text(
    graph: Graph, token: str, *, account_id: str, fan_id: str, text: str, reply_to: str | None, human_agent: bool
) -> str:
    """Send one message and return Meta's id of it.

    `text` is at most 1000 bytes of UTF-8. Sending twice sends twice: after `OutcomeUnknown`, look for the echo first.
    Source: Meta, Send API, 2026-02.
    """
    body: dict[str, Any] = {"recipient": {"id": fan_id}, "message": {"text": text}}
    if reply_to:
        body["reply_to"] = {"mid": reply_to}
    if human_agent:
        body |= {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    url = _path(graph, "/me/messages")
    answer = await _once(graph, "POST", url, token=token, repeatable=False, account_id=account_id, json=body)
    mid = answer.get("message_id")
    if not isinstance(mid, str) or not mid:
        raise OutcomeUnknown
    return mid


async def newest_messages(graph: Graph, token: str, *, account_id: str, fan_id: str) -> list[RemoteMessage]:
    """The newest messages with this fan, 20 at most: Meta shows no details of older ones."""
    params = {"platform": "instagram", "user_id": fan_id, "fields": "id"}
    listed = await _retried(
        graph, "GET", _path(graph, "/me/conversations"), token=token, account_id=account_id, params=params
    )
    conversations = listed.get("data") or []
    if not conversations:
        return []
    fields = {"fields": "messages{id,created_time,from,message}"}
    url = _path(graph, f"/{conversations[0]['id']}")
    body = await _retried(graph, "GET", url, token=token, account_id=account_id, params=fields)
    shown = (body.get("messages") or {}).get("data") or []
    return [_remote_message(item) for item in shown if "from" in item]


def _remote_message(item: dict[str, Any]) -> RemoteMessage:
    created_at = datetime.strptime(item["created_time"], "%Y-%m-%dT%H:%M:%S%z")
    return RemoteMessage(str(item["id"]), str(item["from"]["id"]), item.get("message"), created_at)


def _path(graph: Graph, path: str) -> str:
    return f"{graph.graph_url}/{graph.version}{path}"


async def _retried(graph: Graph, method: str, url: str, **kwargs: Any) -> dict[str, Any]:
    """A call that may be repeated: twice more after `Unavailable`, a little later each time."""
    for pause_s in (0.3, 1.0, None):
        try:
            return await _once(graph, method, url, repeatable=True, **kwargs)
        except Unavailable:
            if pause_s is None:
                raise
            await asyncio.sleep(pause_s)
    raise AssertionError("unreachable")


async def _once(
    graph: Graph,
    method: str,
    url: str,
    *,
    repeatable: bool,
    token: str | None = None,
    account_id: str = "",
    **kwargs: Any,
) -> dict[str, Any]:
    in_doubt: type[GraphError] = Unavailable if repeatable else OutcomeUnknown
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with asyncio.timeout(graph.timeout_s):
            status, answer_headers, raw = await _exchange(graph, method, url, headers=headers, **kwargs)
        body = json.loads(raw)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
        raise Unavailable from None  # nothing left this machine
    except (httpx.HTTPError, TimeoutError, ValueError, RecursionError):
        raise in_doubt from None  # their texts hold addresses and answers
    if account_id:
        graph.note_usage(account_id, answer_headers)
    if status >= 400 or not isinstance(body, dict) or "error" in body:
        raise _with_wait(error_of(body, status, repeatable=repeatable), answer_headers)
    return body


async def _exchange(
    graph: Graph, method: str, url: str, *, headers: dict[str, str], **kwargs: Any
) -> tuple[int, httpx.Headers, bytes]:
    async with graph.http.stream(method, url, headers=headers, **kwargs) as response:
        raw = bytearray()
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > ANSWER_BYTES:
                raise ValueError("the answer is too large")
        return response.status_code, response.headers, bytes(raw)


def _with_wait(error: GraphError, headers: Mapping[str, str]) -> GraphError:
    if isinstance(error, RateLimited):
        error.wait = timedelta(seconds=_wait_of(headers) or DEFAULT_PAUSE_S)
    return error


def _wait_of(headers: Mapping[str, str]) -> float:
    """Seconds to stay quiet, by Meta's usage headers (minutes there; values may pass 100); 0 when all is well."""
    wait_s = 0.0
    for usage in _usages(headers):
        numbers = [value for value in usage.values() if isinstance(value, int | float)]
        minutes = usage.get("estimated_time_to_regain_access")
        if isinstance(minutes, int | float) and minutes > 0:
            wait_s = max(wait_s, minutes * 60)
        elif max(numbers, default=0) >= SLOW_AT_PERCENT:
            wait_s = max(wait_s, DEFAULT_PAUSE_S)
    return wait_s


def _usages(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[Any] = []
    for name in ("x-app-usage", "x-business-use-case-usage"):
        try:
            value = json.loads(headers.get(name, "null"))
        except ValueError:
            continue
        if isinstance(value, dict):
            found += [value, *(item for items in value.values() if isinstance(items, list) for item in items)]
    return [usage for usage in found if isinstance(usage, dict)]
