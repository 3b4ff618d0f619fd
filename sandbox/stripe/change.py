"""Changing what a subscription is for: new items, prorations, and changes that wait for their payment."""

from dataclasses import dataclass
from typing import Any

from sandbox.stripe.catalogue import amount_in, need_price
from sandbox.stripe.collect import collect
from sandbox.stripe.errors import Refused, bad, missing
from sandbox.stripe.events import emit
from sandbox.stripe.invoices import announce, finalize, make_invoice, void
from sandbox.stripe.ledger import effect
from sandbox.stripe.lines import prorated, whole_period
from sandbox.stripe.metadata import merged
from sandbox.stripe.store import Obj, Tx
from sandbox.stripe.subs import INCOMPLETE_FOR_S, make_item, set_sub
from sandbox.stripe.times import next_boundary


@dataclass
class Change:
    """What becomes of a subscription."""

    items: list[Obj]
    fields: dict[str, Any]
    lines: list[Obj]
    """What is credited and billed for it."""
    at_once: bool
    """Whether it is billed now, as its periods begin anew."""


def plan_change(tx: Tx, sub: Obj, given: list[dict[str, Any]], params: dict[str, Any]) -> Change:
    """Work out a change of items; nothing is changed yet."""
    items = _new_items(tx, sub, given)
    at, behavior = params.get("proration_date", tx.now), params.get("proration_behavior", "create_prorations")
    old = sub["items"]["data"]
    start, end = old[0]["current_period_start"], old[0]["current_period_end"]
    if not start <= at <= max(end, tx.now):
        bad("Invalid proration_date: it must be within the current billing period.", "proration_date")
    before, after = (tx.the(found[0]["price"])["recurring"] for found in (old, items))
    anew = (before["interval"], before["interval_count"]) != (after["interval"], after["interval_count"])
    anew = (anew or params.get("billing_cycle_anchor", {}).get("type") == "now") and sub["status"] != "trialing"
    fields: dict[str, Any] = {}
    if anew:
        fields["billing_cycle_anchor"] = tx.now
        boundary = next_boundary(tx.now, tx.now, after["interval"], after["interval_count"])
        for item in items:
            item |= {"current_period_start": tx.now, "current_period_end": boundary}
    lines = [] if sub["status"] == "trialing" else _lines(tx, sub, items, at, behavior, anew)
    return Change(items, fields, lines, anew)


def _lines(tx: Tx, sub: Obj, items: list[Obj], at: int, behavior: str, anew: bool) -> list[Obj]:
    found: list[Obj] = []
    by_id = {item["id"]: item for item in items}
    known = {item["id"] for item in sub["items"]["data"]}
    for was in sub["items"]["data"]:
        now = by_id.get(was["id"])
        same = now is not None and (now["price"], now["quantity"]) == (was["price"], was["quantity"])
        if behavior == "none" or (same and not anew):
            continue
        credit, rest = prorated(tx, sub, was, now or was, at)
        found += [credit] if anew or now is None else [credit, rest]
    for item in items:
        if anew:
            found.append(whole_period(tx, sub, item))
        elif item["id"] not in known and behavior != "none":
            found.append(prorated(tx, sub, item, item, at)[1])
    return found


def _new_items(tx: Tx, sub: Obj, given: list[dict[str, Any]]) -> list[Obj]:
    items = [dict(item) for item in sub["items"]["data"]]
    for n, one in enumerate(given):
        path = f"items[{n}]"
        price = need_price(tx, one["price"], f"{path}[price]") if "price" in one else None
        if price is not None:
            if not price["active"] or not price["recurring"]:
                bad("The price specified is inactive. This field only accepts active prices.", f"{path}[price]")
            amount_in(price, sub["currency"], f"{path}[price]")
        if "id" in one:
            found = next((item for item in items if item["id"] == one["id"]), None)
            if found is None:
                missing("subscription item", one["id"], f"{path}[id]")
            if one.get("deleted"):
                items.remove(found)
                continue
            found |= {"price": price["id"]} if price else {}
            found |= {"quantity": one["quantity"]} if "quantity" in one else {}
            continue
        if price is None:
            bad(f"Missing required param: {path}[price].", f"{path}[price]", "parameter_missing")
        period = (items[0]["current_period_start"], items[0]["current_period_end"]) if items else (tx.now, tx.now + 1)
        items.append(make_item(tx, sub["id"], price, one.get("quantity", 1), period))
    _check_items(tx, items)
    return items


def _check_items(tx: Tx, items: list[Obj]) -> None:
    if not items:
        bad("A subscription must have at least one active plan.", "items")
    prices = [item["price"] for item in items]
    if len(set(prices)) < len(prices):
        bad("Cannot add multiple subscription items with the same price.", "items")
    every = {(tx.the(p)["recurring"]["interval"], tx.the(p)["recurring"]["interval_count"]) for p in prices}
    if len(every) > 1:
        bad("Items of several intervals are not served here.", "items")


def apply_change(tx: Tx, sub: Obj, change: Change, params: dict[str, Any], more: dict[str, Any]) -> None:
    """Carry a change out, as `proration_behavior` and `payment_behavior` say; `more` are other fields to set."""
    behavior = params.get("payment_behavior", "allow_incomplete")
    fields = change.fields | more
    if not change.at_once and params.get("proration_behavior") != "always_invoice":
        sub["_pending_lines"] = sub["_pending_lines"] + change.lines
        _set(tx, sub, change.items, fields)
        return
    lines = sub["_pending_lines"] + change.lines
    if not lines:
        _set(tx, sub, change.items, fields)
        return
    supersede(tx, sub)
    invoice = announce(tx, make_invoice(tx, sub, lines, "subscription_update"))
    sub["_pending_lines"] = []
    if behavior == "pending_if_incomplete":
        sub["_pending"] = {"invoice": invoice["id"], "items": change.items, "fields": fields}
        finalize(tx, invoice)
        sub["latest_invoice"] = invoice["id"]
        collect(tx, invoice)
        if sub["_pending"]:
            _wait(tx, sub, change, fields)
        return
    _set(tx, sub, change.items, fields | {"latest_invoice": invoice["id"]})
    if finalize(tx, invoice):
        outcome = "action" if behavior == "default_incomplete" and invoice["amount_due"] else collect(tx, invoice)
        if behavior == "error_if_incomplete" and outcome != "paid":
            raise declined("Your card was declined.")


def declined(message: str, code: str = "card_declined") -> Refused:
    """A payment that was needed has failed: nothing that the call would have changed stays."""
    return Refused(message, status=402, kind="card_error", code=code, executed=True)


def supersede(tx: Tx, sub: Obj) -> None:
    """A new change takes the place of one that waits."""
    if sub["_pending"]:
        invoice = tx.the(sub["_pending"]["invoice"])
        sub |= {"_pending": None, "pending_update": None}
        if invoice["status"] == "open":
            void(tx, invoice)


def _set(tx: Tx, sub: Obj, items: list[Obj], fields: dict[str, Any]) -> None:
    set_sub(tx, sub, items=sub["items"] | {"data": items}, **fields)
    effect(tx, "subscription.changed", sub)


def _wait(tx: Tx, sub: Obj, change: Change, fields: dict[str, Any]) -> None:
    """The change waits for its payment, for 23 hours."""
    items = []
    for item in change.items:
        items.append(dict(item))
    told = dict.fromkeys(("cancel_at_period_end", "discount", "discounts", "metadata", "trial_end", "trial_from_plan"))
    told |= {name: fields[name] for name in ("cancel_at_period_end", "metadata") if name in fields}
    set_sub(
        tx,
        sub,
        pending_update=told
        | {
            "billing_cycle_anchor": fields.get("billing_cycle_anchor"),
            "expires_at": tx.now + INCOMPLETE_FOR_S,
            "subscription_items": items,
        },
    )


def expire_pending(tx: Tx, sub: Obj) -> None:
    """The payment has not come in time: all stays as it was."""
    invoice = tx.the(sub["_pending"]["invoice"])
    sub["_pending"] = None
    if invoice["status"] == "open":
        void(tx, invoice)
    set_sub(tx, sub, pending_update=None)
    emit(tx, "customer.subscription.pending_update_expired", sub)


def metadata_of(sub: Obj, params: dict[str, Any]) -> dict[str, Any]:
    """The new metadata, where the call sends some."""
    return {"metadata": merged(sub["metadata"], params["metadata"])} if "metadata" in params else {}
