"""What an app shows of billing: each thing as it is now, and nothing that leads nowhere any more."""

from datetime import timedelta
from typing import Any

from tests.flows.billing_harness import Shop

DETAILS: dict[str, Any] = {"name": "Nightjar Ltd", "email": "books@example.com", "country": "GB", "tax_ids": []}


async def mails_of(shop: Shop) -> list[str]:
    """The subjects of what the owner was told."""
    return [mail["subject"] for mail in await shop.house.mails("owner@example.com")]


async def test_a_checkout_that_was_paid_or_ended_has_no_address(shop: Shop) -> None:
    """What another wish has ended leads nowhere, nor does what was paid."""
    first = await shop.done("checkout", {"plan": "starter"})
    second = await shop.done("checkout", {"plan": "pro"})
    assert (await shop.order(first["id"]))["url"] is None
    assert (await shop.billing())["checkout"]["id"] == second["id"]
    assert await shop.pay(second["url"])
    await shop.look()
    assert (await shop.order(second["id"]))["url"] is None
    assert (await shop.billing())["checkout"] is None


async def test_a_checkout_that_failed_is_none(shop: Shop) -> None:
    """Nobody can pay in what Stripe has refused to make."""
    await shop.fault("http", "/v1/checkout/sessions", status=402, code="card_declined", times=5)
    order = await shop.done("checkout", {"plan": "starter"})
    assert order["state"] == "failed"
    assert (await shop.billing())["checkout"] is None


async def test_a_change_that_waits_is_shown_until_it_is_paid(shop: Shop) -> None:
    """Also after a reload: the order is named, and its address is there as long as something is open; no mail."""
    await shop.buy("starter")
    customer = (await shop.account())["customer_id"]
    await shop.control("POST", f"/customers/{customer}/card", {"card": "decline"})
    changed = await shop.done("change", {"plan": "pro"})
    shown = (await shop.billing())["change"]
    assert shown == {"id": changed["id"], "plan": "pro", "interval": "month"}
    assert not [subject for subject in await mails_of(shop) if "payment" in subject]
    await shop.control("POST", f"/customers/{customer}/card", {"card": "ok", "pay": True})
    await shop.look()
    stands, order = await shop.billing(), await shop.order(changed["id"])
    assert (stands["plan"], stands["change"]) == ("pro", None)
    assert (order["payment_needed"], order["url"], order["expires_at"]) == (False, None, None)


async def test_details_say_what_became_of_them(shop: Shop) -> None:
    """Whether Stripe has them is in the answer, and there later too."""
    await shop.buy("starter")
    wrong = DETAILS | {"tax_ids": [{"type": "eu_vat", "value": "99-NONSENSE"}]}
    put = shop.owner.put(f"{shop.path}/details", json=wrong, headers={"Prefer": "wait=20"})
    answer = await shop.working(put)
    assert (answer.status_code, answer.json()["state"]) == (200, "failed")
    assert answer.json()["problem"]["code"] == "tax_id_invalid"
    later = (await shop.owner.get(f"{shop.path}/details")).json()
    assert (later["state"], later["operation_id"]) == ("failed", answer.json()["operation_id"])
    await shop.ask("details", DETAILS, method="PUT")
    await shop.house.work()
    good = (await shop.owner.get(f"{shop.path}/details")).json()
    assert (good["name"], good["state"], good["problem"]) == ("Nightjar Ltd", "succeeded", None)


async def test_what_the_portal_changed_is_not_overwritten_unseen(shop: Shop) -> None:
    """Details change at Stripe's side too: then the `ETag` is another one."""
    await shop.buy("starter")
    seen = await shop.owner.get(f"{shop.path}/details")
    customer = (await shop.account())["customer_id"]
    await shop.client.client.v1.customers.update_async(customer, {"name": "Nightjar Rail"})
    await shop.look()
    put: Any = {"json": DETAILS, "headers": {"If-Match": seen.headers["ETag"]}}
    assert (await shop.owner.put(f"{shop.path}/details", **put)).status_code == 412
    fresh = await shop.owner.get(f"{shop.path}/details")
    assert fresh.json()["name"] == "Nightjar Rail"
    put["headers"] = {"If-Match": fresh.headers["ETag"]}
    told = await shop.owner.put(f"{shop.path}/details", **put)
    assert told.status_code == 202
    await shop.house.work()
    await shop.look()
    after = await shop.owner.get(f"{shop.path}/details")
    assert (after.json()["name"], after.headers["ETag"]) == ("Nightjar Ltd", told.headers["ETag"])


async def test_a_credit_is_shown(shop: Shop) -> None:
    """What was paid for a larger plan is kept for the label, and said."""
    await shop.buy("pro", "year")
    assert (await shop.billing())["credit"] is None
    shown = await shop.done("preview", {"plan": "starter", "interval": "month"})
    preview = shown["preview"]
    assert preview["total"] == sum(line["amount"] for line in preview["lines"]) + preview["tax"] < 0
    await shop.done("change", {"plan": "starter", "interval": "month"})
    credit = (await shop.billing())["credit"]
    assert credit["currency"] == "GBP" and credit["amount"] > 30_000


async def test_stripe_is_back(shop: Shop) -> None:
    """What waited goes on some seconds later, and what is asked for then does not wait behind it."""
    await shop.buy("starter")
    await shop.control("POST", "/faults", {"fault": "http", "status": 503, "times": None})
    waiting = await shop.ask("portal")
    for _ in range(12):
        await shop.house.work()
        shop.house.clock.offset += timedelta(seconds=15)
    await shop.control("DELETE", "/faults")
    asked = await shop.ask("portal")
    for _ in range(2):
        shop.house.clock.offset += timedelta(seconds=15)
        await shop.house.work()
    assert {(await shop.order(one["id"]))["state"] for one in (waiting, asked)} == {"succeeded"}
