"""Making an export, by a worker: sheet by sheet out of the database, into one sealed file in the storage.

Each attempt makes the file anew, under a key of its own: whatever an attempt that died has left is thrown away first.
An attempt that has lost its lease finds its upload gone and stops.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument

from app.clients.objects import ObjectsError
from app.db import Database, Doc, Session
from app.derived_keys import derive
from app.models.base import rfc3339
from app.services import faults, operations
from app.services.audit import SYSTEM
from app.services.connections.hands import Hands
from app.services.exports import plan, store, writing
from app.services.exports.manifest import Written, manifest_of
from app.services.exports.packing import Aside, Packer
from app.services.exports.plan import Sheet, Walk
from app.services.exports.rows import csv_lines, json_line, row_of
from app.services.mail import outbox
from app.services.operations import WAITING, GiveUp, TryAgain
from app.services.sealed_stream import Sealer

AT_ONCE = 500
"""Documents that are in memory at a time."""
FILE_LIFE = timedelta(days=7)
BUSY = timedelta(seconds=3)
RETRY, LONGEST_RETRY, PATIENCE = timedelta(seconds=5), timedelta(minutes=10), timedelta(hours=24)
GONE = GiveUp("gone", "The export was called off, or what it is about is gone.")


async def make_export(hands: Hands, operation: Doc) -> Doc:
    """Make the export of this operation. The result names it. Raises `TryAgain`, `GiveUp`."""
    if hands.exporting.locked():  # one at a time in a process bounds its memory
        raise TryAgain(hands.clock() + BUSY, WAITING)
    async with hands.exporting, _kept(hands, operation) as lease:
        done = {"export_id": operation["target"]}
        if await _is_made(hands, operation):
            return done
        export = await _begin(hands, operation)
        try:
            made = await _make(hands, export, lease)
        except ObjectsError as trouble:  # also: thrown away by whoever took over, to whom this says nothing
            raise _later(hands, operation) from trouble
        if not await _end(hands, export, made):
            await throw_away(hands, export)
            raise GONE
        await faults.reach("export_after_end")
    return done


async def _is_made(hands: Hands, operation: Doc) -> bool:
    """Whether a worker made it that died before it could say so of the operation."""
    key = {"_id": operation["target"], "label_id": operation["label_id"], "state": "ready"}
    return await hands.db.open("exports").find_one(key, {"_id": 1}) is not None


@dataclass
class _Lease:
    lost: bool = False

    def check(self) -> None:
        """Raise `GiveUp` when another worker has the operation: what we would say of it is not taken any more."""
        if self.lost:
            raise GONE


@asynccontextmanager
async def _kept(hands: Hands, operation: Doc) -> AsyncIterator[_Lease]:
    """Renew the operation's lease as long as this goes on."""
    lease, length = _Lease(), timedelta(seconds=hands.settings.lease_s)

    async def renew() -> None:
        while not lease.lost:
            await asyncio.sleep(length.total_seconds() / 4)
            lease.lost = not await operations.keep(hands.db, operation, lease=length, now=hands.clock())

    renewing = asyncio.create_task(renew())
    try:
        yield lease
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _begin(hands: Hands, operation: Doc) -> Doc:
    """The export, of which this is the present attempt; of earlier ones nothing is left. Raises `GiveUp`."""
    key = {"_id": operation["target"], "label_id": operation["label_id"], "state": "running"}
    earlier = key | {"attempt": {"$lt": operation["fence"]}}  # who has lost it must not throw away what another makes
    attempt = {"$set": {"attempt": operation["fence"]}}
    after = ReturnDocument.AFTER
    export: Doc | None = await hands.db.open("exports").find_one_and_update(earlier, attempt, return_document=after)
    if export is None:
        raise GONE
    if hands.clock() - export["created_at"] > PATIENCE:
        await store.fail(hands.db, export, code="took_too_long", now=hands.clock())
        raise GiveUp("took_too_long", "It could not be made within a day.")
    try:
        await throw_away(hands, export)
    except ObjectsError as trouble:
        raise _later(hands, operation) from trouble
    return export


async def throw_away(hands: Hands, export: Doc) -> None:
    """Delete whatever there is of the export in the storage. Raises `ObjectsError`."""
    await hands.objects.abort_parts_below(store.place_of(export))
    await hands.objects.delete_below(store.place_of(export))


@dataclass
class _Made:
    """What has been made."""

    data_key: bytes = field(repr=False)
    bytes: int = 0
    sha256: str = ""
    rows: int = 0
    first_end: datetime | None = None
    """When the first of its documents that bound its life must be deleted."""
    at: datetime | None = None


async def _make(hands: Hands, export: Doc, lease: _Lease) -> _Made:
    sheets = await _sheets(hands.db, export)
    begun_at = hands.clock()
    made = _Made(os.urandom(32))
    packer, sealer = Packer(begun_at), Sealer(made.data_key, store.bound_to(export))
    upload = await writing.begin(hands.objects, store.key_of(export), packer, sealer)
    written = []
    for sheet in sheets:
        written.append(await _write(hands, upload, sheet, made, lease))
        await faults.reach("export_after_sheet")
    made.at = hands.clock()
    told = manifest_of(export, written, begun_at=begun_at, ended_at=made.at)
    await upload.work(lambda: _add_manifest(packer, told))
    await faults.reach("export_before_finish")
    await upload.end()
    await faults.reach("export_after_finish")
    made.bytes, made.sha256, made.rows = upload.plain_bytes, upload.sha256, sum(one.rows for one in written)
    return made


async def _sheets(db: Database, export: Doc) -> list[Sheet]:
    """What goes in. Raises `GiveUp` for a person or label that is gone."""
    if export["kind"] == "label":
        if await db.open("labels").find_one({"_id": export["label_id"]}, {"_id": 1}) is None:
            raise GONE
        return plan.of_label(export["label_id"])
    user = await db.open("users").find_one({"_id": export["user_id"]})
    if user is None:
        raise GONE
    return plan.of_person(await plan.known_of(db, user))


async def _write(hands: Hands, upload: writing.Upload, sheet: Sheet, made: _Made, lease: _Lease) -> Written:
    """Read a collection once, and write both of its files."""
    packer, rows, before = upload.packer, 0, len(upload.packer.packed)
    entry, aside = packer.file(f"{sheet.name}.jsonl"), Aside()
    try:
        aside.add(csv_lines([sheet.fields]))

        def add(documents: Sequence[Doc]) -> None:
            found = [row_of(document, sheet.fields) for document in documents]
            entry.add(b"".join(json_line(row) for row in found))
            aside.add(csv_lines([row[name] for name in sheet.fields] for row in found))

        async for documents in _read(hands, sheet):
            lease.check()
            rows += len(documents)
            if sheet.bounds_the_file:
                ends = [document["expires_at"] for document in documents]
                made.first_end = min([*ends, made.first_end] if made.first_end else ends)
            await upload.work(lambda found=documents: add(found))  # type: ignore[misc]
        await upload.work(lambda: entry.end(rows=rows))
        await _add_csv(upload, f"{sheet.name}.csv", aside, rows)
    finally:
        aside.drop()
    return Written(sheet, packer.packed[before:], rows, await _count_left_out(hands, sheet))


async def _add_csv(upload: writing.Upload, name: str, aside: Aside, rows: int) -> None:
    """Now that the other file is complete, the one that waited."""
    entry, pieces = await upload.work(lambda: (upload.packer.file(name), aside.pieces()))
    while piece := await upload.work(lambda: next(pieces, b"")):
        await upload.work(lambda found=piece: entry.add(found))  # type: ignore[misc]
    await upload.work(lambda: entry.end(rows=rows))


async def _read(hands: Hands, sheet: Sheet) -> AsyncIterator[list[Doc]]:
    """The sheet's documents, some at a time, in the order of an index."""
    shown: Doc = {("_id" if path == "id" else path.split(".")[0]): 1 for path in sheet.fields}
    shown |= {"expires_at": 1} if sheet.expires else {}
    for walk in sheet.walks:
        cursor = _found(hands.db, sheet, walk, sheet.alive(hands.clock()), shown).batch_size(AT_ONCE)
        try:
            while documents := await cursor.to_list(AT_ONCE):
                yield documents
        finally:
            await cursor.close()


def _found(db: Database, sheet: Sheet, walk: Walk, alive: Doc, shown: Doc) -> Any:
    return db.open(sheet.collection.name).find({**walk.query, **alive}, shown, hint=walk.hint, comment=walk.comment)


async def _count_left_out(hands: Hands, sheet: Sheet) -> int:
    spared = sheet.spared(hands.clock())
    if spared is None:
        return 0
    collection, count = hands.db.open(sheet.collection.name), 0
    for walk in sheet.walks:
        async for _ in collection.find({**walk.query, **spared}, {"_id": 1}, hint=walk.hint, comment=walk.comment):
            count += 1
    return count


def _add_manifest(packer: Packer, told: Doc) -> None:
    entry = packer.file("manifest.json")
    entry.add(json.dumps(told, ensure_ascii=False, indent=2).encode())
    entry.end()


async def _end(hands: Hands, export: Doc, made: _Made) -> bool:
    """Say that it is ready; false when nobody wants it any more, or another attempt has it."""
    db, now = hands.db, hands.clock()
    assert made.at is not None
    ends_at = min(filter(None, (made.at + FILE_LIFE, made.first_end)))
    file = {"bytes": made.bytes, "sha256": made.sha256, "rows": made.rows}
    file |= {"sealed_key": store.seal_key(derive(hands.settings, store.OVER_KEY), export, made.data_key)}
    changes: Doc = {"state": "ready", "file": file, "made_at": made.at, "ends_at": ends_at, "look_at": ends_at}

    async def all_of_it(session: Session) -> bool:
        mine = {"_id": export["_id"], "label_id": export["label_id"], "state": "running", "attempt": export["attempt"]}
        update = {"$set": changes, "$unset": {"running": ""}}
        if (await db.open("exports").update_one(mine, update, session=session)).modified_count == 0:
            return False
        await store.close_requests(db, export, now=now, session=session)
        await _tell(hands, export, ends_at, session)
        await store.record(hands.audit, export, "export.made", by=SYSTEM, now=now, session=session)
        return True

    return await db.in_transaction(all_of_it)


async def _tell(hands: Hands, export: Doc, ends_at: datetime, session: Session) -> None:
    """A mail says that it is there; its link leads to a log-in."""
    db, now = hands.db, hands.clock()
    user = await db.open("users").find_one({"_id": export["user_id"]}, session=session)
    if user is None:
        return
    facts = {"name": user["name"], "until": rfc3339(ends_at)}
    if export["kind"] == "person":
        await outbox.queue(db, "export_ready", subject=user["_id"], facts=facts, now=now, session=session)
        return
    label = await db.open("labels").find_one({"_id": export["label_id"]}, session=session)
    facts |= {"label": label["name"] if label else "", "label_id": export["label_id"]}
    told = {"subject": user["_id"], "label_id": export["label_id"], "facts": facts, "now": now, "session": session}
    await outbox.queue(db, "label_export_ready", **told)


def _later(hands: Hands, operation: Doc) -> TryAgain:
    """The storage is away: later, each time a little more so."""
    wait = min(RETRY * 2 ** min(operation["attempts"] - 1, 10), LONGEST_RETRY)
    return TryAgain(hands.clock() + wait, "storage_unavailable")
