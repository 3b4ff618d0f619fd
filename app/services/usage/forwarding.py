"""Passing usage on to Google Analytics, by a worker: with the consent of that moment, and at most once.

Google cannot be asked what it has got, and counts twice what it gets twice. So events are marked just before the call,
and whoever finds that mark passes nothing on: what a worker's death took from Google's figures is in ours.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

from app.clients.google_analytics import (
    MOST_EVENTS,
    Analytics,
    OutcomeUnknown,
    Refused,
    Unavailable,
    Used,
    collect,
)
from app.db import Database, Doc
from app.derived_keys import derive
from app.services import faults
from app.services.connections.hands import Hands
from app.services.consents import ledger
from app.services.operations import GiveUp, TryAgain

PURPOSE = "google analytics"
"""What the key is derived for, under which Google knows people."""
TRIED_FOR, WAIT = timedelta(hours=24), timedelta(minutes=1)


def client_id(key: bytes, subject: str) -> str:
    """Who somebody is at Google: nobody can tell from it who they are here."""
    return hmac.new(key, subject.encode(), hashlib.sha256).hexdigest()[:32]


async def forward_usage(hands: Hands, operation: Doc) -> Doc:
    """Pass a report on, if its person consents now. Raises `TryAgain`, `GiveUp`."""
    db, batch = hands.db, operation["target"]
    query = {"batch": batch, "forward": {"$exists": True}}
    waiting = await db.open("usage_events").find(query).sort("_id", 1).to_list()
    if not waiting:
        return {"forwarded": 0}
    if any(row["forward"] == "sending" for row in waiting):
        await _settle(db, batch)
        raise GiveUp("interrupted", "A worker was interrupted while it passed this on; it is not passed on again.")
    subject, now = waiting[0]["subject"], hands.clock()
    if hands.analytics is None or not await _may_go(db, waiting[0], now=now):
        await _settle(db, batch)
        return {"forwarded": 0}
    marked = await db.open("usage_events").update_many(
        {"batch": batch, "forward": "queued"}, {"$set": {"forward": "sending"}}
    )
    await faults.reach("usage_marked")
    if marked.modified_count != len(waiting):
        raise TryAgain(now + WAIT, "taken_over")
    client = client_id(derive(hands.settings, PURPOSE), subject)
    await _send(db, hands.analytics, batch, client, [Used(row["kind"], row["name"], row["at"]) for row in waiting], now)
    await faults.reach("usage_sent")
    await _settle(db, batch)
    return {"forwarded": len(waiting)}


async def _may_go(db: Database, row: Doc, *, now: datetime) -> bool:
    """Whether its person consents, and has not withdrawn the consent under which it was noted."""
    subject = row["subject"]
    if await ledger.may(db, subject, "analytics", now=now) is None:
        return False
    return not await ledger.withdrawn_since(db, subject, "analytics", seq=row["consent_seq"])


async def _send(db: Database, analytics: Analytics, batch: str, client: str, used: list[Used], now: datetime) -> None:
    """All of it, in calls of as many as Google takes. Once one may have been taken, none is repeated."""
    taken = 0
    try:
        for start in range(0, len(used), MOST_EVENTS):
            await collect(analytics, client_id=client, used=used[start : start + MOST_EVENTS])
            taken += 1
    except Unavailable as exc:
        if taken == 0 and now - used[0].at < TRIED_FOR:
            again = {"$set": {"forward": "queued"}}
            await db.open("usage_events").update_many({"batch": batch, "forward": "sending"}, again)
            raise TryAgain(now + WAIT, "analytics_away") from exc
        await _settle(db, batch)
        raise GiveUp("analytics_away", "Google Analytics was away too long; this is not passed on.") from exc
    except (OutcomeUnknown, Refused) as exc:
        await _settle(db, batch)
        raise GiveUp("analytics_refused", "Google Analytics did not surely take this; it is not sent again.") from exc


async def _settle(db: Database, batch: str) -> None:
    """Nothing of it waits any more."""
    query = {"batch": batch, "forward": {"$exists": True}}
    await db.open("usage_events").update_many(query, {"$unset": {"forward": ""}})
