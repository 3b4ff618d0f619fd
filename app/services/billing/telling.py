"""What a look has changed, told: events to the label's stream, and mails to whoever pays for it.

All of it is written in the look's own transaction, so that each change is told once. We send the mails about failed
payments; Stripe's own are switched off (docs/billing-records.md).
"""

from collections.abc import Iterable
from datetime import datetime

from app.clients.stripe_reading import Facts
from app.db import Database, Doc, Session
from app.services.billing.amounts import in_words
from app.services.billing.money import Record
from app.services.billing.plans import PLANS
from app.services.billing.projecting import TRIAL_WARNING
from app.services.billing.standing import GRACE
from app.services.events import LIFE, Event, append
from app.services.labels import members
from app.services.mail.outbox import Template

PAYING = ("full", "grace", "read_only")
"""Accesses of a label that has a subscription."""
ASKED_FOR = ("subscription_create", "subscription_update")
"""Invoices of what somebody buys or changes just now: they are told on the spot, and if it is never paid, all stays as
it was. Only what comes by itself, as a renewal, needs a mail when it fails."""


async def tell(
    db: Database,
    before: Doc,
    after: Doc,
    records: Iterable[Record],
    known: dict[str, Doc],
    facts: Facts,
    *,
    now: datetime,
    session: Session,
) -> Doc:
    """Write down what is to be told; what the account remembers of it."""
    label_id, was, remembered = before["label_id"], before.get("access", "free"), dict[str, datetime]()
    invoices = [one for one in records if one.kind == "invoice"]
    paid = [one for one in invoices if _is_newly_paid(one, known.get(one.provider_id), now=now)]
    failed = [one for one in invoices if _has_newly_failed(one, known.get(one.provider_id), now=now)]
    events = [Event(label_id, f"invoice.paid:{one.provider_id}", "invoice.paid", one.id, now) for one in paid]
    for one in failed:
        key = f"invoice.payment_failed:{one.provider_id}:{one.fields['attempts']}"
        events.append(Event(label_id, key, "invoice.payment_failed", one.id, now))
        await _mail_failed(db, label_id, one, facts, now=now, session=session)
    if (before["subscription"], was) != (after["subscription"], after["access"]):
        key = f"billing.subscription.updated:{after['synced_fetch']}"
        events.append(Event(label_id, key, "billing.subscription.updated", before["_id"], now))
    await _mail_access(db, label_id, was, after, now=now, session=session)
    if ends_at := _trial_to_tell(before, after, now=now):
        facts_of_trial = {"plan": _title(after), "on": _day(ends_at)}
        await _mail(db, label_id, "billing_trial_ends", facts_of_trial, now=now, session=session)
        remembered["trial_told"] = ends_at
    if events:
        await append(db, events, session=session)
    return remembered


def _is_newly_paid(one: Record, known: Doc | None, *, now: datetime) -> bool:
    was = known["status"] if known else None
    return one.fields["status"] == "paid" != was and _is_news(one, now=now)


def _has_newly_failed(one: Record, known: Doc | None, *, now: datetime) -> bool:
    """An invoice that is open although it was tried to be paid, and was tried once more than we knew."""
    attempts = known["attempts"] if known else 0
    still_open = one.fields["status"] == "open" and one.fields["amount_remaining"] > 0
    return still_open and one.fields["attempts"] > attempts and _is_news(one, now=now)


def _is_news(one: Record, *, now: datetime) -> bool:
    """Not what is so old that even its event would be gone."""
    at: datetime = one.fields["paid_at"] or one.at
    return at > now - LIFE


async def _mail_failed(
    db: Database, label_id: str, one: Record, facts: Facts, *, now: datetime, session: Session
) -> None:
    """Ask for another card, or for the bank's approval (3-D Secure). A debit that is under way has not failed."""
    [invoice] = [found for found in facts.invoices if found.id == one.provider_id]
    states = {found.status for found in facts.payments if found.id in invoice.payment_ids}
    if "processing" in states or invoice.reason in ASKED_FOR:
        return
    needed: Template = "billing_action_needed" if "requires_action" in states else "billing_payment_failed"
    again = one.fields["next_attempt_at"]
    told = {"amount": in_words(one.fields["amount_remaining"], one.fields["currency"])}
    told |= {"number": one.fields["number"] or "", "again": _day(again) if again else ""}
    told |= {"until": _day(one.at + GRACE)}
    await _mail(db, label_id, needed, told, now=now, session=session)


async def _mail_access(db: Database, label_id: str, was: str, after: Doc, *, now: datetime, session: Session) -> None:
    """Say that nothing new can be made any more, that it can again, or that the plan has ended."""
    became = after["access"]
    template: Template | None = None
    if became == "read_only" and was != "read_only":
        template = "billing_read_only"
    elif became == "free" and was in PAYING:
        template = "billing_ended"
    elif became == "full" and was in ("grace", "read_only"):
        template = "billing_recovered"
    if template:
        await _mail(db, label_id, template, {"plan": _title(after)}, now=now, session=session)


def _trial_to_tell(before: Doc, after: Doc, *, now: datetime) -> datetime | None:
    """The end of a trial of which the label is to be reminded now, once."""
    shown = after["subscription"]
    if shown is None or shown["status"] != "trialing" or shown["trial_end"] is None or shown["cancel_at_period_end"]:
        return None
    ends_at: datetime = shown["trial_end"]
    due = ends_at - TRIAL_WARNING <= now < ends_at
    return ends_at if due and before.get("trial_told") != ends_at else None


async def _mail(
    db: Database, label_id: str, template: Template, facts: dict[str, str], *, now: datetime, session: Session
) -> None:
    """To everybody who may change what the label pays for."""
    label = await db.open("labels").find_one({"_id": label_id}, session=session)
    if label is None:
        return
    for manager in await members.managers(db, label_id, session=session):
        told = facts | {"label_id": label_id}
        await members.tell(db, template, manager["user_id"], label, now=now, session=session, **told)


def _title(account: Doc) -> str:
    shown = account["subscription"]
    plan = PLANS.get(shown["plan"]) if shown else None
    return plan.title if plan else ""


def _day(at: datetime) -> str:
    return at.date().isoformat()
