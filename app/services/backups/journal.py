"""The journal: what must stay undone when a backup is restored that is older than it.

It lies outside the database, in the storage under `journal/<day>/`, an object for each entry, written once: what, when,
and of whom, as a keyed hash of our own id. Whoever reads it learns of nobody; whoever restores a backup knows again
whom and what it is about, and takes it back (`replaying.py`). It is kept a little longer than any backup. Each backup
is noted in it, so that a restore can tell whether this is the backup's own journal, read with its own key.
"""

import asyncio
import hashlib
import hmac
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from app.clients.objects import Objects
from app.ids import new_id
from app.models.base import rfc3339

Kind = Literal[
    "erasure_asked",
    "erasure_cancelled",
    "person_erased",
    "label_deleted",
    "connection_ended",
    "password_changed",
    "client_ended",
    "client_secret_ended",
    "consent_ended",
    "factor_ended",
    "account_disabled",
    "account_enabled",
    "member_changed",
    "use_ended",
    "use_allowed",
    "fan_erased",
    "backup_made",
]
KEY = "journal"
"""What the key of its hashes is derived for."""
LIFE = timedelta(days=40)
MOST_BYTES = 10_000
A_DAY = timedelta(days=1)


class JournalBroken(Exception):
    """Something in it is no entry. The message names its key."""


@dataclass(frozen=True)
class Entry:
    """Something that was done."""

    kind: Kind
    at: datetime
    who: str
    """The keyed hash of an id."""
    what: str
    """More of it, that names nobody: a member's new role, hashes of a fan's; else empty."""


@dataclass(frozen=True)
class Journal:
    """Writes and reads it."""

    objects: Objects
    key: bytes = field(repr=False)

    def hash_of(self, thing_id: str) -> str:
        """What an id is known by in it."""
        return hmac.new(self.key, thing_id.encode(), hashlib.sha256).hexdigest()

    def entry_of(self, kind: Kind, thing_id: str, *, what: str = "", now: datetime) -> Entry:
        """What is told of this."""
        return Entry(kind, now, self.hash_of(thing_id), what)

    async def write(self, kind: Kind, thing_id: str, *, what: str = "", now: datetime) -> None:
        """Add an entry; it may be there twice. Raises `ObjectsError`."""
        await self.add(self.entry_of(kind, thing_id, what=what, now=now))

    async def add(self, entry: Entry) -> None:
        """The same of one that is made already."""
        told = {"v": 1, "kind": entry.kind, "at": rfc3339(entry.at), "who": entry.who, "what": entry.what}
        body = json.dumps(told).encode()
        key = f"{_place(entry.at.date())}{new_id('gone')}"
        with tempfile.NamedTemporaryFile() as file:
            await asyncio.to_thread(_fill, Path(file.name), body)
            sha256 = hashlib.sha256(body).hexdigest()
            await self.objects.put(key, Path(file.name), content_type="application/json", sha256=sha256)

    async def read(self, *, since: datetime, now: datetime) -> list[Entry]:
        """Every entry from then on, in the order of time. Raises `ObjectsError`, `JournalBroken`."""
        found = []
        for day in _days(since.date() - A_DAY, now.date() + A_DAY):
            after = ""
            while keys := await self.objects.keys_below(_place(day), after=after):
                found += [await self._entry(key) for key in keys]
                after = keys[-1]
        return sorted((entry for entry in found if entry.at >= since), key=lambda entry: entry.at)

    async def _entry(self, key: str) -> Entry:
        raw = await self.objects.read(key, 0, MOST_BYTES)
        try:
            told = json.loads(raw)
            at = datetime.fromisoformat(told["at"]).astimezone(UTC)
            return Entry(told["kind"], at, str(told["who"]), str(told["what"]))
        except (ValueError, KeyError, TypeError):
            raise JournalBroken(f"{key} in the storage is no entry of the journal.") from None

    async def sweep(self, *, now: datetime) -> int:
        """Delete what no backup is old enough for; how many entries. Raises `ObjectsError`."""
        end, gone = _place((now - LIFE).date() + A_DAY), 0
        while keys := [key for key in await self.objects.keys_below("journal/") if key < end]:
            for key in keys:
                await self.objects.delete(key)
            gone += len(keys)
        return gone


def _fill(path: Path, body: bytes) -> None:
    path.write_bytes(body)


def _place(day: date) -> str:
    return f"journal/{day.isoformat()}/"


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += A_DAY
