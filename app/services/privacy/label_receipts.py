"""The receipt of a label's deletion, for each of its owners: what went, what stays, why and until when.

What went is counted on the label itself, which goes last. A worker that dies between a deletion and its count loses
the count: then it says too little.
"""

from datetime import datetime

from app.db import Database, Doc, Session
from app.models.base import rfc3339
from app.models.data_map import DATA_MAP
from app.services.privacy import requests


async def note_told(db: Database, label_id: str, *, stripe: bool) -> None:
    """Note once, while that is known, which providers were told, and what came of it."""
    ended = await db.open("disconnections").find({"label_id": label_id}).to_list()
    told = sorted({f"{one['provider']}: {_result(one)}" for one in ended})
    told += ["stripe: customer deleted"] if stripe else []
    query = {"_id": label_id, "deletion_told": None}
    await db.open("labels").update_one(query, {"$set": {"deletion_told": told}})


async def note_deleted(db: Database, label_id: str, name: str, count: int) -> None:
    """Add to what went of a collection."""
    if count:
        await db.open("labels").update_one({"_id": label_id}, {"$inc": {f"deleted.{name}": count}})


async def give(db: Database, label: Doc, *, now: datetime, session: Session) -> None:
    """Close the owners' requests, each with the receipt."""
    receipt = {
        "kind": "label_deletion",
        "label_id": label["_id"],
        "completed_at": rfc3339(now),
        "verified_at": rfc3339(now),
        "erased": [
            {"what": name, "purpose": DATA_MAP[name].purpose, "action": "deleted", "documents": count}
            for name, count in sorted(label.get("deleted", {}).items())
        ],
        "kept": await _kept(db, label["_id"], session),
        "told": label.get("deletion_told") or [],
    }
    for request_id in label.get("deletion_requests", []):
        request = await requests.need(db, request_id, session=session)
        whole = {"request_id": request_id, "received_at": rfc3339(request["received_at"])} | receipt
        await requests.set_state(db, request_id, "done", now=now, session=session, receipt=whole)


async def _kept(db: Database, label_id: str, session: Session) -> list[Doc]:
    """What the law or the safety of the service has us keep, as far as there is any of it."""
    found = []
    for name, one in DATA_MAP.items():
        if one.tenant and (one.outlives_label or one.erasure == "keep"):
            newest = await db.open(name).find_one({"label_id": label_id}, session=session)
            if newest is not None:
                found.append({"what": name, "why": f"{one.ground}: {one.retention}"})
    query = {"label_id": label_id}
    async for record in db.open("money_records").find(query, session=session).sort("keep_until", -1).limit(1):
        found.append({"what": "money_records", "why": f"the last of them is kept until {record['keep_until']}"})
    return found


def _result(record: Doc) -> str:
    return str(record.get("steps", {}).get("revoke", {}).get("result", "not_needed"))
