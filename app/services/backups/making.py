"""Making a backup: every collection that belongs in one, document by document, into a file of our own."""

import asyncio
import os
from collections import Counter
from datetime import datetime
from pathlib import Path

from app.db import ALL_LABELS, Database, Doc
from app.models.collection import EXPIRES, Collection
from app.services.backups import file, scope
from app.services.vault.ring import LocalPublicRing

AT_ONCE = 500
WHY = f"{ALL_LABELS}a backup"


async def make(db: Database, folder: Path, ring: LocalPublicRing, *, now: datetime) -> tuple[Path, Counter[str]]:
    """Write a backup into the folder, whole or not at all; its path, and how many documents of what. Raises `OSError`.

    What has expired is not in it.
    """
    target = folder / file.name_of(now)
    unfinished = target.with_suffix(".unfinished")
    counts: Counter[str] = Counter()
    descriptor = await asyncio.to_thread(os.open, unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        writer = await file.begin(opened, ring, made_at=now)
        for collection in scope.in_backup():
            counts[collection.name] = await _add(db, writer, collection, now=now)
        await asyncio.to_thread(writer.add, {"ended": True, "counts": dict(counts)})
        await asyncio.to_thread(writer.end)
    await asyncio.to_thread(unfinished.replace, target)
    return target, counts


async def _add(db: Database, writer: file.Writer, collection: Collection, *, now: datetime) -> int:
    await asyncio.to_thread(writer.add, {"collection": collection.name})
    query: Doc = {"$or": [{"expires_at": {"$gt": now}}, {"expires_at": {"$exists": False}}]}
    alive = query if EXPIRES in collection.indexes else {}
    cursor, count = db.open(collection.name).find(alive, comment=WHY).sort("_id", 1).batch_size(AT_ONCE), 0
    while found := await cursor.to_list(AT_ONCE):
        await asyncio.to_thread(_write, writer, found)
        count += len(found)
    return count


def _write(writer: file.Writer, found: list[Doc]) -> None:
    for document in found:
        writer.add(document)


def drop_old(folder: Path, *, now: datetime) -> int:
    """Delete the backups in the folder whose time is over; how many."""
    old = file.older_than(folder, now - scope.LIFE)
    for path in old:
        path.unlink()
    return len(old)
