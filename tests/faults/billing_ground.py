"""What the drills of billing stand on: a database, Redis and a sandbox with a Stripe, each a process of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app import logs
from app.db import Database, create_indexes
from tests.house import (
    APP_ID,
    APP_SECRET,
    NOBODY,
    STRIPE_KEY,
    STRIPE_WEBHOOK_SECRET,
    VERIFY_TOKEN,
    billing_env,
    make_keys,
    settings_env,
)
from tools import embedded
from tools.child import running


@asynccontextmanager
async def ground(folder: Path, **settings: str) -> AsyncIterator[dict[str, str]]:
    """Have them run; the product's settings, with billing on and its indexes made."""
    database = embedded.mongodb_child(folder / "mongodb", ttl_sweep_s=60)
    redis = embedded.valkey_child(folder / "valkey")
    stripe = {"SANDBOX_STRIPE_SECRET_KEY": STRIPE_KEY, "SANDBOX_STRIPE_WEBHOOK_SECRET": STRIPE_WEBHOOK_SECRET}
    meta: Any = {"app_id": APP_ID, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN}
    box = embedded.sandbox_child(folder / "sandbox", f"{NOBODY}/v1/webhooks/meta", **meta, env=stripe)
    with running(database, redis, box):
        keys = make_keys(folder / "keys")
        env = settings_env(keys, mongodb_url=database.url, redis_url=redis.url, **settings)
        logs.configure("WARNING")
        db = Database(database.url)
        await create_indexes(db)
        db.close()
        yield env | billing_env(f"{box.url}/stripe")
