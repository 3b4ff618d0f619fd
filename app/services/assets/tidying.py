"""What becomes of objects: renditions made anew, uploads swept, files deleted. By workers, until it is done."""

from collections.abc import Collection
from datetime import datetime, timedelta

from app.clients.objects import ObjectMissing, ObjectsError
from app.db import Doc, Session
from app.services.assets import clearing, decoding, keys, room, store, uses
from app.services.assets.checking import GONE, again, put_all, turn
from app.services.assets.links import PROVIDER
from app.services.assets.refusal import Refused
from app.services.connections.hands import Hands
from app.services.operations import WAITING, GiveUp, TryAgain


async def render_asset(hands: Hands, operation: Doc) -> Doc:
    """Make an image's renditions anew, around the focus that it has now. Raises `TryAgain`, `GiveUp`."""
    asset = await _find(hands, operation)
    if asset is None or asset["state"] != "ready":
        raise GONE
    if asset["operation_id"] != operation["_id"]:  # a newer focus has its own
        return {"asset_id": asset["_id"], "state": "ready"}
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
    """These take the place of the old ones, unless the focus is another one by now, which has its own operation.

    Those that are not shown take room until they are deleted, once nobody can fetch them by a link any more.
    """
    db, label_id, now = hands.db, asset["label_id"], hands.clock()
    key = {"_id": asset["_id"], "label_id": label_id}

    async def all_of_it(session: Session) -> bool:
        there = await db.open("assets").find_one(key, session=session)
        if there is None or there["state"] != "ready":
            return False
        shown = renditions if there["focus"] == asset["focus"] else there["renditions"]
        left = _left_over(there, shown, [*there["renditions"], *renditions], until=now + PROVIDER)
        size = sum(one["bytes"] for one in [*shown, *left])
        changes = {"renditions": shown, "left_over": left, "charged_bytes": size, "updated_at": now}
        await db.open("assets").update_one(key, {"$set": changes, "$inc": {"version": 1}}, session=session)
        await room.change(db, label_id, size - there["charged_bytes"], session=session)
        if left:
            due_at = now + PROVIDER + timedelta(minutes=1)
            await store.sweep(db, there, now=now, due_at=due_at, session=session)
        return True

    if not await db.in_transaction(all_of_it):  # deleted meanwhile, and its objects perhaps before these came
        await hands.objects.delete_below(keys.of_asset(label_id, asset["_id"]))
        raise GONE


def _left_over(asset: Doc, shown: list[Doc], made: list[Doc], *, until: datetime) -> list[Doc]:
    """What of the asset is in the storage besides what is shown, `{key, bytes, until}`: until when it must stay."""
    kept = {one["key"] for one in shown}
    left = {one["key"]: one for one in asset["left_over"] if one["key"] not in kept}
    for one in made:
        if one["key"] not in kept:
            left.setdefault(one["key"], {"key": one["key"], "bytes": one["bytes"], "until": until})
    return list(left.values())


async def delete_asset(hands: Hands, operation: Doc) -> Doc:
    """Delete a file's objects, and then what is written down of it, unless its form may still bring one.

    Raises `TryAgain` until they are gone.
    """
    await _delete_objects(hands, operation)
    key = {"_id": operation["target"], "label_id": operation["label_id"], "state": "deleted"}
    await hands.db.open("assets").delete_one(key | {"held_bytes": 0})  # else its sweep does, after its form
    return {"asset_id": operation["target"]}


async def tidy_asset(hands: Hands, operation: Doc) -> Doc:
    """Delete what is left of an upload, of one that was never completed all, and what newer renditions have replaced.

    An upload may arrive until its form ends, also beside a check, after it and after a deletion: until this has come,
    shortly after that and a day later, its room is taken. What a publication that was approved or queued keeps stays
    until that is out. Raises `TryAgain`.
    """
    asset, now = await _find(hands, operation), hands.clock()
    if asset is None or asset["state"] == "deleted":
        await _delete_objects(hands, operation)
        if asset is not None:
            await _forget(hands, asset)
        return {"asset_id": operation["target"]}
    waits = asset["state"] == "pending" or await store.is_stuck(hands.db, asset)
    if waits and now < asset["created_at"] + store.SWEPT:  # it may have arrived, and not been completed yet
        return {"asset_id": asset["_id"]}
    if asset["state"] == "checking" and not waits:
        raise TryAgain(now + store.UPLOAD, "checking")
    kept = await uses.kept_forms(hands.db, asset["label_id"], asset["_id"]) if asset["left_over"] else set()
    ended = [one["key"] for one in asset["left_over"] if one["until"] <= now and one["key"] not in kept]
    try:
        for key in (keys.quarantine(asset["label_id"], asset["_id"]), *ended):
            await hands.objects.delete(key)
    except ObjectsError as exc:
        raise again(hands, operation) from exc
    if waits:
        await _forget(hands, asset)
    else:
        await _release(hands, asset, ended)
    if any(one["key"] in kept for one in asset["left_over"]):
        raise TryAgain(now + store.SWEPT, WAITING)
    return {"asset_id": asset["_id"]}


async def _forget(hands: Hands, asset: Doc) -> None:
    """What has no objects any more takes no room, and is gone."""

    async def all_of_it(session: Session) -> None:
        key = {"_id": asset["_id"], "label_id": asset["label_id"], "state": asset["state"]}
        gone = await hands.db.open("assets").find_one_and_delete(key, session=session)
        if gone is not None:
            freed = gone["charged_bytes"] + gone["held_bytes"]
            await room.change(hands.db, asset["label_id"], -freed, session=session)

    await hands.db.in_transaction(all_of_it)


async def _release(hands: Hands, asset: Doc, ended: Collection[str]) -> None:
    """Its form has ended and these objects are deleted: they take no room any more."""
    key = {"_id": asset["_id"], "label_id": asset["label_id"], "state": asset["state"]}

    async def all_of_it(session: Session) -> None:
        there = await hands.db.open("assets").find_one(key, session=session)
        if there is None:  # deleted meanwhile
            return
        freed = sum(one["bytes"] for one in there["left_over"] if one["key"] in ended)
        left = [one for one in there["left_over"] if one["key"] not in ended]
        changes = {"held_bytes": 0, "left_over": left, "charged_bytes": there["charged_bytes"] - freed}
        await hands.db.open("assets").update_one(key, {"$set": changes}, session=session)
        await room.change(hands.db, asset["label_id"], -freed - there["held_bytes"], session=session)

    await hands.db.in_transaction(all_of_it)


async def _delete_objects(hands: Hands, operation: Doc) -> None:
    try:
        await clearing.delete_of_asset(hands.objects, operation["label_id"], operation["target"])
    except ObjectsError as exc:
        raise again(hands, operation) from exc


async def _find(hands: Hands, operation: Doc) -> Doc | None:
    key = {"_id": operation["target"], "label_id": operation["label_id"]}
    return await hands.db.open("assets").find_one(key)
