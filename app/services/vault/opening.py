"""Opening sealed secrets: for workers alone. Each opening, and each that is refused, is on record before it happens."""

from datetime import datetime, timedelta
from typing import get_args

from app.clients.credentials import Opened
from app.db import Database, Doc
from app.ids import new_id
from app.models.features import Duty, Feature, UsedFor
from app.services.vault.alarms import alarm
from app.services.vault.envelope import SealBroken, unseal
from app.services.vault.private_ring import PrivateRing
from app.services.vault.secrets import binding_of, key_id_of

OPENINGS_LIFE = timedelta(days=365)
FEATURES = get_args(Feature)
WHILE: dict[Duty, tuple[str, ...]] = {
    "connect": ("pending",),
    "choose": ("pending",),
    "subscribe": ("pending", "active", "needs_reauth"),
    "refresh": ("active", "needs_reauth"),
    "check": ("active", "needs_reauth"),
    "disconnect": ("revoked",),
}
"""In which states of its connection a secret may be opened for what keeps the connection itself in order."""


class NoSecret(Exception):
    """Nothing is sealed for this connection and purpose."""


class NotAllowed(Exception):
    """The connection is not there for this now: the feature is off, or it was disconnected."""


async def open_secret(
    db: Database, ring: PrivateRing, *, connection: Doc, purpose: str, used_for: UsedFor, job: str, now: datetime
) -> Opened:
    """Open a connection's secret, and record what for and by which job.

    The connection is read anew, so that what was switched off a moment ago is refused. Raises `NotAllowed` then,
    `NoSecret` when there is none, `SealBroken` when the envelope is not this connection's (which also raises an alarm),
    and `RingUnavailable` when the key ring cannot be reached. Each call asks again whether it is allowed.
    """
    ids = {"label_id": connection["label_id"], "connection_id": connection["_id"]}
    stored = await db.open("secrets").find_one(ids | {"purpose": purpose})
    allowed = await _is_allowed(db, connection, used_for)
    if stored is None and allowed:
        raise NoSecret(purpose)
    opening: Doc = ids | {
        "_id": new_id("opn"),
        "secret_id": stored["_id"] if stored else None,
        "key_id": key_id_of(stored) if stored else None,
        "used_for": used_for,
        "job": job,
        "refused": not allowed,
        "at": now,
        "expires_at": now + OPENINGS_LIFE,
    }
    await db.open("vault_openings").insert_one(opening)
    if stored is None or not allowed:
        raise NotAllowed(used_for)
    try:
        value = await unseal(ring, stored.get("envelope"), binding_of(stored["_id"], connection, purpose))
    except SealBroken:
        await alarm(db, **ids, secret_id=stored["_id"], key_id=opening["key_id"], job=job, now=now)
        raise

    async def still() -> None:
        if not await _is_allowed(db, connection, used_for):
            raise NotAllowed(used_for)

    return Opened(value, used_for, still)


async def _is_allowed(db: Database, connection: Doc, used_for: UsedFor) -> bool:
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}
    found = await db.open("connections").find_one(key, {"status": 1, "active_features": 1})
    if found is None:
        return False
    if used_for in FEATURES:
        return found["status"] == "active" and used_for in found["active_features"]
    return any(used_for == duty and found["status"] in states for duty, states in WHILE.items())
