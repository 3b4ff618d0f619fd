"""What becomes due on conversations by the time alone: the snoozed wake, and fans' profiles are fetched.

Any number of workers may do it at once: each change is a compare-and-set, and an operation's key is unique.
"""

from datetime import datetime

from app.db import ALL_LABELS, Database
from app.services.inbox.conversations import tell_changed
from app.services.inbox.profiles import plan_due

AT_ONCE = 200


async def tend(db: Database, *, now: datetime) -> list[str]:
    """Do all that is due; the ids of operations to ring for."""
    await wake_due(db, now=now)
    return await plan_due(db, now=now)


async def wake_due(db: Database, *, now: datetime) -> None:
    """Open the conversations whose snooze is over."""
    query, comment = {"wake_at": {"$lte": now}}, f"{ALL_LABELS}conversations whose snooze is over"
    while True:
        found = db.open("conversations").find(query, {"label_id": 1}, comment=comment).sort("wake_at", 1).limit(AT_ONCE)
        due = await found.to_list()
        for one in due:
            key = {"_id": one["_id"], "label_id": one["label_id"]} | query
            update = {"$set": {"status": "open", "status_at": now, "snoozed_until": None}, "$inc": {"version": 1}}
            opened = await db.open("conversations").find_one_and_update(
                key, update | {"$unset": {"wake_at": ""}}, return_document=True
            )
            if opened:
                await tell_changed(db, opened, now=now)
        if len(due) < AT_ONCE:
            return
