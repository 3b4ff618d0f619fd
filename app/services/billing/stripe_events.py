"""Stripe's events, as far as we keep them: ids and types. What happened is fetched; an event only says where to look.

Each is one row in `stripe_events`, whether it was delivered or found in Stripe's list afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pymongo.errors import BulkWriteError

from app.db import Database, Doc
from app.services.events import DUPLICATE_KEY

LIFE = timedelta(days=60)
"""Longer than Stripe lists events (30 days): what was handled is recognised as long as it can come again."""
MOST_ID = 255
"""Characters of an id (stripe.md, 1)."""
LATEST_S = 4_102_444_800  # 2100
LINKS = ("payment_intent", "charge", "invoice")
"""Which other objects an event's object may name, by which its customer is found where it names none."""
LOOKED_AT = frozenset(
    (
        *(f"checkout.session.{what}" for what in ("completed", "async_payment_succeeded", "async_payment_failed")),
        *(f"customer.{what}" for what in ("created", "updated", "deleted", "tax_id.created", "tax_id.updated")),
        *(f"customer.subscription.{what}" for what in ("created", "updated", "deleted", "paused", "resumed")),
        *(f"customer.subscription.{what}" for what in ("trial_will_end", "pending_update_applied")),
        "customer.subscription.pending_update_expired",
        *(f"invoice.{what}" for what in ("created", "finalized", "finalization_failed", "paid", "payment_failed")),
        *(f"invoice.{what}" for what in ("payment_action_required", "overdue", "marked_uncollectible", "voided")),
        *("invoice.payment_succeeded", "invoice.updated", "invoice_payment.paid"),
        *(f"payment_intent.{what}" for what in ("succeeded", "payment_failed", "canceled", "requires_action")),
        *(f"refund.{what}" for what in ("created", "updated", "failed")),
        *(f"charge.{what}" for what in ("refunded", "succeeded", "failed")),
        *(f"charge.dispute.{what}" for what in ("created", "updated", "closed")),
        *("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
        *(f"payment_method.{what}" for what in ("attached", "detached", "updated", "automatically_updated")),
        *("credit_note.created", "credit_note.voided"),
    )
)
"""The types after which a worker looks at the customer. Any other is written down as ignored (stripe.md, 8)."""


class NotAnEvent(Exception):
    """It is not one of Stripe's events, of the form that we asked for."""


@dataclass(frozen=True)
class StripeEvent:
    """What of an event is kept."""

    id: str
    type: str
    live: bool
    created_at: datetime
    api_version: str | None
    account: str | None
    """The connected account it is about; none is ours."""
    object_id: str | None
    customer_id: str | None
    links: dict[str, str]
    """Other objects of Stripe's that its object names: `LINKS`."""


def parse(body: bytes) -> StripeEvent:
    """The event in a delivery's body. Raises `NotAnEvent` for everything else."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise NotAnEvent from exc
    return event_of(found)


def event_of(found: Any) -> StripeEvent:
    """The event of this JSON. Raises `NotAnEvent` unless it is one in whole (Stripe's thin ones are not)."""
    if not isinstance(found, dict) or found.get("object") != "event" or not isinstance(found.get("livemode"), bool):
        raise NotAnEvent
    event_id, kind, created_at = _id(found.get("id")), _id(found.get("type")), _time(found.get("created"))
    data = found.get("data")
    shown = data.get("object") if isinstance(data, dict) else None
    if event_id is None or kind is None or not isinstance(shown, dict) or created_at is None:
        raise NotAnEvent
    object_id = _id(shown.get("id"))
    return StripeEvent(
        id=event_id,
        type=kind,
        live=found["livemode"],
        created_at=created_at,
        api_version=_id(found.get("api_version")),
        account=_id(found.get("account")),
        object_id=object_id,
        customer_id=object_id if shown.get("object") == "customer" else _id(shown.get("customer")),
        links=_links(shown),
    )


def _links(shown: dict[str, Any]) -> dict[str, str]:
    payment = shown.get("payment")  # an invoice payment names what paid inside
    inside = payment if isinstance(payment, dict) else {}
    found = {name: _id(shown.get(name)) or _id(inside.get(name)) for name in LINKS}
    return {name: value for name, value in found.items() if value}


def _id(value: Any) -> str | None:
    """An id, also of an object that came in whole where its id would stand."""
    value = value.get("id") if isinstance(value, dict) else value
    return value if isinstance(value, str) and 0 < len(value) <= MOST_ID and value.isprintable() else None


def _time(value: Any) -> datetime | None:
    is_one = isinstance(value, int) and not isinstance(value, bool) and 0 < value < LATEST_S
    return datetime.fromtimestamp(value, UTC) if is_one else None


async def record(db: Database, events: Sequence[StripeEvent], *, found_by: str, now: datetime) -> int:
    """Write them down, each once however often it comes; how many were new."""
    if not events:
        return 0
    rows = [_row(event, found_by=found_by, now=now) for event in events]
    try:
        await db.open("stripe_events").insert_many(rows, ordered=False)
    except BulkWriteError as exc:
        errors = exc.details["writeErrors"]
        if exc.details["writeConcernErrors"] or any(error["code"] != DUPLICATE_KEY for error in errors):
            raise
        return len(rows) - len(errors)
    return len(rows)


def _row(event: StripeEvent, *, found_by: str, now: datetime) -> Doc:
    """As a new one is stored. Events of connected accounts are nothing to us yet: docs/connect.md."""
    looks = event.type in LOOKED_AT and event.account is None
    row: Doc = {
        "_id": f"{event.account}/{event.id}" if event.account else event.id,
        "type": event.type,
        "account": event.account,
        "api_version": event.api_version,
        "object_id": event.object_id,
        "customer_id": event.customer_id,
        "links": event.links,
        "state": "waiting" if looks else "ignored",
        "attempts": 0,
        "found_by": found_by,
        "created_at": event.created_at,
        "received_at": now,
        "expires_at": now + LIFE,
    }
    return row | ({"due_at": now} if looks else {})
