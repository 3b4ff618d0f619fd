"""A label that is a customer at the sandbox's Stripe, with the events of that Stripe in the test's hand."""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from app.clients.stripe_api import Stripe, rows
from app.db import Doc, Session
from app.services.billing import accounts, plans
from tests.house import House
from tests.stripe_webhooks import deliver, raw, signed

DAY_S = 86_400


@dataclass
class Till:
    """The sandbox's Stripe and the product, whose clocks go together. Its own webhooks reach nobody: `deliver` does."""

    house: House
    stripe: Stripe
    control: httpx.AsyncClient
    prices: dict[str, str] = field(default_factory=dict)
    owner: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    """Who owns the label, once there is one."""

    @property
    def v1(self) -> Any:
        """The SDK's services."""
        return self.stripe.client.v1

    async def order(self, method: str, path: str, body: Any = None) -> Any:
        """A control call."""
        answer = await self.control.request(method, f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def advance(self, days: float) -> None:
        """Put both clocks forward; Stripe does what becomes due meanwhile."""
        await self.order("POST", "/clock", {"advance_s": int(days * DAY_S)})
        await self.adjust()

    async def adjust(self) -> None:
        """Have the product's clock say what Stripe's says."""
        self.house.clock.offset = timedelta(seconds=(await self.order("GET", "/clock"))["offset_s"])

    async def make_prices(self) -> None:
        """The prices of our plans, under their lookup keys."""
        for price in plans.all_prices():
            product = await self.v1.products.create_async({"name": price.plan})
            others = {name: {"unit_amount": one} for name, one in price.amounts.items() if name != "eur"}
            made = await self.v1.prices.create_async(
                {
                    "product": product.id,
                    "currency": "eur",
                    "unit_amount": price.amounts["eur"],
                    "currency_options": others,
                    "recurring": {"interval": price.interval},
                    "lookup_key": price.lookup_key,
                }
            )
            self.prices[price.lookup_key] = made.id

    async def customer(self, label_id: str, *, card: str = "ok", country: str = "GB") -> str:
        """The label as a customer, with a card that behaves so."""
        told = {"name": "Nightjar Records", "email": "books@nightjar.example", "metadata": {"soundops_label": label_id}}
        made = await self.v1.customers.create_async(told | {"address": {"country": country, "line1": "1 Night Street"}})
        if card:
            await self.order("POST", f"/customers/{made.id}/card", {"card": card})
        db, now = self.house.db, self.house.clock()

        async def note(session: Session) -> None:
            await accounts.touch(db, label_id, {"$set": {"customer_id": made.id}}, now=now, session=session)

        await db.in_transaction(note)
        return str(made.id)

    async def subscribe(self, customer: str, key: str = "soundops_starter_month", **more: Any) -> Any:
        """A subscription to this plan."""
        return await self.v1.subscriptions.create_async(
            {"customer": customer, "items": [{"price": self.prices[key]}], **more}
        )

    async def check_out(self, customer: str, how: str, key: str = "soundops_starter_month") -> None:
        """Buy this plan on Stripe's page, paying as `how` says."""
        session = await self.v1.checkout.sessions.create_async(
            {
                "mode": "subscription",
                "customer": customer,
                "line_items": [{"price": self.prices[key], "quantity": 1}],
                "success_url": "https://label.example/done",
            }
        )
        await self.order("POST", f"/checkout/{session.id}", {"how": how})

    async def change(self, subscription: Any, key: str, **more: Any) -> Any:
        """Go to another plan, paid at once."""
        item = subscription["items"].data[0].id
        params = {"items": [{"id": item, "price": self.prices[key]}], "proration_behavior": "always_invoice"}
        return await self.v1.subscriptions.update_async(subscription.id, params | more)

    async def events(self) -> list[Doc]:
        """All of Stripe's events as they are delivered, the oldest first."""
        found = await rows(self.stripe, lambda client, params: client.v1.events.list_async(params), {})
        return found[::-1]

    async def deliver(self, events: Iterable[Doc]) -> None:
        """Deliver these, in this order; each must be taken."""
        for event in events:
            body = raw(event)
            header = signed(body, int(self.house.clock().timestamp()))
            assert (await deliver(self.house.http, body, header)).status_code == 200

    async def work(self) -> None:
        """Do what is due until nothing is."""
        for _ in range(20):
            await self.house.work()
            now = self.house.clock()
            left = await self.house.db.open("operations").count_documents(
                {"due_at": {"$lte": now}}, comment="all-labels: a test waits"
            )
            left += await self.house.db.open("stripe_events").count_documents({"due_at": {"$lte": now}})
            if not left:
                return
        raise AssertionError("there is always something to do")

    async def told(self) -> None:
        """Deliver everything there is, and work it off."""
        await self.deliver(await self.events())
        await self.work()

    async def account(self, label_id: str) -> Doc:
        """The label's account."""
        found = await self.house.db.open("billing_accounts").find_one({"label_id": label_id})
        assert found is not None
        return found

    async def records(self, label_id: str, kind: str) -> list[Doc]:
        """The label's records of this kind, the oldest first."""
        found = self.house.db.open("money_records").find({"label_id": label_id, "kind": kind})
        return await found.sort([("at", 1), ("_id", 1)]).to_list()

    async def types(self, label_id: str) -> list[str]:
        """The types of the label's events about billing, in their order."""
        found = await self.house.db.open("events").find({"label_id": label_id}).sort("seq", 1).to_list()
        return [one["type"] for one in found if one["type"].partition(".")[0] in ("billing", "invoice")]


@asynccontextmanager
async def till_at(house: House) -> AsyncIterator[Till]:
    """The till of a house whose settings name the sandbox's Stripe; that is empty, and has our prices."""
    assert house.worker.stripe is not None
    url = house.worker.settings.stripe_api_url
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as control:
        till = Till(house, house.worker.stripe, control)
        await till.order("POST", "/reset")
        await till.adjust()
        await till.make_prices()
        yield till


def spoilt(events: Sequence[Doc], rng: random.Random, *, lost: float = 0.2, twice: float = 0.3) -> list[Doc]:
    """The events as a bad day delivers them: some lost, some more than once, in any order."""
    left = [event for event in events if rng.random() >= lost]
    left += [event for event in left if rng.random() < twice]
    rng.shuffle(left)
    return left
