"""What became of a reply whose answer was lost: by its author, its parent, its words and its time.

One that another reply of ours already is cannot be this one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clients import graph_comments as meta
from app.clients.graph_call import At
from app.services.comments.deeds import Deed

EARLIER, LATER = timedelta(seconds=5), timedelta(minutes=10)
"""How far Meta's time of a reply may lie from our time of the call."""
MOST_PAGES = 10


@dataclass(frozen=True)
class Found:
    """A reply that Meta has."""

    provider_id: str
    sent_at: datetime


async def find_reply(deed: Deed, at: At) -> Found | None:
    """The comment that this reply became, or none that can be seen. Raises `GraphError`."""
    earliest, latest = deed.action["calling_at"] - EARLIER, deed.action["calling_at"] + LATER
    query = {
        "label_id": deed.action["label_id"],
        "connection_id": deed.action["connection_id"],
        "parent_provider_id": deed.top_id,
        "own": True,
        "sent_at": {"$gte": earliest, "$lte": latest},
        "action_id": {"$exists": False},
        "content.text": deed.text,
    }
    told = await deed.db.open("comments").find_one(query)
    if told:
        return Found(told["provider_id"], told["sent_at"])
    after = None
    for _ in range(MOST_PAGES):
        shown = await meta.replies_to(at, deed.top_id, after=after)
        for one in meta.ours_among(shown.comments, at.account_id, deed.text):
            if earliest <= one.created_at <= latest and not await _is_taken(deed, one.provider_id):
                return Found(one.provider_id, one.created_at)
        after = shown.after
        if after is None:
            return None
    return None


async def _is_taken(deed: Deed, provider_id: str) -> bool:
    key = {"label_id": deed.action["label_id"], "connection_id": deed.action["connection_id"]}
    taken = key | {"provider_id": provider_id, "action_id": {"$exists": True}}
    return await deed.db.open("comments").find_one(taken, {"_id": 1}) is not None
