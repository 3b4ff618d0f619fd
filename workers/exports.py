"""What a worker does for exports beside making them: their files end."""

from app.services import restore_mode
from app.services.backups import waiting
from app.services.exports import ending
from workers.jobs import Parts

EVERY_S = 30
STRAYS_EVERY_S = 3600


async def look_after(parts: Parts) -> None:
    """Delete the files whose time is over, and write into the journal what the storage was away for."""
    await waiting.send(parts.db, parts.hands.journal)
    await ending.sweep(parts.db, parts.audit, parts.objects, now=parts.clock())


async def look_for_strays(parts: Parts) -> None:
    """Delete what lies in the storage of exports that are not on record, and of the journal what no backup needs.

    A restored database knows none of those that were made since: they may be another service's, until it is lifted.
    """
    if await restore_mode.state(parts.db) is None:
        await ending.sweep_strays(parts.db, parts.objects)
    await parts.hands.journal.sweep(now=parts.clock())
