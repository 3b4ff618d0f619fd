"""Sealed secrets in MongoDB: one a connection and purpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc, Session
from app.ids import new_id
from app.services.vault.envelope import Binding, DataKey, SealBroken, new_data_key, seal_with
from app.services.vault.ledger import GONE, count_uses, state_of
from app.services.vault.ring import PublicRing


@dataclass(frozen=True)
class Room:
    """A place for a secret that is still to come: the ring has done its part, and may be away when it comes."""

    connection: Doc
    purpose: str
    secret_id: str
    data_key: DataKey


async def make_room(db: Database, ring: PublicRing, *, connection: Doc, purpose: str, now: datetime) -> Room:
    """Prepare to seal one secret of a connection. Raises `RingUnavailable`."""
    secret_id = new_id("sec")
    data_key = await new_data_key(ring, binding_of(secret_id, connection, purpose))
    await count_uses(db, ring.kind, data_key.key_id, now=now)
    return Room(connection, purpose, secret_id, data_key)


async def fill(
    db: Database, ring: PublicRing, room: Room, secret: str, *, now: datetime, session: Session | None = None
) -> None:
    """Seal the secret into its room; it replaces an older one of the same purpose.

    Only where the room's key was retired meanwhile, the ring is asked once more: then raises `RingUnavailable`.
    """
    if await state_of(db, room.data_key.key_id) in GONE:
        room = await make_room(db, ring, connection=room.connection, purpose=room.purpose, now=now)
    await _store(db, room, secret, now=now, session=session)


async def _store(db: Database, room: Room, secret: str, *, now: datetime, session: Session | None) -> None:
    connection, purpose = room.connection, room.purpose
    envelope = seal_with(room.data_key, secret, binding_of(room.secret_id, connection, purpose))
    key = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": purpose}
    await db.open("secrets").delete_one(key, session=session)
    document = {"_id": room.secret_id, "provider": connection["provider"], "envelope": envelope, "created_at": now}
    await db.open("secrets").insert_one(key | document, session=session)


async def put_secret(
    db: Database,
    ring: PublicRing,
    secret: str,
    *,
    connection: Doc,
    purpose: str,
    now: datetime,
    session: Session | None = None,
) -> None:
    """Seal a secret of a connection; it replaces an older one of the same purpose. Raises `RingUnavailable`."""
    room = await make_room(db, ring, connection=connection, purpose=purpose, now=now)
    await _store(db, room, secret, now=now, session=session)


async def put_secrets(
    db: Database,
    ring: PublicRing,
    secrets: Mapping[str, str],
    *,
    connection: Doc,
    now: datetime,
    session: Session,
) -> None:
    """Seal these secrets of a connection, by their purposes, in one transaction."""
    for purpose, secret in secrets.items():
        await put_secret(db, ring, secret, connection=connection, purpose=purpose, now=now, session=session)


async def destroy_secret(db: Database, *, connection: Doc, purpose: str, session: Session | None = None) -> None:
    """Forget a secret; nothing happens when there is none."""
    key = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": purpose}
    await db.open("secrets").delete_one(key, session=session)


def binding_of(secret_id: str, connection: Doc, purpose: str) -> Binding:
    """Whose secret it is, and what for."""
    return Binding(
        secret_id=secret_id,
        label_id=connection["label_id"],
        connection_id=connection["_id"],
        provider=connection["provider"],
        purpose=purpose,
    )


def binding_of_stored(stored: Doc) -> Binding:
    """The same of a secret as it is stored: where the database was tampered with, the envelope does not fit it.

    Raises `SealBroken` where it does not even say whose it is.
    """
    try:
        connection = {"_id": stored["connection_id"]} | {name: stored[name] for name in ("label_id", "provider")}
        return binding_of(stored["_id"], connection, stored["purpose"])
    except KeyError:
        raise SealBroken from None


def key_id_of(stored: Doc) -> str:
    """The key that a stored secret says it is under, whatever stands there."""
    envelope = stored.get("envelope")
    return str(envelope.get("key_id")) if isinstance(envelope, dict) else "none"
