"""What somebody sees who runs the product beside the sandbox's Stripe: time passes there at a click, it is reset."""

from dataclasses import replace

import pytest

from app.clients.stripe_api import StripeRefused
from app.clients.stripe_reading import read_facts
from tests.flows.billing_harness import Shop
from workers import ledger

DAY_S = 86_400


async def age(shop: Shop, days: float) -> str:
    """Let so much time pass at Stripe alone, as its page does; the access after a look."""
    await shop.control("POST", "/age", {"by_s": int(days * DAY_S)})
    await shop.look()
    await shop.house.work()  # mails that the look has asked for
    return str((await shop.billing())["access"])


async def test_a_subscription_lives_while_the_product_knows_no_other_time(shop: Shop) -> None:
    """Trial, reminder, renewal, failure, grace, read-only, paid again; and one goes on buying at any moment."""
    customer = (await shop.buy("starter", trial=True)) and (await shop.account())["customer_id"]
    assert await age(shop, 11.5) == "full"
    subjects = [mail["subject"] for mail in await shop.house.mails("owner@example.com")]
    assert sum(subject.startswith("The trial of Nightjar ends on") for subject in subjects) == 1
    assert await age(shop, 4) == "full" and (await shop.billing())["status"] == "active"
    await shop.control("POST", f"/customers/{customer}/card", {"card": "decline"})
    assert await age(shop, 32) == "grace" and (await shop.billing())["status"] == "past_due"
    assert await age(shop, 8) == "read_only"
    await shop.control("POST", f"/customers/{customer}/card", {"card": "ok", "pay": True})
    assert await age(shop, 0) == "full"
    shown = await shop.done("preview", {"plan": "pro"})
    assert shown["state"] == "succeeded" and shown["preview"]["due_now"] > 0, shown
    changed = await shop.done("change", {"plan": "pro", "preview_id": shown["id"]})
    assert changed["state"] == "succeeded" and (await shop.billing())["plan"] == "pro", changed
    await shop.done("cancel")
    assert await age(shop, 32) == "free"
    assert (await shop.buy("label_group", "year"))["plan"] == "label_group"


def clerk_of(shop: Shop) -> ledger.Clerk:
    """An operator at this Stripe."""
    worker = shop.house.worker
    return ledger.Clerk(shop.house.db, worker.audit, worker.settings, shop.client, shop.house.clock)


async def test_after_a_reset_a_label_buys_again(shop: Shop) -> None:
    """A customer that is not there at all has gone as if deleted: its subscription and its checkout end with it."""
    await shop.buy("starter")
    first = (await shop.account())["customer_id"]
    await shop.control("POST", "/reset")
    await ledger.run(clerk_of(shop), ledger.parser().parse_args(["reconcile", "--all"]))
    assert (await shop.billing())["plan"] == "free"
    assert (await shop.buy("starter"))["plan"] == "starter"
    assert (await shop.account())["customer_id"] != first


async def test_a_customer_that_is_gone_is_noticed_at_the_checkout(shop: Shop) -> None:
    """Nobody has looked since: buying is no dead end."""
    await shop.done("checkout", {"plan": "starter"})
    first = (await shop.account())["customer_id"]
    await shop.control("POST", "/reset")
    assert (await shop.buy("pro"))["plan"] == "pro"
    assert (await shop.account())["customer_id"] != first


async def test_in_live_mode_nobody_loses_a_plan_by_another_accounts_key(shop: Shop) -> None:
    """There a customer cannot be wiped: one that is not there is another account's, and nothing is taken for true."""
    with pytest.raises(StripeRefused):
        await read_facts(replace(shop.client, live=True), "cus_anothers")
    assert (await read_facts(shop.client, "cus_anothers")).customer.deleted
