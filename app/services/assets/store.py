"""A label's files, written down: to be uploaded, complete, changed, deleted. Every query names `label_id`."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.errors import AssetInUse, Conflict, FieldError, InvalidInput, StaleVersion
from app.ids import new_id
from app.models.assets import LARGEST, AssetCreate, AssetKind, kind_of
from app.models.base import rfc3339
from app.models.operations import OperationKind
from app.services import operations
from app.services.assets import room, uses
from app.services.assets.reading import need
from app.services.audit import Audit, By
from app.services.billing.entitlements import Meter

UPLOAD = timedelta(hours=1)
"""How long an upload may begin; one that has begun may take longer."""
HELD = timedelta(hours=2)
"""How long its form may fill the storage: for its hour, and for another what has begun in it."""
SWEPT = timedelta(hours=24)
"""When an upload that was never completed is given up."""
CENTRE = {"x": 0.5, "y": 0.5}
MOST_LEFT_OVER = 40
"""Renditions of earlier focuses that may wait to be deleted: ten times four."""


async def create(
    db: Database,
    audit: Audit,
    label_id: str,
    body: AssetCreate,
    *,
    most_bytes: int,
    meter: Meter,
    by: By,
    now: datetime,
) -> Doc:
    """Write down a file that is going to be uploaded, set its room aside, and when to give it up.

    Raises `InvalidInput`, `StorageFull`, `PlanLimitReached`, `BillingReadOnly`.
    """
    kind = kind_of(body.content_type)
    if body.bytes is not None and body.bytes > LARGEST[kind]:
        raise InvalidInput(errors=(FieldError("/bytes", f"must be at most {LARGEST[kind]} for this kind of file"),))
    if body.focus is not None and kind != "image":
        raise InvalidInput(errors=(FieldError("/focus", "is for images"),))
    upload_bytes = body.bytes or LARGEST[kind]
    await meter.need_bytes(label_id, upload_bytes, now=now)
    asset = _begun(label_id, body, kind, upload_bytes, by=by, now=now)

    async def all_of_it(session: Session) -> None:
        await room.take(db, label_id, upload_bytes, most_bytes=most_bytes, session=session)
        await db.open("assets").insert_one(asset, session=session)
        for after in (HELD, SWEPT):
            await sweep(db, asset, now=now, due_at=now + after, session=session)
        told: dict[str, Any] = {"label_id": label_id, "target": asset["_id"], "now": now, "session": session}
        await audit.record(by, "asset.created", details={"kind": kind}, **told)

    await db.in_transaction(all_of_it)
    return asset


def _begun(label_id: str, body: AssetCreate, kind: AssetKind, upload_bytes: int, *, by: By, now: datetime) -> Doc:
    return {
        "_id": new_id("ast"),
        "label_id": label_id,
        "kind": kind,
        "state": "pending",
        "name": body.name,
        "content_type": body.content_type,
        "upload_bytes": upload_bytes,
        "held_bytes": upload_bytes,
        "charged_bytes": 0,
        "bytes": None,
        "width": None,
        "height": None,
        "duration_ms": None,
        "video": None,
        "focus": (body.focus.model_dump() if body.focus else CENTRE) if kind == "image" else None,
        "alt_text": body.alt_text,
        "renditions": [],
        "left_over": [],
        "duplicate_of": None,
        "problem": None,
        "operation_id": None,
        "created_by": by.id,
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }


async def complete(db: Database, label_id: str, asset_id: str, *, now: datetime) -> Doc:
    """Have what was uploaded looked at; asked again, it is the same look. Raises `NotFound`, `Conflict`."""
    asset = await need(db, label_id, asset_id)
    if asset["state"] == "refused":
        raise Conflict("This file was refused: upload another one as another asset")
    if asset["state"] != "pending" and not await is_stuck(db, asset):
        return asset
    key = {"_id": asset_id, "label_id": label_id, "state": asset["state"], "version": asset["version"]}

    async def all_of_it(session: Session) -> None:
        operation = await plan(db, "check_asset", asset, now=now, session=session)
        begun = {"state": "checking", "problem": None, "operation_id": operation["_id"], "updated_at": now}
        update = {"$set": begun, "$inc": {"version": 1}}
        if (await db.open("assets").update_one(key, update, session=session)).matched_count == 0:
            raise StaleVersion  # who came at the same time has begun it, or deleted it

    with suppress(StaleVersion, DuplicateKeyError):
        await db.in_transaction(all_of_it)
    return await need(db, label_id, asset_id)


async def is_stuck(db: Database, asset: Doc) -> bool:
    """Whether its check was given up because of an error of ours: then it is begun anew."""
    if asset["state"] != "checking":
        return False
    operation = await operations.need(db, asset["label_id"], asset["operation_id"])
    return bool(operation["state"] == "failed")


async def change(
    db: Database,
    audit: Audit,
    label_id: str,
    asset_id: str,
    *,
    changes: Doc,
    versions: list[int] | None,
    most_bytes: int,
    by: By,
    now: datetime,
) -> Doc:
    """Change a file's words or focus, if it still is of one of the `versions` seen.

    Of another focus the renditions are made anew, by an operation. Raises `NotFound`, `StaleVersion`, `InvalidInput`,
    and where those that are replaced take too much room by now `Conflict` or `StorageFull`.
    """
    asset = await need(db, label_id, asset_id)
    if versions is not None and asset["version"] not in versions:
        raise StaleVersion
    if "focus" in changes and asset["kind"] != "image":
        raise InvalidInput(errors=(FieldError("/focus", "is for images"),))
    key = {"_id": asset_id, "label_id": label_id, "version": asset["version"], "state": asset["state"]}
    cuts_anew = asset["state"] == "ready" and changes.get("focus", asset["focus"]) != asset["focus"]
    if cuts_anew and len(asset["left_over"]) >= MOST_LEFT_OVER:
        raise Conflict("The focus was changed so often that a day must pass before it can be changed again")

    async def all_of_it(session: Session) -> bool:
        more: Doc = {"updated_at": now}
        if cuts_anew:
            size = sum(one["bytes"] for one in asset["renditions"] if one["name"] != "original")
            await room.need(db, label_id, size, most_bytes=most_bytes, session=session)
            more["operation_id"] = (await plan(db, "render_asset", asset, now=now, session=session))["_id"]
        update = {"$set": changes | more, "$inc": {"version": 1}}
        written = await db.open("assets").update_one(key, update, session=session)
        if written.matched_count:
            told: dict[str, Any] = {"label_id": label_id, "target": asset_id, "now": now, "session": session}
            await audit.record(by, "asset.changed", details={"fields": ",".join(sorted(changes))}, **told)
        return bool(written.matched_count)

    try:
        done = await db.in_transaction(all_of_it)
    except DuplicateKeyError:
        done = False
    if not done:
        raise StaleVersion  # somebody else was quicker
    return await need(db, label_id, asset_id)


async def delete(
    db: Database, audit: Audit, label_id: str, asset_id: str, *, versions: list[int] | None, by: By, now: datetime
) -> Doc:
    """Delete a file; the operation that deletes its objects. Raises `NotFound`, `StaleVersion`, `AssetInUse`."""

    async def all_of_it(session: Session) -> Doc:
        asset = await need(db, label_id, asset_id, session=session)
        if versions is not None and asset["version"] not in versions:
            raise StaleVersion
        if needing := await uses.needing(db, label_id, asset_id, session=session):
            raise AssetInUse(f"It is needed by {', '.join(use.id for use in needing[:5])}: cancel or change that first")
        key = {"_id": asset_id, "label_id": label_id}
        ended = {"state": "deleted", "charged_bytes": 0, "deleted_at": now, "updated_at": now}
        update: Doc = {"$set": ended, "$inc": {"version": 1}, "$unset": {"expires_at": ""}}
        await db.open("assets").update_one(key, update, session=session)
        await room.change(db, label_id, -asset["charged_bytes"], session=session)
        told: dict[str, Any] = {"label_id": label_id, "target": asset_id, "now": now, "session": session}
        await audit.record(by, "asset.deleted", **told)
        await sweep(db, asset, now=now, due_at=now + SWEPT, session=session)
        return await plan(db, "delete_asset", asset, now=now, session=session)

    return await db.in_transaction(all_of_it)


async def plan(db: Database, kind: OperationKind, asset: Doc, *, now: datetime, session: Session) -> Doc:
    """Have something done with this version of the asset, once."""
    key = f"{kind}:{asset['_id']}:{asset['version']}"
    told = {"label_id": asset["label_id"], "kind": kind, "target": asset["_id"], "key": key}
    return await operations.add(db, **told, now=now, session=session)


async def sweep(db: Database, asset: Doc, *, now: datetime, due_at: datetime, session: Session) -> None:
    """Have what is left of the asset's objects by then deleted."""
    key = f"tidy_asset:{asset['_id']}:{rfc3339(due_at)}"
    told: dict[str, Any] = {"label_id": asset["label_id"], "kind": "tidy_asset", "target": asset["_id"], "key": key}
    await operations.add(db, **told, now=now, due_at=due_at, session=session)
