"""From what is so at Stripe to what we keep of it. Pure: the same facts make the same account, however they came."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta

from app.clients.stripe_facts import Invoice, Method, Subscription
from app.clients.stripe_reading import Facts
from app.db import Doc
from app.services.billing.plans import PLANS, price_of
from app.services.billing.standing import ACCESS, ENDED, GRACE, access_of

RANK = {"full": 3, "grace": 2, "read_only": 1, "free": 0}
TRIAL_WARNING = timedelta(days=3)
"""So long before a trial ends its label is reminded, as card networks ask for."""
DRAFT_SLACK = timedelta(hours=1, minutes=15)
"""Renewal invoices stay drafts for about an hour after the period has ended."""
DAILY = timedelta(days=1)
ALARMS = ("unknown_status", "unknown_plan", "several_subscriptions", "customer_gone")


def account_of(facts: Facts, before: Doc, *, now: datetime) -> Doc:
    """What the account says after this look, as fields; `before` is what it said until now."""
    best = chosen(facts.subscriptions)
    shown = _subscription(best, facts, before) if best else None
    status = best.status if best else None
    method = (best.method if best and best.status not in ENDED else None) or facts.customer.method
    found: Doc = {
        "details": _details(facts),
        "subscription": shown,
        "known_status": status if status in ACCESS else before.get("known_status"),
        "payment_method": _method(method),
        "had_trial": before["had_trial"] or any(one.had_trial for one in facts.subscriptions),
        "past_due_since": _past_due_since(best, facts.invoices, before, now=now) if status == "past_due" else None,
        "live_subscriptions": sum(one.status not in ENDED for one in facts.subscriptions),
        "customer_gone": facts.customer.deleted,
        "balance": facts.customer.balance,
        "currency": facts.customer.currency,
    }
    found["access"] = access_of(found, now=now)
    found["look_at"] = _look_at(found, now=now)
    return found


def chosen(subscriptions: Iterable[Subscription]) -> Subscription | None:
    """Of several the one that gives most, then the one that has not ended, then the newest."""
    return max(
        subscriptions,
        key=lambda one: (RANK[ACCESS.get(one.status, "free")], one.status not in ENDED, one.created_at, one.id),
        default=None,
    )


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


def _past_due_since(best: Subscription | None, invoices: list[Invoice], before: Doc, *, now: datetime) -> datetime:
    """Since when the oldest open invoice is one: by Stripe's time, so that it does not matter when we looked."""
    open_ones = [one for one in invoices if best and one.subscription_id == best.id and one.status == "open"]
    if open_ones:
        return min(one.finalized_at or one.created_at for one in open_ones)
    since: datetime | None = before["past_due_since"]
    return since or now


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
