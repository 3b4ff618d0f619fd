"""The end of a connection, as it is written down."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.services.audit import Audit, By


async def begin(
    db: Database, audit: Audit, connection: Doc, *, reason: str, by: By, now: datetime, session: Session
) -> None:
    """Refuse every use of the connection from now on. It may be done again."""
    label_id, connection_id = connection["label_id"], connection["_id"]
    place = {"_id": connection_id, "label_id": label_id}
    if await db.open("disconnections").find_one(place, {"_id": 1}, session=session):
        return
    record: Doc = place | {"reason": reason, "begun_at": now, "completed_at": None, "steps": {}}
    await db.open("disconnections").insert_one(record, session=session)
    revoked: Doc = {"status": "revoked", "problem": "disconnecting", "active_features": []}
    update = {"$set": revoked, "$unset": {"active_account_id": ""}, "$inc": {"version": 1}}
    await db.open("connections").update_one(place, update, session=session)
    await audit.record(
        by,
        "connection.disconnecting",
        label_id=label_id,
        target=connection_id,
        details={"reason": reason},
        now=now,
        session=session,
    )
