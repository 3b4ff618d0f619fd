"""Campaigns: started by our staff, sent to whoever consents, in steps that a worker may die between.

A campaign is `{_id: cmp_…, title, paragraphs, state: sending | sent | stopped, after, created_at, expires_at}`; `after`
is the last consent that was looked at. Each mail is written down with its operation and under a unique key of campaign
and person, so that whoever looks at somebody twice mails them once.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.services import faults, operations
from app.services.connections.hands import Hands
from app.services.mail import outbox
from app.services.marketing.permits import Campaigning, campaigning, consent_of
from app.services.operations import TryAgain

LIFE = timedelta(days=730)
AT_ONCE, PAUSE = 100, timedelta(seconds=10)
"""So few at a time, that other mails never wait behind them."""


async def audience(db: Database, how: Campaigning, *, now: datetime) -> int:
    """How many people a campaign would go to now."""
    given, count = {"purpose": "marketing_mail", "decision": "given"}, 0
    for user_id in await db.open("consents").distinct("subject", given):
        user = await db.open("users").find_one({"_id": user_id})
        count += await consent_of(db, how, user, now=now) is not None
    return count


async def start(db: Database, title: str, paragraphs: Sequence[str], *, now: datetime) -> str:
    """Have this sent to everybody who consents to marketing mail; the campaign's id.

    Its words make its id: the same words again are the same campaign, and go to nobody twice.
    """
    digest = hashlib.sha256("\n\n".join((title, *paragraphs)).encode()).hexdigest()
    campaign: Doc = {
        "_id": f"cmp_{digest[:26]}",
        "title": title,
        "paragraphs": list(paragraphs),
        "state": "sending",
        "after": "",
        "created_at": now,
        "expires_at": now + LIFE,
    }

    async def both(session: Session) -> None:
        await db.open("campaigns").insert_one(campaign, session=session)
        key = f"send_campaign:{campaign['_id']}"
        told: Doc = {"kind": "send_campaign", "target": campaign["_id"], "key": key, "now": now}
        await operations.add(db, label_id=None, **told, session=session)

    with suppress(DuplicateKeyError):
        await db.in_transaction(both)
    return str(campaign["_id"])


async def stop(db: Database, campaign_id: str) -> None:
    """Send nothing more of it, neither what is queued."""
    await db.open("campaigns").update_one({"_id": campaign_id}, {"$set": {"state": "stopped"}})


async def get_campaign(db: Database, campaign_id: str) -> Doc | None:
    """The campaign, or none."""
    return await db.open("campaigns").find_one({"_id": campaign_id})


async def outcome(db: Database, campaign_id: str) -> dict[str, int]:
    """How many of its mails are in which state; for 30 days."""
    found: dict[str, int] = {}
    query = {"label_id": None, "campaign_id": campaign_id}
    async for mail in db.open("mails").find(query, {"state": 1}):
        found[mail["state"]] = found.get(mail["state"], 0) + 1
    return found


async def send_campaign(hands: Hands, operation: Doc) -> Doc:
    """Queue the next mails of a campaign, until there is nobody left. Raises `TryAgain` while there is."""
    db, now = hands.db, hands.clock()
    campaign = await get_campaign(db, operation["target"])
    if campaign is None or campaign["state"] != "sending":
        return {"campaign_id": operation["target"]}
    given = {"purpose": "marketing_mail", "decision": "given", "_id": {"$gt": campaign["after"]}}
    found = await db.open("consents").find(given, {"subject": 1}).sort("_id", 1).limit(AT_ONCE).to_list()
    how = campaigning(hands.settings)
    for row in found:
        await _queue_one(db, how, campaign, row["subject"], now=now)
        await faults.reach("campaign_committed")
    if not found:
        mine = {"_id": campaign["_id"], "state": "sending"}
        await db.open("campaigns").update_one(mine, {"$set": {"state": "sent"}})
        return {"campaign_id": campaign["_id"]}
    further = {"$set": {"after": found[-1]["_id"]}}
    await db.open("campaigns").update_one({"_id": campaign["_id"], "after": campaign["after"]}, further)
    raise TryAgain(now + PAUSE, operations.WAITING)


async def _queue_one(db: Database, how: Campaigning, campaign: Doc, user_id: str, *, now: datetime) -> None:
    """Queue one person's mail, if they may be mailed and have none of this campaign."""
    user = await db.open("users").find_one({"_id": user_id})
    row = await consent_of(db, how, user, now=now)
    if user is None or row is None:
        return
    cited = {"campaign_id": campaign["_id"], "consent_id": row["_id"]}
    facts = {"name": user["name"]}

    async def both(session: Session) -> None:
        told: Doc = {"subject": user_id, "facts": facts, "cites": cited, "now": now}
        await outbox.queue(db, "marketing", **told, session=session)
        await faults.reach("campaign_written")

    with suppress(DuplicateKeyError):
        await db.in_transaction(both)
