"""From what is so at Stripe to what we keep of it. Pure: the same facts make the same account, however they came."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from app.clients.stripe_facts import Invoice, Method, Subscription
from app.clients.stripe_reading import Facts
from app.db import Doc
from app.services.billing.plans import PLANS, price_of
from app.services.billing.standing import ACCESS, ENDED, GRACE, access_of

GIVES = {"full": 2, "grace": 2, "read_only": 1, "free": 0}
"""What an access gives of a plan: in `grace` it is all there."""
TRIAL_WARNING = timedelta(days=3)
"""So long before a trial ends its label is reminded, as card networks ask for."""
DRAFT_SLACK = timedelta(hours=1, minutes=15)
"""Renewal invoices stay drafts for about an hour after the period has ended."""
DAILY = timedelta(days=1)
ALARMS = ("unknown_status", "unknown_plan", "several_subscriptions", "customer_gone")


@dataclass(frozen=True)
class Standing:
    """A subscription, and what the account would say if it were the only one."""

    subscription: Subscription
    fields: Doc


def account_of(facts: Facts, before: Doc, *, now: datetime) -> Doc:
    """What the account says after this look, as fields; `before` is what it said until now."""
    best = _best(_standing(one, facts, before, now=now) for one in facts.subscriptions)
    shown = best.subscription if best else None
    method = (shown.method if shown and shown.status not in ENDED else None) or facts.customer.method
    found: Doc = {
        "details": _details(facts),
        "payment_method": _method(method),
        "had_trial": before["had_trial"] or any(one.had_trial for one in facts.subscriptions),
        "live_subscriptions": sum(one.status not in ENDED for one in facts.subscriptions),
        "renewing_subscriptions": sum(
            one.status not in ENDED and not one.cancel_at_period_end for one in facts.subscriptions
        ),
        "customer_gone": facts.customer.deleted,
        "balance": facts.customer.balance,
        "currency": facts.customer.currency,
    }
    nothing: Doc = {"subscription": None, "past_due_since": None, "access": "free"}
    found |= best.fields if best else nothing | {"known_status": before.get("known_status")}
    found["look_at"] = _look_at(found, now=now)
    return found


def _standing(one: Subscription, facts: Facts, before: Doc, *, now: datetime) -> Standing:
    """How a label stands by this subscription alone. What was known of another one says nothing of it."""
    earlier = before["subscription"]
    same = earlier is not None and earlier["id"] == one.id
    since = _past_due_since(one, facts.invoices) or (before["past_due_since"] if same else None) or now
    fields: Doc = {
        "subscription": _subscription(one, facts, before),
        "known_status": one.status if one.status in ACCESS else before.get("known_status") if same else None,
        "past_due_since": since if one.status == "past_due" else None,
    }
    return Standing(one, fields | {"access": access_of(fields, now=now)})


def _best(standings: Iterable[Standing]) -> Standing | None:
    """Of several the one that gives most, of the larger plan; then one that has not ended, then the newest.

    One that is no plan of ours, or waits for its first payment, gives nothing: it takes nothing away, either.
    """

    def worth(one: Standing) -> tuple[int, int, bool, bool, datetime, str]:
        access, plan, mine = one.fields["access"], one.fields["subscription"]["plan"], one.subscription
        gives = GIVES[access] if plan != "free" else 0
        larger = tuple(PLANS).index(plan) if gives else 0
        return gives, larger, access == "full", mine.status not in ENDED, mine.created_at, mine.id

    return max(standings, key=worth, default=None)


def alarms_of(account: Doc) -> list[str]:
    """What somebody should look at."""
    shown = account["subscription"]
    found = {
        "unknown_status": shown is not None and shown["status"] not in ACCESS,
        "unknown_plan": shown is not None and shown["status"] not in ENDED and shown["plan"] == "free",
        "several_subscriptions": account["live_subscriptions"] > 1,
        "customer_gone": account["customer_gone"],
    }
    return [name for name in ALARMS if found[name]]


def _subscription(best: Subscription, facts: Facts, before: Doc) -> Doc:
    return {
        "id": best.id,
        "status": best.status,
        "plan": _plan(best, before),
        "interval": best.interval,
        "lookup_key": best.lookup_key,
        "price_id": best.price_id,
        "item_id": best.item_id,
        "currency": best.currency,
        "current_period_end": best.current_period_end,
        "cancel_at_period_end": best.cancel_at_period_end,
        "cancel_at": best.cancel_at,
        "trial_end": best.trial_end,
        "paused_reason": best.paused_reason,
        "pending_update": best.pending_update,
        "collection_paused": best.collection_paused,
        "first_paid": is_first_paid(best, facts.invoices),
    }


def is_first_paid(subscription: Subscription, invoices: Iterable[Invoice]) -> bool:
    """Whether something has been paid for it, or nothing was to be: some means of payment take days."""
    mine = [one for one in invoices if one.subscription_id == subscription.id]
    first = [one for one in mine if one.reason == "subscription_create"]
    return not any(one.amount_due > 0 and one.status != "paid" for one in first) or any(
        one.status == "paid" and one.amount_paid > 0 for one in mine
    )


def _plan(best: Subscription, before: Doc) -> str:
    """By the price's lookup key, which goes to a newer price when the amount changes; then by what the price says; then
    as it was known before. A plan that is not ours counts as the free one, and is an alarm."""
    price = price_of(best.lookup_key) if best.lookup_key else None
    told = best.metadata.get("soundops_plan")
    earlier = before["subscription"]
    known = earlier["plan"] if earlier and earlier["price_id"] == best.price_id else None
    return next((plan for plan in (price.plan if price else None, told, known) if plan in PLANS), None) or "free"


def _past_due_since(mine: Subscription, invoices: Iterable[Invoice]) -> datetime | None:
    """Since when its newest open invoices are open, without one that was paid between them; none where none is.

    By Stripe's time, so that it does not matter when we looked. What was left open before a later one was paid is
    owed, but the subscription was active again after it: its grace begins anew.
    """
    of_mine = [one for one in invoices if one.subscription_id == mine.id]
    unpaid, paid = ([_final_at(one) for one in of_mine if one.status == status] for status in ("open", "paid"))
    between = [at for at in paid if unpaid and at < max(unpaid)]
    return min((at for at in unpaid if not between or at > max(between)), default=None)


def _final_at(invoice: Invoice) -> datetime:
    return invoice.finalized_at or invoice.created_at


def _details(facts: Facts) -> Doc | None:
    customer, party = facts.customer, facts.customer.party
    if customer.deleted or not any((party.name, customer.email, party.country, party.tax_ids)):
        return None
    return {
        "name": party.name,
        "email": customer.email,
        "country": party.country,
        "address": dict(party.address),
        "tax_ids": [asdict(one) for one in party.tax_ids],
    }


def _method(method: Method | None) -> Doc | None:
    return asdict(method) if method else None


def _look_at(account: Doc, *, now: datetime) -> datetime | None:
    """When to look again although nothing is told: when time alone changes something, and once a day anyway."""
    if account["customer_gone"] and account["live_subscriptions"] == 0:
        return None
    shown = account["subscription"]
    moments = [now + DAILY]
    if shown is not None and shown["status"] not in ENDED:
        moments += [shown["current_period_end"] + DRAFT_SLACK]
        moments += [shown["cancel_at"]] if shown["cancel_at"] else []
        moments += [shown["trial_end"] - TRIAL_WARNING, shown["trial_end"]] if shown["trial_end"] else []
    moments += [account["past_due_since"] + GRACE] if account["past_due_since"] else []
    return min(at for at in moments if at > now)
