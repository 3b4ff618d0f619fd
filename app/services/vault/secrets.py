"""Sealed secrets in MongoDB: one a connection and purpose."""

from collections.abc import Mapping
from datetime import datetime

from app.db import Database, Doc, Session
from app.ids import new_id
from app.services.vault.envelope import Binding, seal
from app.services.vault.ledger import count_uses
from app.services.vault.ring import PublicRing


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
    secret_id = new_id("sec")
    envelope = await seal(ring, secret, binding_of(secret_id, connection, purpose))
    await count_uses(db, ring.kind, envelope["key_id"], now=now)
    key = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": purpose}
    await db.open("secrets").delete_one(key, session=session)
    document = key | {"_id": secret_id, "provider": connection["provider"], "envelope": envelope, "created_at": now}
    await db.open("secrets").insert_one(document, session=session)


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
    """The same of a secret as it is stored: where the database was tampered with, the envelope does not fit it."""
    connection = {"_id": stored["connection_id"]} | {name: stored[name] for name in ("label_id", "provider")}
    return binding_of(stored["_id"], connection, stored["purpose"])
