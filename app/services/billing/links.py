"""Addresses of Stripe's pages: whoever has one may use it, so they lie here sealed, and only as long as they work."""

import os
from datetime import datetime

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.db import Database
from app.derived_keys import derive
from app.settings import Settings


async def keep(
    db: Database, settings: Settings, label_id: str, order_id: str, url: str, *, expires_at: datetime
) -> None:
    """Keep the address of an order, instead of one that it had."""
    nonce = os.urandom(12)
    sealed = nonce + AESGCM(_key(settings)).encrypt(nonce, url.encode(), order_id.encode())
    update = {"$set": {"sealed": sealed, "expires_at": expires_at}}
    await db.open("billing_links").update_one({"_id": order_id, "label_id": label_id}, update, upsert=True)


async def find(
    db: Database, settings: Settings, label_id: str, order_id: str, *, now: datetime
) -> tuple[str, datetime] | None:
    """The order's address, and until when it works; none when there is none (any more)."""
    query = {"_id": order_id, "label_id": label_id, "expires_at": {"$gt": now}}
    found = await db.open("billing_links").find_one(query)
    if found is None:
        return None
    sealed: bytes = found["sealed"]
    url = AESGCM(_key(settings)).decrypt(sealed[:12], sealed[12:], order_id.encode()).decode()
    return url, found["expires_at"]


def _key(settings: Settings) -> bytes:
    return derive(settings, "billing links")
