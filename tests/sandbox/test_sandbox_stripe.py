"""Stripe's stand-in, driven by the real SDK: what is sold, who buys it, and how they pay."""

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe_harness import DAY_S, Stripe, sdk_warns

pytestmark = sdk_warns


async def test_a_person_buys_a_plan_on_the_page(box: Stripe) -> None:
    price, customer = await box.price(), await box.customer()
    data = {"metadata": {"soundops_label": "lbl_1"}}
    session = await box.session(customer.id, price.id, subscription_data=data)
    page = box.http.get(session.url.partition("#")[0])
    assert "Subscribe for EUR 19.00" in page.text
    answer = box.click(session.url, "ok")
    assert answer.headers["location"] == f"https://label.example.test/done?session={session.id}"
    expand = {"expand": ["subscription", "invoice.payments", "line_items"]}
    session = await box.v1.checkout.sessions.retrieve_async(session.id, expand)
    assert (session.status, session.payment_status, session.subscription.status) == ("complete", "paid", "active")
    assert session.invoice.payments.data[0].payment.type == "payment_intent"
    assert session.invoice.parent.subscription_details.metadata.soundops_label == "lbl_1"
    line = session.invoice.lines.data[0]
    assert (line.pricing.price_details.price, line.amount) == (price.id, 1900)
    assert session.line_items.data[0].amount_total == 1900
    assert session.subscription["items"].data[0].current_period_end > session.created + 27 * DAY_S
    assert "already completed" in box.http.get(f"/c/pay/{session.id}").text


async def test_the_page_declines_asks_for_3d_secure_and_then_takes_the_money(box: Stripe) -> None:
    price, customer = await box.price(), await box.customer()
    session = await box.session(customer.id, price.id)
    box.click(session.url, "decline")
    assert "Your card was declined." in box.http.get(session.url.partition("#")[0]).text
    box.click(session.url, "authenticate")
    assert "Your bank asks" in box.http.get(session.url.partition("#")[0]).text
    box.click(session.url, "fail")
    assert not (await box.v1.subscriptions.list_async({"customer": customer.id, "status": "all"})).data
    box.click(session.url, "authenticate")
    box.click(session.url, "approve")
    subs = (await box.v1.subscriptions.list_async({"customer": customer.id})).data
    assert [sub.status for sub in subs] == ["active"]
    assert len(box.effects("charge.succeeded")) == 1


@pytest.mark.parametrize("by", ["page", "control"])
async def test_what_was_filled_in_is_known_after_3d_secure(box: Stripe, by: str) -> None:
    """The bank's page asks one question, and the buyer's address stays theirs."""
    price, customer = await box.price(), await box.customer()
    more: Any = {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
    session = await box.session(customer.id, price.id, **more)
    if by == "page":
        box.click(session.url, "authenticate", country="DE", postal_code="10115")
        assert "session=cs_test" in box.click(session.url, "approve").headers["location"]
    else:
        box.control("POST", f"/checkout/{session.id}", {"how": "authenticate", "country": "DE"})
        assert box.control("POST", f"/checkout/{session.id}", {"how": "approve"})["status"] == "complete"
    assert (await box.v1.customers.retrieve_async(customer.id)).address.country == "DE"


@pytest.mark.parametrize(
    ("how", "paid", "status"), [("delayed", "paid", "active"), ("delayed_fail", "unpaid", "incomplete_expired")]
)
async def test_a_bank_debit_is_told_days_later(box: Stripe, how: str, paid: str, status: str) -> None:
    price, customer = await box.price(), await box.customer()
    session = await box.session(customer.id, price.id)
    box.click(session.url, how)
    session = await box.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["subscription"]})
    assert (session.status, session.payment_status, session.subscription.status) == ("complete", "unpaid", "incomplete")
    box.advance(4)
    session = await box.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["subscription"]})
    assert (session.payment_status, session.subscription.status) == (paid, status)
    word = "succeeded" if paid == "paid" else "failed"
    assert len(await box.events(f"checkout.session.async_payment_{word}")) == 1


async def test_a_session_expires_by_time_or_by_a_call(box: Stripe) -> None:
    price, customer = await box.price(), await box.customer()
    first, second = [await box.session(customer.id, price.id) for _ in range(2)]
    assert (await box.v1.checkout.sessions.expire_async(first.id)).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="expired"):
        await box.v1.checkout.sessions.expire_async(first.id)
    box.advance(1.1)
    assert (await box.v1.checkout.sessions.retrieve_async(second.id)).url is None
    assert box.click(f"/c/pay/{second.id}", "ok").status_code == 400
    assert not (await box.v1.subscriptions.list_async({"customer": customer.id, "status": "all"})).data
    assert len(await box.events("checkout.session.expired")) == 2


async def test_two_tabs_make_two_subscriptions_unless_the_account_forbids_it(box: Stripe) -> None:
    price, customer = await box.price(), await box.customer()
    tabs = [await box.session(customer.id, price.id) for _ in range(3)]
    for tab in tabs[:2]:
        box.click(tab.url, "ok")
    assert len((await box.v1.subscriptions.list_async({"customer": customer.id})).data) == 2
    box.control("PUT", "/options", {"one_subscription": True})
    box.click(tabs[2].url, "ok")
    assert "already have" in box.http.get(tabs[2].url.partition("#")[0]).text


async def test_a_trial_without_a_card_pauses_and_resumes(box: Stripe) -> None:
    price, customer = await box.price(), await box.customer()
    data = {"trial_period_days": 14, "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}
    more: Any = {"subscription_data": data, "payment_method_collection": "if_required"}
    session = await box.session(customer.id, price.id, **more)
    box.click(session.url, "none")
    session = await box.v1.checkout.sessions.retrieve_async(session.id)
    assert session.payment_status == "no_payment_required"
    sub = await box.sub(session.subscription)
    assert (sub.status, sub.trial_end - sub.trial_start) == ("trialing", 14 * DAY_S)
    box.advance(12)
    assert len(await box.events("customer.subscription.trial_will_end")) == 1
    box.advance(3)
    sub = await box.sub(sub.id)
    assert sub.status_details.paused.subscription.type == "trial_end_without_payment_method"
    box.control("POST", f"/customers/{customer.id}/card", {"card": "decline"})
    params = {"payment_behavior": "resume_on_payment_success"}
    assert (await box.v1.subscriptions.resume_async(sub.id, params)).status == "paused"
    box.control("POST", f"/customers/{customer.id}/card", {"card": "ok", "pay": True})
    assert (await box.sub(sub.id)).status == "active"
    assert [e.type.rpartition(".")[2] for e in await box.events("customer.subscription.*")][-1] == "resumed"


async def test_lookup_keys_are_unique_and_move_in_one_call(box: Stripe) -> None:
    old = await box.price()
    params = {"product": old.product, "currency": "eur", "unit_amount": 2500, "recurring": {"interval": "month"}}
    params["lookup_key"] = old.lookup_key
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        await box.v1.prices.create_async(params)
    new = await box.v1.prices.create_async(params | {"transfer_lookup_key": True})
    found = await box.v1.prices.list_async({"lookup_keys": [old.lookup_key], "expand": ["data.currency_options"]})
    assert [price.id for price in found.data] == [new.id]
    assert (await box.v1.prices.retrieve_async(old.id)).lookup_key is None
    whole = await box.v1.prices.retrieve_async(old.id, {"expand": ["currency_options"]})
    assert whole.currency_options["jpy"].unit_amount == 3200
    assert not hasattr(old, "currency_options")


async def test_a_customer_has_tax_ids_an_address_and_an_end(box: Stripe) -> None:
    sub = await box.subscribed()
    key = sub.customer
    await box.v1.customers.update_async(key, {"address": {"country": "FR", "line1": "1 rue X"}, "metadata": {"a": "b"}})
    made = await box.v1.customers.tax_ids.create_async(key, {"type": "eu_vat", "value": "FRAB123456789"})
    assert made.verification.status == "pending"
    box.advance(0.001)
    found = await box.v1.customers.retrieve_async(key, {"expand": ["tax_ids"]})
    assert found.tax_ids.data[0].verification.status == "verified"
    assert (found.address.country, found.address.city, found.metadata["a"]) == ("FR", None, "b")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await box.v1.customers.tax_ids.create_async(key, {"type": "eu_vat", "value": "nonsense"})
    assert refused.value.code == "tax_id_invalid"
    await box.v1.customers.delete_async(key)
    assert (await box.v1.customers.retrieve_async(key)).deleted
    assert (await box.sub(sub.id)).status == "canceled"
    assert (await box.v1.invoices.list_async({"customer": key})).data
    with pytest.raises(stripe.InvalidRequestError) as gone:
        await box.session(key, sub["items"].data[0].price.id)
    assert gone.value.code == "resource_missing"


async def test_a_country_and_a_tax_number_have_a_form(box: Stripe) -> None:
    """In calls and on the pages: what is no country, and what has not the form of its country's numbers, is refused."""
    customer = await box.customer()
    for country in ("QQ", "ZZ", "XX", "de"):
        with pytest.raises(stripe.InvalidRequestError, match="is unknown"):
            await box.v1.customers.update_async(customer.id, {"address": {"country": country}})
    for value in ("DE12", "DE1234567890", "QQ123456789", "ATU1234567", "GR123456789"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await box.v1.customers.tax_ids.create_async(customer.id, {"type": "eu_vat", "value": value})
        assert refused.value.code == "tax_id_invalid"
    for value in ("DE123456789", "ATU12345678", "EL123456789", "IE1234567WA", "NL123456789B12"):
        await box.v1.customers.tax_ids.create_async(customer.id, {"type": "eu_vat", "value": value})
    more: Any = {"tax_id_collection": {"enabled": True}, "customer_update": {"address": "auto", "name": "auto"}}
    session = await box.session((await box.customer()).id, (await box.price()).id, **more)
    assert box.click(session.url, "ok", country="QQ").status_code == 400
    assert box.click(session.url, "ok", country="DE", tax_id="DE12").status_code == 400
    assert (await box.v1.checkout.sessions.retrieve_async(session.id)).status == "open"


async def test_checkout_takes_address_and_vat_id_and_computes_the_tax(box: Stripe) -> None:
    price, customer = await box.price(), await box.customer()
    more: Any = {"automatic_tax": {"enabled": True}, "tax_id_collection": {"enabled": True}}
    with pytest.raises(stripe.InvalidRequestError, match="customer_update"):
        await box.session(customer.id, price.id, **more)
    more["customer_update"] = {"address": "auto", "name": "auto"}
    session = await box.session(customer.id, price.id, **more)
    box.click(session.url, "ok", country="FR", name="Nightjar", postal_code="75001")
    session = await box.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["invoice"]})
    assert (session.amount_total, session.invoice.total_taxes[0].amount) == (2280, 380)
    assert session.customer_details.address.country == "FR"
    other = await box.session((await box.customer()).id, price.id, **more)
    box.click(other.url, "ok", country="FR", tax_id="FRAB123456789")
    other = await box.v1.checkout.sessions.retrieve_async(other.id, {"expand": ["invoice"]})
    assert [tax.taxability_reason for tax in other.invoice.total_taxes] == ["reverse_charge"]
    assert other.invoice.customer_tax_ids[0].value == "FRAB123456789"


@pytest.mark.parametrize("currency", ["eur", "usd", "jpy"])
async def test_one_price_is_sold_in_several_currencies(box: Stripe, currency: str) -> None:
    price, customer = await box.price(), await box.customer()
    session = await box.session(customer.id, price.id, currency=currency)
    box.click(session.url, "ok")
    invoice = (await box.v1.invoices.list_async({"customer": customer.id})).data[0]
    assert (invoice.currency, invoice.amount_paid) == (currency, {"eur": 1900, "usd": 2100, "jpy": 3200}[currency])
    with pytest.raises(stripe.InvalidRequestError, match="combine currencies"):
        await box.session(customer.id, price.id, currency="gbp")


async def test_an_invoice_has_a_page_and_a_pdf(box: Stripe) -> None:
    sub = await box.subscribed(card="decline")
    assert sub.status == "incomplete"
    invoice = await box.v1.invoices.retrieve_async(sub.latest_invoice)
    path = invoice.hosted_invoice_url.partition("/stripe")[2]
    assert "Pay EUR 19.00" in box.http.get(path).text
    pdf = box.http.get(f"{path}/pdf")
    assert pdf.content.startswith(b"%PDF-1.4") and pdf.content.rstrip().endswith(b"%%EOF")
    assert pdf.headers["content-type"] == "application/pdf"
    start = int(pdf.content.rpartition(b"startxref\n")[2].split()[0])
    assert pdf.content[start:].startswith(b"xref")
    box.click(path, "ok")
    assert (await box.v1.invoices.retrieve_async(invoice.id)).status == "paid"
    assert (await box.sub(sub.id)).status == "active"
    assert box.http.get(f"{path}x").status_code == 404
