"""Accepting a version of the privacy policy: noted in the account, once a version."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.models.policies import Policy
from app.services.audit import Audit, By
from app.services.people.accounts import need_user


async def accept(db: Database, audit: Audit, user_id: str, policy: Policy, *, by: By, now: datetime) -> Doc:
    """Note that the person accepts this version; `{version, sha256, how, at}`, of the first time."""
    accepted: Doc = {"version": policy.version, "sha256": policy.sha256, "how": "settings", "at": now}
    changes = {
        "$push": {"policy_acceptances": accepted},
        "$set": {"policy_version": policy.version},
        "$inc": {"version": 1},
    }

    async def all_of_it(session: Session) -> None:
        new = {"_id": user_id, "policy_acceptances.version": {"$ne": policy.version}}
        if (await db.open("users").update_one(new, changes, session=session)).modified_count:
            details = {"version": policy.version}
            await audit.record(
                by, "policy.accepted", chain=user_id, target=user_id, details=details, now=now, session=session
            )

    await db.in_transaction(all_of_it)
    user = await need_user(db, user_id)
    return next(one for one in user["policy_acceptances"] if one["version"] == policy.version)
