"""Orders: what somebody asks of billing, written down with its operation, and what is to be sent frozen with both.

A label's orders are done one after the other (one queue), also while it is not known what became of one; the portal's,
which change nothing, wait for none. At most one checkout of a label is running.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.billing_errors import AlreadySubscribed
from app.db import Database, Doc, Session, TryTransactionAgain
from app.errors import NotFound, Unavailable
from app.ids import new_id
from app.models.billing import OrderKind
from app.models.operations import OperationKind
from app.services import operations
from app.services.audit import Audit, By
from app.services.billing import accounts
from app.services.billing.standing import ENDED, account_of

Also = Callable[[Session], Awaitable[Doc]]
LIFE = timedelta(days=90)
PAYABLE = timedelta(hours=1)
"""So long a checkout can be paid after it was asked for (Stripe: 30 minutes to 24 hours after it is made)."""
TRIES = 5
OPERATIONS: dict[OrderKind, OperationKind] = {
    "checkout": "billing_checkout",
    "portal": "billing_portal",
    "preview": "billing_preview",
    "change": "billing_change",
    "cancel": "billing_change",
    "resume": "billing_change",
    "details": "billing_details",
}
AUDITED: dict[OrderKind, str] = {
    "checkout": "billing.checkout_asked",
    "portal": "billing.portal_asked",
    "change": "billing.change_asked",
    "cancel": "billing.cancel_asked",
    "resume": "billing.resume_asked",
    "details": "billing.details_changed",
}
"""A preview changes nothing, and shows nothing that a reader may not see."""
GOES_ON = ("queued", "running", "succeeded")
UNDOES: dict[OrderKind, tuple[OrderKind, ...]] = {
    "change": ("change", "cancel"),
    "cancel": ("resume",),
    "resume": ("cancel",),
}
"""What is asked later and leaves nobody who wants the one before."""
DELETING = ("label_deleting", "The label is to be deleted.")


class _Quicker(Exception):
    """Somebody else has begun a checkout meanwhile."""


@dataclass(frozen=True)
class Desk:
    """Who asks, for which label, when, and where it is written down."""

    db: Database
    audit: Audit
    label_id: str
    by: By
    now: datetime


async def place(desk: Desk, kind: OrderKind, wish: Doc, *, also: Also | None = None) -> tuple[Doc, Doc]:
    """Write down an order and its operation, with what `also` says is to change of the account, or none of it."""
    order = _order(desk, kind, wish)

    async def all_of_it(session: Session) -> Doc:
        return await _write(desk, order, session, await also(session) if also else {})

    return order, await desk.db.in_transaction(all_of_it)


async def place_in(desk: Desk, kind: OrderKind, wish: Doc, *, session: Session) -> None:
    """Write down an order in the caller's transaction."""
    await _write(desk, _order(desk, kind, wish), session, {})


async def place_checkout(desk: Desk, wish: Doc) -> tuple[Doc, Doc]:
    """The label's running checkout, if it is for the same; else a new one, which ends the one before.

    Raises `AlreadySubscribed`.
    """
    for _ in range(TRIES):
        account = await account_of(desk.db, desk.label_id)
        if account and account["subscription"] and account["subscription"]["status"] not in ENDED:
            raise AlreadySubscribed
        seen = account["subscription"]["id"] if account and account["subscription"] else None
        before = await desk.db.open("billing_orders").find_one({"label_id": desk.label_id, "running": True})
        if before is not None and before["payable_until"] > desk.now and _is_same(before, wish, seen):
            operation = await operations.need(desk.db, desk.label_id, before["operation_id"])
            if operation["state"] in GOES_ON:
                return before, operation
        order = _order(desk, "checkout", wish | {"seen": seen, "payable_until": desk.now + PAYABLE, "running": True})
        try:
            return order, await desk.db.in_transaction(partial(_begin, desk, order, before))
        except (DuplicateKeyError, _Quicker):
            continue  # another tab was: look at what it has begun
    raise Unavailable


async def running_checkout(db: Database, account: Doc, *, now: datetime) -> Doc | None:
    """The checkout that somebody of the label may be paying in; none when there is none, or it was paid or failed."""
    label_id = account["label_id"]
    found = await db.open("billing_orders").find_one({"label_id": label_id, "running": True})
    if found is None or not is_payable(found, account, now=now):
        return None
    operation = await operations.need(db, label_id, found["operation_id"])
    return found if operation["state"] in GOES_ON else None


def is_payable(order: Doc, account: Doc, *, now: datetime) -> bool:
    """Whether a checkout has neither ended nor been paid: else there were a subscription that it had not seen."""
    subscription = account["subscription"]
    known = subscription["id"] if subscription and subscription["status"] not in ENDED else order["seen"]
    return bool(order.get("running")) and order["payable_until"] > now and known == order["seen"]


def waits_for_payment(order: Doc, account: Doc) -> bool:
    """Whether a change is the one that happens as soon as it is paid."""
    subscription = account["subscription"]
    is_it = order["_id"] == account.get("change_order")
    return bool(is_it and subscription and subscription["pending_update"])


async def need(db: Database, label_id: str, order_id: str) -> Doc:
    """The order. Raises `NotFound`."""
    found = await find(db, label_id, order_id)
    if found is None:
        raise NotFound
    return found


async def find(db: Database, label_id: str, order_id: str) -> Doc | None:
    """The order; none once it is as old as orders are kept."""
    return await db.open("billing_orders").find_one({"_id": order_id, "label_id": label_id})


async def note(db: Database, order: Doc, **facts: Any) -> None:
    """Write down what has come of an order so far; with what it is then sent, for as long as it is tried."""
    key = {"_id": order["_id"], "label_id": order["label_id"]}
    await db.open("billing_orders").update_one(key, {"$set": facts})
    order |= facts


async def is_current(db: Database, order: Doc) -> bool:
    """Whether a checkout is still the one that is wanted: somebody may have begun another."""
    key = {"_id": order["_id"], "label_id": order["label_id"], "running": True}
    return await db.open("billing_orders").find_one(key, {"_id": 1}) is not None


async def is_undone(db: Database, order: Doc, operation: Doc) -> bool:
    """Whether somebody has asked since for what leaves nobody who wants this one."""
    label_id = order["label_id"]
    later = await changes_waiting(db, label_id, after=operation["_id"])
    return any(one["kind"] in UNDOES[order["kind"]] and not one.get("with_label") for one in later)


async def changes_waiting(db: Database, label_id: str, *, after: str = "", session: Session | None = None) -> list[Doc]:
    """The orders of the label, placed after this operation, that change its subscription and have not ended."""
    queue = queue_of(label_id)
    targets = await operations.waiting_in(db, label_id, queue, kind="billing_change", after=after, session=session)
    query = {"_id": {"$in": targets}, "label_id": label_id}
    return await db.open("billing_orders").find(query, session=session).to_list() if targets else []


def queue_of(label_id: str) -> str:
    """The queue in which a label's orders wait for one another."""
    return f"billing:{label_id}"


def _order(desk: Desk, kind: OrderKind, wish: Doc) -> Doc:
    order: Doc = {"_id": new_id("bor"), "label_id": desk.label_id, "kind": kind, "asked_by": desk.by.id, "tries": {}}
    return order | wish | {"created_at": desk.now, "expires_at": desk.now + LIFE}


def _is_same(running: Doc, wish: Doc, seen: str | None) -> bool:
    """Whether it is for the same, and nobody has paid in it: else there were a subscription that it had not seen."""
    return running["seen"] == seen and all(running.get(name) == value for name, value in wish.items())


async def _begin(desk: Desk, order: Doc, before: Doc | None, session: Session) -> Doc:
    """Write it in the place of the one before, if that still has it. Raises `DuplicateKeyError`, `_Quicker`."""
    if before is not None:
        place = {"_id": before["_id"], "label_id": desk.label_id, "running": True}
        left = await desk.db.open("billing_orders").update_one(place, {"$unset": {"running": ""}}, session=session)
        if left.modified_count == 0:
            raise _Quicker
    return await _write(desk, order, session, {})


async def _write(desk: Desk, order: Doc, session: Session, account: Doc) -> Doc:
    told, queue = {"updated_at": desk.now} | account, queue_of(desk.label_id)
    if order["kind"] == "details":
        told["details_order"] = order["_id"]
    await accounts.touch(desk.db, desk.label_id, {"$set": told}, now=desk.now, session=session)
    try:
        operation = await operations.add(
            desk.db,
            label_id=desk.label_id,
            kind=OPERATIONS[order["kind"]],
            target=order["_id"],
            key=f"billing:{order['_id']}",
            queue=None if order["kind"] == "portal" else queue,
            now=desk.now,
            session=session,
        )
    except DuplicateKeyError as exc:
        raise TryTransactionAgain from exc
    await operations.ask_queue_now(desk.db, desk.label_id, queue, now=desk.now, session=session)
    order["operation_id"] = operation["_id"]
    await desk.db.open("billing_orders").insert_one(order, session=session)
    if order["kind"] in AUDITED:
        details = {name: order[name] for name in ("plan", "interval") if order.get(name)}
        told_of = {"label_id": desk.label_id, "target": order["_id"], "details": details, "now": desk.now}
        await desk.audit.record(desk.by, AUDITED[order["kind"]], **told_of, session=session)
    return operation
