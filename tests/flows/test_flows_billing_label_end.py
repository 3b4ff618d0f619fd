"""A label that is to be deleted: nothing more of it is bought, charged or renewed; restored, it has what it had."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.clients import stripe_shop
from app.clients.stripe_shop import Subscription
from app.db import Doc
from app.services import operations
from tests.flows.billing_harness import Shop
from tests.flows.test_flows_billing_doubt import subscription

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own way to call httpx


async def delete(shop: Shop) -> None:
    """Announce the label's deletion."""
    (await shop.owner.delete(f"/v1/labels/{shop.label_id}")).raise_for_status()


async def restore(shop: Shop) -> None:
    """Keep it after all."""
    (await shop.owner.post(f"/v1/labels/{shop.label_id}/restore")).raise_for_status()


async def work(shop: Shop) -> None:
    """Have a worker do all that waits, one after the other."""
    for _ in range(4):
        await shop.house.work()


async def at_stripe(shop: Shop) -> list[Subscription]:
    """The label's subscriptions, as they are at Stripe."""
    return await stripe_shop.subscriptions_of(shop.client, (await shop.account())["customer_id"])


async def paid(shop: Shop) -> list[int]:
    """Amounts of the label's payments."""
    query = {"label_id": shop.label_id, "kind": "payment"}
    return [one["amount"] for one in await shop.house.db.open("money_records").find(query).to_list()]


async def test_an_open_checkout_ends_with_the_announcement(shop: Shop) -> None:
    """Nobody can pay in it any more."""
    order = await shop.done("checkout", {"plan": "starter"})
    await delete(shop)
    await work(shop)
    assert not await shop.pay(order["url"])
    assert await at_stripe(shop) == []


async def test_no_checkout_is_made_for_it(shop: Shop) -> None:
    """One that waits for a worker is given up; none is left open at Stripe."""
    order = await shop.ask("checkout", {"plan": "starter"})
    await delete(shop)
    await work(shop)
    operation = await operations.need(shop.house.db, shop.label_id, order["operation_id"])
    assert operation["problem"]["code"] == "label_deleting"
    assert await shop.effects("checkout.session.created") == []


async def test_what_was_bought_a_moment_before_is_not_renewed(shop: Shop) -> None:
    """We had not heard of it: the worker sees it at Stripe. Its trial ends without a charge."""
    order = await shop.done("checkout", {"plan": "starter"})
    assert await shop.pay(order["url"])
    await delete(shop)
    await work(shop)
    assert [one.cancel_at_period_end for one in await at_stripe(shop)] == [True]
    for seconds in (14 * 86_400 - 1, 3_700):
        await shop.control("POST", "/clock", {"advance_s": seconds})
    [ended] = await at_stripe(shop)
    assert ended.status == "canceled"
    await restore(shop)
    await work(shop)
    assert await paid(shop) == []


async def test_an_upgrade_that_waits_is_given_up(shop: Shop) -> None:
    """It would be charged after the announcement."""
    await shop.buy("starter")
    await shop.ask("change", {"plan": "label_group"})
    await delete(shop)
    await work(shop)
    assert len(await paid(shop)) == 1
    assert [one.cancel_at_period_end for one in await at_stripe(shop)] == [True]


@pytest.mark.parametrize("last", ["resume", "delete"])
async def test_the_last_word_counts(shop: Shop, last: str) -> None:
    """A resume that waits, or a restoration between two deletions: what is to be deleted is not renewed."""
    await shop.buy("starter")
    if last == "resume":
        await shop.done("cancel")
        await shop.ask("resume")
    else:
        await delete(shop)
        await shop.house.work()
        await restore(shop)
    await delete(shop)
    await work(shop)
    assert (await subscription(shop))["cancel_at_period_end"] is True


async def second_subscription(shop: Shop) -> None:
    """Another one, which somebody has made at Stripe."""
    shown, v1 = await shop.account(), shop.client.client.v1
    await asyncio.sleep(1.1)
    first: Any = await v1.subscriptions.retrieve_async(shown["subscription"]["id"])
    told: Any = {"customer": shown["customer_id"], "default_payment_method": first.default_payment_method}
    await v1.subscriptions.create_async(told | {"items": [{"price": shown["subscription"]["price_id"]}]})


async def test_all_its_subscriptions_are_cancelled_and_go_on(shop: Shop) -> None:
    """Not only the one that we show; restored, each that was cancelled for that goes on."""
    await shop.buy("starter")
    await second_subscription(shop)
    await delete(shop)
    await work(shop)
    assert [one.cancel_at_period_end for one in await at_stripe(shop)] == [True, True]
    await restore(shop)
    await work(shop)
    assert [one.cancel_at_period_end for one in await at_stripe(shop)] == [False, False]


async def test_what_comes_later_is_cancelled_by_the_look(shop: Shop) -> None:
    """A payment that was on its way makes a subscription after the announcement."""
    await shop.buy("starter")
    await delete(shop)
    await work(shop)
    await second_subscription(shop)
    await shop.look()
    await work(shop)
    assert [one.cancel_at_period_end for one in await at_stripe(shop)] == [True, True]


async def test_restoring_leaves_the_owners_cancel(shop: Shop) -> None:
    """It was asked before the deletion, and no worker had come yet."""
    await shop.buy("starter")
    await shop.ask("cancel")
    await delete(shop)
    await work(shop)
    await restore(shop)
    await work(shop)
    assert (await subscription(shop))["cancel_at_period_end"] is True


async def test_restoring_leaves_the_owners_cancel_in_doubt(shop: Shop) -> None:
    """The same while it is not known what became of it: the deletion does not take its place."""
    await shop.buy("starter")
    await shop.fault("500-not-executed", f"/v1/subscriptions/{(await subscription(shop))['id']}")
    assert (await shop.done("cancel"))["state"] == "unknown"
    await delete(shop)
    for _ in range(6):
        await work(shop)
        shop.house.clock.offset += timedelta(seconds=40)
    await restore(shop)
    await work(shop)
    assert (await subscription(shop))["cancel_at_period_end"] is True


async def test_a_label_that_never_bought_is_deleted_without_billing(shop: Shop) -> None:
    """No order is placed for it."""
    await delete(shop)
    await restore(shop)
    found: list[Doc] = await shop.house.db.open("billing_orders").find({"label_id": shop.label_id}).to_list()
    assert found == []
