"""A label's files, read. Every query names `label_id`; what is being deleted is shown to nobody."""

from collections.abc import Collection
from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import AssetNotFound, AssetNotReady, NotFound
from app.models.assets import AssetKind, AssetState

SHOWN = {"$ne": "deleted"}


async def need(db: Database, label_id: str, asset_id: str, *, session: Session | None = None) -> Doc:
    """The asset that an address names. Raises `NotFound`."""
    query = {"_id": asset_id, "label_id": label_id, "state": SHOWN}
    asset = await db.open("assets").find_one(query, session=session)
    if asset is None:
        raise NotFound
    return asset


async def need_ready(db: Database, label_id: str, asset_id: str, *, session: Session | None = None) -> Doc:
    """An asset that something wants to use. Raises `AssetNotFound`, `AssetNotReady`."""
    query = {"_id": asset_id, "label_id": label_id, "state": SHOWN}
    return _ready(await db.open("assets").find_one(query, session=session))


async def many(db: Database, label_id: str, ids: Collection[str]) -> dict[str, Doc]:
    """Those of these that there are, by id, whatever their state."""
    query = {"_id": {"$in": sorted(set(ids))}, "label_id": label_id, "state": SHOWN}
    return {asset["_id"]: asset async for asset in db.open("assets").find(query)}


async def use(db: Database, label_id: str, ids: Collection[str], *, now: datetime, session: Session) -> dict[str, Doc]:
    """Hold these, in the transaction that writes down what needs them: none of them can be deleted beside it. By id.

    Raises `AssetNotFound`, `AssetNotReady`.
    """
    held = {}
    for asset_id in sorted(set(ids)):
        query = {"_id": asset_id, "label_id": label_id, "state": SHOWN}
        found = await db.open("assets").find_one_and_update(query, {"$set": {"used_at": now}}, session=session)
        held[asset_id] = _ready(found)
    return held


def _ready(asset: Doc | None) -> Doc:
    if asset is None:
        raise AssetNotFound
    if asset["state"] != "ready":
        raise AssetNotReady
    return asset


async def page_of_assets(
    db: Database,
    label_id: str,
    *,
    kind: AssetKind | None,
    state: AssetState | None,
    before: str | None,
    limit: int,
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "state": state or SHOWN}
    query |= {"kind": kind} if kind else {}
    query |= {"_id": {"$lt": before}} if before else {}
    return await db.open("assets").find(query).sort("_id", -1).limit(limit + 1).to_list()
