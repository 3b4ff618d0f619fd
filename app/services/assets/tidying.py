"""What becomes of objects: renditions made anew, uploads swept, files deleted. By workers, until it is done."""

from app.clients.objects import ObjectMissing, ObjectsError
from app.db import Doc, Session
from app.services.assets import clearing, decoding, keys, room, store, uses
from app.services.assets.checking import GONE, again, put_all, turn
from app.services.assets.refusal import Refused
from app.services.connections.hands import Hands
from app.services.operations import WAITING, GiveUp, TryAgain


async def render_asset(hands: Hands, operation: Doc) -> Doc:
    """Make an image's renditions anew, around the focus that it has now. Raises `TryAgain`, `GiveUp`."""
    asset = await _find(hands, operation)
    if asset is None or asset["state"] != "ready":
        raise GONE
    original = next(one for one in asset["renditions"] if one["name"] == "original")
    async with turn(hands):
        with decoding.scratch() as folder:
            try:
                source = folder / "upload"
                await hands.objects.fetch(original["key"], source, most_bytes=original["bytes"])
                found = await decoding.render(source, folder, focus=asset["focus"])
                renditions = [original, *await put_all(hands, asset, folder, found)]
            except ObjectMissing:
                raise GiveUp("object_missing", "The asset's own image is not in the storage any more.") from None
            except ObjectsError as exc:
                raise again(hands, operation) from exc
            except Refused as refused:
                raise GiveUp(refused.code, refused.detail) from None
    await _exchange(hands, asset, renditions)
    return {"asset_id": asset["_id"], "state": "ready"}


async def _exchange(hands: Hands, asset: Doc, renditions: list[Doc]) -> None:
    """These take the place of the old ones, unless the focus is another one by now, which has its own operation."""
    db, label_id, now = hands.db, asset["label_id"], hands.clock()
    key = {"_id": asset["_id"], "label_id": label_id}

    async def all_of_it(session: Session) -> bool:
        there = await db.open("assets").find_one(key, session=session)
        if there is None or there["state"] != "ready":
            return False
        fresh, old = {one["key"] for one in renditions}, {one["key"] for one in there["renditions"]}
        if there["focus"] != asset["focus"]:
            await store.leave_over(db, there, sorted(fresh - old), now=now, session=session)
            return True
        size = sum(one["bytes"] for one in renditions)
        changes = {"renditions": renditions, "charged_bytes": size, "updated_at": now}
        update: Doc = {"$set": changes, "$pull": {"left_over": {"key": {"$in": sorted(fresh)}}}, "$inc": {"version": 1}}
        await db.open("assets").update_one(key, update, session=session)
        await room.change(db, label_id, size - there["charged_bytes"], session=session)
        await store.leave_over(db, there, sorted(old - fresh), now=now, session=session)
        return True

    if not await db.in_transaction(all_of_it):  # deleted meanwhile, and its objects perhaps before these came
        await hands.objects.delete_below(keys.of_asset(label_id, asset["_id"]))
        raise GONE


async def delete_asset(hands: Hands, operation: Doc) -> Doc:
    """Delete a file's objects, and then what is written down of it. Raises `TryAgain` until they are gone."""
    await _delete_objects(hands, operation)
    key = {"_id": operation["target"], "label_id": operation["label_id"], "state": "deleted"}
    await hands.db.open("assets").delete_one(key)
    return {"asset_id": operation["target"]}


async def tidy_asset(hands: Hands, operation: Doc) -> Doc:
    """Delete what is left of an upload, of one that was never completed all, and what newer renditions have replaced.

    An upload may arrive until its address ends, also beside a check and after a deletion: so this comes a day later.
    What a publication that was approved or queued keeps stays until that is out. Raises `TryAgain`.
    """
    asset, now = await _find(hands, operation), hands.clock()
    if asset is None or asset["state"] == "deleted":
        await _delete_objects(hands, operation)
        return {"asset_id": operation["target"]}
    if asset["state"] == "checking":
        raise TryAgain(now + store.UPLOAD, "checking")
    kept = await uses.kept_forms(hands.db, asset["label_id"], asset["_id"]) if asset["left_over"] else set()
    ended = [one["key"] for one in asset["left_over"] if one["until"] <= now and one["key"] not in kept]
    try:
        await hands.objects.delete(keys.quarantine(asset["label_id"], asset["_id"]))
        for key in ended:
            await hands.objects.delete(key)
    except ObjectsError as exc:
        raise again(hands, operation) from exc
    place = {"_id": asset["_id"], "label_id": asset["label_id"]}
    if ended:
        await hands.db.open("assets").update_one(place, {"$pull": {"left_over": {"key": {"$in": ended}}}})
    if asset["state"] == "pending":
        await _give_up(hands, asset)
    if any(one["key"] in kept for one in asset["left_over"]):
        raise TryAgain(now + store.SWEPT, WAITING)
    return {"asset_id": asset["_id"]}


async def _give_up(hands: Hands, asset: Doc) -> None:
    """An upload that was never completed takes no room any more, and is forgotten."""

    async def all_of_it(session: Session) -> None:
        key = {"_id": asset["_id"], "label_id": asset["label_id"], "state": "pending"}
        if (await hands.db.open("assets").delete_one(key, session=session)).deleted_count:
            await room.change(hands.db, asset["label_id"], -asset["charged_bytes"], session=session)

    await hands.db.in_transaction(all_of_it)


async def _delete_objects(hands: Hands, operation: Doc) -> None:
    try:
        await clearing.delete_of_asset(hands.objects, operation["label_id"], operation["target"])
    except ObjectsError as exc:
        raise again(hands, operation) from exc


async def _find(hands: Hands, operation: Doc) -> Doc | None:
    key = {"_id": operation["target"], "label_id": operation["label_id"]}
    return await hands.db.open("assets").find_one(key)
