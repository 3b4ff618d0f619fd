"""Stripe, through its SDK: the client of a worker, and how one call is made. Nobody else speaks with Stripe.

The calls stand in the siblings: `stripe_shop.py` (what is bought), `stripe_reading.py` (what is so). They read the JSON
that came (`call`, `rows`), not the SDK's objects: those hold decimals, and pickled, our key. Amounts are whole numbers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NoReturn, TypeVar

import httpx
import stripe as sdk
from stripe import HTTPXClient, StripeClient

from app.clients import answers
from app.clients.stripe_errors import StripeBusy, StripeError, StripeKeyDead, StripeRefused, StripeUnsure, error_of

__all__ = ["StripeBusy", "StripeError", "StripeKeyDead", "StripeRefused", "StripeUnsure"]
API_VERSION = "2026-10-28.endive"
"""What our code was written for, named in each call whatever the account's default is. The webhook endpoint's, too."""
TIMEOUT_S = 15
"""Of one try."""
CALL_S = 25
"""Of a call with its repetitions: shorter than an operation's lease."""
RETRIES = 2
ANSWER_BYTES = 5 * 1024 * 1024
PAGE = 100
MOST_ROWS = 10_000
"""Of one listing. More would be another label's data, or a list that never ends."""
T = TypeVar("T")


class _Transport(HTTPXClient):
    """The SDK's transport; it takes no answer without end, and keeps no cookies."""

    def __init__(self) -> None:
        super().__init__(timeout=TIMEOUT_S)
        self.http = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One try: the body, the status, the headers. Raises the SDK's `APIConnectionError`."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._exchange(method, url, headers, post_data)
        except (httpx.HTTPError, TimeoutError, ValueError) as exc:
            self._handle_request_error(exc)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any
    ) -> tuple[bytes, int, Mapping[str, str]]:
        sent = post_data.encode() if isinstance(post_data, str) else post_data
        async with self.http.stream(method, url, headers=dict(headers), content=sent) as response:
            raw = bytearray()
            async for chunk in response.aiter_bytes():
                raw += chunk
                if len(raw) > ANSWER_BYTES:
                    raise ValueError("the answer is too large")
            return bytes(raw), response.status_code, response.headers


@dataclass(frozen=True)
class Stripe:
    """Stripe, as one process calls it. It holds our key: it is never pickled, and its text names none."""

    client: StripeClient = field(repr=False)
    transport: _Transport = field(repr=False)
    live: bool
    """Whether money moves. In test mode everything may be deleted for good at any time, customers too."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Stripe client holds our key, and is not pickled")

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.http.aclose()


def open_stripe(api_url: str, secret_key: str) -> Stripe:
    """A client of the Stripe at `api_url`, in a running loop. Only workers open one."""
    sdk.enable_telemetry = False  # it would also write a file into the user's folder
    logging.getLogger("stripe").setLevel(logging.WARNING)  # below it writes what is sent, names and addresses too
    transport = _Transport()
    client = StripeClient(
        secret_key,
        stripe_version=API_VERSION,
        base_addresses={"api": api_url, "connect": api_url, "files": api_url, "meter_events": api_url},
        max_network_retries=RETRIES,
        http_client=transport,
    )
    return Stripe(client, transport, live="_live_" in secret_key)


async def call(stripe: Stripe, request: Callable[[StripeClient], Awaitable[Any]]) -> dict[str, Any]:
    """Make one call with its repetitions, all under one key; the JSON object that came. Raises `StripeError`."""
    failed: StripeError
    try:
        async with asyncio.timeout(CALL_S):
            found = await request(stripe.client)
        body = answers.table(getattr(getattr(found, "last_response", None), "data", None))
        if body is not None:
            return dict(body)
        failed = StripeUnsure("malformed_answer")
    except sdk.StripeError as exc:
        failed = error_of(exc)
    except TimeoutError:
        failed = StripeUnsure("timeout")
    except (AttributeError, TypeError, ValueError, RecursionError):
        failed = StripeUnsure("malformed_answer")  # the SDK met JSON that is none of Stripe's
    raise failed  # here, not above: the SDK's error, with what was answered, must not hang on ours


async def rows(
    stripe: Stripe, listing: Callable[[StripeClient, Any], Awaitable[Any]], params: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Every row of a listing, page by page, in Stripe's order (newest first). Raises `StripeError`."""
    found: list[dict[str, Any]] = []
    asked = {**params, "limit": PAGE}
    while len(found) < MOST_ROWS:
        page = await call(stripe, lambda client: listing(client, dict(asked)))
        data = need(answers.rows(page.get("data")))
        found += data
        if not data or page.get("has_more") is not True:
            return found
        asked["starting_after"] = need(answers.text(data[-1].get("id"), most=255))
    raise StripeRefused("too_many_rows")


def need(found: T | None) -> T:
    """What an answer must hold. Raises `StripeUnsure` when it does not: it may have happened all the same."""
    if found is None:
        raise StripeUnsure("malformed_answer")
    return found


def identifier(body: Mapping[str, Any], name: str = "id") -> str:
    """An id of Stripe's (up to 255 characters), also of what came expanded. Raises `StripeUnsure`."""
    value = body.get(name)
    value = value.get("id") if isinstance(value, dict) else value
    return need(answers.text(value, most=255))


def amount(value: Any) -> int | None:
    """An amount in the currency's smallest unit: a whole number, negative for a credit. A float never is one."""
    return value if type(value) is int and abs(value) < 10**15 else None
