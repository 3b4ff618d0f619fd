"""Whether workers consume: each says so by a job that came through the queue; how late the drain is says the rest."""

from datetime import datetime, timedelta
from typing import Literal

from app.db import ALL_LABELS, Database

EVERY = timedelta(seconds=5)
STALE = timedelta(seconds=30)
LATE = timedelta(seconds=60)


async def beat(db: Database, worker_id: str, *, now: datetime) -> None:
    """This worker has just taken a job from the queue."""
    update = {"$set": {"at": now, "expires_at": now + timedelta(hours=1)}}
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
