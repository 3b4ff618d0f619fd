"""How a label stands with billing, as it is shown."""

from datetime import datetime

from app.db import Database, Doc
from app.models.billing import BillingOut, CardOut, CreditOut, LimitOut, RunningCheckout, WaitingChange
from app.services.billing import orders, plans, usage
from app.services.billing.amounts import digits_of
from app.services.billing.plans import LIMITS, NO_LIMITS
from app.services.billing.standing import access_of, account_of, plan_of

NOTHING: Doc = {"subscription": None, "payment_method": None, "had_trial": False, "past_due_since": None}


async def overview(db: Database, label_id: str, *, on: bool, now: datetime) -> BillingOut:
    """The plan, how the subscription stands, and how much of each limit is used."""
    account = (await account_of(db, label_id) if on else None) or NOTHING | {"synced_at": None}
    found = account["subscription"] or {}
    known = account if account.get("_id") else None
    plan = plan_of(known, now=now)
    method = account["payment_method"]
    running = await orders.running_checkout(db, known, now=now) if known else None
    return BillingOut(
        billing="on" if on else "off",
        plan=plan,
        access=access_of(known, now=now) if on else "full",
        status=found.get("status"),
        interval=found.get("interval"),
        currency=found["currency"].upper() if found else None,
        current_period_end=found.get("current_period_end"),
        trial_end=found.get("trial_end"),
        cancel_at_period_end=bool(found.get("cancel_at_period_end")),
        cancel_at=found.get("cancel_at"),
        pending_update=bool(found.get("pending_update")),
        past_due_since=account["past_due_since"],
        payment_method=CardOut(**{name: method[name] for name in CardOut.model_fields}) if method else None,
        trial_available=on and not account["had_trial"],
        limits=await _limits(db, label_id, plan if on else None, now),
        checkout=RunningCheckout.of(running) if running else None,
        change=await _waiting_change(db, known) if known else None,
        credit=_credit(account),
        synced_at=account["synced_at"],
    )


async def _limits(db: Database, label_id: str, plan: str | None, now: datetime) -> list[LimitOut]:
    used = await usage.all_used(db, label_id, now=now)
    allowed = plans.entitlements_of(plan) if plan else NO_LIMITS
    shown = []
    for limit in LIMITS:
        most = allowed.of(limit)
        full = most is not None and used[limit] >= most
        more = plans.plan_with_more(limit, used[limit] + 1) if full else None
        shown.append(LimitOut(limit=limit, used=used[limit], most=most, plan_with_more=more))
    return shown


async def _waiting_change(db: Database, account: Doc) -> WaitingChange | None:
    order_id = account.get("change_order")
    found = await orders.find(db, account["label_id"], order_id) if order_id else None
    return WaitingChange.of(found) if found and orders.waits_for_payment(found, account) else None


def _credit(account: Doc) -> CreditOut | None:
    """What Stripe keeps for the label: its balance there, which is negative where the label has something."""
    balance, currency = account.get("balance") or 0, account.get("currency")
    if balance >= 0 or currency is None:
        return None
    return CreditOut(currency=currency.upper(), digits=digits_of(currency), amount=-balance)
