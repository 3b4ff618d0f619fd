"""Restoring a backup into an empty database, from which nothing leaves before an operator says so."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pymongo.errors import BulkWriteError

from app.db import ALL_LABELS, Database, Doc, create_indexes
from app.models.base import rfc3339
from app.models.collection import EXPIRES
from app.models.data_map import DATA_MAP
from app.services import restore_mode
from app.services.backups import chains, file, intents, scope
from app.services.backups.journal import Entry
from app.services.backups.replaying import Replay, replay
from app.services.vault.private_ring import LocalPrivateRing

AT_ONCE = 500
DUPLICATE = 11000
A_DAY = timedelta(days=1)
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
    left_over: list[str] = field(default_factory=list)
    """Ids of what had taken another document's place (an address, an account) between the reading of the two."""
    replayed: Counter[str] = field(default_factory=Counter)
    intents: Counter[str] = field(default_factory=Counter)


async def restore(path: Path, ring: LocalPrivateRing, what: Replay, *, without_journal: bool = False) -> Restored:
    """Restore a backup; restore mode is on before anything of it is there.

    Raises `NotRestored` for a database that is not empty, a backup that is too old, and a journal that is not this
    backup's, unless it is known to be lost; `NotABackup`; `ObjectsError` and `JournalBroken` where the journal cannot
    be read. Then nothing was changed. Broken off later, the database must be emptied, and all of it be done again.
    """
    db, now = what.db, what.now
    with path.open("rb") as opened:
        head = file.read_head(opened)
        key = await file.key_of(head, ring)
        if head.made_at < now - scope.LIFE:
            raise NotRestored("The backup is too old: what is in it must not be there any more.")
        await asyncio.to_thread(_check, opened, head, key)
        await _need_empty(db)
        entries = [] if without_journal else await _journal_of(what, head)
        if not await restore_mode.switch_on(db, made_at=head.made_at, now=now):
            raise NotRestored("Another restore has begun.")
        await create_indexes(db)
        restored = Restored(head.made_at)
        file.read_head(opened)
        await _load(db, file.contents(opened, head, key), restored, now=now)
    restored.intents = await intents.put_in_doubt(db, made_at=head.made_at, now=now)
    await chains.end_where_rows_end(db, what.audit, now=now)
    restored.replayed = await replay(what, entries)
    await restore_mode.complete(db)
    return restored


def _check(opened: BinaryIO, head: file.Head, key: bytes) -> None:
    """Read all of it, and stand at its beginning again. Raises `NotABackup`, `NotRestored`."""
    for name, _ in file.contents(opened, head, key):
        if name not in DATA_MAP:
            raise NotRestored(f"The backup holds {name}, which only a newer version knows: restore it with that one.")
    opened.seek(0)


async def _need_empty(db: Database) -> None:
    for name in DATA_MAP:
        if await db.open(name).find_one({}, {"_id": 1}, comment=WHY) is not None:
            raise NotRestored(f"The database is not empty: there is something in {name}.")


async def _journal_of(what: Replay, head: file.Head) -> list[Entry]:
    """The journal since the backup, which is noted in it. Raises `NotRestored`, `ObjectsError`, `JournalBroken`."""
    entries = await what.journal.read(since=head.made_at - SKEW, now=what.now)
    noted = what.journal.hash_of(rfc3339(head.made_at))
    if not any(entry.kind == "backup_made" and entry.who == noted for entry in entries):
        raise NotRestored(
            "The journal does not know this backup: it is another storage, or another SOUNDOPS_SECRET_KEY. Who was "
            "erased since would come back. If the journal is lost, say --without-journal."
        )
    return entries


async def _load(db: Database, contents: Iterator[tuple[str, Doc]], restored: Restored, *, now: datetime) -> None:
    name, waiting = "", list[Doc]()
    while (found := await asyncio.to_thread(next, contents, None)) is not None:
        of, document = found
        if of != name or len(waiting) >= AT_ONCE:
            await _insert(db, name, waiting, restored)
            name, waiting = of, []
        if EXPIRES in DATA_MAP[name].indexes and (document.get("expires_at") or now + A_DAY) <= now:
            restored.expired += 1
        else:
            waiting.append(document)
    await _insert(db, name, waiting, restored)


async def _insert(db: Database, name: str, documents: list[Doc], restored: Restored) -> None:
    if documents and scope.left_out(DATA_MAP[name]) is None:
        taken = await _insert_all(db, name, documents)
        restored.left_over += [f"{name}: {one}" for one in taken]
        restored.counts[name] += len(documents) - len(taken)


async def _insert_all(db: Database, name: str, documents: list[Doc]) -> list[str]:
    """Insert all but those whose place in a unique index another has; the ids of these. Raises `PyMongoError`."""
    try:
        await db.open(name).insert_many(documents, ordered=False)
    except BulkWriteError as exc:
        errors = (exc.details or {}).get("writeErrors", [])
        if not errors or any(one["code"] != DUPLICATE for one in errors):
            raise
        return [str(documents[one["index"]]["_id"]) for one in errors]
    return []
