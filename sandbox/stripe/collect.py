"""Collecting what an invoice asks for, and what that means for its subscription."""

from sandbox.stripe.cards import default_method
from sandbox.stripe.events import emit, update_event
from sandbox.stripe.invoices import intent_of, mark_paid, subscription_of
from sandbox.stripe.ledger import effect
from sandbox.stripe.options import options_of
from sandbox.stripe.payments import Outcome, attempt
from sandbox.stripe.render import show
from sandbox.stripe.store import Obj, Tx
from sandbox.stripe.subs import ENDED, end_sub, open_invoices, pause_status, set_sub, tell_sub

DAY_S = 86_400


def collect(tx: Tx, invoice: Obj, method: Obj | None = None) -> Outcome:
    """Try to be paid for an open invoice, with this method or the usual one."""
    if invoice["amount_due"] == 0:
        mark_paid(tx, invoice)
        _after_paid(tx, invoice)
        return "paid"
    intent = intent_of(tx, invoice)
    assert intent is not None
    sub = tx.get(subscription_of(invoice))
    outcome = attempt(tx, intent, method or default_method(tx, invoice["customer"], sub))
    invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    conclude(tx, invoice, outcome)
    return outcome


def conclude(tx: Tx, invoice: Obj, outcome: Outcome) -> None:
    """What an attempt, or a bank's late word, means."""
    if outcome == "paid":
        mark_paid(tx, invoice)
        _after_paid(tx, invoice)
    elif outcome in ("failed", "action"):
        _after_failed(tx, invoice, outcome)


def _after_paid(tx: Tx, invoice: Obj) -> None:
    sub = tx.get(subscription_of(invoice))
    _set_delinquent(tx, invoice, late=False)
    if sub is None or sub["status"] in ENDED:
        return
    if sub["_pending"] and sub["_pending"]["invoice"] == invoice["id"]:
        _apply_pending(tx, sub)
    if sub["_resuming"] == invoice["id"]:
        sub["_resuming"] = None
        set_sub(tx, sub, status="active", status_details=None)
    elif _stands_again(tx, sub, invoice):
        set_sub(tx, sub, status="active")


def _set_delinquent(tx: Tx, invoice: Obj, *, late: bool) -> None:
    customer = tx.the(invoice["customer"])
    if not customer.get("deleted"):
        customer["delinquent"] = late


def _stands_again(tx: Tx, sub: Obj, invoice: Obj) -> bool:
    """Whether this payment was what was missing."""
    is_latest: bool = sub["latest_invoice"] == invoice["id"]
    if sub["status"] == "incomplete":
        return is_latest
    return sub["status"] in ("past_due", "unpaid") and (is_latest or not open_invoices(tx, sub))


def _apply_pending(tx: Tx, sub: Obj) -> None:
    old = show(tx, sub)
    pending, sub["_pending"], sub["pending_update"] = sub["_pending"], None, None
    sub |= pending["fields"]
    sub["items"]["data"] = pending["items"]
    tell_sub(tx, sub, old)
    emit(tx, "customer.subscription.pending_update_applied", sub)
    effect(tx, "subscription.changed", sub)


def _after_failed(tx: Tx, invoice: Obj, outcome: Outcome) -> None:
    sub = tx.get(subscription_of(invoice))
    first = invoice["billing_reason"] == "subscription_create"
    waits = sub is None or first or sub["_pending"] or sub["_resuming"] or sub["status"] in (*ENDED, "incomplete")
    tries, gaps = invoice["attempt_count"], options_of(tx.store).retry_days
    again = not waits and outcome == "failed" and tries <= len(gaps)
    old = show(tx, invoice)
    invoice["next_payment_attempt"] = int(tx.now + gaps[tries - 1] * DAY_S) if again else None
    update_event(tx, "invoice.updated", old, invoice)
    emit(tx, "invoice.payment_failed", invoice)
    if outcome == "action":
        emit(tx, "invoice.payment_action_required", invoice)
    if waits or sub is None:
        return
    _set_delinquent(tx, invoice, late=True)
    if sub["status"] in ("active", "trialing"):
        set_sub(tx, sub, status="past_due")
    if outcome == "failed" and tries > len(gaps):
        _give_up(tx, sub)


def _give_up(tx: Tx, sub: Obj) -> None:
    """The last try has failed: the account's setting decides."""
    final = options_of(tx.store).final_failure
    if final == "cancel":
        end_sub(tx, sub, "payment_failed")
    elif final == "unpaid":
        set_sub(tx, sub, status="unpaid")
    elif final == "pause":
        pause_status(tx, sub, "final_payment_failure")
