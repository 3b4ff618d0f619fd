"""Reminders of requests that are still open: on day 20 and day 27, to whoever must act.

Of a fan's request that waits for a decision the label's owners and admins; of all others we ourselves, at the address
of `SOUNDOPS_PRIVACY_MAIL`.
"""

from datetime import datetime

from app.db import ALL_LABELS, Database, Doc, Session
from app.models.base import rfc3339
from app.models.fan_requests import BEFORE_DUE
from app.services.labels import members
from app.services.mail import outbox
from app.services.privacy.requests import CLOSED, REMINDED_AFTER

AT_ONCE = 100


async def remind(db: Database, *, privacy_mail: str, now: datetime) -> int:
    """Write a mail for each request of which somebody must be reminded by now; how many requests it were."""
    query = {"remind_at": {"$lte": now}}
    why = f"{ALL_LABELS}requests of which somebody must be reminded"
    found = await db.open("privacy_requests").find(query, comment=why).limit(AT_ONCE).to_list()
    return sum([await _remind(db, request, privacy_mail, now=now) for request in found])


def next_reminder(request: Doc, *, now: datetime) -> datetime | None:
    """When somebody is reminded next; none when it was the last time."""
    days = (request["received_at"] + after for after in REMINDED_AFTER)
    return next((day for day in days if day > now), None)


async def _remind(db: Database, request: Doc, privacy_mail: str, *, now: datetime) -> bool:
    """Set the next time and write the mails, both or neither; whether it was this call."""
    key = {"_id": request["_id"], "label_id": request["label_id"], "remind_at": request["remind_at"]}
    following = next_reminder(request, now=now)
    update: Doc = {"$set": {"remind_at": following}} if following else {"$unset": {"remind_at": ""}}

    async def all_of_it(session: Session) -> bool:
        is_open = key | {"state": {"$nin": sorted(CLOSED)}}
        if (await db.open("privacy_requests").update_one(is_open, update, session=session)).modified_count == 0:
            return False
        facts = {"kind": request["kind"].replace("_", " "), "request_id": request["_id"]}
        facts["on"] = rfc3339(request["due_at"])[:10]
        if request["kind"] != "fan_erasure" or request["state"] != "received":
            await outbox.queue(
                db, "request_due", subject=outbox.OURSELVES, to=privacy_mail, facts=facts, now=now, session=session
            )
            return True
        label_id = request["label_id"]
        label = await db.open("labels").find_one({"_id": label_id}, session=session)
        on = rfc3339(request["due_at"] - BEFORE_DUE)[:10]
        told = {"label_id": label_id, "request_id": request["_id"], "on": on}
        for manager in await members.managers(db, label_id, session=session):
            await members.tell(db, "fan_request_due", manager["user_id"], label or {}, now=now, session=session, **told)
        return True

    return await db.in_transaction(all_of_it)
