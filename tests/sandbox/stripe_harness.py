"""A running sandbox's Stripe, as the real SDK and a person's browser see it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from stripe import HTTPXClient, StripeClient

from sandbox.settings import Settings
from tests.sandbox.sandbox_harness import Sandbox, eventually

KEY = Settings().stripe_keys[0]
SECRET = Settings().stripe_webhook_secrets[0]
DAY_S = 86_400
PRICES = {"eur": 1900, "usd": 2100, "gbp": 1700, "jpy": 3200}
numbers = itertools.count()
sdk_warns = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""The SDK calls httpx in a way that httpx no longer likes."""


class Stripe:
    """One sandbox's Stripe: the SDK's client, the controls, and pages."""

    def __init__(self, sandbox: Sandbox, client: StripeClient) -> None:
        self.sandbox, self.client = sandbox, client
        self.v1: Any = client.v1
        self.http = httpx.Client(base_url=f"{sandbox.url}/stripe", timeout=20, trust_env=False)

    def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """A control call that must give this status."""
        answer = self.http.request(method, f"/_control{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def advance(self, days: float = 0, **more: int) -> int:
        """Put the clock forward; the sandbox's time then."""
        now: int = self.control("POST", "/clock", more or {"advance_s": int(days * DAY_S)})["now"]
        return now

    def effects(self, kind: str) -> list[dict[str, Any]]:
        """The ledger's rows of this kind."""
        rows: list[dict[str, Any]] = self.control("GET", f"/ledger?effect={kind}")["rows"]
        return rows

    def settle(self) -> None:
        """Wait until no webhook is left."""
        eventually(lambda: self.control("GET", "/deliveries")["idle"], 20)

    async def price(self, interval: str = "month", amount: int = PRICES["eur"], **more: Any) -> Any:
        """A price in four currencies."""
        n = next(numbers)
        product = await self.v1.products.create_async({"name": f"Plan {n}"})
        others = {name: {"unit_amount": one} for name, one in PRICES.items() if name != "eur"}
        return await self.v1.prices.create_async(
            {
                "product": product.id,
                "currency": "eur",
                "unit_amount": amount,
                "currency_options": others,
                "recurring": {"interval": interval},
                "lookup_key": f"plan_{interval}_{n}",
                **more,
            }
        )

    async def customer(self, card: str = "", **more: Any) -> Any:
        """A customer, with a card of this behaviour if one is named."""
        customer = await self.v1.customers.create_async(
            {"email": "ana@nightjar.example.test", "metadata": {"soundops_label": f"lbl_{next(numbers)}"}, **more}
        )
        if card:
            self.control("POST", f"/customers/{customer.id}/card", {"card": card})
        return customer

    async def session(self, customer: str, price: str, **more: Any) -> Any:
        """A checkout session."""
        return await self.v1.checkout.sessions.create_async(
            {
                "mode": "subscription",
                "customer": customer,
                "line_items": [{"price": price, "quantity": 1}],
                "success_url": "https://label.example.test/done?session={CHECKOUT_SESSION_ID}",
                "cancel_url": "https://label.example.test/back",
                **more,
            }
        )

    def click(self, url: str, how: str, **form: str) -> httpx.Response:
        """Press a button of a page."""
        return self.http.post(url.partition("#")[0], data={"how": how} | form)

    async def subscribed(self, price: Any = None, card: str = "ok", **more: Any) -> Any:
        """A subscription of a new customer's."""
        customer = await self.customer(card)
        bought = price or await self.price()
        params = {"customer": customer.id, "items": [{"price": bought.id}], **more}
        return await self.v1.subscriptions.create_async(params)

    async def sub(self, key: str) -> Any:
        """A subscription as it is now."""
        return await self.v1.subscriptions.retrieve_async(key)

    async def events(self, *kinds: str) -> list[Any]:
        """Events of these types, oldest first."""
        params: Any = {"limit": 100, "types": list(kinds)} if kinds else {"limit": 100}
        page = await self.v1.events.list_async(params)
        return [event async for event in page.auto_paging_iter()][::-1]


@asynccontextmanager
async def stripe_at(
    sandbox: Sandbox, *, retries: int = 0, key: str = KEY, timeout_s: float = 15
) -> AsyncIterator[Stripe]:
    """The SDK's client for this sandbox."""
    transport: Any = HTTPXClient(timeout=timeout_s)
    client = StripeClient(
        key,
        base_addresses={"api": f"{sandbox.url}/stripe"},
        http_client=transport,
        max_network_retries=retries,
    )
    found = Stripe(sandbox, client)
    try:
        yield found
    finally:
        found.http.close()
        await transport.close_async()
        await asyncio.sleep(0)
