"""The ledger of the vault's keys: since when each is there, what it may do, and how often it was used. No key is in it.

A key is `added` (it opens, and does not seal yet), `current` (it seals), `retiring` (it opens what is not rewrapped
yet), `retired` or `revoked` (it is gone).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pymongo.errors import DuplicateKeyError

from app.db import ALL_LABELS, Database, Doc
from app.services.vault.ring import Kind, RingUnavailable

State = Literal["added", "current", "retiring", "retired", "revoked"]
MOST_USES = 2**31
"""After so many seals a key seals no more (R-4)."""
GONE: tuple[State, ...] = ("retired", "revoked")
SEALED_IN = {"local": "secrets", "aws-kms": "secrets", "accounts": "second_factors"}


class KeyUsedUp(RingUnavailable):
    """The key has sealed as often as it may: nothing is sealed until an operator has rotated the ring."""


@dataclass(frozen=True)
class Key:
    """A key as the ledger knows it, and how many records it seals at present."""

    key_id: str
    ring: Kind
    state: State
    created_at: datetime
    uses: int
    records: int


async def count_uses(db: Database, ring: Kind, key_id: str, *, uses: int = 1, now: datetime) -> None:
    """Count what a key is about to seal, before it is stored. Counted twice is harmless; not counted would not be.

    Raises `KeyUsedUp`, and `RingUnavailable` for a key that is retired: then this process has the ring of yesterday.
    """
    keys = db.open("vault_keys")
    good = {"_id": key_id, "uses": {"$lte": MOST_USES - uses}, "state": {"$nin": list(GONE)}}
    for _ in range(2):
        if (await keys.update_one(good, {"$inc": {"uses": uses}})).matched_count:
            return
        await note(db, ring, key_id, "current" if await _has_none(db, ring) else "added", now=now)
    found = await keys.find_one({"_id": key_id})
    if found and found["state"] in GONE:
        raise RingUnavailable("key_retired")
    raise KeyUsedUp("key_used_up")


async def note(db: Database, ring: Kind, key_id: str, state: State, *, now: datetime) -> None:
    """Enter a key, unless it is there already."""
    try:
        row = {"_id": key_id, "ring": ring, "state": state, "created_at": now, "uses": 0}
        await db.open("vault_keys").insert_one(row)
    except DuplicateKeyError:
        return


async def note_held(db: Database, ring: Kind, *, current: str, held: list[str], now: datetime) -> None:
    """Enter the keys that a process holds and the ledger does not know. A new first key of AWS becomes the current one:
    there a setting promotes, not our command.
    """
    known = {row["_id"] async for row in db.open("vault_keys").find({}, {"_id": 1})}
    first = current not in known
    for key_id in sorted({current, *held} - known):
        await note(db, "aws-kms" if key_id.startswith("arn:") else "local", key_id, "added", now=now)
    if first and (ring == "aws-kms" or await _has_none(db, ring)):
        await make_current(db, ring, current, now=now)


async def make_current(db: Database, ring: Kind, key_id: str, *, now: datetime) -> None:
    """From now on this key seals; those that did are retiring. One that was revoked never seals again.

    One of AWS's that was retired may: it is still there.
    """
    await note(db, ring, key_id, "added", now=now)
    keys = db.open("vault_keys")
    good = {"_id": key_id, "state": {"$ne": "revoked"}}
    if (await keys.update_one(good, {"$set": {"state": "current"}})).matched_count == 0:
        return
    others = {"_id": {"$ne": key_id}, "state": "current", "ring": {"$ne": "accounts"}}
    await keys.update_many(others, {"$set": {"state": "retiring"}})


async def set_state(db: Database, key_id: str, state: State) -> None:
    """Move a key to another state."""
    await db.open("vault_keys").update_one({"_id": key_id}, {"$set": {"state": state}})


async def state_of(db: Database, key_id: str) -> State | None:
    """What the ledger says of a key."""
    found = await db.open("vault_keys").find_one({"_id": key_id}, {"state": 1})
    return found["state"] if found else None


async def keys(db: Database) -> list[Key]:
    """All keys, the oldest first, with what they seal."""
    rows = await db.open("vault_keys").find().sort("created_at", 1).to_list()
    return [
        Key(row["_id"], row["ring"], row["state"], row["created_at"], row["uses"], await records(db, row["_id"]))
        for row in rows
    ]


async def records(db: Database, key_id: str) -> int:
    """How many records this key seals."""
    found = [
        await db.open(name).count_documents({"envelope.key_id": key_id}, comment=f"{ALL_LABELS}what a key seals")
        for name in sorted(set(SEALED_IN.values()))
    ]
    return sum(found)


async def strangers(db: Database) -> list[Doc]:
    """Secrets whose key the ledger does not know, 100 at most: nobody can have sealed them like that."""
    known = [row["_id"] async for row in db.open("vault_keys").find({}, {"_id": 1})]
    query = {"envelope.key_id": {"$nin": known}}
    shown = {"label_id": 1, "connection_id": 1, "envelope.key_id": 1}
    cursor = db.open("secrets").find(query, shown, comment=f"{ALL_LABELS}what no key seals")
    return await cursor.limit(100).to_list()


async def _has_none(db: Database, ring: Kind) -> bool:
    return await db.open("vault_keys").find_one({"ring": ring, "state": "current"}) is None
