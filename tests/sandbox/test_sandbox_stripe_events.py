"""Stripe's stand-in: events, and webhooks that are signed, tried again, doubled, shuffled and lost."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import stripe
from stripe import WebhookSignature

from tests.sandbox.sandbox_harness import Receiver, Sandbox, eventually
from tests.sandbox.stripe_harness import Stripe, sdk_warns, stripe_at

pytestmark = sdk_warns


async def listening(box: Stripe, receiver: Receiver, *kinds: str) -> str:
    """An endpoint that leads to the receiver; its secret."""
    found = await box.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": list(kinds or ["*"])})
    return str(found.secret)


def heard(receiver: Receiver) -> list[dict[str, Any]]:
    """The events that have come."""
    return [json.loads(body) for _, body in list(receiver.posts)]


async def test_webhooks_are_signed_as_the_sdk_checks_them(box: Stripe, receiver: Receiver) -> None:
    secret = await listening(box, receiver)
    customer = await box.customer()
    box.settle()
    headers, body = receiver.posts[0]
    event = stripe.Webhook.construct_event(body, headers["stripe-signature"], secret)
    assert (event.type, event.data.object.id, event.livemode) == ("customer.created", customer.id, False)
    assert event.api_version == "2026-10-28.endive" and event.request.idempotency_key
    stamp = int(headers["stripe-signature"].partition(",")[0].removeprefix("t="))
    assert abs(time.time() - stamp) < 30
    listed = await box.v1.events.retrieve_async(event.id)
    assert (listed.pending_webhooks, listed.type) == (0, "customer.created")


async def test_an_endpoint_hears_only_its_types_and_tells_its_secret_once(box: Stripe, receiver: Receiver) -> None:
    await listening(box, receiver, "invoice.paid", "checkout.session.completed")
    endpoint = (await box.v1.webhook_endpoints.list_async()).data[0]
    assert not hasattr(endpoint, "secret") and endpoint.api_version is None
    price, customer = await box.price(), await box.customer()
    box.click((await box.session(customer.id, price.id)).url, "ok")
    box.settle()
    assert sorted(event["type"] for event in heard(receiver)) == ["checkout.session.completed", "invoice.paid"]
    await box.v1.webhook_endpoints.update_async(endpoint.id, {"disabled": True})
    box.click((await box.session(customer.id, price.id)).url, "ok")
    box.settle()
    assert len(receiver.posts) == 2, "what happens while an endpoint is disabled is never pushed"
    await box.v1.webhook_endpoints.delete_async(endpoint.id)
    assert not (await box.v1.webhook_endpoints.list_async()).data


async def test_a_receiver_that_fails_hears_it_again_with_a_new_stamp(box: Stripe, receiver: Receiver) -> None:
    secret = await listening(box, receiver)
    receiver.status = 500
    await box.customer()
    eventually(lambda: len(receiver.posts) >= 3)
    failed = await box.v1.events.list_async({"delivery_success": False})
    assert len(failed.data) == 1
    receiver.status = 200
    box.settle()
    assert len({event["id"] for event in heard(receiver)}) == 1
    for headers, body in receiver.posts:
        WebhookSignature.verify_header(body, headers["stripe-signature"], secret)
    assert not (await box.v1.events.list_async({"delivery_success": False})).data


async def test_webhooks_come_twice_in_any_order_or_never(box: Stripe, receiver: Receiver) -> None:
    await listening(box, receiver, "customer.created")
    box.control("PUT", "/options", {"paused": True})
    made = [(await box.customer()).id for _ in range(12)]
    box.control("PUT", "/options", {"duplicate": 1, "reorder": True, "drop": 2})
    box.settle()
    order = [event["data"]["object"]["id"] for event in heard(receiver)]
    assert len(order) == 20 and len(set(order)) == 10
    assert list(dict.fromkeys(order)) != [one for one in made if one in order]
    found = box.control("GET", "/deliveries")
    assert (found["delivered"], found["dropped"], found["waiting"]) == (10, 2, 0)
    lost = await box.v1.events.list_async({"delivery_success": False})
    assert {event.data.object.id for event in lost.data} == set(made) - set(order)
    box.control("PUT", "/options", {})
    box.control("POST", f"/events/{lost.data[0].id}/send", {"times": 2})
    box.settle()
    assert [event["id"] for event in heard(receiver)[20:]] == [lost.data[0].id] * 2
    still = await box.v1.events.list_async({"delivery_success": False})
    assert [event.id for event in still.data] == [lost.data[1].id]


async def test_waiting_webhooks_are_held_and_lost_for_good(box: Stripe, receiver: Receiver) -> None:
    await listening(box, receiver)
    box.control("PUT", "/options", {"paused": True})
    await box.customer()
    assert box.control("GET", "/deliveries")["waiting"] == 1
    assert box.control("POST", "/deliveries/drop") == {"dropped": 1}
    box.control("PUT", "/options", {})
    box.settle()
    assert not receiver.posts


async def test_a_rolled_secret_signs_beside_the_old_one(box: Stripe, receiver: Receiver) -> None:
    old = await listening(box, receiver)
    endpoint = (await box.v1.webhook_endpoints.list_async()).data[0]
    new = box.control("POST", f"/endpoints/{endpoint.id}/roll", {"keep": True})["secrets"][0]
    box.control("PUT", "/options", {"stamp_offset_s": -200})
    await box.customer()
    box.settle()
    headers, body = receiver.posts[0]
    for secret in (old, new):
        WebhookSignature.verify_header(body, headers["stripe-signature"], secret, 300)
    with pytest.raises(stripe.SignatureVerificationError):
        WebhookSignature.verify_header(body, headers["stripe-signature"], new, 100)


async def test_events_are_listed_forward_by_type_and_for_30_days(box: Stripe) -> None:
    first = await box.customer()
    begun = (await box.v1.events.list_async({"limit": 1})).data[0]
    subs = [await box.subscribed() for _ in range(2)]
    params: Any = {"ending_before": begun.id, "limit": 5, "types": ["customer.created", "invoice.paid"]}
    paid = await box.v1.events.list_async(params | {"types": ["invoice.paid"]})
    assert [event.type for event in paid.data] == ["invoice.paid"] * 2, "a cursor may be of another type"
    older = await box.v1.events.list_async({"starting_after": paid.data[1].id, "types": ["customer.created"]})
    assert [event.data.object.id for event in older.data] == [subs[0].customer, first.id]
    page = await box.v1.events.list_async(params)
    seen = [event async for event in page.auto_paging_iter()]
    assert [event.type for event in seen] == ["customer.created", "invoice.paid"] * 2
    assert [event.created for event in seen] == sorted(event.created for event in seen)
    assert seen[1].data.object.parent.subscription_details.subscription == subs[0].id
    since = await box.v1.events.list_async({"created": {"gt": begun.created + 100}})
    assert not since.data
    box.advance(29)
    assert (await box.v1.events.retrieve_async(begun.id)).data.object.id == first.id
    box.advance(2)
    assert not (await box.v1.events.list_async({"type": "customer.created"})).data
    with pytest.raises(stripe.InvalidRequestError):
        await box.v1.events.retrieve_async(begun.id)
    with pytest.raises(stripe.InvalidRequestError):
        await box.v1.events.list_async({"ending_before": begun.id})


async def test_an_update_says_what_it_was_before(box: Stripe) -> None:
    sub = await box.subscribed()
    await box.v1.subscriptions.update_async(sub.id, {"metadata": {"a": "b"}})
    event = (await box.events("customer.subscription.updated"))[-1]
    assert event.data.previous_attributes.to_dict() == {"metadata": {}}
    await box.v1.subscriptions.update_async(sub.id, {"metadata": {"a": ""}})
    assert not (await box.sub(sub.id)).metadata.to_dict()


async def test_the_endpoint_of_the_settings_is_there_from_the_start_and_after_a_reset(
    receiver: Receiver, tmp_path: Path
) -> None:
    told = {"SANDBOX_STRIPE_WEBHOOK_URL": receiver.url, "SANDBOX_STRIPE_WEBHOOK_SECRET": "whsec_new1,whsec_old1"}
    own = Sandbox(tmp_path / "data", receiver.url, **told, SANDBOX_STRIPE_SECRET_KEY="sk_test_mine").start()
    async with stripe_at(own, key="sk_test_mine") as box:
        box.control("POST", "/reset")
        await box.customer()
        box.settle()
        headers, body = receiver.posts[0]
        for secret in ("whsec_new1", "whsec_old1"):
            WebhookSignature.verify_header(body, headers["stripe-signature"], secret, 300)
    assert own.stop() == 0
