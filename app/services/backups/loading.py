"""Restoring a backup into an empty database, from which nothing leaves before an operator says so."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from app.db import ALL_LABELS, Database, Doc, create_indexes
from app.models.data_map import DATA_MAP
from app.services import restore_mode
from app.services.backups import file, intents, scope
from app.services.backups.replaying import Replay, replay
from app.services.vault.private_ring import LocalPrivateRing

AT_ONCE = 500
SKEW = timedelta(minutes=5)
"""So much the clocks of two machines may differ."""
WHY = f"{ALL_LABELS}whether the database is empty"


class NotRestored(Exception):
    """Nothing was changed. The message says why."""


@dataclass
class Restored:
    """What was done."""

    made_at: datetime
    counts: Counter[str] = field(default_factory=Counter)
    expired: int = 0
    """Documents that have ended since, and were not restored."""
    replayed: Counter[str] = field(default_factory=Counter)
    intents: Counter[str] = field(default_factory=Counter)


async def restore(path: Path, ring: LocalPrivateRing, what: Replay) -> Restored:
    """Restore a backup; restore mode is on before anything of it is there.

    Raises `NotRestored` for a database that is not empty and a backup that is too old, `NotABackup`, `ObjectsError`
    when the journal cannot be read: then the database must be emptied, and all of it be done again.
    """
    db, now = what.db, what.now
    with path.open("rb") as opened:
        head = file.read_head(opened)
        key = await file.key_of(head, ring)
        if head.made_at < now - scope.LIFE:
            raise NotRestored("The backup is too old: what is in it must not be there any more.")
        await _need_empty(db)
        entries = await what.journal.read(since=head.made_at - SKEW, now=now)
        await restore_mode.switch_on(db, made_at=head.made_at, now=now)
        await create_indexes(db)
        restored = Restored(head.made_at)
        await _load(db, file.documents(opened, head, key), restored, now=now)
    restored.intents = await intents.put_in_doubt(db, made_at=head.made_at, now=now)
    restored.replayed = await replay(what, entries)
    return restored


async def _need_empty(db: Database) -> None:
    for name in DATA_MAP:
        if await db.open(name).find_one({}, {"_id": 1}, comment=WHY) is not None:
            raise NotRestored(f"The database is not empty: there is something in {name}.")


async def _load(db: Database, documents: Iterator[Doc], restored: Restored, *, now: datetime) -> None:
    name, waiting, told = "", list[Doc](), None
    while (document := await asyncio.to_thread(next, documents, None)) is not None:
        if "collection" in document and len(document) == 1:
            await _insert(db, name, waiting, restored)
            name, waiting = document["collection"], []
        elif document.get("ended") is True and "counts" in document:
            told = document["counts"]
        elif "expires_at" in document and document["expires_at"] <= now:
            restored.expired += 1
        else:
            waiting.append(document)
        if len(waiting) >= AT_ONCE:
            await _insert(db, name, waiting, restored)
            waiting = []
    await _insert(db, name, waiting, restored)
    if told is None or sum(told.values()) != restored.counts.total() + restored.expired:
        raise file.NotABackup("The backup is not whole.")


async def _insert(db: Database, name: str, documents: list[Doc], restored: Restored) -> None:
    if documents and scope.left_out(DATA_MAP[name]) is None:
        await db.open(name).insert_many(documents, ordered=False)
        restored.counts[name] += len(documents)
