"""Whether workers consume: each says so by a job that came through the queue; how late the drain is says the rest."""

from datetime import datetime, timedelta
from typing import Literal

from app.db import ALL_LABELS, Database

EVERY = timedelta(seconds=5)
STALE = timedelta(seconds=30)
LATE = timedelta(seconds=60)


async def beat(db: Database, worker_id: str, *, key_ids: list[str], now: datetime) -> None:
    """This worker has just taken a job from the queue, and can open with these keys."""
    update = {"$set": {"at": now, "key_ids": key_ids, "expires_at": now + timedelta(hours=1)}}
    await db.open("worker_heartbeats").update_one({"_id": worker_id}, update, upsert=True)


async def state(db: Database, *, now: datetime) -> Literal["consuming", "absent", "late"]:
    """`consuming`, `absent` (no worker takes jobs), or `late` (one does, but changes have waited for over a minute)."""
    fresh = await db.open("worker_heartbeats").find({"at": {"$gt": now - STALE}}, {"_id": 1}).to_list()
    if not fresh:
        return "absent"
    waiting = db.open("webhook_inbox").find(
        {"due_at": {"$lte": now - LATE}}, {"_id": 1}, comment=f"{ALL_LABELS}how late the drain is"
    )
    return "late" if await waiting.limit(1).to_list() else "consuming"


async def lacking(db: Database, key_id: str, *, now: datetime) -> list[str]:
    """The live workers that have not said that they can open with this key."""
    query = {"at": {"$gt": now - STALE}, "key_ids": {"$ne": key_id}}
    return [row["_id"] async for row in db.open("worker_heartbeats").find(query, {"_id": 1}).sort("_id", 1)]
