"""Restore mode: after a backup was restored nothing leaves, until an operator says so.

What was done between the backup and now is not known here: what went out must not go out again. So workers begin
nothing that reaches anybody outside; what they do for the database alone goes on.
"""

from datetime import datetime

from app.db import Database, Doc
from app.models.operations import OperationKind

_ID = "restore"
HARMLESS: frozenset[OperationKind] = frozenset(
    ("erase_person", "look_for_erased", "export_person", "export_label", "forget_usage", "sum_usage")
)
"""What reaches nobody but the database and our own storage."""


async def is_on(db: Database) -> bool:
    """Whether the database was restored, and nobody has lifted it yet."""
    return await state(db) is not None


async def state(db: Database) -> Doc | None:
    """`{made_at, restored_at}` while it is on."""
    return await db.open("service_state").find_one({"_id": _ID, "lifted_at": None})


async def switch_on(db: Database, *, made_at: datetime, now: datetime) -> None:
    """Hold everything back, before anything is restored."""
    told = {"made_at": made_at, "restored_at": now, "lifted_at": None}
    await db.open("service_state").replace_one({"_id": _ID}, told, upsert=True)


async def lift(db: Database, *, now: datetime) -> bool:
    """Let everything go on; whether it was held back."""
    lifted = {"$set": {"lifted_at": now}}
    return (await db.open("service_state").update_one({"_id": _ID, "lifted_at": None}, lifted)).modified_count == 1
