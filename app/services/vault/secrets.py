"""Sealed secrets in MongoDB: one a connection and purpose. Each opening is on record before it happens."""

from datetime import datetime, timedelta

from app.db import Database, Doc, Session
from app.ids import new_id
from app.services.vault.envelope import Binding, Opened, open_envelope, seal
from app.services.vault.ring import PrivateRing, PublicRing

OPENINGS_LIFE = timedelta(days=365)


class NoSecret(Exception):
    """Nothing is sealed for this connection and purpose."""


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
    """Seal a secret of a connection; it replaces an older one of the same purpose."""
    secret_id = new_id("sec")
    envelope = seal(ring, secret, _binding(secret_id, connection, purpose))
    key = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": purpose}
    await db.open("secrets").delete_one(key, session=session)
    document = key | {"_id": secret_id, "provider": connection["provider"], "envelope": envelope, "created_at": now}
    await db.open("secrets").insert_one(document, session=session)


async def open_secret(
    db: Database, ring: PrivateRing, *, connection: Doc, purpose: str, used_for: str, job: str, now: datetime
) -> Opened:
    """Open a connection's secret, and record that it was opened, what for and by which job.

    Raises `NoSecret` when there is none, `SealBroken` when the envelope is not this connection's.
    """
    key = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": purpose}
    stored = await db.open("secrets").find_one(key)
    if stored is None:
        raise NoSecret(purpose)
    opening: Doc = {
        "_id": new_id("opn"),
        "label_id": connection["label_id"],
        "connection_id": connection["_id"],
        "secret_id": stored["_id"],
        "key_id": str(stored["envelope"].get("key_id")),
        "used_for": used_for,
        "job": job,
        "at": now,
        "expires_at": now + OPENINGS_LIFE,
    }
    await db.open("vault_openings").insert_one(opening)
    return open_envelope(ring, stored["envelope"], _binding(stored["_id"], connection, purpose))


async def destroy_secret(db: Database, *, connection: Doc, purpose: str) -> None:
    """Forget a secret; nothing happens when there is none."""
    key = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": purpose}
    await db.open("secrets").delete_one(key)


def _binding(secret_id: str, connection: Doc, purpose: str) -> Binding:
    return Binding(
        secret_id=secret_id,
        label_id=connection["label_id"],
        connection_id=connection["_id"],
        provider=connection["provider"],
        purpose=purpose,
    )
