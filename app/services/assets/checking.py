"""Looking at what was uploaded, by a worker: from quarantine to a place of its own, or refused and gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from app.clients.objects import ObjectMissing, ObjectsError
from app.clients.objects_folder import digest_of
from app.db import Doc, Session
from app.services import events, operations
from app.services.assets import decoding, keys, room, store
from app.services.assets.refusal import DETAILS, Refused
from app.services.connections.hands import Hands
from app.services.events import Event
from app.services.operations import GiveUp, TryAgain

RETRY, LONGEST_RETRY, PATIENCE = timedelta(seconds=5), timedelta(minutes=10), timedelta(hours=24)
BUSY, BUSY_S = timedelta(seconds=3), 5.0
REFUSED_STAY = timedelta(days=30)
TYPES = {"jpg": "image/jpeg", "mp4": "video/mp4"}
GONE = GiveUp("deleted", "The asset was deleted meanwhile.")


async def check_asset(hands: Hands, operation: Doc) -> Doc:
    """Look at an upload; the result names the asset and its state. It may be begun again at any point.

    Raises `TryAgain`, `GiveUp`.
    """
    asset = await _find(hands, operation)
    if asset["state"] == "pending":  # somebody has begun an operation anew, instead of completing the asset
        raise GiveUp("not_uploaded", DETAILS["not_uploaded"])
    if asset["state"] == "checking":
        async with turn(hands):
            asset = await _check(hands, operation, asset)
    await _quietly_delete(hands, keys.quarantine(asset["label_id"], asset["_id"]))
    return {"asset_id": asset["_id"], "state": asset["state"]}


async def _check(hands: Hands, operation: Doc, asset: Doc) -> Doc:
    with decoding.scratch() as folder:
        upload = folder / "upload"
        try:
            sha256 = await hands.objects.fetch(
                keys.quarantine(asset["label_id"], asset["_id"]), upload, most_bytes=asset["upload_bytes"]
            )
            if upload.stat().st_size > asset["upload_bytes"]:
                raise Refused("file_too_large")
            focus = asset["focus"] or store.CENTRE
            found = await decoding.examine(upload, folder, content_type=asset["content_type"], focus=focus)
            renditions = await put_all(hands, asset, folder, found)
        except ObjectMissing:
            await _take_back(hands, asset, "not_uploaded")
            raise GiveUp("not_uploaded", DETAILS["not_uploaded"]) from None
        except ObjectsError as exc:
            await _put_off(hands, operation, asset, exc)
            raise
        except Refused as refused:
            return await _refuse(hands, asset, refused)
        facts = {"sha256": sha256, "bytes": upload.stat().st_size}
        return await _finish(hands, asset, found, renditions, facts)


@asynccontextmanager
async def turn(hands: Hands) -> AsyncIterator[None]:
    """A worker reads one file at a time: each takes memory of its own. Raises `TryAgain` where that takes long."""
    try:
        async with asyncio.timeout(BUSY_S):
            await hands.decoding.acquire()
    except TimeoutError:
        raise TryAgain(hands.clock() + BUSY, operations.WAITING) from None
    try:
        yield
    finally:
        hands.decoding.release()


async def put_all(hands: Hands, asset: Doc, folder: Path, found: decoding.Found) -> list[Doc]:
    """Store the files that were made; what is written down of each. Raises `ObjectsError`."""
    stored = []
    for one in found.files:
        file = folder / one.file
        sha256 = await asyncio.to_thread(digest_of, file)
        told = {"sha256": sha256, "content_type": TYPES[one.file.rpartition(".")[2]]}
        key = keys.of_rendition(asset["label_id"], asset["_id"], one.name, **told)
        await hands.objects.put(key, file, **told)
        shape: Doc = {"width": one.width, "height": one.height, "bytes": file.stat().st_size}
        stored.append({"name": one.name, "key": key, **shape, **told})
    return stored


async def _finish(hands: Hands, asset: Doc, found: decoding.Found, renditions: list[Doc], facts: Doc) -> Doc:
    """It is ready, unless it was deleted meanwhile. Raises `GiveUp`."""
    db, label_id, asset_id, now = hands.db, asset["label_id"], asset["_id"], hands.clock()
    original = renditions[0]
    size = sum(one["bytes"] for one in renditions)
    ready: Doc = facts | {
        "state": "ready",
        "width": original["width"],
        "height": original["height"],
        "duration_ms": found.duration_ms,
        "video": found.video.model_dump() if found.video else None,
        "renditions": renditions,
        "charged_bytes": size,
        "updated_at": now,
    }

    async def all_of_it(session: Session) -> bool:
        now_there = await _in_check(hands, asset, session)
        if now_there is None:
            return False
        same = {"label_id": label_id, "sha256": facts["sha256"], "state": "ready"}
        older = await db.open("assets").find_one(same, {"_id": 1}, sort=[("_id", 1)], session=session)
        more: Doc = {"duplicate_of": older["_id"] if older else None}
        if now_there["focus"] != asset["focus"]:  # somebody has chosen another one while we looked
            planned = await store.plan(db, "render_asset", now_there, now=now, session=session)
            more["operation_id"] = planned["_id"]
        key = {"_id": asset_id, "label_id": label_id}
        await db.open("assets").update_one(key, {"$set": ready | more, "$inc": {"version": 1}}, session=session)
        await room.change(db, label_id, size - now_there["charged_bytes"], session=session)
        await events.append(db, [_event(asset, "asset.ready", now)], session=session)
        return True

    if not await db.in_transaction(all_of_it):
        await hands.objects.delete_below(keys.of_asset(label_id, asset_id))
        raise GONE
    return asset | ready


async def _refuse(hands: Hands, asset: Doc, refused: Refused) -> Doc:
    """It is refused, and takes no room. Raises `GiveUp` where it was deleted meanwhile."""
    db, label_id, now = hands.db, asset["label_id"], hands.clock()
    changes: Doc = {
        "state": "refused",
        "problem": {"code": refused.code, "detail": refused.detail},
        "charged_bytes": 0,
        "updated_at": now,
        "expires_at": now + REFUSED_STAY,
    }

    async def all_of_it(session: Session) -> bool:
        now_there = await _in_check(hands, asset, session)
        if now_there is None:
            return False
        key = {"_id": asset["_id"], "label_id": label_id}
        await db.open("assets").update_one(key, {"$set": changes, "$inc": {"version": 1}}, session=session)
        await room.change(db, label_id, -now_there["charged_bytes"], session=session)
        await events.append(db, [_event(asset, "asset.refused", now)], session=session)
        return True

    if not await db.in_transaction(all_of_it):
        raise GONE
    return asset | changes


def _event(asset: Doc, kind: events.Type, now: datetime) -> Event:
    return Event(asset["label_id"], f"{kind}:{asset['_id']}", kind, asset["_id"], now)


async def _in_check(hands: Hands, asset: Doc, session: Session) -> Doc | None:
    key = {"_id": asset["_id"], "label_id": asset["label_id"], "state": "checking"}
    return await hands.db.open("assets").find_one(key, session=session)


async def _find(hands: Hands, operation: Doc) -> Doc:
    key = {"_id": operation["target"], "label_id": operation["label_id"]}
    asset = await hands.db.open("assets").find_one(key)
    if asset is None or asset["state"] == "deleted":
        raise GONE
    return asset


async def _take_back(hands: Hands, asset: Doc, code: str) -> None:
    """It waits for its upload, or to be completed again."""
    key = {"_id": asset["_id"], "label_id": asset["label_id"], "state": "checking"}
    back = {"state": "pending", "problem": {"code": code, "detail": DETAILS[code]}, "updated_at": hands.clock()}
    await hands.db.open("assets").update_one(key, {"$set": back, "$inc": {"version": 1}})


async def _put_off(hands: Hands, operation: Doc, asset: Doc, trouble: ObjectsError) -> None:
    """Raise `TryAgain`, or in the end `GiveUp`."""
    if hands.clock() - operation["created_at"] > PATIENCE:
        await _take_back(hands, asset, "storage_unavailable")
        raise GiveUp("storage_unavailable", DETAILS["storage_unavailable"]) from trouble
    raise again(hands, operation) from trouble


def again(hands: Hands, operation: Doc) -> TryAgain:
    """The storage is away: later, each time a little more so."""
    wait = min(RETRY * 2 ** min(operation["attempts"] - 1, 10), LONGEST_RETRY)
    return TryAgain(hands.clock() + wait, "storage_unavailable")


async def _quietly_delete(hands: Hands, key: str) -> None:
    """What cannot be deleted now, the sweep deletes."""
    try:
        await hands.objects.delete(key)
    except ObjectsError:
        return
