"""A key that somebody else may have: what it could open is sealed anew with fresh data keys, and who it is is listed.

For workers. A rewrapped secret has kept its data key, so whoever has an older key and an old copy of the database can
still open it: therefore secrets remember the keys they were ever under (`earlier_keys`), and those that were exposed
(`revoked_keys`) until a new token replaces them.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from pymongo import UpdateOne

from app.clock import Clock
from app.db import ALL_LABELS, Database, Doc
from app.services.audit import Audit
from app.services.connections import reauth
from app.services.vault.alarms import alarm
from app.services.vault.envelope import SealBroken, seal, unseal
from app.services.vault.openings import record_openings
from app.services.vault.rewrapping import RECORDS_PER_S, Progress, Rings, as_read, in_batches, names_of, write_all
from app.services.vault.secrets import binding_of_stored

WHY = f"{ALL_LABELS}what a revoked key could open"
PROBLEM = "key_compromised"


async def seal_anew(
    db: Database, rings: Rings, key_id: str, *, clock: Clock, per_s: float = RECORDS_PER_S
) -> AsyncIterator[Progress]:
    """Seal everything that this key could open with fresh data keys under the current key; what each batch came to.

    The current key must be another one. May be broken off, and begun again. Raises `RingUnavailable`.
    """
    async for found in in_batches(db, _could_open(key_id), per_s=per_s, why=WHY):
        now = clock()
        await record_openings(db, found, used_for="revoke_key", job=job_of(key_id), now=now)
        made = [await _seal_one_anew(db, rings, stored, key_id, now=now) for stored in found]
        yield await write_all(db, rings[0], made, now=now)


async def left_over(db: Database, key_id: str) -> int:
    """How many secrets this key can still open, with what it seals or has sealed."""
    return await db.open("secrets").count_documents(_could_open(key_id), comment=WHY)


async def affected(db: Database, key_id: str) -> list[Doc]:
    """Each connection with a secret that this key could ever open: `{label_id, connection_id, provider, purposes}`."""
    query = {"$or": [{"envelope.key_id": key_id}, {"earlier_keys": key_id}, {"revoked_keys": key_id}]}
    shown = {"label_id": 1, "connection_id": 1, "provider": 1, "purpose": 1}
    found: dict[tuple[str, str], Doc] = {}
    async for row in db.open("secrets").find(query, shown, comment=WHY):
        of: Doc = {name: str(row.get(name)) for name in ("label_id", "connection_id", "provider")}
        one = found.setdefault((of["label_id"], of["connection_id"]), of | {"purposes": []})
        one["purposes"].append(str(row.get("purpose")))
    return [of | {"purposes": sorted(of["purposes"])} for _, of in sorted(found.items())]


async def force_reconnect(db: Database, audit: Audit, hit: list[Doc], *, now: datetime) -> int:
    """Have these connections logged in anew; how many were moved to `needs_reauth` by this call."""
    moved = 0
    for one in hit:
        key = {"_id": one["connection_id"], "label_id": one["label_id"]}
        connection = await db.open("connections").find_one(key)
        if connection and connection["status"] == "active":
            moved += await reauth.require_login(db, audit, connection, PROBLEM, now=now)
    return moved


def _could_open(key_id: str) -> Doc:
    return {"$or": [{"envelope.key_id": key_id}, {"earlier_keys": key_id}]}


async def _seal_one_anew(db: Database, rings: Rings, stored: Doc, key_id: str, *, now: datetime) -> UpdateOne | None:
    """What to write; none if it does not open."""
    public, private = rings
    try:
        binding = binding_of_stored(stored)
        envelope = await seal(public, await unseal(private, stored.get("envelope"), binding), binding)
    except SealBroken:
        await alarm(db, **names_of(stored), job=job_of(key_id), now=now)
        return None
    update = {
        "$set": {"envelope": envelope},
        "$pull": {"earlier_keys": key_id},
        "$addToSet": {"revoked_keys": key_id},
    }
    return UpdateOne(as_read(stored), update)


def job_of(key_id: str) -> str:
    """What records of openings and alarms call it."""
    return f"vault revoke {key_id}"
