"""What time does to a subscription and its invoices: renewals, ends of trials, retries, expiries."""

from typing import Any

from sandbox.stripe.change import expire_pending
from sandbox.stripe.collect import collect
from sandbox.stripe.events import emit
from sandbox.stripe.invoices import announce, finalize, make_invoice, void, write_off
from sandbox.stripe.lines import whole_period
from sandbox.stripe.options import options_of
from sandbox.stripe.render import show
from sandbox.stripe.store import Obj, Tx
from sandbox.stripe.subs import (
    ENDED,
    INCOMPLETE_FOR_S,
    end_sub,
    expire_incomplete,
    has_method,
    is_settling,
    pause_status,
    set_sub,
    tell_sub,
)
from sandbox.stripe.times import next_boundary

TOLD_AHEAD_S = 3 * 86_400
UPCOMING_S = 7 * 86_400


def sub_due(sub: Obj) -> dict[str, int]:
    """By what is to happen: when."""
    if sub["status"] in ENDED:
        return {}
    if sub["status"] == "incomplete":
        return {"expire": sub["_expire_at"] if "_expire_at" in sub else sub["created"] + INCOMPLETE_FOR_S}
    found: dict[str, int] = {}
    if sub["cancel_at"]:
        found["cancel"] = sub["cancel_at"]
    if sub["pending_update"]:
        found["pending"] = sub["pending_update"]["expires_at"]
    if sub["status"] == "paused":
        return found
    if sub["pause_collection"] and sub["pause_collection"]["resumes_at"]:
        found["collect_again"] = sub["pause_collection"]["resumes_at"]
    if sub["status"] == "trialing" and not sub["_will_end_told"]:
        found["will_end"] = max(sub["created"], sub["trial_end"] - TOLD_AHEAD_S)
    found["renew"] = min(item["current_period_end"] for item in sub["items"]["data"])
    if sub["_upcoming_told"] < found["renew"] and not sub["cancel_at_period_end"]:
        found["upcoming"] = max(sub["items"]["data"][0]["current_period_start"], found["renew"] - UPCOMING_S)
    return found


def sub_step(tx: Tx, sub: Obj) -> None:
    """Do what is due first."""
    due = sub_due(sub)
    what = min(due, key=lambda name: due[name])
    if what == "expire" and is_settling(tx, sub):
        sub["_expire_at"] = tx.now + INCOMPLETE_FOR_S
    elif what == "expire":
        expire_incomplete(tx, sub)
    elif what == "cancel":
        end_sub(tx, sub, sub["cancellation_details"]["reason"] or "cancellation_requested")
    elif what == "pending":
        expire_pending(tx, sub)
    elif what == "collect_again":
        set_sub(tx, sub, pause_collection=None)
    elif what == "will_end":
        sub["_will_end_told"] = True
        emit(tx, "customer.subscription.trial_will_end", sub)
    elif what == "upcoming":
        _tell_upcoming(tx, sub)
    elif sub["status"] == "trialing" and not has_method(tx, sub):
        _trial_without_method(tx, sub)
    else:
        renew(tx, sub)


def _tell_upcoming(tx: Tx, sub: Obj) -> None:
    """Tell what the renewal will be. There is no such invoice yet: the event's object has no id."""
    sub["_upcoming_told"] = min(item["current_period_end"] for item in sub["items"]["data"])
    lines = [*sub["_pending_lines"], *(whole_period(tx, sub, item) for item in sub["items"]["data"])]
    invoice = make_invoice(tx, sub, [dict(line) for line in lines], "upcoming")
    emit(tx, "invoice.upcoming", {name: value for name, value in invoice.items() if name != "id"})
    tx.cut(invoice["id"])


def _trial_without_method(tx: Tx, sub: Obj) -> None:
    what = sub["trial_settings"]["end_behavior"]["missing_payment_method"]
    if what == "cancel":
        end_sub(tx, sub, "payment_failed")
    elif what == "pause":
        pause_status(tx, sub, "trial_end_without_payment_method")
    else:
        renew(tx, sub)


def end_trial(tx: Tx, sub: Obj) -> None:
    """End a trial before its time: what is due is collected at once."""
    sub |= {"trial_end": tx.now, "billing_cycle_anchor": tx.now}
    for item in sub["items"]["data"]:
        item["current_period_end"] = tx.now
    if not has_method(tx, sub):
        _trial_without_method(tx, sub)
        return
    renew(tx, sub)
    invoice = tx.the(sub["latest_invoice"])
    if not sub["pause_collection"] and finalize(tx, invoice):
        collect(tx, invoice)


def renew(tx: Tx, sub: Obj) -> None:
    """Begin the next period, with a draft that becomes final an hour later."""
    old = show(tx, sub)
    recurring = tx.the(sub["items"]["data"][0]["price"])["recurring"]
    since, start = (min(item[f"current_period_{name}"] for item in sub["items"]["data"]) for name in ("start", "end"))
    end = next_boundary(sub["billing_cycle_anchor"], start, recurring["interval"], recurring["interval_count"])
    for item in sub["items"]["data"]:
        item |= {"current_period_start": start, "current_period_end": end}
    if sub["status"] == "trialing":
        sub["status"] = "active"
    lines = sub["_pending_lines"] + [whole_period(tx, sub, item) for item in sub["items"]["data"]]
    sub["_pending_lines"] = []
    held = sub["pause_collection"]
    tried = not held and sub["status"] != "unpaid"
    finalize_at = tx.now + options_of(tx.store).finalize_after_s if tried else None
    invoice = make_invoice(tx, sub, lines, "subscription_cycle", finalize_at=finalize_at, since=since)
    sub["latest_invoice"] = invoice["id"]
    announce(tx, invoice)
    tell_sub(tx, sub, old)
    if held and held["behavior"] != "keep_as_draft" and finalize(tx, invoice):
        (void if held["behavior"] == "void" else write_off)(tx, invoice)


def invoice_due(invoice: Obj) -> dict[str, int]:
    """By what is to happen to an invoice: when."""
    if invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
        return {"finalize": invoice["automatically_finalizes_at"]}
    if invoice["status"] == "open" and invoice["next_payment_attempt"]:
        return {"collect": invoice["next_payment_attempt"]}
    return {}


def invoice_step(tx: Tx, invoice: Obj) -> None:
    """Do what is due."""
    sub: dict[str, Any] = tx.peek((invoice["parent"] or {})["subscription_details"]["subscription"]) or {}
    if "finalize" in invoice_due(invoice):
        if sub.get("pause_collection"):
            invoice["automatically_finalizes_at"] = None
            return
        if not finalize(tx, invoice):
            return
    invoice["next_payment_attempt"] = None
    collect(tx, invoice)
