"""Where a file is used: asked of those that use it."""

from app.db import Database, Doc, Session
from app.models.assets import UseOut

MOST = 100
WAITING = ("queued", "unknown")
"""Of messages: they may still be sent, or sent again."""
PLANNED = ("scheduled", "publishing", "unknown", "needs_decision")
"""Of publications: they may still go out without anybody asking anew."""


async def of_asset(db: Database, label_id: str, asset_id: str, *, session: Session | None = None) -> list[UseOut]:
    """The newest uses of each kind, those first that still need it: none of these is left out for newer others."""
    found = await _uses(db, label_id, asset_id, needed="$in", session=session)
    return found + await _uses(db, label_id, asset_id, needed="$nin", session=session)


async def needing(db: Database, label_id: str, asset_id: str, *, session: Session) -> list[UseOut]:
    """What still needs it; none when it may be deleted."""
    return await _uses(db, label_id, asset_id, needed="$in", session=session)


async def kept_forms(db: Database, label_id: str, asset_id: str) -> set[str]:
    """The keys of the asset's objects that publications keep which are not out yet, or not everywhere."""
    kept = f"shown.{asset_id}.renditions"
    query: Doc = {"label_id": label_id, "assets": asset_id, "state": {"$ne": "published"}, kept: {"$exists": True}}
    found = db.open("publications").find(query, {f"{kept}.key": 1})
    return {form["key"] async for one in found for form in one["shown"][asset_id]["renditions"]}


async def _uses(db: Database, label_id: str, asset_id: str, *, needed: str, session: Session | None) -> list[UseOut]:
    """The newest whose state is one of those that need it (`$in`), or is none of them (`$nin`)."""
    of_label: Doc = {"label_id": label_id}
    query = of_label | {"asset_id": asset_id, "state": {needed: list(WAITING)}}
    messages = db.open("messages").find(query, {"state": 1}, session=session).sort("_id", -1).limit(MOST)
    told: Doc = {"needed": needed == "$in"}
    found = [UseOut(kind="message", id=one["_id"], state=one["state"], **told) async for one in messages]
    for place in ("assets", "cover.asset_id"):
        query = of_label | {place: asset_id, "state": {needed: list(PLANNED)}}
        planned = db.open("publications").find(query, {"state": 1}, session=session).sort("_id", -1).limit(MOST)
        found += [UseOut(kind="publication", id=one["_id"], state=one["state"], **told) async for one in planned]
    return found
