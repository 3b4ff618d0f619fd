"""Which price at Stripe a plan has."""

from app.clients import stripe_shop
from app.models.billing import Interval
from app.services.billing import catalogue, plans
from app.services.billing.customers import stripe_of
from app.services.billing.plans import PlanName
from app.services.connections.hands import Hands
from app.services.operations import GiveUp


async def need_price(hands: Hands, plan: PlanName, interval: Interval) -> str:
    """The id of the price. Raises `GiveUp` where nobody has mirrored the plans to Stripe, and `StripeError`.

    Outside production they are mirrored when they are first asked for: a fresh test account or stand-in has none.
    """
    stripe, key = stripe_of(hands), plans.lookup_key(plan, interval)
    found = await stripe_shop.price_id_of(stripe, key)
    if found is None and hands.settings.environment != "production":
        await catalogue.apply(stripe, await catalogue.differences(stripe), told=lambda text: None)
        found = await stripe_shop.price_id_of(stripe, key)
    if found is None:
        raise GiveUp("plan_not_available", "This plan cannot be bought here yet.")
    return found
