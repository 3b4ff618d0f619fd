"""Campaigns: started by our staff, sent to whoever consents, in steps that a worker may die between.

A campaign is `{_id: cmp_…, title, paragraphs, state: sending | sent | stopped, after, queued, created_at, expires_at}`;
`after` is the last consent that was looked at. Each mail is written down with its operation and under a unique key of
campaign and person, so that whoever looks at somebody twice mails them once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.ids import new_id
from app.services import faults, operations
from app.services.connections.hands import Hands
from app.services.mail import outbox
from app.services.marketing.permits import Campaigning, campaigning, consent_of
from app.services.operations import TryAgain

LIFE = timedelta(days=730)
AT_ONCE, PAUSE = 100, timedelta(seconds=10)
"""So few at a time, that other mails never wait behind them."""


async def start(db: Database, title: str, paragraphs: Sequence[str], *, now: datetime) -> str:
    """Have this sent to everybody who consents to marketing mail; the campaign's id."""
    campaign: Doc = {
        "_id": new_id("cmp"),
        "title": title,
        "paragraphs": list(paragraphs),
        "state": "sending",
        "after": "",
        "queued": 0,
        "created_at": now,
        "expires_at": now + LIFE,
    }

    async def both(session: Session) -> None:
        await db.open("campaigns").insert_one(campaign, session=session)
        key = f"send_campaign:{campaign['_id']}"
        told: Doc = {"kind": "send_campaign", "target": campaign["_id"], "key": key, "now": now}
        await operations.add(db, label_id=None, **told, session=session)

    await db.in_transaction(both)
    return str(campaign["_id"])


async def stop(db: Database, campaign_id: str) -> bool:
    """Send nothing more of it, neither what is queued; whether there was anything to stop."""
    query = {"_id": campaign_id, "state": {"$ne": "stopped"}}
    return (await db.open("campaigns").update_one(query, {"$set": {"state": "stopped"}})).modified_count == 1


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
        return {"queued": campaign["queued"] if campaign else 0}
    given = {"purpose": "marketing_mail", "decision": "given", "_id": {"$gt": campaign["after"]}}
    found = await db.open("consents").find(given, {"subject": 1}).sort("_id", 1).limit(AT_ONCE).to_list()
    how, queued = campaigning(hands.settings), 0
    for row in found:
        queued += await _queue_one(db, how, campaign, row["subject"], now=now)
        await faults.reach("campaign_committed")
    if not found:
        mine = {"_id": campaign["_id"], "state": "sending"}
        await db.open("campaigns").update_one(mine, {"$set": {"state": "sent"}})
        return {"queued": campaign["queued"]}
    further = {"$set": {"after": found[-1]["_id"]}, "$inc": {"queued": queued}}
    await db.open("campaigns").update_one({"_id": campaign["_id"], "after": campaign["after"]}, further)
    raise TryAgain(now + PAUSE, operations.WAITING)


async def _queue_one(db: Database, how: Campaigning, campaign: Doc, user_id: str, *, now: datetime) -> bool:
    """Queue one person's mail, if they may be mailed and have none of this campaign; whether it was queued."""
    user = await db.open("users").find_one({"_id": user_id})
    row = await consent_of(db, how, user, now=now)
    if user is None or row is None:
        return False
    cited = {"campaign_id": campaign["_id"], "consent_id": row["_id"]}
    facts = {"name": user["name"]}

    async def both(session: Session) -> None:
        told: Doc = {"subject": user_id, "facts": facts, "cites": cited, "now": now}
        await outbox.queue(db, "marketing", **told, session=session)
        await faults.reach("campaign_written")

    try:
        await db.in_transaction(both)
    except DuplicateKeyError:
        return False
    return True
