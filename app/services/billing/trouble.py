"""What becomes of an order when Stripe does not answer as it should, and how a thing is made there once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from app.clients.stripe_api import StripeBusy, StripeError, StripeKeyDead, StripeRefused, StripeUnsure
from app.db import Database, Doc
from app.logs import get_logger
from app.services.operations import GiveUp, InDoubt, TryAgain

log = get_logger(__name__)
PATIENCE = timedelta(minutes=10)
"""So long somebody may wait for an address or a price; then they ask again."""
IN_DOUBT_FOR = timedelta(hours=24)
"""So long it is asked what became of a change. Then somebody asks for it anew: what is so already is not done again."""
KEYS_LIVE = timedelta(hours=23)
"""Stripe forgets an idempotency key after a day at the earliest: then our metadata tell whether it has happened."""
LONGEST_PAUSE = timedelta(minutes=1)
LONGEST_WAITED = timedelta(seconds=15)
"""While somebody waits for an address or a price, and other orders of the label behind it."""
KEY_PAUSE = timedelta(minutes=1)
WORDS = {
    "card_declined": "The card was declined.",
    "expired_card": "The card has expired.",
    "tax_id_invalid": "A tax number does not have the form of its kind.",
    "resource_missing": "What this is about is not there any more.",
    "email_invalid": "The mail address is not one that Stripe takes.",
    "customer_tax_location_invalid": "The address is not enough to know the tax: give the country and the postal code.",
}
"""Of Stripe's refusals those that people can do something about; the code is told with each."""
T = TypeVar("T")


@asynccontextmanager
async def told_by_stripe(operation: Doc, *, now: datetime, lasting: bool) -> AsyncIterator[None]:
    """Turn Stripe's errors into what becomes of the operation.

    What is `lasting` may have happened and goes on until that is known. The rest somebody waits for: it ends after
    `PATIENCE`. Raises `TryAgain`, `GiveUp`, `InDoubt`.
    """
    age = now - operation["created_at"]
    if not lasting and age > PATIENCE:
        raise _too_late()
    try:
        yield
    except StripeError as exc:
        failed = exc
    else:
        return
    about = {"operation": operation["_id"], "stripe_code": failed.code, "stripe_request": failed.request_id}
    if isinstance(failed, StripeRefused):
        log.warning("Stripe refused", http_status=failed.status, **about)
        raise GiveUp(failed.code or "stripe_refused", WORDS.get(failed.code, "Stripe does not take this as it is."))
    if isinstance(failed, StripeKeyDead):
        log.error("Stripe does not take our key", http_status=failed.status, **about)
        raise TryAgain(now + KEY_PAUSE, "billing_unavailable")
    longest = LONGEST_PAUSE if lasting else LONGEST_WAITED
    pause = min(timedelta(seconds=2 ** min(operation["attempts"], 12)), longest)
    if isinstance(failed, StripeBusy):
        raise TryAgain(now + max(pause, failed.retry_after), "stripe_busy")
    if lasting:
        look_at = now + pause if age < IN_DOUBT_FOR else None
        raise InDoubt(look_at, "Stripe has not said whether it happened. It is asked again by itself.")
    raise TryAgain(now + pause, "stripe_unavailable")


async def once(
    db: Database,
    order: Doc,
    step: str,
    *,
    make: Callable[[str], Awaitable[T]],
    find: Callable[[], Awaitable[T | None]],
    now: datetime,
) -> T:
    """Make a thing at Stripe once, however often this is begun: `make` is given its key, `find` looks for it.

    The key is of the order and the step. Once Stripe has kept a failure under it, or may have forgotten it, what was
    made is looked for by our metadata before another key is used. Raises `StripeError`.
    """
    tries = order["tries"].get(step, 0)
    if (tries or now - order["created_at"] > KEYS_LIVE) and (found := await find()) is not None:
        return found
    try:
        return await make(f"{order['_id']}:{step}:{tries}")
    except StripeUnsure as unsure:
        if not unsure.replayed:
            raise
    if (found := await find()) is not None:
        return found
    key = {"_id": order["_id"], "label_id": order["label_id"], f"tries.{step}": {"$in": [tries, None]}}
    await db.open("billing_orders").update_one(key, {"$set": {f"tries.{step}": tries + 1}})
    raise StripeUnsure("kept_failure")


def _too_late() -> GiveUp:
    return GiveUp("stripe_unavailable", "Stripe could not be reached in time. Nothing was bought: ask again.")
