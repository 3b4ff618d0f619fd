"""What a worker does for the vault by itself: rewrap what is under older keys, and show the ledger as metrics."""

from prometheus_client import Gauge

from app.logs import get_logger
from app.services.vault import ledger
from app.services.vault.rewrapping import Progress, rewrap
from app.services.vault.ring import RingUnavailable
from workers.jobs import Parts

log = get_logger(__name__)
EVERY_S = 60
RECORDS_PER_S = 200
"""Gently: it has time, and others use the database."""
AGE = Gauge("vault_key_age_seconds", "Since when the key is there", ["key"])
RECORDS = Gauge("vault_records", "How many records the key seals", ["key"])
USES = Gauge("vault_key_uses", "How often the key was used to seal, of 2^31 times at most", ["key"])


async def look_after(parts: Parts) -> None:
    """One round."""
    public, private = parts.rings
    await ledger.note_held(parts.db, public.kind, current=public.current, held=private.key_ids(), now=parts.clock())
    await measure(parts)
    done = Progress()
    try:
        async for progress in rewrap(parts.db, parts.rings, job="vault rewrap", clock=parts.clock, per_s=RECORDS_PER_S):
            done.add(progress)
            if parts.stopping:
                break
    except RingUnavailable as away:
        log.warning("rewrapping is put off: the key ring is away", reason=str(away))
    if done != Progress():
        log.info("rewrapped", key=public.current, count=done.rewrapped, overtaken=done.overtaken, broken=done.broken)
        await measure(parts)


async def measure(parts: Parts) -> None:
    """Show each key that is not gone."""
    for gauge in (AGE, RECORDS, USES):
        gauge.clear()
    for key in await ledger.keys(parts.db):
        if key.state not in ledger.GONE or key.records:
            AGE.labels(key.key_id).set((parts.clock() - key.created_at).total_seconds())
            RECORDS.labels(key.key_id).set(key.records)
            USES.labels(key.key_id).set(key.uses)
