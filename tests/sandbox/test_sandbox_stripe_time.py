"""Stripe's stand-in: what time does to subscriptions, and what changes them."""

import time
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe_harness import DAY_S, Stripe, sdk_warns

pytestmark = sdk_warns


async def test_a_renewal_fails_is_tried_again_and_recovers(box: Stripe) -> None:
    sub = await box.subscribed()
    box.control("POST", f"/customers/{sub.customer}/card", {"card": "decline"})
    box.advance(32)
    sub = await box.sub(sub.id)
    assert sub.status == "past_due"
    invoice = await box.v1.invoices.retrieve_async(sub.latest_invoice)
    assert (invoice.status, invoice.billing_reason, invoice.attempt_count) == ("open", "subscription_cycle", 1)
    assert invoice.next_payment_attempt > invoice.created + 2 * DAY_S
    box.control("POST", f"/customers/{sub.customer}/card", {"card": "ok", "pay": True})
    assert (await box.sub(sub.id)).status == "active"


@pytest.mark.parametrize(
    ("final", "status"),
    [("unpaid", "unpaid"), ("cancel", "canceled"), ("past_due", "past_due"), ("pause", "paused")],
)
async def test_when_the_tries_are_used_up_the_account_decides(box: Stripe, final: str, status: str) -> None:
    box.control("PUT", "/options", {"final_failure": final})
    sub = await box.subscribed()
    box.control("POST", f"/customers/{sub.customer}/card", {"card": "decline"})
    box.advance(50)
    sub = await box.sub(sub.id)
    assert sub.status == status
    if final == "cancel":
        assert sub.cancellation_details.reason == "payment_failed"
    if final == "pause":
        assert sub.status_details.paused.subscription.type == "final_payment_failure"
    if final == "unpaid":
        box.advance(20)
        latest = await box.v1.invoices.retrieve_async((await box.sub(sub.id)).latest_invoice)
        assert (latest.status, latest.attempted) == ("draft", False)


async def test_a_trial_ends_paid_early_or_not_at_all(box: Stripe) -> None:
    sub = await box.subscribed(trial_period_days=14)
    first = await box.v1.invoices.retrieve_async(sub.latest_invoice)
    assert (sub.status, first.status, first.total) == ("trialing", "paid", 0)
    box.advance(to=sub.trial_end + 60)
    assert (await box.sub(sub.id)).status == "active"
    box.advance(0.1)
    invoice = await box.v1.invoices.retrieve_async((await box.sub(sub.id)).latest_invoice)
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 1900, "subscription_cycle")
    early = await box.subscribed(trial_period_days=14)
    early = await box.v1.subscriptions.update_async(early.id, {"trial_end": "now", "expand": ["latest_invoice"]})
    assert (early.status, early.latest_invoice.amount_paid) == ("active", 1900)
    end: Any = {"end_behavior": {"missing_payment_method": "cancel"}}
    bare = await box.subscribed(card="", trial_period_days=14, trial_settings=end)
    box.advance(15)
    assert (await box.sub(bare.id)).status == "canceled"


async def test_what_comes_is_told_a_week_before_without_an_id(box: Stripe) -> None:
    sub = await box.subscribed()
    box.advance(20)
    assert not await box.events("invoice.upcoming")
    box.advance(6)
    told = (await box.events("invoice.upcoming"))[0].data.object
    assert not hasattr(told, "id") and (told.total, told.customer) == (1900, sub.customer)


async def test_a_renewal_is_a_draft_for_an_hour(box: Stripe) -> None:
    sub = await box.subscribed()
    end = sub["items"].data[0].current_period_end
    box.advance(to=end + 60)
    sub = await box.sub(sub.id)
    invoice = await box.v1.invoices.retrieve_async(sub.latest_invoice)
    assert (sub.status, invoice.status, invoice.number) == ("active", "draft", None)
    assert sub["items"].data[0].current_period_start == end
    box.advance(to=end + 3700)
    assert (await box.v1.invoices.retrieve_async(invoice.id)).status == "paid"


async def test_the_31st_comes_back_after_february(box: Stripe) -> None:
    box.advance(to=1_801_393_200)  # 2027-01-31 11:00 UTC
    sub = await box.subscribed()
    ends = []
    for _ in range(3):
        ends.append(sub["items"].data[0].current_period_end)
        box.advance(to=ends[-1] + 3700)
        sub = await box.sub(sub.id)
    gaps = [round((end - sub.created) / DAY_S) for end in ends]
    assert gaps == [28, 59, 89]


async def test_cancel_at_period_end_is_taken_back_or_happens(box: Stripe) -> None:
    sub = await box.subscribed()
    changed = await box.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": True})
    assert (changed.status, changed.cancel_at) == ("active", sub["items"].data[0].current_period_end)
    back = await box.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": False})
    assert (back.cancel_at, back.canceled_at, back.cancellation_details.reason) == (None, None, None)
    await box.v1.subscriptions.update_async(sub.id, {"cancel_at": "min_period_end"})
    box.advance(32)
    ended = await box.sub(sub.id)
    assert (ended.status, ended.ended_at) == ("canceled", changed.cancel_at)
    assert not (await box.v1.subscriptions.list_async({"customer": sub.customer})).data
    with pytest.raises(stripe.InvalidRequestError):
        await box.v1.subscriptions.cancel_async(sub.id)


async def test_a_preview_shows_what_an_upgrade_then_costs(box: Stripe) -> None:
    small, big = await box.price(), await box.price(amount=4900)
    sub = await box.subscribed(small)
    box.advance(10)
    item, at = sub["items"].data[0].id, sub.created + 10 * DAY_S
    details: Any = {"items": [{"id": item, "price": big.id}], "proration_behavior": "always_invoice"}
    params = {"subscription": sub.id, "subscription_details": details | {"proration_date": at}}
    preview = await box.v1.invoices.create_preview_async(params)
    assert preview.id.startswith("upcoming_in_") and [line.amount < 0 for line in preview.lines.data] == [True, False]
    assert preview.lines.data[0].parent.subscription_item_details.proration
    before = await box.sub(sub.id)
    assert before["items"].data[0].price.id == small.id
    update = details | {"proration_date": at, "payment_behavior": "pending_if_incomplete"}
    after = await box.v1.subscriptions.update_async(sub.id, update)
    invoice = await box.v1.invoices.retrieve_async(after.latest_invoice)
    assert (invoice.total, invoice.billing_reason) == (preview.total, "subscription_update")
    assert (after["items"].data[0].price.id, after.pending_update) == (big.id, None)
    assert 1900 <= invoice.total <= 2100


async def test_an_upgrade_that_is_not_paid_waits_and_runs_out(box: Stripe) -> None:
    small, big = await box.price(), await box.price(amount=4900)
    sub = await box.subscribed(small)
    box.control("POST", f"/customers/{sub.customer}/card", {"card": "authenticate"})
    item = sub["items"].data[0].id
    params: Any = {
        "items": [{"id": item, "price": big.id}],
        "proration_behavior": "always_invoice",
        "payment_behavior": "pending_if_incomplete",
    }
    waiting = await box.v1.subscriptions.update_async(sub.id, params)
    assert (waiting.status, waiting["items"].data[0].price.id) == ("active", small.id)
    assert waiting.pending_update.subscription_items[0].price.id == big.id
    assert await box.events("invoice.payment_action_required")
    box.advance(1)
    expired = await box.sub(sub.id)
    assert expired.pending_update is None
    assert (await box.v1.invoices.retrieve_async(waiting.latest_invoice)).status == "void"
    assert len(await box.events("customer.subscription.pending_update_expired")) == 1
    waiting = await box.v1.subscriptions.update_async(sub.id, params)
    box.control("POST", f"/invoices/{waiting.latest_invoice}/approve")
    assert (await box.sub(sub.id))["items"].data[0].price.id == big.id
    assert len(await box.events("customer.subscription.pending_update_applied")) == 1


async def test_an_upgrade_that_must_be_paid_changes_nothing_when_it_is_not(box: Stripe) -> None:
    small, big = await box.price(), await box.price(amount=4900)
    sub = await box.subscribed(small)
    box.control("POST", f"/customers/{sub.customer}/card", {"card": "decline"})
    params: Any = {
        "items": [{"id": sub["items"].data[0].id, "price": big.id}],
        "proration_behavior": "always_invoice",
        "payment_behavior": "error_if_incomplete",
    }
    with pytest.raises(stripe.CardError):
        await box.v1.subscriptions.update_async(sub.id, params)
    assert (await box.sub(sub.id))["items"].data[0].price.id == small.id
    assert len((await box.v1.invoices.list_async({"customer": sub.customer})).data) == 1


async def test_another_interval_begins_a_new_period_at_once(box: Stripe) -> None:
    month, year = await box.price(), await box.price("year", amount=19000)
    sub = await box.subscribed(month)
    box.advance(10)
    params = {"items": [{"id": sub["items"].data[0].id, "price": year.id}]}
    sub = await box.v1.subscriptions.update_async(sub.id, params)
    item = sub["items"].data[0]
    assert item.current_period_end - item.current_period_start == 365 * DAY_S
    invoice = await box.v1.invoices.retrieve_async(sub.latest_invoice)
    assert 17500 < invoice.total < 18500


async def test_a_downgrade_leaves_a_credit_that_the_next_invoice_uses(box: Stripe) -> None:
    small, big = await box.price(), await box.price(amount=4900)
    sub = await box.subscribed(big)
    params: Any = {"items": [{"id": sub["items"].data[0].id, "price": small.id}]}
    sub = await box.v1.subscriptions.update_async(sub.id, params | {"proration_behavior": "always_invoice"})
    customer = await box.v1.customers.retrieve_async(sub.customer)
    assert -3000 <= customer.balance <= -2990
    box.advance(32)
    invoice = await box.v1.invoices.retrieve_async((await box.sub(sub.id)).latest_invoice)
    assert (invoice.amount_due, invoice.total, invoice.status) == (0, 1900, "paid")


async def test_pausing_stops_all_and_pausing_collection_only_the_money(box: Stripe) -> None:
    sub = await box.subscribed()
    held = await box.v1.subscriptions.update_async(sub.id, {"pause_collection": {"behavior": "void"}})
    assert held.status == "active"
    box.advance(32)
    sub = await box.sub(sub.id)
    assert (await box.v1.invoices.retrieve_async(sub.latest_invoice)).status == "void"
    await box.v1.subscriptions.update_async(sub.id, {"pause_collection": ""})
    paused = await box.v1.subscriptions.pause_async(sub.id)
    assert paused.status_details.paused.subscription.type == "pause_requested"
    box.advance(90)
    assert (await box.sub(sub.id)).latest_invoice == sub.latest_invoice
    resumed = await box.v1.subscriptions.resume_async(sub.id, {"payment_behavior": "resume_on_payment_success"})
    assert resumed.status == "active"


async def test_a_first_payment_has_23_hours(box: Stripe) -> None:
    sub = await box.subscribed(card="decline")
    expand = {"expand": ["confirmation_secret", "payments"]}
    invoice = await box.v1.invoices.retrieve_async(sub.latest_invoice, expand)
    assert invoice.confirmation_secret.client_secret.startswith(invoice.payments.data[0].payment.payment_intent)
    with pytest.raises(stripe.CardError) as declined:
        await box.v1.invoices.pay_async(invoice.id)
    assert declined.value.code == "card_declined"
    box.advance(1)
    assert (await box.sub(sub.id)).status == "incomplete_expired"
    assert (await box.v1.invoices.retrieve_async(invoice.id)).status == "void"


async def test_a_customer_with_a_test_clock_follows_it_alone(box: Stripe) -> None:
    clock = await box.v1.test_helpers.test_clocks.create_async({"frozen_time": 1_800_000_000})
    customer = await box.customer(test_clock=clock.id)
    box.control("POST", f"/customers/{customer.id}/card", {"card": "ok"})
    price = await box.price()
    sub = await box.v1.subscriptions.create_async({"customer": customer.id, "items": [{"price": price.id}]})
    assert sub.created == 1_800_000_000
    await box.v1.test_helpers.test_clocks.advance_async(clock.id, {"frozen_time": 1_800_000_000 + 70 * DAY_S})
    for _ in range(100):
        clock = await box.v1.test_helpers.test_clocks.retrieve_async(clock.id)
        if clock.status == "ready":
            break
        box.control("GET", "/clock")
    assert clock.frozen_time == 1_800_000_000 + 70 * DAY_S
    assert len((await box.v1.invoices.list_async({"customer": customer.id})).data) == 3


async def test_refunds_disputes_and_what_the_bank_sends_back(box: Stripe) -> None:
    sub = await box.subscribed()
    paid = (await box.v1.invoice_payments.list_async({"invoice": sub.latest_invoice})).data[0]
    intent = paid.payment.payment_intent
    part = await box.v1.refunds.create_async({"payment_intent": intent, "amount": 500})
    assert part.status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await box.v1.refunds.create_async({"payment_intent": intent, "amount": 1500})
    charge = await box.v1.charges.retrieve_async(part.charge, {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded, len(charge.refunds.data)) == (500, False, 1)
    box.control("POST", f"/refunds/{part.id}/fail", {"reason": "declined"})
    failed = await box.v1.refunds.retrieve_async(part.id)
    assert (failed.status, failed.failure_reason) == ("failed", "declined")
    assert (await box.v1.charges.retrieve_async(charge.id)).amount_refunded == 0
    dispute = box.control("POST", f"/charges/{charge.id}/dispute", {"reason": "product_not_received"})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await box.v1.refunds.create_async({"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    answer = {"evidence": {"uncategorized_text": "It came."}}
    assert (await box.v1.disputes.update_async(dispute["id"], answer)).status == "under_review"
    box.control("POST", f"/disputes/{dispute['id']}/decide", {"status": "won"})
    found = await box.v1.disputes.list_async({"charge": charge.id})
    assert [one.status for one in found.data] == ["won"]
    kinds = [event.type for event in await box.events("charge.dispute.*")]
    names = ["created", "funds_withdrawn", "updated", "funds_reinstated", "closed"]
    assert kinds == [f"charge.dispute.{name}" for name in names]


def instants(value: Any) -> list[int]:
    """Every number that can only be an instant, in their order."""
    if isinstance(value, dict):
        return [at for one in value.values() for at in instants(one)]
    if isinstance(value, list):
        return [at for one in value for at in instants(one)]
    return [value] if type(value) is int and 1_500_000_000 < value < 2_500_000_000 else []


async def test_time_passes_at_stripe_alone(box: Stripe) -> None:
    """Everything is older and the time is still now: what is bought and changed then is reckoned from now on."""
    small, big = await box.price(), await box.price(amount=4900)
    sub = await box.subscribed(small)
    assert box.control("POST", "/age", {"by_s": 32 * DAY_S})["now"] <= time.time()
    renewed = await box.sub(sub.id)
    item = renewed["items"].data[0]
    assert item.current_period_start == sub["items"].data[0].current_period_end - 32 * DAY_S < time.time()
    assert 27 * DAY_S < item.current_period_end - item.current_period_start < 32 * DAY_S
    latest = await box.v1.invoices.retrieve_async(renewed.latest_invoice)
    assert (latest.status, latest.amount_paid) == ("paid", 1900) and latest.created < time.time() - 3600
    details: Any = {"items": [{"id": item.id, "price": big.id}], "proration_date": int(time.time())}
    assert (await box.v1.invoices.create_preview_async({"subscription": sub.id, "subscription_details": details})).total
    ends = int(time.time()) + 3600
    assert (await box.session(sub.customer, small.id, expires_at=ends)).expires_at == ends
    box.control("POST", "/age", {"by_s": 32 * DAY_S})
    again = (await box.sub(sub.id))["items"].data[0]
    assert 27 * DAY_S < again.current_period_end - again.current_period_start < 32 * DAY_S
    box.control("POST", "/age", {"by_s": -1}, status=400)


async def test_every_instant_becomes_older(box: Stripe) -> None:
    """Whatever it is called, in objects and events; but not a page that somebody has before them."""
    sub = await box.subscribed(trial_period_days=14)
    paid = await box.subscribed()
    await box.v1.subscriptions.update_async(paid.id, {"cancel_at_period_end": True})
    invoice = await box.v1.invoices.retrieve_async(paid.latest_invoice, {"expand": ["payments"]})
    intent = await box.v1.payment_intents.retrieve_async(invoice.payments.data[0].payment.payment_intent)
    charge = intent.latest_charge
    await box.v1.refunds.create_async({"charge": charge, "amount": 100})
    box.control("POST", f"/charges/{charge}/dispute")
    page = await box.session(sub.customer, (await box.price()).id)
    events = [event.id for event in await box.events()]
    keys = [sub.id, paid.id, invoice.id, charge, *events]
    before = {key: box.control("GET", f"/objects/{key}") for key in keys}
    box.control("POST", "/age", {"by_s": 60})
    for key, old in before.items():
        anchor = {"billing_cycle_anchor": 0} if old["object"] == "subscription" else {}
        was, now = (instants(one | anchor) for one in (old, box.control("GET", f"/objects/{key}")))
        assert was and now == [at - 60 for at in was], key
    assert (await box.v1.checkout.sessions.retrieve_async(page.id)).expires_at == page.expires_at


async def test_a_clock_that_was_put_forward_comes_back(box: Stripe) -> None:
    """What it was ahead is age afterwards: the same is so, and it is now."""
    sub = await box.subscribed()
    box.advance(40)
    ahead = await box.sub(sub.id)
    box.control("POST", "/age", {"by_s": 0})
    assert abs(box.control("GET", "/clock")["now"] - time.time()) < 5
    back = await box.sub(sub.id)
    assert abs(ahead.created - back.created - 40 * DAY_S) < 5 and back.status == "active"
