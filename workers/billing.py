"""What a worker does for billing by itself: work off what Stripe has told, look where it is time to, and purge."""

from app.services.billing import purging, reconciling, working_off
from workers.jobs import Parts

KEEP_EVERY_S = 60


async def look_after(parts: Parts) -> None:
    """One round of what has become due. Billing that is off asks nobody."""
    if parts.stripe is None:
        return
    now = parts.clock()
    queued = await working_off.work_off(parts.db, parts.stripe, now=now)
    queued += await reconciling.tend(parts.db, now=now)
    if walk := await reconciling.plan(parts.db, now=now):
        queued.append(walk)
    for operation_id in queued:
        await parts.bell.ring(operation_id)


async def keep(parts: Parts) -> None:
    """Purge what no law asks for any more; also where billing is off now, and was not."""
    await purging.purge(parts.db, parts.audit, books=parts.settings.books, now=parts.clock())
