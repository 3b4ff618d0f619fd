"""A label that buys: the product with billing on, the sandbox's Stripe behind it, and what its people click."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.clients.stripe_api import Stripe
from app.db import Doc
from app.services.billing.accounts import touch
from app.services.billing.catalogue import apply, differences
from app.services.billing.syncing import queue_sync
from tests.house import House

ADDRESS = {"name": "Nightjar", "line1": "1 Canal Street", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"}
"""What somebody types into the checkout's page."""


@dataclass
class Shop:
    """An owner, their label, and the sandbox's Stripe."""

    house: House
    owner: httpx.AsyncClient
    label_id: str
    stripe: httpx.AsyncClient

    @property
    def path(self) -> str:
        """Where the label's billing is."""
        return f"/v1/labels/{self.label_id}/billing"

    @property
    def client(self) -> Stripe:
        """The worker's client of Stripe."""
        found = self.house.worker.stripe
        assert found is not None
        return found

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """An order to the sandbox's Stripe."""
        answer = await self.stripe.request(method, f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fault(self, fault: str, path: str, **more: Any) -> None:
        """Have POSTs to this path go wrong."""
        await self.control("POST", "/faults", {"fault": fault, "method": "POST", "path": f"^{path}$"} | more)

    async def effects(self, kind: str) -> list[Doc]:
        """What Stripe has done, of this kind."""
        found: list[Doc] = (await self.control("GET", f"/ledger?effect={kind}"))["rows"]
        return found

    async def ask(self, what: str, body: Any = None, *, method: str = "POST", status: int = 202) -> Doc:
        """Ask something of billing; the answer, which must have this status."""
        answer = await self.owner.request(method, f"{self.path}/{what}", json=body)
        assert answer.status_code == status, answer.text
        found: Doc = answer.json()
        return found

    async def done(self, what: str, body: Any = None) -> Doc:
        """Ask, have a worker do it, and the order as it is then."""
        order = await self.ask(what, body)
        await self.house.work()
        return await self.order(order["id"])

    async def order(self, order_id: str) -> Doc:
        """An order as it is now."""
        answer = await self.owner.get(f"{self.path}/orders/{order_id}")
        found: Doc = answer.raise_for_status().json()
        return found

    async def billing(self) -> Doc:
        """How the label stands."""
        found: Doc = (await self.owner.get(self.path)).raise_for_status().json()
        return found

    async def pay(self, url: str, how: str = "ok", **form: str) -> bool:
        """Press a button of a checkout's page; whether it led back to us."""
        given = ADDRESS | {"how": how} | form
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.post(url.partition("#")[0], data=given)
        return "checkout=done" in answer.headers.get("location", "")

    async def look(self) -> None:
        """Have a worker look at the customer, as a webhook would."""
        await queue_sync(self.house.db, self.label_id, now=self.house.clock())
        await self.house.work()

    async def buy(self, plan: str = "starter", interval: str = "month", *, trial: bool = False, **more: str) -> Doc:
        """Buy a plan on Stripe's page; how the label stands then."""
        if not trial:
            await self.set_account({"had_trial": True})
        order = await self.done("checkout", {"plan": plan, "interval": interval} | more)
        assert order["url"], order
        assert await self.pay(order["url"])
        await self.look()
        return await self.billing()

    async def set_account(self, fields: Doc) -> None:
        """Have the label's account say this."""
        db, now = self.house.db, self.house.clock()
        await db.in_transaction(lambda session: touch(db, self.label_id, {"$set": fields}, now=now, session=session))

    async def account(self) -> Doc:
        """The label's account, as it is stored."""
        found = await self.house.db.open("billing_accounts").find_one({"label_id": self.label_id})
        assert found is not None
        return found

    async def working(self, answer: Any) -> httpx.Response:
        """The answer to a request that waits, while a worker works."""
        task = asyncio.ensure_future(answer)
        while not task.done():
            await self.house.work()
            await asyncio.sleep(0.05)
        found: httpx.Response = await task
        return found


@asynccontextmanager
async def shop_in(house: House) -> AsyncIterator[Shop]:
    """A label with nothing bought, at a fresh Stripe that has our plans."""
    owner = await house.person()
    label_id = await house.label(owner)
    url = house.worker.settings.stripe_api_url
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as stripe:
        shop = Shop(house, owner, label_id, stripe)
        await shop.control("POST", "/reset")
        await apply(shop.client, await differences(shop.client), told=lambda text: None)
        yield shop
