"""Buying: a plan is chosen, paid on Stripe's page, changed, cancelled; two tabs make one subscription."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.clients.stripe_reading import end_customer
from app.db import Doc
from app.services.billing.plans import PLANS
from tests.flows.billing_harness import Shop


async def test_the_address_comes_in_one_call(shop: Shop) -> None:
    """`Prefer: wait` holds the answer until there is an address, which no operation shows and no store has plain."""
    asked = shop.owner.post(f"{shop.path}/checkout", json={"plan": "pro"}, headers={"Prefer": "wait=20"})
    answer = await shop.working(asked)
    order = answer.json()
    assert (answer.status_code, order["state"]) == (200, "succeeded"), order
    assert order["url"].startswith(shop.house.worker.settings.stripe_api_url)
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await shop.order(order["id"]))["url"] == order["url"]
    operation = (await shop.owner.get(f"/v1/operations/{order['operation_id']}")).json()
    assert operation["result"] == {"order_id": order["id"]}
    kept = await shop.house.db.open("billing_links").find_one({"label_id": shop.label_id})
    assert kept is not None and order["url"].encode() not in kept["sealed"]


async def test_a_plan_is_bought_with_a_trial(shop: Shop) -> None:
    """The first subscription begins with a trial; the page proves nothing, the look at Stripe does."""
    assert (await shop.billing())["plan"] == "free"
    bought = await shop.buy("pro", "year", trial=True)
    assert (bought["plan"], bought["status"], bought["access"]) == ("pro", "trialing", "full")
    assert (bought["interval"], bought["trial_available"]) == ("year", False)
    [made] = await shop.effects("customer.created")
    assert made["customer"]


async def test_a_second_tab_gets_the_same_checkout(shop: Shop) -> None:
    """Asked for the same at once, all get one order, one session, one address."""
    wish = {"plan": "starter", "interval": "month"}
    orders = await asyncio.gather(*(shop.ask("checkout", wish) for _ in range(6)))
    assert len({order["id"] for order in orders}) == 1
    await shop.house.work()
    again = await shop.ask("checkout", wish, status=200)
    assert again["url"] == (await shop.order(orders[0]["id"]))["url"] is not None
    assert len(await shop.effects("checkout.session.created")) == 1


async def test_two_tabs_make_one_subscription(shop: Shop) -> None:
    """Another wish ends the checkout before: who still pays in the first tab, does not."""
    first = await shop.done("checkout", {"plan": "starter"})
    second = await shop.done("checkout", {"plan": "pro"})
    assert not await shop.pay(first["url"])
    assert await shop.pay(second["url"])
    await shop.look()
    assert (await shop.billing())["plan"] == "pro"
    assert len(await shop.effects("subscription.created")) == 1
    assert (await shop.ask("checkout", {"plan": "starter"}, status=409))["code"] == "already_subscribed"


async def test_what_was_paid_in_the_other_tab_is_seen(shop: Shop) -> None:
    """The first tab was paid, and we have not heard of it: the second gets no checkout, but a look."""
    first = await shop.done("checkout", {"plan": "starter"})
    assert await shop.pay(first["url"])
    second = await shop.done("checkout", {"plan": "pro"})
    assert (second["state"], second["problem"]["code"], second["url"]) == ("failed", "already_subscribed", None)
    assert (await shop.billing())["plan"] == "starter"


@pytest.mark.parametrize(
    "kind", ["500-executed", "500-not-executed", "lost", "lost-not-executed", "gateway-executed", "cut"]
)
async def test_a_lost_answer_makes_nothing_twice(shop: Shop, kind: str) -> None:
    """Executed or not: the same key is asked again, and in the end there is one customer and one session."""
    for path in ("/v1/customers", "/v1/checkout/sessions"):
        await shop.fault(kind, path, times=2)
    order = await shop.ask("checkout", {"plan": "starter"})
    for _ in range(8):
        await shop.house.work()
        shop.house.clock.offset += timedelta(seconds=60)
    order = await shop.order(order["id"])
    assert order["state"] == "succeeded" and order["url"]
    assert len(await shop.effects("customer.created")) == 1
    assert len(await shop.effects("checkout.session.created")) == 1


async def test_an_upgrade_costs_what_was_shown(shop: Shop) -> None:
    """The preview's amount is charged, reckoned from the same second."""
    await shop.buy("starter")
    shown = await shop.done("preview", {"plan": "pro"})
    due: int = shown["preview"]["due_now"]
    assert due > 0 and type(due) is int and shown["preview"]["currency"] == "GBP"
    assert (await shop.billing())["plan"] == "starter"
    changed = await shop.done("change", {"plan": "pro", "preview_id": shown["id"]})
    assert (changed["state"], changed["payment_needed"]) == ("succeeded", False)
    assert (await shop.billing())["plan"] == "pro"
    paid = await shop.house.db.open("money_records").find({"label_id": shop.label_id}).to_list()
    assert due in {record.get("amount_paid") for record in paid}
    assert (await shop.ask("change", {"plan": "pro"}, status=409))["code"] == "same_plan"


async def test_an_upgrade_waits_for_its_payment(shop: Shop) -> None:
    """Payment before access: a card that is declined leaves the old plan, and shows where the invoice is paid."""
    await shop.buy("starter")
    customer = (await shop.account())["customer_id"]
    await shop.control("POST", f"/customers/{customer}/card", {"card": "decline"})
    changed = await shop.done("change", {"plan": "pro"})
    assert (changed["state"], changed["payment_needed"]) == ("succeeded", True)
    assert changed["url"]
    stands = await shop.billing()
    assert (stands["plan"], stands["pending_update"]) == ("starter", True)
    assert (await shop.ask("change", {"plan": "label_group"}, status=409))["code"] == "payment_needed"


async def test_a_downgrade_must_fit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the smaller plan has no room for is named; once it is gone, the change is made and credited."""
    for plan in (PLANS["free"], PLANS["starter"]):
        small = replace(plan.entitlements, partner_clients=1)
        monkeypatch.setitem(PLANS, plan.name, replace(plan, entitlements=small))
    await shop.buy("pro")
    made = []
    for number in range(2):
        body = {"name": f"Partner {number}", "scopes": ["billing:read"], "expires_in_days": 30}
        made.append((await shop.owner.post(f"/v1/labels/{shop.label_id}/api-clients", json=body)).json()["id"])
    refused = await shop.ask("change", {"plan": "starter"}, status=409)
    assert refused["code"] == "plan_too_small"
    [limit] = refused["plan_limits"]
    assert limit == {
        "limit": "partner_clients",
        "used": 2,
        "most": 1,
        "plan": "starter",
        "plan_with_more": "pro",
        "remove": 1,
    }
    await shop.owner.delete(f"/v1/labels/{shop.label_id}/api-clients/{made[0]}")
    changed = await shop.done("change", {"plan": "starter"})
    assert changed["state"] == "succeeded", changed
    assert (await shop.billing())["plan"] == "starter"


async def test_cancelling_and_going_on(shop: Shop) -> None:
    """The plan goes on until what is paid for ends; until then it can be resumed."""
    await shop.buy("starter")
    assert (await shop.done("cancel"))["state"] == "succeeded"
    stands = await shop.billing()
    assert (stands["cancel_at_period_end"], stands["plan"], stands["access"]) == (True, "starter", "full")
    assert (await shop.done("resume"))["state"] == "succeeded"
    assert (await shop.billing())["cancel_at_period_end"] is False


DETAILS: Doc = {
    "name": "Nightjar Records GmbH",
    "email": "books@nightjar.example.com",
    "country": "DE",
    "address": {"line1": "Sonnenallee 1", "city": "Berlin", "postal_code": "12045"},
    "tax_ids": [{"type": "eu_vat", "value": "DE123456789"}],
}


async def test_details_are_brought_to_stripe(shop: Shop) -> None:
    """Told before anything is bought, they are with the customer at its checkout; changed, they follow."""
    empty = (await shop.owner.get(f"{shop.path}/details")).json()
    assert empty["name"] is None
    await shop.ask("details", DETAILS, method="PUT")
    await shop.house.work()
    assert await shop.effects("customer.created") == []
    await shop.done("checkout", {"plan": "starter"})
    customer = (await shop.account())["customer_id"]
    told = await shop.control("GET", f"/objects/{customer}")
    assert (told["name"], told["address"]["country"]) == ("Nightjar Records GmbH", "DE")
    found = await shop.owner.get(f"{shop.path}/details")
    assert {name: found.json()[name] for name in ("name", "country", "tax_ids")} == {
        name: DETAILS[name] for name in ("name", "country", "tax_ids")
    }
    changed = DETAILS | {"tax_ids": [{"type": "gb_vat", "value": "GB123456789"}], "country": "GB"}
    put: Any = {"headers": {"If-Match": '"7"'}, "json": changed}
    assert (await shop.owner.put(f"{shop.path}/details", **put)).status_code == 412
    put["headers"]["If-Match"] = found.headers["ETag"]
    assert (await shop.owner.put(f"{shop.path}/details", **put)).status_code == 202
    assert (await shop.owner.get(f"{shop.path}/details")).json()["country"] == "GB"
    await shop.look()
    await shop.house.work()
    account = await shop.account()
    assert account["details"]["tax_ids"] == changed["tax_ids"] and "details_wished" not in account


async def test_a_tax_number_that_stripe_refuses(shop: Shop) -> None:
    """It is told by the operation, in words of ours; what Stripe has stays shown once we look."""
    await shop.buy("starter")
    wrong = DETAILS | {"tax_ids": [{"type": "eu_vat", "value": "99-NONSENSE"}]}
    answer = await shop.ask("details", wrong, method="PUT")
    await shop.house.work()
    operation = (await shop.owner.get(f"/v1/operations/{answer['operation_id']}")).json()
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "tax_id_invalid")


async def test_a_fresh_stand_in_has_the_plans_when_they_are_asked_for(shop: Shop) -> None:
    """Outside production nobody needs to mirror them first. In production it is told that they are missing."""
    await shop.control("POST", "/reset")
    assert (await shop.done("checkout", {"plan": "label_group", "interval": "year"}))["url"]
    await shop.control("POST", "/reset")
    worker = shop.house.worker
    worker.settings = worker.settings.model_copy(update={"environment": "production"})
    await shop.set_account({"customer_id": None, "customer_tries": 1})
    refused = await shop.done("checkout", {"plan": "pro"})
    assert (refused["state"], refused["problem"]["code"]) == ("failed", "plan_not_available")


async def test_a_label_that_is_to_be_deleted_is_not_renewed(shop: Shop) -> None:
    """Its subscription is cancelled when the end is announced, and goes on when the label is restored."""
    await shop.buy("starter")
    label = f"/v1/labels/{shop.label_id}"
    (await shop.owner.delete(label)).raise_for_status()
    await shop.house.work()
    shown = await shop.account()
    assert (shown["subscription"]["status"], shown["subscription"]["cancel_at_period_end"]) == ("active", True)
    (await shop.owner.post(f"{label}/restore")).raise_for_status()
    await shop.house.work()
    shown = await shop.account()
    assert (shown["subscription"]["status"], shown["subscription"]["cancel_at_period_end"]) == ("active", False)


async def test_who_had_cancelled_before_the_label_was_restored_has_cancelled(shop: Shop) -> None:
    """Restoring a label undoes what its deletion did, and nothing else."""
    await shop.buy("starter")
    assert (await shop.done("cancel"))["state"] == "succeeded"
    label = f"/v1/labels/{shop.label_id}"
    (await shop.owner.delete(label)).raise_for_status()
    (await shop.owner.post(f"{label}/restore")).raise_for_status()
    await shop.house.work()
    assert (await shop.account())["subscription"]["cancel_at_period_end"] is True


async def test_a_customer_that_was_deleted_at_stripe_is_made_anew(shop: Shop) -> None:
    """Its subscription has ended with it; the label buys again, as another customer."""
    await shop.buy("starter")
    first = (await shop.account())["customer_id"]
    await end_customer(shop.client, first)
    await shop.look()
    assert (await shop.billing())["plan"] == "free"
    assert (await shop.buy("pro"))["plan"] == "pro"
    assert (await shop.account())["customer_id"] != first
