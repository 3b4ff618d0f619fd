"""Stripe's stand-in: whatever happens to a customer, the money adds up and the events tell all of it."""

import random
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe_harness import Stripe, sdk_warns

pytestmark = sdk_warns
CARDS = ("ok", "ok", "ok", "decline", "authenticate")
KINDS = ("wait", "wait", "card", "change", "cancel", "keep", "pause", "resume", "refund", "hold", "pay", "trial")
ENDS = tuple({"end_behavior": {"missing_payment_method": what}} for what in ("cancel", "pause", "create_invoice"))
READERS = {
    "customer": "customers",
    "subscription": "subscriptions",
    "invoice": "invoices",
    "charge": "charges",
    "refund": "refunds",
}


async def act(box: Stripe, chance: random.Random, sub: Any, prices: list[Any]) -> None:
    """Do one thing that a label, its bank or we could do."""
    item = sub["items"].data[0].id if sub.status != "canceled" else None
    change = {"items": [{"id": item, "price": chance.choice(prices).id}], "proration_behavior": "always_invoice"}
    kind = chance.choice(KINDS)
    if kind == "wait":
        box.advance(chance.choice([1, 4, 15, 32]))
    elif kind in ("card", "pay"):
        box.control("POST", f"/customers/{sub.customer}/card", {"card": chance.choice(CARDS), "pay": kind == "pay"})
    elif kind == "change":
        behavior = chance.choice(["allow_incomplete", "pending_if_incomplete", "error_if_incomplete"])
        await box.v1.subscriptions.update_async(sub.id, change | {"payment_behavior": behavior})
    elif kind in ("cancel", "keep"):
        await box.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": kind == "cancel"})
    elif kind == "trial":
        await box.v1.subscriptions.update_async(sub.id, {"trial_end": "now"})
    elif kind == "pause":
        await box.v1.subscriptions.pause_async(sub.id)
    elif kind == "resume":
        await box.v1.subscriptions.resume_async(sub.id, {"payment_behavior": "resume_on_payment_success"})
    elif kind == "hold":
        held = chance.choice([{"behavior": "keep_as_draft"}, {"behavior": "void"}, ""])
        await box.v1.subscriptions.update_async(sub.id, {"pause_collection": held})
    else:
        paid = await box.v1.charges.list_async({"customer": sub.customer, "limit": 1})
        await box.v1.refunds.create_async({"charge": paid.data[0].id, "amount": 100})


async def check_money(box: Stripe, customer: str) -> None:
    """What was taken is what invoices say was paid, and what was given back is what refunds say."""
    invoices = await box.v1.invoices.list_async({"customer": customer, "limit": 100})
    charges = (await box.v1.charges.list_async({"customer": customer, "limit": 100})).data
    assert sum(one.amount_captured for one in charges) == sum(one.amount_paid for one in invoices.data)
    for invoice in invoices.data:
        assert invoice.total == sum(line.amount for line in invoice.lines.data)
        assert invoice.amount_remaining == (0 if invoice.status == "paid" else invoice.amount_due)
        paid = (await box.v1.invoice_payments.list_async({"invoice": invoice.id, "status": "paid"})).data
        assert sum(one.amount_paid for one in paid) == invoice.amount_paid
    refunds = [one for charge in charges for one in (await box.v1.refunds.list_async({"charge": charge.id})).data]
    assert sum(one.amount for one in refunds) == sum(one.amount_refunded for one in charges)


async def silent(box: Stripe) -> list[str]:
    """Objects that are not as the newest event of each shows them."""
    newest: dict[str, Any] = {}
    for event in await box.events():
        told = event.data.object.to_dict()
        if "id" in told:
            newest[told["id"]] = told
    found = []
    for key, told in newest.items():
        read = READERS.get(told["object"])
        if read and (await getattr(box.v1, read).retrieve_async(key)).to_dict() != told:
            found.append(key)
    return found


async def check_events(box: Stripe) -> None:
    """Nothing changes in silence. Time goes on by itself too, so that one look may see two moments."""
    for _ in range(3):
        found = await silent(box)
        if not found:
            return
    raise AssertionError(found)


@pytest.mark.parametrize("seed", range(12))
async def test_the_money_adds_up_and_events_tell_all(box: Stripe, seed: int) -> None:
    chance = random.Random(seed)
    box.control("PUT", "/options", {"final_failure": chance.choice(["cancel", "unpaid", "pause", "past_due"])})
    prices = [await box.price(amount=1900), await box.price(amount=4900), await box.price("year", amount=19000)]
    trial: Any = chance.choice([{}, {}, {"trial_period_days": 14, "trial_settings": chance.choice(ENDS)}])
    sub = await box.subscribed(prices[0], card=chance.choice(CARDS if not trial else ("", *CARDS)), **trial)
    for _ in range(14):
        try:
            await act(box, chance, await box.sub(sub.id), prices)
        except (stripe.InvalidRequestError, stripe.CardError, IndexError):
            continue
        await check_events(box)
    await check_money(box, sub.customer)
    assert not box.control("GET", "/doubles?by=idempotency_key")["doubles"]
