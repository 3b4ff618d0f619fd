"""The end of exports: of files whose time is over, of a person's, a label's, and of what nobody knows any more."""

from datetime import datetime, timedelta

from app.clients.objects import Objects, ObjectsError
from app.db import ALL_LABELS, Database, Doc, Session
from app.logs import get_logger
from app.services import operations
from app.services.audit import SYSTEM, Audit
from app.services.exports import store

log = get_logger(__name__)
AT_ONCE = 100
AGAIN = timedelta(minutes=1)
DUE = f"{ALL_LABELS}exports whose files have ended, or that nobody makes any more"


async def sweep(db: Database, audit: Audit, objects: Objects, *, now: datetime) -> int:
    """Delete every file whose time is over, and give up what nobody makes any more; how many files went."""
    query = {"look_at": {"$lte": now}}
    due = await db.open("exports").find(query, comment=DUE).sort("look_at", 1).limit(AT_ONCE).to_list()
    gone = 0
    for export in due:
        try:
            gone += await _look_at(db, audit, objects, export, now=now)
        except ObjectsError as trouble:
            log.warning("an export's file is still there", export=export["_id"], reason=str(trouble))
            await _set(db, export, {"$set": {"look_at": now + AGAIN}})
    return gone


async def _look_at(db: Database, audit: Audit, objects: Objects, export: Doc, *, now: datetime) -> int:
    if export["state"] != "running":
        await _delete(objects, store.place_of(export))
        ended = {"$set": {"state": "expired", "file": None}, "$unset": {"look_at": ""}}
        await _set(db, export, ended)
        await store.record(audit, export, "export.expired", by=SYSTEM, now=now)
        return 1
    operation = await operations.find_anywhere(db, export["operation_id"])
    if operation is None or operations.is_over(operation):
        await _delete(objects, store.place_of(export))
        await store.fail(db, export, code="given_up", now=now)
    else:
        await _set(db, export, {"$set": {"look_at": now + AGAIN}})
    return 0


async def _set(db: Database, export: Doc, update: Doc) -> None:
    as_seen = {"_id": export["_id"], "label_id": export["label_id"], "state": export["state"]}
    await db.open("exports").update_one(as_seen, update)


async def _delete(objects: Objects, prefix: str) -> int:
    return await objects.abort_parts_below(prefix) + await objects.delete_below(prefix)


async def delete_of_person(db: Database, objects: Objects, user_id: str, *, now: datetime) -> int:
    """Delete every export of this person, and those of labels that only they could download; how many there were.

    It may be repeated until there are none. Raises `ObjectsError`.
    """
    query, why = {"user_id": user_id}, f"{ALL_LABELS}the exports that a person has asked for"
    found = await db.open("exports").find(query, comment=why).to_list()
    for export in found:
        await _call_off(db, export, now=now)
        await _delete(objects, store.place_of(export))
        await db.open("exports").delete_one({"_id": export["_id"], "label_id": export["label_id"]})
    return len(found) + await _delete(objects, store.prefix_of(user_id))


async def delete_of_label(db: Database, objects: Objects, label_id: str, *, now: datetime) -> int:
    """Delete the files of a label's exports; how many there were. Raises `ObjectsError`."""
    async for export in db.open("exports").find({"label_id": label_id, "running": True}):
        await _call_off(db, export, now=now)
    return await _delete(objects, store.prefix_of(label_id))


async def _call_off(db: Database, export: Doc, *, now: datetime) -> None:
    """Whoever is at it loses it, and nobody takes it over."""
    kind = store.OPERATIONS["label" if export["label_id"] else "person"]
    ids = [export.get("operation_id", "")]

    async def both(session: Session) -> None:
        await operations.withdraw(db, export["label_id"], kind=kind, ids=ids, now=now, session=session)

    await db.in_transaction(both)


async def sweep_strays(db: Database, objects: Objects) -> int:
    """Delete what lies in the storage of exports that are not on record any more; how many keys there were.

    An attempt that lost its lease may have begun an upload after it was cleared away.
    """
    gone, after = 0, ""
    while keys := await objects.keys_below("exports/", after=after):
        for key in keys:
            gone += await _delete_stray(db, objects, key)
        after = keys[-1]
    return gone + sum([await _delete_stray(db, objects, key) for key in await objects.parts_below("exports/")])


async def _delete_stray(db: Database, objects: Objects, key: str) -> int:
    """Whether it was one."""
    export = await store.find_anywhere(db, key.split("/")[-2])
    if export is not None and (export["state"] == "running" or key == store.key_of(export)):
        return 0
    await _delete(objects, key)
    await objects.delete(key)
    return 1
