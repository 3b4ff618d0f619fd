"""The customer at Stripe: one of each label, made by us, and told what invoices name."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from app.clients import stripe_shop
from app.clients.stripe_api import Stripe, StripeRefused, StripeUnsure
from app.clients.stripe_reading import read_customer
from app.db import Database, Doc
from app.services.billing import accounts, looking
from app.services.billing.trouble import KEYS_LIVE, once
from app.services.connections.hands import Hands

CLOCKS_APART = timedelta(hours=1)
"""So much earlier than by our clock a customer is looked for: Stripe's may be behind."""
MOST_TAX_IDS = 5
"""Of a customer, at Stripe."""


def stripe_of(hands: Hands) -> Stripe:
    """The client; an operation of billing is only there where it is on."""
    if hands.stripe is None:
        raise LookupError("billing is off, and an order is there")
    return hands.stripe


async def need_customer(hands: Hands, label_id: str) -> str:
    """The label's customer, made if there is none, or none any more. Raises `StripeError`.

    The key is the label's, and what is sent says nothing else: two orders, or one that was given up, make no second.
    Its details come after. What was made and not noted is found by our metadata once the key may be forgotten.
    """
    stripe, now = stripe_of(hands), hands.clock()
    account = await accounts.need(hands.db, label_id)
    if account["customer_id"]:
        if not (await read_customer(stripe, account["customer_id"])).deleted:
            return str(account["customer_id"])
        account = await _forget(hands.db, account)  # somebody deleted it at Stripe: that is for ever
        if account["customer_id"]:
            return str(account["customer_id"])
    asked_at, tries = account.get("customer_asked_at"), account.get("customer_tries", 0)
    if asked_at is None:
        asked_at = now
        await _set(hands.db, label_id, {"customer_asked_at": now})
    found = None
    if tries or now - asked_at > KEYS_LIVE:
        found = await stripe_shop.customer_of(stripe, label_id, since=asked_at - CLOCKS_APART)
    if found is None:
        try:
            key = f"{label_id}:customer:{tries}"
            found = await stripe_shop.create_customer(stripe, {}, label_id=label_id, key=key)
        except StripeUnsure as unsure:
            if unsure.replayed:
                await _set(hands.db, label_id, {"customer_tries": tries + 1})
            raise
    none_yet = {"label_id": label_id, "customer_id": None}
    await hands.db.open("billing_accounts").update_one(none_yet, {"$set": {"customer_id": found}})
    return str((await accounts.need(hands.db, label_id))["customer_id"])


async def _forget(db: Database, account: Doc) -> Doc:
    """Let the label be no customer; the account then, which may have another customer by now."""
    another = {"customer_id": None, "customer_gone": False, "customer_asked_at": None}
    another |= {"customer_tries": account.get("customer_tries", 0) + 1}
    same = {"label_id": account["label_id"], "customer_id": account["customer_id"]}
    await db.open("billing_accounts").update_one(same, {"$set": another})
    return await accounts.need(db, account["label_id"])


async def bring_details(hands: Hands, order: Doc, customer_id: str) -> None:
    """Give the customer the details that wait to be brought to it, if any do. Raises `StripeError`.

    Until then they stand beside what Stripe says (`details_wished`), which a look brings here at any moment. What
    Stripe refuses is forgotten: it will never be so, and every later order would fail with it.
    """
    account = await accounts.need(hands.db, order["label_id"])
    wished = account.get("details_wished")
    if wished is None:
        return
    same = {"label_id": order["label_id"], "details_version": account["details_version"]}
    told: Doc = {"$unset": {"details_wished": ""}}
    try:
        await _tell_details(hands, order, customer_id, wished, version=account["details_version"])
    except StripeRefused as exc:
        if exc.code != "resource_missing":  # the customer itself: they are for the next one
            await hands.db.open("billing_accounts").update_one(same, told)
        raise
    await hands.db.open("billing_accounts").update_one(same, told | {"$set": {"details": wished}})


async def _tell_details(hands: Hands, order: Doc, customer_id: str, details: Doc, *, version: int) -> None:
    """New tax numbers first, which Stripe may refuse; those that are no more wanted go last, when all else is there.

    Each version has keys of its own: what is told again after something else is not what Stripe has under its key.
    """
    stripe, address = stripe_of(hands), details["address"]
    wanted = {(one["type"], one["value"]) for one in details["tax_ids"]}
    there = await stripe_shop.tax_ids(stripe, customer_id)
    new = sorted(wanted - {(one.type, one.value) for one in there})
    old = [one for one in there if (one.type, one.value) not in wanted]
    too_many = max(0, len(there) + len(new) - MOST_TAX_IDS)
    for one in old[:too_many]:
        await stripe_shop.remove_tax_id(stripe, customer_id, one.id)
    for kind, value in new:
        add = partial(_add_tax_id, stripe, customer_id, kind, value)
        await _set_once(hands, order, f"tax_{version}_{_digest(kind, value)}", add)
    sent: dict[str, Any] = {"name": details["name"], "email": details["email"]}
    sent["address"] = {name: value or "" for name, value in address.items()} | {"country": details["country"]}
    await _set_once(hands, order, f"details_{version}", partial(_change, stripe, customer_id, sent))
    for one in old[too_many:]:
        await stripe_shop.remove_tax_id(stripe, customer_id, one.id)


async def _change(stripe: Stripe, customer_id: str, sent: dict[str, Any], key: str) -> None:
    await stripe_shop.change_customer(stripe, customer_id, sent, key=key)


async def _add_tax_id(stripe: Stripe, customer_id: str, kind: str, value: str, key: str) -> None:
    await stripe_shop.add_tax_id(stripe, customer_id, kind, value, key=key)


async def _set_once(hands: Hands, order: Doc, step: str, make: Callable[[str], Awaitable[None]]) -> None:
    """What is only set can be set again: nothing needs to be found first."""

    async def nothing() -> None:
        return None

    await once(hands.db, order, step, make=make, find=nothing, now=hands.clock())


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:24]


async def look(hands: Hands, label_id: str) -> None:
    """Bring what is so at Stripe here at once, so that who waits for the end of an order sees what came of it."""
    account = await accounts.need(hands.db, label_id)
    await looking.look(hands.db, stripe_of(hands), account, books=hands.settings.books, now=hands.clock())


async def _set(db: Database, label_id: str, facts: Doc) -> None:
    await db.open("billing_accounts").update_one({"label_id": label_id}, {"$set": facts})
