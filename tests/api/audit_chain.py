"""A chain of the audit log, and hands that reach into the database behind its back."""

from typing import Any

from app.db import Doc
from app.services.audit import By
from app.services.audit_reading import Finding, check_chain
from tests.house import House

LABEL, ROWS = "lbl_chained", 8
PLACE = {"label_id": LABEL, "chain": LABEL}
MARA = By("person", "usr_mara", "203.0.113.0/24", "req_1")


async def add(house: House, count: int = ROWS, **changes: Any) -> None:
    """Record so many rows in the label's chain."""
    given: Doc = {"by": MARA, "action": "thing.done", "label_id": LABEL, "target": "thg_1", "now": house.clock()}
    for _ in range(count):
        await house.api.audit.record(**given | changes)


async def check(house: House, label_id: str = LABEL) -> Finding:
    """What is found in the label's chain."""
    key = house.api.audit.key
    return await check_chain(house.db, key, label_id=label_id, chain=label_id, now=house.clock())


async def row(house: House, seq: int) -> Doc:
    """One row, as stored."""
    found = await house.db.open("audit_log").find_one(PLACE | {"seq": seq})
    assert found is not None
    return found


async def change(house: House, seq: int, changes: Doc) -> None:
    """Set fields of a row, by hand."""
    done = await house.db.open("audit_log").update_one(PLACE | {"seq": seq}, {"$set": changes})
    assert done.modified_count == 1


async def take_out(house: House, *seqs: int) -> None:
    """Delete rows, by hand."""
    gone = await house.db.open("audit_log").delete_many(PLACE | {"seq": {"$in": list(seqs)}})
    assert gone.deleted_count == len(seqs)
