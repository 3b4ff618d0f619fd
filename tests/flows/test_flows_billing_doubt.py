"""Orders in doubt, asked twice, or overtaken by what has changed meanwhile: what was asked last is what comes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.clients import stripe_shop
from app.db import Doc
from app.services.billing.buying import _with_query
from tests.flows.billing_harness import Shop
from tests.flows.test_flows_billing import DETAILS
from workers import jobs


async def subscription(shop: Shop) -> Doc:
    """The label's subscription as it is at Stripe."""
    found: Doc = await shop.control("GET", f"/objects/{(await shop.account())['subscription']['id']}")
    return found


async def later(shop: Shop) -> None:
    """Have workers work on for some minutes."""
    for _ in range(8):
        await shop.house.work()
        shop.house.clock.offset += timedelta(seconds=40)


async def test_a_change_in_doubt_is_given_up_for_a_later_one(shop: Shop) -> None:
    """The first was not made, and another plan is asked for instead: only that one is, and is charged."""
    await shop.buy("starter")
    await shop.fault("500-not-executed", f"/v1/subscriptions/{(await subscription(shop))['id']}")
    first = await shop.done("change", {"plan": "label_group"})
    assert first["state"] == "unknown"
    second = await shop.ask("change", {"plan": "pro"})
    await later(shop)
    first, second = await shop.order(first["id"]), await shop.order(second["id"])
    assert (first["state"], first["problem"]["code"]) == ("failed", "superseded")
    assert second["state"] == "succeeded"
    assert (await shop.billing())["plan"] == "pro"


async def test_a_change_in_doubt_that_was_made_comes_before_the_next(shop: Shop) -> None:
    """It had happened, and is found; the next one, asked for the subscription as it was before, is not made."""
    await shop.buy("starter")
    await shop.fault("500-executed", f"/v1/subscriptions/{(await subscription(shop))['id']}")
    first = await shop.ask("change", {"plan": "label_group"})
    second = await shop.ask("change", {"plan": "pro"})
    await later(shop)
    first, second = await shop.order(first["id"]), await shop.order(second["id"])
    assert first["state"] == "succeeded"
    assert (second["state"], second["problem"]["code"]) == ("failed", "subscription_changed")
    assert (await shop.billing())["plan"] == "label_group"


async def test_a_cancel_in_doubt_does_not_come_after_the_resume(shop: Shop) -> None:
    """Who has gone on last goes on, whatever becomes of the cancel. The portal waits for none of them."""
    await shop.buy("starter")
    await shop.fault("500-not-executed", f"/v1/subscriptions/{(await subscription(shop))['id']}", times=3)
    cancel = await shop.done("cancel")
    assert cancel["state"] == "unknown"
    assert (await shop.done("portal"))["url"]
    resume = await shop.ask("resume")
    await later(shop)
    assert (await shop.order(cancel["id"]))["state"] == "failed"
    assert (await shop.order(resume["id"]))["state"] == "succeeded"
    assert (await subscription(shop))["cancel_at_period_end"] is False


async def test_a_change_is_made_of_the_subscription_that_was_seen(shop: Shop) -> None:
    """Down and then up, before a worker came: the second was told as a downgrade, and is not made as one."""
    await shop.buy("label_group")
    first = await shop.ask("change", {"plan": "starter"})
    second = await shop.ask("change", {"plan": "pro"})
    await later(shop)
    first, second = await shop.order(first["id"]), await shop.order(second["id"])
    assert (first["state"], second["state"]) == ("succeeded", "failed")
    assert second["problem"]["code"] == "subscription_changed"
    assert (await shop.billing())["plan"] == "starter"


async def test_a_change_that_waits_for_its_payment_is_nobody_elses(shop: Shop) -> None:
    """Two upgrades, the card is declined: only the first is there, and shows a page to pay at."""
    await shop.buy("starter")
    customer = (await shop.account())["customer_id"]
    await shop.control("POST", f"/customers/{customer}/card", {"card": "decline"})
    first = await shop.ask("change", {"plan": "pro"})
    second = await shop.ask("change", {"plan": "label_group"})
    await later(shop)
    first, second = await shop.order(first["id"]), await shop.order(second["id"])
    assert first["payment_needed"] and first["url"]
    assert (second["state"], second["problem"]["code"]) == ("failed", "payment_needed")
    assert not second["payment_needed"] and second["url"] is None


async def test_nothing_is_changed_before_the_first_payment(shop: Shop) -> None:
    """What was never paid for would be credited."""
    await shop.buy("label_group")
    unpaid = (await shop.account())["subscription"] | {"first_paid": False}
    await shop.set_account({"subscription": unpaid})
    assert (await shop.ask("change", {"plan": "starter"}, status=409))["code"] == "payment_needed"


async def test_resuming_takes_any_end_away(shop: Shop) -> None:
    """Also a day that somebody has set at Stripe."""
    await shop.buy("starter")
    day = int((shop.house.clock() + timedelta(days=10)).timestamp())
    await shop.client.client.v1.subscriptions.update_async((await subscription(shop))["id"], {"cancel_at": day})
    await shop.look()
    assert (await shop.done("resume"))["state"] == "succeeded"
    assert (await subscription(shop))["cancel_at"] is None
    assert (await shop.billing())["cancel_at"] is None


async def test_there_is_one_trial(shop: Shop) -> None:
    """Also when the first was ended at Stripe before we have looked."""
    first = await shop.done("checkout", {"plan": "starter"})
    assert await shop.pay(first["url"])
    customer = (await shop.account())["customer_id"]
    [tried] = await stripe_shop.subscriptions_of(shop.client, customer)
    await stripe_shop.end_subscription(shop.client, tried.id, key="ended by hand")
    second = await shop.done("checkout", {"plan": "pro"})
    assert await shop.pay(second["url"])
    found = await stripe_shop.subscriptions_of(shop.client, customer)
    assert sorted(one.status for one in found) == ["active", "canceled"]


async def test_a_worker_that_stood_still_leaves_no_second_checkout(shop: Shop) -> None:
    """It wakes up when another has ended its order and begun the next: what it makes then cannot be paid."""
    await shop.set_account({"had_trial": True})
    stood: Doc = {"fault": "slow", "method": "GET", "path": "^/v1/subscriptions$", "seconds": 4}
    await shop.control("POST", "/faults", stood)
    first = await shop.ask("checkout", {"plan": "starter"})
    stopped = await jobs.start_due(shop.house.worker)
    while (await shop.control("GET", "/faults"))["faults"]:
        await asyncio.sleep(0.05)
    second = await shop.ask("checkout", {"plan": "pro"})
    shop.house.clock.offset += timedelta(seconds=120)
    other = replace(shop.house.worker, worker_id="another", running=set(), begun=set())
    for _ in range(3):
        await asyncio.gather(*await jobs.start_due(other))
    second = await shop.order(second["id"])
    assert second["url"]
    await asyncio.gather(*stopped)
    first = await shop.order(first["id"])
    assert (first["state"], first["url"]) == ("failed", None)
    customer = (await shop.account())["customer_id"]
    assert len(await shop.effects("checkout.session.created")) == 2
    assert [one.url for one in await stripe_shop.open_checkouts(shop.client, customer)] == [second["url"]]


async def test_one_customer_though_our_clock_is_ahead(shop: Shop) -> None:
    """What was made before the time that our clock names is found all the same."""
    shop.house.clock.offset += timedelta(seconds=90)
    await shop.fault("500-executed", "/v1/customers")
    order = await shop.ask("checkout", {"plan": "starter"})
    await later(shop)
    assert (await shop.order(order["id"]))["state"] == "succeeded"
    assert len(await shop.effects("customer.created")) == 1


async def numbers(shop: Shop) -> list[str]:
    """The customer's tax numbers at Stripe."""
    return [one.value for one in await stripe_shop.tax_ids(shop.client, (await shop.account())["customer_id"])]


async def test_a_refused_tax_number_leaves_the_good_one(shop: Shop) -> None:
    """Nothing of what is refused is kept: Stripe's details stay, and are shown; and the next checkout does not fail."""
    wrong = DETAILS | {"name": "Nightjar AG", "tax_ids": [{"type": "eu_vat", "value": "99-NONSENSE"}]}
    await shop.ask("details", wrong, method="PUT")
    await shop.house.work()
    refused = await shop.done("checkout", {"plan": "starter"})
    assert refused["problem"]["code"] == "tax_id_invalid"
    await shop.buy("starter")
    await shop.ask("details", DETAILS, method="PUT")
    await shop.house.work()
    await shop.ask("details", wrong, method="PUT")
    await shop.house.work()
    assert await numbers(shop) == ["DE123456789"]
    shown = (await shop.owner.get(f"{shop.path}/details")).json()
    assert (shown["name"], shown["tax_ids"]) == (DETAILS["name"], DETAILS["tax_ids"])


async def test_five_tax_numbers_make_room_for_five(shop: Shop) -> None:
    """A customer has at most five: what is replaced goes first where there is no room."""
    await shop.buy("starter")
    for first in (100_000_000, 200_000_000):
        given = [{"type": "eu_vat", "value": f"DE{first + number}"} for number in range(5)]
        await shop.ask("details", DETAILS | {"tax_ids": given}, method="PUT")
        await shop.house.work()
        assert sorted(await numbers(shop)) == [one["value"] for one in given]


async def test_details_told_again_are_told(shop: Shop) -> None:
    """One order is tried again and again, and meanwhile they are changed and changed back: Stripe has the last ones."""
    await shop.buy("starter")
    await shop.ask("details", DETAILS, method="PUT")
    await shop.house.work()
    stuck: Doc = {"fault": "lost-not-executed", "method": "DELETE", "path": "tax_ids", "times": 6}  # of two runs
    await shop.control("POST", "/faults", stuck)
    for name in ("Nightjar AG", "Nightjar Ltd", "Nightjar AG"):
        await shop.ask("details", DETAILS | {"name": name, "tax_ids": []}, method="PUT")
        await shop.house.work()
    await later(shop)
    customer = await shop.control("GET", f"/objects/{(await shop.account())['customer_id']}")
    assert (customer["name"], await numbers(shop)) == ("Nightjar AG", [])


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
async def test_of_several_items_the_plan_is_changed(shop: Shop) -> None:
    """Something else was added to the subscription by hand, and stands first: it stays, and the plan is another."""
    await shop.buy("starter")
    v1: Any = shop.client.client.v1
    product = await v1.products.create_async({"name": "Extra support"})
    told = {"product": product.id, "currency": "gbp", "unit_amount": 500, "recurring": {"interval": "month"}}
    extra, found = await v1.prices.create_async(told), (await shop.account())["subscription"]
    items = [{"id": found["item_id"], "deleted": True}, {"price": extra.id}, {"price": found["price_id"]}]
    changed = await v1.subscriptions.update_async(found["id"], {"items": items})
    assert [one.price.id for one in changed["items"].data] == [extra.id, found["price_id"]]
    await shop.look()
    assert (await shop.done("change", {"plan": "pro"}))["state"] == "succeeded"
    changed = await v1.subscriptions.retrieve_async(found["id"])
    keys = [one.price.lookup_key for one in changed["items"].data]
    assert keys == [None, "soundops_pro_month"]
    assert (await shop.billing())["plan"] == "pro"


def test_what_came_of_a_checkout_is_in_the_query() -> None:
    """Wherever the browser goes back to."""
    done = "checkout=done"
    assert _with_query("https://app.example/billing", done) == f"https://app.example/billing?{done}"
    assert _with_query("https://app.example/billing?a=b", done) == f"https://app.example/billing?a=b&{done}"
    assert _with_query("https://app.example/#plans", done) == f"https://app.example/?{done}#plans"
