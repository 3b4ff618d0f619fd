"""Stripe's stand-in: the customer portal."""

from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.stripe_harness import Stripe, sdk_warns

pytestmark = sdk_warns
BACK = "https://label.example.test/billing"


async def portal(box: Stripe, customer: str, *prices: Any, **flow: Any) -> str:
    """The path of a portal page that offers everything."""
    features: Any = {
        "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id", "name"]},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_pause": {"enabled": True},
    }
    if prices:
        features["subscription_update"] = {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "proration_behavior": "always_invoice",
            "products": [{"product": price.product, "prices": [price.id]} for price in prices],
        }
    configuration = await box.v1.billing_portal.configurations.create_async({"features": features})
    params = {"customer": customer, "return_url": BACK, "configuration": configuration.id} | flow
    session = await box.v1.billing_portal.sessions.create_async(params)
    return str(session.url.partition("/stripe")[2])


def press(box: Stripe, path: str, act: str, **form: str) -> httpx.Response:
    """Press a button of the page."""
    return box.http.post(path, data={"act": act} | form)


async def test_a_person_cancels_resumes_and_switches_the_plan(box: Stripe) -> None:
    small, big = await box.price(), await box.price(amount=4900)
    sub = await box.subscribed(small)
    path = await portal(box, sub.customer, small, big)
    assert "Cancel plan" in box.http.get(path).text and BACK in box.http.get(path).text
    assert press(box, path, "cancel", subscription=sub.id, feedback="unused").status_code == 303
    canceled = await box.sub(sub.id)
    assert canceled.cancel_at_period_end and canceled.cancellation_details.feedback == "unused"
    press(box, path, "resume", subscription=sub.id)
    assert not (await box.sub(sub.id)).cancel_at_period_end
    press(box, path, "switch", subscription=sub.id, price=big.id)
    assert (await box.sub(sub.id))["items"].data[0].price.id == big.id
    assert len((await box.v1.invoices.list_async({"customer": sub.customer})).data) == 2
    press(box, path, "pause", subscription=sub.id)
    assert (await box.sub(sub.id)).status == "paused"
    press(box, path, "unpause", subscription=sub.id)
    assert (await box.sub(sub.id)).status == "active"


async def test_a_person_gives_a_new_card_and_a_new_address(box: Stripe) -> None:
    sub = await box.subscribed()
    path = await portal(box, sub.customer)
    press(box, path, "card", card="decline")
    box.advance(32)
    assert (await box.sub(sub.id)).status == "past_due"
    path = await portal(box, sub.customer)
    press(box, path, "card", card="ok")
    press(box, path, "details", country="FR", name="Nightjar SAS", tax_id="FRAB123456789")
    box.advance(3)
    assert (await box.sub(sub.id)).status == "active"
    customer = await box.v1.customers.retrieve_async(sub.customer, {"expand": ["tax_ids"]})
    assert (customer.name, customer.address.country) == ("Nightjar SAS", "FR")
    assert customer.tax_ids.data[0].value == "FRAB123456789"


async def test_the_page_shows_the_card_that_is_charged(box: Stripe) -> None:
    """A subscription's own, which checkout gave it, before the customer's."""
    customer, price = await box.customer("ok"), await box.price()
    session = await box.session(customer.id, price.id)
    box.click(session.url, "authenticate")
    box.click(session.url, "approve")
    path = await portal(box, customer.id)
    assert "Now: 3184" in box.http.get(path).text
    press(box, path, "card", card="ok")
    assert "Now: 4242" in box.http.get(path).text


async def test_the_page_does_only_what_its_configuration_offers(box: Stripe) -> None:
    price, other = await box.price(), await box.price()
    sub, stranger = await box.subscribed(price), await box.subscribed(price)
    path = await portal(box, sub.customer)
    assert press(box, path, "switch", subscription=sub.id, price=other.id).status_code == 400
    assert press(box, path, "cancel", subscription=stranger.id).status_code == 400
    assert press(box, path, "dance").status_code == 400
    assert box.http.get("/p/session/none").status_code == 404
    box.advance(0.1)
    assert box.http.get(path).status_code == 404, "a session lives for an hour"
    box.control("POST", "/reset")
    params = {"customer": (await box.customer()).id}
    with pytest.raises(stripe.InvalidRequestError, match="configuration"):
        await box.v1.billing_portal.sessions.create_async(params)


async def test_the_front_page_shows_customers_and_lets_time_pass(box: Stripe) -> None:
    sub = await box.subscribed()
    assert "active" in box.http.get("/").text and "ana@nightjar.example.test" in box.http.get("/").text
    box.http.post("/", data={"customer": sub.customer, "card": "decline"})
    assert box.http.post("/", data={"days": "32"}).status_code == 303
    assert "past_due" in box.http.get("/").text
    assert box.http.post("/", data={"customer": "cus_none"}).status_code == 400


async def test_a_flow_does_one_thing_and_leads_back(box: Stripe) -> None:
    small, big = await box.price(), await box.price(amount=4900)
    sub = await box.subscribed(small)
    confirm = {"subscription": sub.id, "items": [{"id": sub["items"].data[0].id, "price": big.id}]}
    flow = {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": confirm,
        "after_completion": {"type": "redirect", "redirect": {"return_url": f"{BACK}/done"}},
    }
    path = await portal(box, sub.customer, small, big, flow_data=flow)
    assert "Confirm" in box.http.get(path).text and "Cancel plan" not in box.http.get(path).text
    assert press(box, path, "confirm", subscription=sub.id).headers["location"] == f"{BACK}/done"
    assert (await box.sub(sub.id))["items"].data[0].price.id == big.id
