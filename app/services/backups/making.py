"""Making a backup: every collection that belongs in one, document by document, into a file of our own."""

import asyncio
import os
from collections import Counter
from datetime import datetime, timedelta
from errno import ENOENT
from pathlib import Path

from app.db import ALL_LABELS, Database, Doc
from app.models.base import rfc3339
from app.models.collection import EXPIRES, Collection
from app.services.backups import file, scope
from app.services.backups.journal import Journal
from app.services.vault.ring import LocalPublicRing

AT_ONCE = 500
UNFINISHED = ".unfinished"
A_DAY = timedelta(days=1)
WHY = f"{ALL_LABELS}a backup"


async def make(
    db: Database, folder: Path, ring: LocalPublicRing, journal: Journal, *, now: datetime
) -> tuple[Path, Counter[str]]:
    """Write a backup into the folder, whole or not at all; its path, and how many documents of what.

    What has expired is not in it. Raises `OSError`, and `ObjectsError` while the journal cannot be written, without
    which it could not be restored.
    """
    if not await asyncio.to_thread(folder.is_dir):
        raise FileNotFoundError(ENOENT, "is no folder that is there", str(folder))
    target = folder / file.name_of(now)
    unfinished = target.with_suffix(UNFINISHED)
    descriptor = await asyncio.to_thread(os.open, unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            await journal.write("backup_made", rfc3339(now), now=now)
            counts = await _write_all(db, await file.begin(opened, ring, made_at=now), now=now)
        await asyncio.to_thread(unfinished.replace, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return target, counts


async def _write_all(db: Database, writer: file.Writer, *, now: datetime) -> Counter[str]:
    counts: Counter[str] = Counter()
    for collection in scope.in_backup():
        counts[collection.name] = await _add(db, writer, collection, now=now)
    await asyncio.to_thread(writer.add, {"ended": True, "counts": dict(counts)})
    await asyncio.to_thread(writer.end)
    return counts


async def _add(db: Database, writer: file.Writer, collection: Collection, *, now: datetime) -> int:
    await asyncio.to_thread(writer.add, {"collection": collection.name})
    alive: Doc = {"$nor": [{"expires_at": {"$lte": now}}]} if EXPIRES in collection.indexes else {}
    cursor, count = db.open(collection.name).find(alive, comment=WHY).sort("_id", 1).batch_size(AT_ONCE), 0
    while found := await cursor.to_list(AT_ONCE):
        await asyncio.to_thread(_write, writer, found)
        count += len(found)
    return count


def _write(writer: file.Writer, found: list[Doc]) -> None:
    for document in found:
        writer.add(document)


def drop_old(folder: Path, *, now: datetime) -> int:
    """Delete the backups in the folder whose time is over, and what one left that died on the way; how many."""
    old = file.older_than(folder, now - scope.LIFE)
    for path in folder.glob(f"soundops-*{UNFINISHED}"):
        if path.stat().st_mtime < (now - A_DAY).timestamp():
            old.append(path)
    for path in old:
        path.unlink()
    return len(old)
