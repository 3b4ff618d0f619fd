"""Stripe's state here: fetched, guarded, told once, and the same whatever becomes of the events."""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest

from app.clients.stripe_reading import read_facts
from app.services import operations
from app.services.billing import looking, reconciling, working_off
from app.services.billing.standing import access_of, plan_of
from app.services.billing.syncing import queue_sync
from tests.flows.till_harness import Till, spoilt
from tests.stripe_webhooks import event

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own way to call httpx


async def shop_of(till: Till, **more: str) -> tuple[str, str]:
    """A label, and its customer."""
    till.owner = await till.house.person()
    label_id = await till.house.label(till.owner)
    return label_id, await till.customer(label_id, **more)


async def test_a_subscription_begins(till: Till) -> None:
    """What Stripe has is here: the plan, the card, the details, the invoice, the payment; told once."""
    label_id, customer = await shop_of(till)
    made = await till.subscribe(customer)
    await till.told()
    found = await till.account(label_id)
    shown, now = found["subscription"], till.house.clock()
    assert (shown["id"], shown["status"], shown["plan"], shown["interval"]) == (made.id, "active", "starter", "month")
    assert (access_of(found, now=now), plan_of(found, now=now)) == ("full", "starter")
    assert found["payment_method"]["last4"] == "4242" and found["details"]["country"] == "GB"
    assert (found["live_subscriptions"], found["had_trial"]) == (1, False)
    [invoice], [payment] = await till.records(label_id, "invoice"), await till.records(label_id, "payment")
    assert (invoice["status"], invoice["amount"], invoice["currency"], invoice["digits"]) == ("paid", 1900, "eur", 2)
    assert (payment["status"], payment["amount_received"]) == ("succeeded", 1900)
    assert payment["invoice_id"] == invoice["provider_id"]
    [paid] = (await read_facts(till.stripe, customer)).payments
    assert paid.country == "GB" and paid.charged_at is not None and paid.charged_at >= paid.created_at
    assert await till.types(label_id) == ["invoice.paid", "billing.subscription.updated"]
    await till.told()
    assert await till.types(label_id) == ["invoice.paid", "billing.subscription.updated"]


async def test_many_events_are_one_look(till: Till) -> None:
    """Twenty events of one customer wait for one look, not for twenty."""
    label_id, customer = await shop_of(till)
    await till.subscribe(customer)
    await till.deliver(await till.events())
    await till.work()
    assert (await till.account(label_id))["fetches"] <= 3


async def test_failing_grace_read_only_and_recovery(till: Till) -> None:
    """A renewal fails: grace, then by the clock alone read-only, then paid again; each is told, and by mail."""
    label_id, customer = await shop_of(till)
    await till.order("PUT", "/options", {"retry_days": [20], "final_failure": "past_due"})
    await till.subscribe(customer)
    await till.told()
    await till.order("POST", f"/customers/{customer}/card", {"card": "decline"})
    await till.advance(32)
    await till.told()
    found = await till.account(label_id)
    assert (found["subscription"]["status"], found["access"]) == ("past_due", "grace")
    mails = [mail["subject"] for mail in await till.house.mails("owner@example.com")]
    assert "A payment of Nightjar has failed" in mails
    await till.advance(8)
    assert access_of(found, now=till.house.clock()) == "read_only"
    await till.work()  # nothing was delivered: the account itself says when to look
    assert (await till.account(label_id))["access"] == "read_only"
    await till.order("POST", f"/customers/{customer}/card", {"card": "ok", "pay": True})
    await till.told()
    found = await till.account(label_id)
    assert (found["access"], found["past_due_since"]) == ("full", None)
    subjects = [mail["subject"] for mail in await till.house.mails("owner@example.com")]
    assert "Nightjar can only be read now" in subjects and "Nightjar is paid again" in subjects
    assert (await till.types(label_id)).count("invoice.payment_failed") == 1
    assert (await till.types(label_id)).count("invoice.paid") == 2


async def test_a_late_look_changes_nothing(till: Till) -> None:
    """The one that began to fetch first is written last: what it saw is older, and is dropped."""
    label_id, customer = await shop_of(till)
    made = await till.subscribe(customer)
    await till.told()
    account, db = await till.account(label_id), till.house.db
    early = await looking._draw(db, account)
    old = await read_facts(till.stripe, customer)
    await till.v1.subscriptions.cancel_async(made.id)
    books, now = till.house.worker.settings.books, till.house.clock()
    await looking.look(db, till.stripe, account, books=books, now=now)
    await db.in_transaction(
        lambda session: looking._write(db, label_id, old, early, books=books, now=now, session=session)
    )
    assert (await till.account(label_id))["subscription"]["status"] == "canceled"
    assert (await till.account(label_id))["access"] == "free"


async def test_looks_at_the_same_time(till: Till) -> None:
    """Ten at once, while the subscription changes under them, and one more: what Stripe has."""
    label_id, customer = await shop_of(till)
    made = await till.subscribe(customer)
    await till.told()
    account, books = await till.account(label_id), till.house.worker.settings.books

    async def one(number: int) -> None:
        if number == 4:
            await till.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": True})
        await looking.look(till.house.db, till.stripe, account, books=books, now=till.house.clock())

    await asyncio.gather(*(one(number) for number in range(10)))
    await one(10)
    assert (await till.account(label_id))["subscription"]["cancel_at_period_end"] is True


async def test_payment_comes_before_access(till: Till) -> None:
    """A debit that takes days: subscribed, and nothing to be had until the money is there."""
    label_id, customer = await shop_of(till, card="")
    await till.check_out(customer, "delayed")
    await till.told()
    found = await till.account(label_id)
    assert access_of(found, now=till.house.clock()) == "free"
    await till.advance(4)
    await till.told()
    assert (await till.account(label_id))["access"] == "full"


async def test_a_trial_is_reminded_of_and_remembered(till: Till) -> None:
    """Three days before its end, once; and the label has had one, also when all is over."""
    label_id, customer = await shop_of(till)
    made = await till.subscribe(customer, trial_period_days=14)
    await till.told()
    found = await till.account(label_id)
    assert (found["access"], found["had_trial"], found["subscription"]["status"]) == ("full", True, "trialing")
    await till.advance(11.1)
    await till.work()
    await till.work()
    subjects = [mail["subject"] for mail in await till.house.mails("owner@example.com")]
    assert sum(subject.startswith("The trial of Nightjar ends on") for subject in subjects) == 1
    await till.v1.subscriptions.cancel_async(made.id)
    await till.told()
    found = await till.account(label_id)
    assert (found["access"], found["had_trial"], plan_of(found, now=till.house.clock())) == ("free", True, "free")


async def test_refunds_and_disputes(till: Till) -> None:
    """Money that goes back is there, under its payment."""
    label_id, customer = await shop_of(till)
    await till.subscribe(customer)
    await till.told()
    [payment] = await till.records(label_id, "payment")
    await till.v1.refunds.create_async({"payment_intent": payment["provider_id"], "amount": 500})
    await till.told()
    [refund], [payment] = await till.records(label_id, "refund"), await till.records(label_id, "payment")
    assert (refund["amount"], refund["payment_id"]) == (500, payment["provider_id"])
    assert payment["amount_refunded"] == 500
    await till.order("POST", f"/charges/{payment['charge_id']}/dispute", {})
    await till.told()
    [dispute] = await till.records(label_id, "dispute")
    assert (dispute["status"], dispute["payment_id"]) == ("needs_response", payment["provider_id"])
    shown = await till.owner.get(f"/v1/labels/{label_id}/billing/payments")
    [told] = shown.raise_for_status().json()["data"]
    assert [one["amount"] for one in told["refunds"]] == [500]
    assert [one["status"] for one in told["disputes"]] == ["needs_response"]
    assert (told["currency"], told["digits"], told["invoice_id"][:4]) == ("EUR", 2, "mny_")
    [invoice] = (await till.owner.get(f"/v1/labels/{label_id}/billing/invoices")).json()["data"]
    assert (invoice["amount"], invoice["tax"], invoice["law"]) == (1900, 0, "GB")
    assert invoice["page_url"].startswith("http") and invoice["keep_until"] == "2032-12-31"
    for path, one in (("invoices", invoice), ("payments", told)):
        assert (await till.owner.get(f"/v1/labels/{label_id}/billing/{path}/{one['id']}")).json() == one


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_ends_in_the_same_state(till: Till, seed: int) -> None:
    """A bad day's deliveries between the steps of a history, then the list of events: what Stripe has."""
    rng = random.Random(seed)
    label_id, customer = await shop_of(till)
    made = await till.subscribe(customer)
    await till.deliver(spoilt(await till.events(), rng))
    await till.work()
    await till.change(made, "soundops_pro_month")
    await till.advance(20)
    await till.deliver(spoilt(await till.events(), rng, lost=0.9))
    await till.work()
    await till.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": True})
    await till.advance(0.1)
    await till.work()
    found = await till.account(label_id)
    assert (found["subscription"]["plan"], found["subscription"]["cancel_at_period_end"]) == ("pro", True)


async def test_an_outage_of_days_is_made_up_for(till: Till) -> None:
    """Nothing was delivered for 20 days: the list of events finds the customer, and the cursor says up to when."""
    label_id, customer = await shop_of(till)
    await till.work()
    await till.subscribe(customer)
    account = till.house.db.open("billing_accounts")
    await account.update_one({"label_id": label_id}, {"$unset": {"look_at": ""}})
    await till.advance(20)
    await till.work()
    assert (await till.account(label_id))["subscription"]["status"] == "active"
    through = await reconciling.known_through(till.house.db, now=till.house.clock())
    assert till.house.clock() - through < timedelta(minutes=1)
    rows = await till.house.db.open("stripe_events").find({}).to_list()
    assert rows and {row["found_by"] for row in rows} == {"listing"}


@pytest.mark.parametrize("ahead", [timedelta(minutes=9), timedelta(days=365)])
async def test_a_clock_that_was_ahead_hides_no_event(till: Till, ahead: timedelta) -> None:
    """It has moved the cursor into the future: what was lost before and after is found all the same."""
    _, customer = await shop_of(till)
    await till.subscribe(customer)
    db, clock = till.house.db, till.house.clock

    async def walk() -> None:
        while not await reconciling.walk_window(db, till.stripe, now=clock()):
            pass

    before = looking.ALARMS.labels("events_known_ahead_of_time")._value.get()
    clock.offset += ahead
    await walk()
    clock.offset -= ahead
    customer_too = await till.customer(await till.house.label(till.owner, "second"))
    await walk()
    await till.advance(0.02)
    await walk()
    rows = await db.open("stripe_events").find({"customer_id": {"$in": [customer, customer_too]}}).to_list()
    assert {row["customer_id"] for row in rows} == {customer, customer_too}
    through = await reconciling.known_through(db, now=clock())
    assert abs(clock() - through) < timedelta(minutes=1)
    alarms = looking.ALARMS.labels("events_known_ahead_of_time")._value.get() - before
    assert alarms == (1 if ahead > reconciling.OVERLAP else 0)


async def test_slow_answers_keep_nobody_waiting(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Stripe is slow a round asks for some time, queues what it knows, and leaves the rest to the next ones."""
    _, customer = await shop_of(till)
    paid = {"id": "ch_1", "object": "charge", "payment_intent": "pi_unknown"}
    asked = [event(f"evt_{n}", "charge.succeeded", data={"object": paid}) for n in range(4)]
    await till.deliver([event("evt_known", customer=customer), *asked])
    await till.order("POST", "/faults", {"fault": "slow", "method": "GET", "seconds": 0.5, "times": None})
    monkeypatch.setattr(working_off, "ASKS_FOR_S", 0.7)
    rows, now = till.house.db.open("stripe_events"), till.house.clock()
    assert len(await working_off.work_off(till.house.db, till.stripe, now=now)) == 1
    states = Counter([row["state"] for row in await rows.find({"customer_id": None}).to_list()])
    assert 0 < states["nobodys"] < 4 and states["waiting"] == 4 - states["nobodys"]
    while await rows.count_documents({"due_at": {"$lte": now}}):
        await working_off.work_off(till.house.db, till.stripe, now=now)
    assert await rows.count_documents({"state": "nobodys"}) == 4


async def test_a_look_that_ended_before_it_began_is_asked_for_anew(till: Till) -> None:
    """As while billing was off: the next event has another look, and so on."""
    label_id, customer = await shop_of(till)
    await till.subscribe(customer)
    stripe, till.house.worker.stripe = till.house.worker.stripe, None
    for _ in range(3):
        asked = await queue_sync(till.house.db, label_id, now=till.house.clock())
        assert asked == await queue_sync(till.house.db, label_id, now=till.house.clock())
        await till.house.work()
        operation = await operations.need(till.house.db, label_id, str(asked))
        assert (operation["state"], operation["problem"]["code"]) == ("failed", "billing_off")
    till.house.worker.stripe = stripe
    await till.told()
    assert (await till.account(label_id))["access"] == "full"


async def test_events_of_another_version_are_an_alarm(till: Till) -> None:
    """They are looked into all the same: nothing but ids is taken from them."""
    label_id, customer = await shop_of(till)
    await till.subscribe(customer)
    before = looking.ALARMS.labels("event_of_another_version")._value.get()
    await till.deliver([event | {"api_version": "2027-03-31.fuchsia"} for event in (await till.events())[-1:]])
    await till.work()
    assert looking.ALARMS.labels("event_of_another_version")._value.get() == before + 1
    assert (await till.account(label_id))["access"] == "full"


async def test_nobodys_customer(till: Till) -> None:
    """Events of a customer that is not ours are put off for an hour, since it may just be being made; then let be."""
    made = await till.v1.customers.create_async({"metadata": {"soundops_label": "lbl_nobody"}})
    before = looking.ALARMS.labels("unknown_customer")._value.get()
    await till.deliver(await till.events())
    await till.house.work()
    [row] = await till.house.db.open("stripe_events").find({"customer_id": made.id}).to_list()
    assert row["state"] == "waiting" and row["attempts"] == 1
    await till.advance(0.1)
    await till.work()
    [row] = await till.house.db.open("stripe_events").find({"customer_id": made.id}).to_list()
    assert row["state"] == "nobodys"
    assert looking.ALARMS.labels("unknown_customer")._value.get() > before
