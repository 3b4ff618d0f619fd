"""Opening sealed secrets: for workers alone. Each opening is on record before it happens."""

from datetime import datetime, timedelta
from typing import Any, NoReturn

from app.db import Database, Doc
from app.ids import new_id
from app.services.vault.alarms import alarm
from app.services.vault.envelope import Binding, SealBroken, unseal
from app.services.vault.private_ring import PrivateRing
from app.services.vault.secrets import binding_of

OPENINGS_LIFE = timedelta(days=365)


class NoSecret(Exception):
    """Nothing is sealed for this connection and purpose."""


class Opened:
    """A secret in the clear, for the one function that uses it. It cannot be printed, copied or pickled."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self.__value

    def __repr__(self) -> str:
        return "Opened(**********)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an opened secret stays where it was opened")


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
    try:
        return await open_envelope(ring, stored["envelope"], binding_of(stored["_id"], connection, purpose))
    except SealBroken:
        named = {name: opening[name] for name in ("label_id", "connection_id", "secret_id", "key_id", "job")}
        await alarm(db, **named, now=now)
        raise


async def open_envelope(ring: PrivateRing, envelope: dict[str, Any], binding: Binding) -> Opened:
    """The secret. Raises `SealBroken`, whatever is wrong."""
    return Opened(await unseal(ring, envelope, binding))
