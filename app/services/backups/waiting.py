"""Entries of the journal that the storage was not there for: they wait in the database until it takes them."""

from dataclasses import asdict

from app.clients.objects import ObjectsError
from app.db import Database
from app.ids import new_id
from app.logs import get_logger
from app.services.backups.journal import LIFE, Entry, Journal, Kind

log = get_logger(__name__)


async def note(db: Database, journal: Journal, entry: Entry) -> None:
    """Add an entry to the journal, or have it wait."""
    try:
        await journal.add(entry)
    except ObjectsError as trouble:
        log.warning("an entry of the journal waits for the storage", kind=entry.kind, reason=str(trouble))
        waits = {"_id": new_id("gone"), "expires_at": entry.at + LIFE}
        await db.open("journal_waiting").insert_one(waits | asdict(entry))


async def send(db: Database, journal: Journal) -> int:
    """Add what waits to the journal; how many entries. What the storage does not take waits on."""
    sent = 0
    async for row in db.open("journal_waiting").find({}).sort("_id", 1):
        kind: Kind = row["kind"]
        try:
            await journal.add(Entry(kind, row["at"], row["who"], row["what"]))
        except ObjectsError:
            break
        await db.open("journal_waiting").delete_one({"_id": row["_id"]})
        sent += 1
    return sent
