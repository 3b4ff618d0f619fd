"""What somebody sees who runs the product beside the sandbox's Stripe: time passes there at a click, it is reset."""

from tests.flows.billing_harness import Shop

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
