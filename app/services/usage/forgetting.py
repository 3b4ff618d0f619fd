"""Forgetting usage: what was noted of somebody is deleted when they withdraw their consent.

Without the consent there is no ground to keep it (EDPB, guidelines 05/2020, 117 to 119).
"""

from app.db import Doc
from app.services.connections.hands import Hands

BATCH = 500


async def forget_usage(hands: Hands, operation: Doc) -> Doc:
    """Delete what was noted of somebody before they withdrew. May be broken off and done again at any point."""
    withdrawn = await hands.db.open("consents").find_one({"_id": operation["target"]})
    if withdrawn is None:  # erased meanwhile, and what was noted with it
        return {"deleted": 0}
    query: Doc = {"subject": withdrawn["subject"], "consent_seq": {"$lt": withdrawn["seq"]}}
    events, deleted = hands.db.open("usage_events"), 0
    while found := await events.find(query, {"_id": 1}).limit(BATCH).to_list():
        ids = [one["_id"] for one in found]
        deleted += (await events.delete_many({"_id": {"$in": ids}})).deleted_count
    return {"deleted": deleted}
