"""Restore mode: after a backup was restored nothing leaves, until an operator says so.

What was done between the backup and now is not known here: what went out must not go out again. So workers begin
nothing that reaches anybody outside; what they do for the database alone goes on.
"""

from datetime import datetime
from typing import Literal

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.models.operations import OperationKind

_ID = "restore"
HARMLESS: frozenset[OperationKind] = frozenset(
    ("erase_person", "look_for_erased", "erase_fan", "export_person", "export_label", "forget_usage", "sum_usage")
)
"""What reaches nobody but the database and our own storage."""
Lifted = Literal["lifted", "was_off", "not_complete"]


async def state(db: Database) -> Doc | None:
    """`{made_at, restored_at, complete}` while it is on. Until it is complete, who was erased may still be there."""
    return await db.open("service_state").find_one({"_id": _ID, "lifted_at": None})


async def held_back(db: Database) -> frozenset[OperationKind] | None:
    """The only kinds of operations that may be begun now; none when all may."""
    found = await state(db)
    if found is None:
        return None
    return HARMLESS if found["complete"] else frozenset()


async def switch_on(db: Database, *, made_at: datetime, now: datetime) -> bool:
    """Hold everything back, before anything is restored; false when another restore has begun."""
    told = {"_id": _ID, "made_at": made_at, "restored_at": now, "complete": False, "lifted_at": None}
    try:
        await db.open("service_state").insert_one(told)
    except DuplicateKeyError:
        return False
    return True


async def complete(db: Database) -> None:
    """Everything is restored, and what ended since is taken back: it may be lifted."""
    await db.open("service_state").update_one({"_id": _ID}, {"$set": {"complete": True}})


async def lift(db: Database, *, now: datetime) -> Lifted:
    """Let everything go on, unless the restore broke off."""
    lifted = {"$set": {"lifted_at": now}}
    whole = {"_id": _ID, "lifted_at": None, "complete": True}
    if (await db.open("service_state").update_one(whole, lifted)).modified_count:
        return "lifted"
    return "not_complete" if await state(db) else "was_off"
