"""Telling everybody of a material change of the privacy policy: each active person once, wherever a worker dies.

An account holds the last version that its person was told of (`policy_noticed`). That is moved on in the transaction
in which the mail is written down, and only from an older one: whoever comes second finds it moved. So the walk has no
state of its own; it may be broken off and begun again at any point, by several workers at once, and it finds accounts,
too, that were made by an older process while it went on. The mail itself is sent at most once (`mail/sending.py`).
"""

from datetime import datetime

from app.db import Database, Doc, Session
from app.models.policies import Policies, Policy, newest_material
from app.services import faults
from app.services.mail import outbox

AT_ONCE = 200


async def tell(db: Database, policies: Policies, *, now: datetime) -> list[str]:
    """Write down the mails to everybody who has not been told; the ids of the operations that send them."""
    policy = newest_material(policies)
    if policy is None:
        return []
    waiting, queued = _untold(policy), list[str]()
    while found := await db.open("users").find(waiting).sort("policy_noticed", 1).limit(AT_ONCE).to_list():
        told = [await _tell_one(db, user, policy, now=now) for user in found]
        queued += [operation_id for operation_id in told if operation_id]
    return queued


def _untold(policy: Policy) -> Doc:
    """Whose account is disabled, or going to be erased, is told when they are back."""
    return {"policy_noticed": {"$lt": policy.version}, "disabled_at": None, "erasure_due_at": None}


async def _tell_one(db: Database, user: Doc, policy: Policy, *, now: datetime) -> str | None:
    """One person, unless somebody else was first. Who has accepted it already gets no mail."""
    query = {"_id": user["_id"]} | _untold(policy)
    needless = user["policy_version"] >= policy.version
    noticed: Doc = {"policy_noticed": policy.version} | ({} if needless else {"policy_noticed_at": now})

    async def both(session: Session) -> str | None:
        moved = await db.open("users").update_one(query, {"$set": noticed}, session=session)
        if moved.modified_count == 0 or needless:
            return None
        facts = {"name": user["name"], "on": policy.version, "changes": policy.changes}
        queued = await outbox.queue(db, "policy_changed", subject=user["_id"], facts=facts, now=now, session=session)
        await faults.reach("notice_written")
        return queued

    queued = await db.in_transaction(both)
    await faults.reach("notice_committed")
    return queued
