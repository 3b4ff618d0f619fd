"""Mirroring the plans to Stripe: what differs from the table, and how it is made the same.

What is there is read first, so that the same plans a second time are no step at all. A product has an id of ours; a
price is found by its lookup key. An amount cannot be changed: a new price takes the key over, and the old one is
archived; who has subscribed keeps it. Nothing of others' at Stripe is touched.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.clients import stripe_catalogue
from app.clients.stripe_api import Stripe, StripeBusy, StripeUnsure
from app.clients.stripe_catalogue import Price, Product
from app.services.billing.amounts import in_words
from app.services.billing.plans import DEFAULT_CURRENCY, PLANS, TAX_CODE, Plan, PriceOfPlan, all_prices

TAX_BEHAVIOUR = "exclusive"
PASSES = 4
PORTAL: dict[str, Any] = {
    "customer_update": {"enabled": True, "allowed_updates": ["address", "email", "name", "tax_id"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    "subscription_update": {"enabled": False},
}
"""What a label may do in the portal. Plans are changed here, where it is known what would not fit."""


@dataclass(frozen=True)
class Step:
    """Something that differs, and what makes it the same. `key` is of both: the same step again is done once."""

    sign: str
    """`+` is missing, `~` is otherwise, `-` is too much."""
    text: str
    sent: dict[str, Any]
    against: str
    """What is there now: the same wish from another state is another step."""
    do: Callable[[Stripe, str], Awaitable[None]] = field(repr=False)

    def key(self, number: int) -> str:
        """Its idempotency key in this pass."""
        told = json.dumps([self.sign, self.text, self.sent, self.against, number], sort_keys=True)
        return f"sync-plans:{hashlib.sha256(told.encode()).hexdigest()[:40]}"


async def differences(stripe: Stripe) -> list[Step]:
    """What differs, in the order in which it is made the same. Nothing is changed. Raises `StripeError`."""
    steps: list[Step] = []
    for plan in (one for one in PLANS.values() if one.prices):
        there = await stripe_catalogue.product(stripe, product_id(plan.name))
        steps += _of_product(plan, there)
        prices = await stripe_catalogue.prices_of(stripe, product_id(plan.name)) if there else []
        wanted = [one for one in all_prices() if one.plan == plan.name]
        for one in wanted:
            holder = next((price for price in prices if price.lookup_key == one.lookup_key), None)
            archived = None if holder else await stripe_catalogue.archived_id(stripe, one.lookup_key)
            steps += _of_price(one, holder, archived)
        good = {price.id for price in prices for one in wanted if _is_same(one, price)}
        replaced = {price.id for price in prices if price.lookup_key in {one.lookup_key for one in wanted}} - good
        steps += [_archive(price) for price in prices if price.id not in good | replaced]
        steps += [_archive(price) for price in prices if price.id in replaced]
    return steps + _of_portal(await stripe_catalogue.configurations(stripe))


async def apply(stripe: Stripe, steps: list[Step], *, told: Callable[[str], None]) -> list[Step]:
    """Make all the same; what still differs. `told` hears of each step once it is seen to be so.

    It is looked after each pass: the outcome of a call may not be known, and Stripe answers a key that it knows with
    its first answer, though somebody has undone what that call did. The next pass has keys of its own.
    Raises `StripeError`.
    """
    for number in range(PASSES):
        try:
            for step in steps:
                await _do(stripe, step, number)
        except StripeUnsure:
            if number == PASSES - 1:
                raise
        left = await differences(stripe)
        open_ones = {(one.sign, one.text) for one in left}
        for step in steps:
            if (step.sign, step.text) not in open_ones:
                told(f"done  {step.sign} {step.text}")
        if not left:
            break
        steps = left
    return left


async def _do(stripe: Stripe, step: Step, number: int) -> None:
    for left in reversed(range(PASSES)):
        try:
            return await step.do(stripe, step.key(number))
        except StripeBusy as busy:
            if not left:
                raise
            await asyncio.sleep(min(busy.retry_after.total_seconds(), 30))


def product_id(plan: str) -> str:
    """The id of a plan's product."""
    return f"soundops_{plan}"


def _of_product(plan: Plan, there: Product | None) -> list[Step]:
    sent = {"name": f"SoundOps {plan.title}", "description": plan.description, "tax_code": TAX_CODE, "active": True}
    name = product_id(plan.name)
    if there is None:
        made = {**sent, "id": name, "metadata": {"soundops_plan": plan.name}}
        return [_step("+", f"product {name} “{sent['name']}”", made, "", stripe_catalogue.create_product)]
    found = {one: getattr(there, one) for one in sent}
    changed = {one: value for one, value in sent.items() if found[one] != value}
    if not changed:
        return []
    text = ", ".join(f"{one}: {found[one]!r} → {value!r}" for one, value in changed.items())

    async def change(stripe: Stripe, sent: dict[str, Any], *, key: str) -> None:
        await stripe_catalogue.change_product(stripe, name, sent, key=key)

    return [_step("~", f"product {name}  {text}", changed, str(found), change)]


def _of_price(wanted: PriceOfPlan, holder: Price | None, archived: str | None) -> list[Step]:
    """`holder` is the active price that has the lookup key; `archived` the id of one that has it and is not."""
    if holder is not None and _is_same(wanted, holder):
        return []
    others = {name: amount for name, amount in wanted.amounts.items() if name != DEFAULT_CURRENCY}
    sent: dict[str, Any] = {
        "product": product_id(wanted.plan),
        "currency": DEFAULT_CURRENCY,
        "unit_amount": wanted.amounts[DEFAULT_CURRENCY],
        "tax_behavior": TAX_BEHAVIOUR,
        "currency_options": {
            name: {"unit_amount": amount, "tax_behavior": TAX_BEHAVIOUR} for name, amount in others.items()
        },
        "recurring": {"interval": wanted.interval},
        "lookup_key": wanted.lookup_key,
        "transfer_lookup_key": True,
        "metadata": {"soundops_plan": wanted.plan},
    }
    create, text = stripe_catalogue.create_price, f"price {wanted.lookup_key}"
    if holder is None:
        amounts = ", ".join(in_words(amount, name) for name, amount in wanted.amounts.items())
        text += f"  {amounts} a {wanted.interval}" + (f"  ({archived} is archived)" if archived else "")
        return [_step("+", text, sent, archived or "", create)]
    text += f"  {_in_short(holder, wanted)}  (a new price; who has subscribed keeps the old one)"
    return [_step("~", text, sent, holder.id, create)]


def _is_same(wanted: PriceOfPlan, price: Price) -> bool:
    return (
        price.lookup_key == wanted.lookup_key
        and price.amounts == wanted.amounts
        and (price.interval, price.interval_count) == (wanted.interval, 1)
        and price.tax_behavior == TAX_BEHAVIOUR
    )


def _in_short(holder: Price, wanted: PriceOfPlan) -> str:
    names = sorted({*holder.amounts, *wanted.amounts})
    wishes: dict[str, int | None] = {str(name): amount for name, amount in wanted.amounts.items()}
    told = [
        f"{_words(holder.amounts.get(name), name)} → {_words(wishes.get(name), name)}"
        for name in names
        if holder.amounts.get(name) != wishes.get(name)
    ]
    if (holder.interval, holder.interval_count) != (wanted.interval, 1):
        told.append(f"every {holder.interval_count} {holder.interval} → every {wanted.interval}")
    if holder.tax_behavior != TAX_BEHAVIOUR:
        told.append(f"tax {holder.tax_behavior} → {TAX_BEHAVIOUR}")
    return ", ".join(told)


def _words(amount: int | None, currency: str) -> str:
    return f"no {currency.upper()}" if amount is None else in_words(amount, currency)


def _archive(price: Price) -> Step:
    async def archive(stripe: Stripe, sent: dict[str, Any], *, key: str) -> None:
        await stripe_catalogue.archive_price(stripe, price.id, key=key)

    return _step("-", f"price {price.id} of {price.product_id}: archived", {"active": False}, price.id, archive)


def _of_portal(there: list[dict[str, Any]]) -> list[Step]:
    sent = {"features": PORTAL, "metadata": {"soundops": "portal"}}
    ours = next((one for one in there if (one.get("metadata") or {}).get("soundops") == "portal"), None)
    if ours is None:
        return [_step("+", "portal configuration", sent, "", stripe_catalogue.create_configuration)]
    features = ours.get("features")
    wrong = [name for name, wish in PORTAL.items() if not _holds(features, {name: wish})]
    if not wrong:
        return []
    name = str(ours["id"])

    async def change(stripe: Stripe, sent: dict[str, Any], *, key: str) -> None:
        await stripe_catalogue.change_configuration(stripe, name, sent, key=key)

    return [_step("~", f"portal configuration  {', '.join(wrong)}", {"features": PORTAL}, repr(features), change)]


def _holds(there: Any, wish: Any) -> bool:
    """Whether all that is wished is so; Stripe shows more than that. Lists have no order."""
    if isinstance(wish, dict):
        return isinstance(there, dict) and all(_holds(there.get(name), value) for name, value in wish.items())
    if isinstance(wish, list):
        return isinstance(there, list) and sorted(map(str, there)) == sorted(map(str, wish))
    return bool(there == wish)


def _step(sign: str, text: str, sent: dict[str, Any], against: str, how: Callable[..., Awaitable[None]]) -> Step:
    async def do(stripe: Stripe, key: str) -> None:
        await how(stripe, sent, key=key)

    return Step(sign, text, sent, against, do)
