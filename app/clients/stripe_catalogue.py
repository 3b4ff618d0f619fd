"""Products, prices and the portal's configuration at Stripe, as `sync-plans` reads and writes them.

A price's amounts cannot be edited: another price takes its lookup key over. What these raise: any `StripeError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.clients import answers
from app.clients.stripe_api import Stripe, StripeRefused, amount, call, identifier, need, rows


@dataclass(frozen=True)
class Product:
    """A product, as far as it is ours to say."""

    id: str
    name: str
    description: str | None
    tax_code: str | None
    active: bool


@dataclass(frozen=True)
class Price:
    """A price. `amounts` are by currency; one whose amount is no whole number has none."""

    id: str
    product_id: str
    lookup_key: str | None
    interval: str | None
    interval_count: int
    tax_behavior: str | None
    active: bool
    amounts: dict[str, int | None]


async def product(stripe: Stripe, product_id: str) -> Product | None:
    """The product of this id, which we choose ourselves; none when there is none."""
    try:
        found = await call(stripe, lambda client: client.v1.products.retrieve_async(product_id))
    except StripeRefused as refused:
        if refused.code == "resource_missing":
            return None
        raise
    return Product(
        id=identifier(found),
        name=answers.name(found.get("name")) or "",
        description=answers.text(found.get("description")),
        tax_code=identifier(found, "tax_code") if found.get("tax_code") else None,
        active=found.get("active") is True,
    )


async def create_product(stripe: Stripe, params: Mapping[str, Any], *, key: str) -> None:
    """Make a product."""
    sent: Any = dict(params)
    await call(stripe, lambda client: client.v1.products.create_async(sent, {"idempotency_key": key}))


async def change_product(stripe: Stripe, product_id: str, params: Mapping[str, Any], *, key: str) -> None:
    """Change a product."""
    sent: Any = dict(params)
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.products.update_async(product_id, sent, options))


async def prices_of(stripe: Stripe, product_id: str) -> list[Price]:
    """The product's active prices."""
    asked = {"product": product_id, "active": True, "expand": ["data.currency_options"]}
    found = await rows(stripe, lambda client, params: client.v1.prices.list_async(params), asked)
    return [_price(one) for one in found]


async def archived_id(stripe: Stripe, lookup_key: str) -> str | None:
    """The id of the price that has this lookup key although nobody can buy at it any more."""
    asked = {"lookup_keys": [lookup_key], "active": False}
    found = await rows(stripe, lambda client, params: client.v1.prices.list_async(params), asked)
    return identifier(found[0]) if found else None


async def create_price(stripe: Stripe, params: Mapping[str, Any], *, key: str) -> None:
    """Make a price, which takes its lookup key from the one that has it."""
    sent: Any = dict(params)
    await call(stripe, lambda client: client.v1.prices.create_async(sent, {"idempotency_key": key}))


async def archive_price(stripe: Stripe, price_id: str, *, key: str) -> None:
    """Let nobody buy at this price any more. Subscriptions that have it keep it."""
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.prices.update_async(price_id, {"active": False}, options))


async def configurations(stripe: Stripe) -> list[dict[str, Any]]:
    """The portal's active configurations, with what they let customers do."""
    return await rows(
        stripe,
        lambda client, params: client.v1.billing_portal.configurations.list_async(params),
        {"active": True},
    )


async def create_configuration(stripe: Stripe, params: Mapping[str, Any], *, key: str) -> None:
    """Make a configuration of the portal."""
    sent: Any = dict(params)
    options: Any = {"idempotency_key": key}
    await call(stripe, lambda client: client.v1.billing_portal.configurations.create_async(sent, options))


async def change_configuration(stripe: Stripe, configuration_id: str, params: Mapping[str, Any], *, key: str) -> None:
    """Change a configuration of the portal."""
    sent: Any = dict(params)
    options: Any = {"idempotency_key": key}
    await call(
        stripe, lambda client: client.v1.billing_portal.configurations.update_async(configuration_id, sent, options)
    )


def _price(body: Mapping[str, Any]) -> Price:
    recurring = answers.table(body.get("recurring")) or {}
    options = answers.table(body.get("currency_options")) or {}
    own = need(answers.text(body.get("currency"), most=3))
    found = {own: body.get("unit_amount")} | {
        name: option.get("unit_amount") for name, option in options.items() if isinstance(option, dict)
    }
    return Price(
        id=identifier(body),
        product_id=identifier(body, "product"),
        lookup_key=answers.text(body.get("lookup_key"), most=200),
        interval=answers.text(recurring.get("interval"), most=20),
        interval_count=answers.whole(recurring.get("interval_count")) or 0,
        tax_behavior=answers.text(body.get("tax_behavior"), most=40),
        active=body.get("active") is True,
        amounts={name: amount(value) for name, value in found.items()},
    )
