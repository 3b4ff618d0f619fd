"""Rewrapping: the same data key under the current key. For workers. The secret itself is neither opened nor touched.

A write counts only if the wrapped key is still the one that was read, so whoever seals anew meanwhile wins. It may be
broken off anywhere, be run twice at once, and be begun again.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from pymongo import UpdateOne

from app.clock import Clock
from app.db import ALL_LABELS, Database, Doc
from app.services.vault.alarms import alarm
from app.services.vault.envelope import SealBroken, unwrap_data_key
from app.services.vault.ledger import count_uses, state_of
from app.services.vault.private_ring import PrivateRing
from app.services.vault.ring import PublicRing
from app.services.vault.secrets import binding_of_stored, key_id_of

BATCH, IDS_AT_ONCE = 100, 10_000
RECORDS_PER_S = 1_000
WHY = f"{ALL_LABELS}what is under an older key"
Rings = tuple[PublicRing, PrivateRing]


@dataclass
class Progress:
    """What a batch, or all so far, came to."""

    rewrapped: int = 0
    overtaken: int = 0
    """Sealed anew, rewrapped or deleted by somebody else meanwhile."""
    broken: int = 0
    """Which do not open. Each has raised its alarm."""

    def add(self, other: "Progress") -> None:
        """Count another batch."""
        self.rewrapped += other.rewrapped
        self.overtaken += other.overtaken
        self.broken += other.broken


async def rewrap(
    db: Database, rings: Rings, *, job: str, clock: Clock, per_s: float = RECORDS_PER_S
) -> AsyncIterator[Progress]:
    """Rewrap whatever is not under the current key, at most so many records a second; what each batch came to.

    Does nothing while the ledger calls another key current: then this process has the ring of yesterday. Raises
    `RingUnavailable`.
    """
    current = rings[0].current
    if await state_of(db, current) != "current":
        return
    async for found in in_batches(db, await _under_older_keys(db, current), per_s=per_s, why=WHY):
        yield await _rewrap_batch(db, rings, found, job=job, now=clock())


async def left_over(db: Database, current: str) -> int:
    """How many secrets are under another key than this one."""
    return await db.open("secrets").count_documents(await _under_older_keys(db, current), comment=WHY)


async def in_batches(db: Database, query: Doc, *, per_s: float, why: str) -> AsyncIterator[list[Doc]]:
    """The secrets that fit this query, by their ids, each once, and no more than so many a second.

    The ids are read many at a time: the query costs the database more than the secrets do.
    """
    secrets, after = db.open("secrets"), ""
    while True:
        cursor = secrets.find(query | {"_id": {"$gt": after}}, {"_id": 1}, comment=why).sort("_id", 1)
        ids = [row["_id"] async for row in cursor.limit(IDS_AT_ONCE)]
        for first in range(0, len(ids), BATCH):
            begun = monotonic()
            batch = query | {"_id": {"$in": ids[first : first + BATCH]}}  # others may have been there meanwhile
            found = await secrets.find(batch, comment=why).to_list()
            if found:
                yield found
            await asyncio.sleep(max(0.0, len(found) / per_s - (monotonic() - begun)))
        if len(ids) < IDS_AT_ONCE:
            return
        after = ids[-1]


async def _under_older_keys(db: Database, current: str) -> Doc:
    older = [row["_id"] async for row in db.open("vault_keys").find({"_id": {"$ne": current}}, {"_id": 1})]
    return {"envelope.key_id": {"$in": older}}


async def _rewrap_batch(db: Database, rings: Rings, found: list[Doc], *, job: str, now: datetime) -> Progress:
    public, private = rings
    at_once = asyncio.Semaphore(10)

    async def one(stored: Doc) -> UpdateOne | None:
        async with at_once:
            try:
                binding = binding_of_stored(stored)
                data_key = await unwrap_data_key(private, stored.get("envelope"), binding)
            except SealBroken:
                await alarm(db, **names_of(stored), job=job, now=now)
                return None
            key_id, wrapped = await public.wrap(data_key, binding=binding)
        await asyncio.sleep(0)  # let whoever opens meanwhile have a turn
        update = {
            "$set": {"envelope.key_id": key_id, "envelope.wrapped_key": wrapped},
            "$addToSet": {"earlier_keys": key_id_of(stored)},
        }
        return UpdateOne(as_read(stored), update)

    return await write_all(db, public, await asyncio.gather(*(one(stored) for stored in found)), now=now)


async def write_all(db: Database, ring: PublicRing, made: Sequence[UpdateOne | None], *, now: datetime) -> Progress:
    """Count the uses of the key, and write what was made; none stands for what did not open."""
    writes = [write for write in made if write]
    if not writes:
        return Progress(broken=len(made))
    await count_uses(db, ring.kind, ring.current, uses=len(writes), now=now)
    done = (await db.open("secrets").bulk_write(writes, ordered=False)).modified_count
    return Progress(done, len(writes) - done, len(made) - len(writes))


def as_read(stored: Doc) -> Doc:
    """The query for this secret, as long as its data key is wrapped as it was when it was read."""
    key = {"_id": stored["_id"], "label_id": stored["label_id"]}
    return key | {f"envelope.{name}": stored["envelope"][name] for name in ("key_id", "wrapped_key")}


def names_of(stored: Doc) -> dict[str, str]:
    """What an alarm or a record of an opening is told about a secret."""
    return {
        "label_id": stored["label_id"],
        "connection_id": str(stored.get("connection_id")),
        "secret_id": stored["_id"],
        "key_id": key_id_of(stored),
    }
