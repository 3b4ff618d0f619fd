"""Where a file is used: asked of those that use it."""

from app.db import Database, Doc, Session
from app.models.assets import UseOut

MOST = 100
WAITING = ("queued", "unknown")
"""Of messages: they may still be sent, or sent again."""
PLANNED = ("scheduled", "publishing", "unknown", "needs_decision")
"""Of publications: they may still go out without anybody asking anew."""


async def of_asset(db: Database, label_id: str, asset_id: str, *, session: Session | None = None) -> list[UseOut]:
    """The newest uses of each kind, those first that still need it."""
    found = await _of_messages(db, label_id, asset_id, session)
    for place in ("assets", "cover.asset_id"):
        found += await _of_publications(db, label_id, {place: asset_id}, session)
    return sorted(found, key=lambda use: not use.needed)


async def _of_messages(db: Database, label_id: str, asset_id: str, session: Session | None) -> list[UseOut]:
    query: Doc = {"label_id": label_id, "asset_id": asset_id}
    found = db.open("messages").find(query, {"state": 1}, session=session).sort("_id", -1).limit(MOST)
    return [
        UseOut(kind="message", id=one["_id"], state=one["state"], needed=one["state"] in WAITING) async for one in found
    ]


async def _of_publications(db: Database, label_id: str, where: Doc, session: Session | None) -> list[UseOut]:
    query: Doc = {"label_id": label_id} | where
    found = db.open("publications").find(query, {"state": 1}, session=session).sort("_id", -1).limit(MOST)
    return [
        UseOut(kind="publication", id=one["_id"], state=one["state"], needed=one["state"] in PLANNED)
        async for one in found
    ]
