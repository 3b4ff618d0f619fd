"""Requests about one's own data: each is written down, is due one month later, and keeps what came of it.

Ids and codes only. Whoever meets a request says so here; a mail reminds whoever must act (`reminding.py`).
"""

import calendar
from collections.abc import Sequence
from datetime import datetime, timedelta

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import NotFound
from app.ids import new_id
from app.models.privacy_requests import RequestKind, RequestState

CLOSED: frozenset[RequestState] = frozenset(("done", "refused", "cancelled"))
KEPT = timedelta(days=3 * 365)
"""After it was closed: a regulator or a court may ask so long (docs/decisions/0032-rights.md)."""
BY_ID = f"{ALL_LABELS}a request by id, a person's or a label's"
REMINDED_AFTER = (timedelta(days=20), timedelta(days=27))


def one_month_after(at: datetime) -> datetime:
    """The same day of the next month, or its last day where it has no such day (GDPR 12.3; Regulation 1182/71, 3.2)."""
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))


async def open_request(
    db: Database,
    *,
    user_id: str | None,
    kind: RequestKind,
    now: datetime,
    session: Session,
    label_id: str | None = None,
    operation_id: str | None = None,
    state: RequestState = "received",
    evidence: Sequence[str] = (),
    more: Doc | None = None,
) -> Doc:
    """Write a request down, in the transaction of what it begins. `user_id` is none for a fan, who has no account.

    `evidence` are ids and codes: what it is about, who asked and how. `more` are fields of this kind alone.
    """
    request: Doc = {
        "_id": new_id("prq"),
        "label_id": label_id,
        "user_id": user_id,
        "kind": kind,
        "state": state,
        "received_at": now,
        "due_at": one_month_after(now),
        "remind_at": now + REMINDED_AFTER[0],
        "operation_id": operation_id,
        "receipt": None,
        "evidence": list(evidence),
        "closed_at": None,
        "version": 1,
    } | (more or {})
    if state in CLOSED:
        request |= {"closed_at": now, "expires_at": now + KEPT}
        del request["remind_at"]
    await db.open("privacy_requests").insert_one(request, session=session)
    return request


async def set_state(
    db: Database,
    request_id: str,
    state: RequestState,
    *,
    now: datetime,
    session: Session,
    receipt: Doc | None = None,
    evidence: Sequence[str] = (),
) -> bool:
    """Say how far a request is; whether it was this call that did. What is closed stays as it is.

    `receipt` is what a receipt of it says (`app/receipts.py` signs it), `evidence` more codes.
    """
    changes: Doc = {"state": state} | ({"receipt": receipt} if receipt else {})
    update: Doc = {"$set": changes, "$inc": {"version": 1}}
    if evidence:
        update["$addToSet"] = {"evidence": {"$each": list(evidence)}}
    if state in CLOSED:
        changes |= {"closed_at": now, "expires_at": now + KEPT}
        update["$unset"] = {"remind_at": ""}
    query = {"_id": request_id, "state": {"$nin": sorted(CLOSED)}}
    changed = await db.open("privacy_requests").update_one(query, update, comment=BY_ID, session=session)
    return bool(changed.matched_count)


async def need(db: Database, request_id: str, *, session: Session | None = None) -> Doc:
    """The request, whoever's. Raises `NotFound`."""
    found = await db.open("privacy_requests").find_one({"_id": request_id}, comment=BY_ID, session=session)
    if found is None:
        raise NotFound
    return found


async def open_of(db: Database, user_id: str, kind: RequestKind, *, session: Session | None = None) -> Doc | None:
    """The person's request of this kind that is not closed, or none."""
    query = {"label_id": None, "user_id": user_id, "kind": kind, "state": {"$nin": sorted(CLOSED)}}
    return await db.open("privacy_requests").find_one(query, session=session)


async def set_operation(db: Database, request: Doc, operation_id: str, *, session: Session) -> None:
    """Name the operation that meets the request."""
    query = {"_id": request["_id"], "label_id": request["label_id"]}
    update = {"$set": {"operation_id": operation_id}}
    await db.open("privacy_requests").update_one(query, update, session=session)
    request["operation_id"] = operation_id


async def forget(db: Database, request_id: str, *fields: str, session: Session | None = None) -> None:
    """Take from a request what it needs no longer."""
    update = {"$unset": dict.fromkeys(fields, "")}
    await db.open("privacy_requests").update_one({"_id": request_id}, update, comment=BY_ID, session=session)


async def by_code(db: Database, hashed: str, *, now: datetime) -> Doc | None:
    """The request of the code that this is the hash of, or none."""
    query: Doc = {"code": hashed}
    found = await db.open("privacy_requests").find_one(query, comment=f"{ALL_LABELS}a request by its code")
    return found if found and found.get("expires_at", now + KEPT) > now else None


async def of_person(db: Database, user_id: str, *, before: str | None, limit: int) -> list[Doc]:
    """The person's requests, the newest first, one more than `limit` if there are more."""
    query: Doc = {"user_id": user_id} | ({"_id": {"$lt": before}} if before else {})
    found = db.open("privacy_requests").find(query, comment=f"{ALL_LABELS}a person's own requests, in any label")
    return await found.sort("_id", -1).limit(limit + 1).to_list()


async def need_of_person(db: Database, user_id: str, request_id: str) -> Doc:
    """A request of this person's. Raises `NotFound`."""
    query = {"_id": request_id, "user_id": user_id}
    why = f"{ALL_LABELS}a person's own request, in any label"
    found = await db.open("privacy_requests").find_one(query, comment=why)
    if found is None:
        raise NotFound
    return found
