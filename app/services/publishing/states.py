"""What a publication's state is, by those of its targets."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.db import Database, Doc, Session
from app.services.publishing.queueing import newest
from app.services.publishing.telling import TROUBLE, tell_trouble

RETRY = timedelta(seconds=10)
SURE = timedelta(minutes=5)
"""So long after a call nothing of it is under way any more, here or at Meta: before, no person is asked what it did."""
WHAT_TO_DO = (
    "It may have been published: Meta does not tell. Look at the account; then say whether it is there "
    "(decide: published), or not (decide: not_published). Only then can it be tried again."
)
OF_A_CALL = ("refused", "answered", "answered_id", "doubts")
"""What one call leaves on a target, and the next one begins without."""
IN_DOUBT = ("calling", "unanswered", *OF_A_CALL)
"""What is on a target while a call may still publish it."""
WAITING = ("waiting", "containers", "processing", "ready")
OURS = ("scheduled", "publishing", "published", "partly_published", "failed", "unknown", "needs_decision")
"""The states that follow from targets; all others, people decide."""


def state_of(targets: Sequence[str]) -> str | None:
    """The state of a publication whose targets have these; none where none of them says anything.

    It is `scheduled` while one of them waits and none is there or on its way, whatever has become of the others.
    """
    found = [state for state in targets if state != "cancelled"]
    if not found:
        return None
    if any(state in WAITING for state in found) or "publishing" in found:
        return "publishing" if {"publishing", "published", "unknown"} & set(found) else "scheduled"
    if "unknown" in found:
        return "unknown"
    if "needs_decision" in found or "to_do" in found:
        return "needs_decision"
    if len(set(found)) == 1:
        return found[0]
    return "partly_published"


async def follow_targets(db: Database, target: Doc, *, now: datetime, session: Session) -> None:
    """Bring the publication to the state that its targets say, in the transaction that has changed one of them."""
    key = {"label_id": target["label_id"], "publication_id": target["publication_id"]}
    targets = newest(await db.open("publication_targets").find(key, session=session).to_list())
    state = state_of([one["state"] for one in targets])
    if state is None:
        return
    place = {"_id": target["publication_id"], "label_id": target["label_id"]}
    other = place | {"state": {"$in": [one for one in OURS if one != state]}}
    changes: Doc = {"$set": {"state": state, "updated_at": now}, "$inc": {"version": 1}}
    if state == "failed":
        changes["$unset"] = {"slot_key": "", "slot_id": ""}  # another publication may have its place
    changed = await db.open("publications").update_one(other, changes, session=session)
    by_hand = all(one["state"] != "needs_decision" for one in targets)  # they are told of each that is due
    if changed.modified_count and state in TROUBLE and not (state == "needs_decision" and by_hand):
        await tell_trouble(db, target, state, now=now, session=session)
