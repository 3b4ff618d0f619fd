"""The plans, as data: what each costs and what it entitles to. `sync-plans` mirrors them to Stripe by lookup key.

Amounts are whole numbers of the currency's smallest unit. What a label may do is decided by this table, never by what
Stripe says of a product. A price that changes here becomes a new price at Stripe, which takes the lookup key over;
who has subscribed keeps the old one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, get_args

from app.models.billing import Interval

Currency = Literal["eur", "usd", "gbp", "jpy"]
"""As Stripe writes them."""
PlanName = Literal["free", "starter", "pro", "label_group"]
Limit = Literal["connections", "seats", "publications_month", "storage_bytes", "partner_clients"]
DEFAULT_CURRENCY: Currency = "eur"
"""The currency of each price's own amount; the others are its `currency_options`."""
TAX_CODE = "txcd_10103001"
"""Stripe's product tax code: software as a service, business use."""
GIB = 1024**3


@dataclass(frozen=True)
class Entitlements:
    """How much of each a label may have; none is no limit."""

    connections: int | None
    """Connected accounts, all providers together."""
    seats: int | None
    """Members, and invitations that wait."""
    publications_month: int | None
    """Posts that are scheduled or published for a time of one calendar month (UTC)."""
    storage_bytes: int | None
    partner_clients: int | None
    """API clients of partners that are not revoked."""

    def of(self, limit: Limit) -> int | None:
        """This limit."""
        found: int | None = getattr(self, limit)
        return found


@dataclass(frozen=True)
class Plan:
    """A plan. `prices` are amounts by interval and currency; the free plan has none."""

    name: PlanName
    title: str
    description: str
    entitlements: Entitlements
    prices: dict[Interval, dict[Currency, int]]
    trial_days: int = 0
    """Of a label's first subscription."""


LIMITS: tuple[Limit, ...] = get_args(Limit)
NO_LIMITS = Entitlements(**{one.name: None for one in fields(Entitlements)})
"""What counts where billing is off."""

PLANS: dict[PlanName, Plan] = {
    "free": Plan(
        "free",
        "Free",
        "For a first act, and to try it.",
        Entitlements(connections=10, seats=10, publications_month=200, storage_bytes=10 * GIB, partner_clients=5),
        prices={},
    ),
    "starter": Plan(
        "starter",
        "Starter",
        "For a small label.",
        Entitlements(connections=20, seats=25, publications_month=1_000, storage_bytes=50 * GIB, partner_clients=10),
        prices={
            "month": {"eur": 1_900, "usd": 1_900, "gbp": 1_700, "jpy": 3_000},
            "year": {"eur": 19_000, "usd": 19_000, "gbp": 17_000, "jpy": 30_000},
        },
        trial_days=14,
    ),
    "pro": Plan(
        "pro",
        "Pro",
        "For a label with a roster and a team.",
        Entitlements(connections=60, seats=100, publications_month=5_000, storage_bytes=500 * GIB, partner_clients=50),
        prices={
            "month": {"eur": 5_900, "usd": 5_900, "gbp": 4_900, "jpy": 9_000},
            "year": {"eur": 59_000, "usd": 59_000, "gbp": 49_000, "jpy": 90_000},
        },
        trial_days=14,
    ),
    "label_group": Plan(
        "label_group",
        "Label group",
        "For several labels under one roof.",
        Entitlements(
            connections=None, seats=None, publications_month=None, storage_bytes=5_120 * GIB, partner_clients=None
        ),
        prices={
            "month": {"eur": 19_900, "usd": 19_900, "gbp": 16_900, "jpy": 30_000},
            "year": {"eur": 199_000, "usd": 199_000, "gbp": 169_000, "jpy": 300_000},
        },
        trial_days=14,
    ),
}
"""From the smallest to the largest."""


@dataclass(frozen=True)
class PriceOfPlan:
    """One price, as Stripe is to have it."""

    lookup_key: str
    plan: PlanName
    interval: Interval
    amounts: dict[Currency, int]


def lookup_key(plan: PlanName, interval: Interval) -> str:
    """What the price of a plan is called at Stripe."""
    return f"soundops_{plan}_{interval}"


def all_prices() -> Iterator[PriceOfPlan]:
    """Every price that Stripe is to have."""
    for plan in PLANS.values():
        for interval, amounts in plan.prices.items():
            yield PriceOfPlan(lookup_key(plan.name, interval), plan.name, interval, amounts)


def price_of(key: str) -> PriceOfPlan | None:
    """The price with this lookup key; none where we have none such (any more)."""
    return next((price for price in all_prices() if price.lookup_key == key), None)


def entitlements_of(plan: str) -> Entitlements:
    """What a plan entitles to; one that we do not know (any more) as the free one."""
    found = next((one for one in PLANS.values() if one.name == plan), PLANS["free"])
    return found.entitlements


def plan_with_more(limit: Limit, needed: int) -> PlanName | None:
    """The smallest plan whose limit is at least `needed`; none where no plan has as much."""
    for plan in PLANS.values():
        most = plan.entitlements.of(limit)
        if most is None or most >= needed:
            return plan.name
    return None
