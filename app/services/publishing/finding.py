"""The id of a post that is certainly there, and whose id got lost: looked up for people's sake, never to decide.

A container says that it is published, and not as which media. The account's newest media are compared by their words
and their time; only where exactly one of them fits, and it is no other post's of ours, its id is filled in.
"""

from datetime import datetime, timedelta

from app.clients import instagram_publishing as instagram
from app.clients.graph_call import At
from app.clients.graph_errors import GraphError
from app.clients.graph_publishing import Shown
from app.services.publishing.work import Work

EARLIER, LATER = timedelta(seconds=30), timedelta(minutes=5)


async def find_media(work: Work, at: At) -> None:
    """Fill in the media's id where it can be told; where it cannot, the post has none. Stories are in no such list."""
    if work.snapshot["kind"] == "story":
        return
    try:
        newest = await instagram.newest(at)
    except GraphError:
        return
    fitting = [one for one in newest if _fits(work, one)]
    key = {"label_id": work.target["label_id"], "connection_id": work.target["connection_id"]}
    ids = [one.provider_id for one in fitting]
    known = work.db.open("publication_targets").find(key | {"provider_id": {"$in": ids}}, {"provider_id": 1})
    others = {one["provider_id"] async for one in known}
    left = [one for one in fitting if one.provider_id not in others]
    if len(left) == 1:
        await work.write({"provider_id": left[0].provider_id}, step="find", outcome="by words and time")
    else:
        await work.write({}, step="find", outcome=f"{len(left)} fit")


def _fits(work: Work, one: Shown) -> bool:
    try:
        at = datetime.strptime(one.at, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return False
    called_at = work.target["published_at"]
    same = one.caption.strip() == (work.snapshot["caption"] or "").strip()
    return bool(same and called_at - EARLIER <= at <= called_at + LATER)
