"""How a person stands: whether the use of their data is restricted, and to what they object. Asked before any use.

Restricted data are stored and exportable, and nothing else is done with them (GDPR 18): no figures of use, no
advertising, no word that is not required, no automated job about the person.
"""

from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import NotFound
from app.models.privacy_requests import ObjectionPurpose, RequestKind
from app.services.audit import Audit, By
from app.services.privacy import requests

RESTRICTION = "restriction"
"""What the journal calls it, beside the purposes of objections."""


async def restricted(db: Database, user_id: str, *, session: Session | None = None) -> bool:
    """Whether this person has had the use of their data restricted."""
    query = {"_id": user_id, "restricted_at": {"$type": "date"}}
    return await db.open("restrictions").find_one(query, {"_id": 1}, session=session) is not None


async def allows(db: Database, user_id: str, purpose: ObjectionPurpose, *, session: Session | None = None) -> bool:
    """Whether neither a restriction nor an objection is in the way of this purpose."""
    standing = await of(db, user_id, session=session)
    return standing["restricted_at"] is None and purpose not in standing["objections"]


async def not_allowing(db: Database, user_ids: list[str], purpose: ObjectionPurpose) -> set[str]:
    """Those of these people in whose case something is in the way of this purpose."""
    found = db.open("restrictions").find({"_id": {"$in": user_ids}})
    return {one["_id"] async for one in found if one.get("restricted_at") or purpose in one.get("objections", {})}


async def of(db: Database, user_id: str, *, session: Session | None = None) -> Doc:
    """`{restricted_at, objections: {purpose: since}}` of anybody."""
    found = await db.open("restrictions").find_one({"_id": user_id}, session=session) or {}
    return {"restricted_at": found.get("restricted_at"), "objections": found.get("objections", {})}


async def restrict(db: Database, audit: Audit, user_id: str, *, by: By, now: datetime) -> Doc:
    """Have the person's data stored and nothing else; how they stand then. Asked again, the first time stays."""
    return await _change(db, audit, user_id, "restriction", "restricted_at", now, by=by, now=now)


async def lift(db: Database, audit: Audit, user_id: str, *, by: By, now: datetime) -> Doc:
    """End the restriction, as its person asks."""
    return await _change(db, audit, user_id, "restriction", "restricted_at", None, by=by, now=now)


async def object_to(
    db: Database, audit: Audit, user_id: str, purpose: ObjectionPurpose, *, by: By, now: datetime
) -> Doc:
    """Note an objection. Asked again, the first time stays."""
    return await _change(db, audit, user_id, "objection", f"objections.{purpose}", now, by=by, now=now)


async def withdraw(
    db: Database, audit: Audit, user_id: str, purpose: ObjectionPurpose, *, by: By, now: datetime
) -> Doc:
    """Take an objection back. Raises `NotFound` where there is none."""
    if purpose not in (await of(db, user_id))["objections"]:
        raise NotFound
    return await _change(db, audit, user_id, "objection", f"objections.{purpose}", None, by=by, now=now)


async def _change(
    db: Database,
    audit: Audit,
    user_id: str,
    kind: RequestKind,
    path: str,
    value: datetime | None,
    *,
    by: By,
    now: datetime,
) -> Doc:
    """Set or unset a field, with the request that shows it and a row in the log; what is so already stays."""
    code = path.rpartition(".")[2]
    does = ("restricted" if kind == "restriction" else "objected") if value else "lifted"

    async def all_of_it(session: Session) -> Doc:
        standings, mine = db.open("restrictions"), {"_id": user_id}
        if value is None:
            is_so: Doc = mine | {path: {"$type": "date"}}
            changed = (await standings.update_one(is_so, {"$unset": {path: ""}}, session=session)).modified_count
        else:
            await standings.update_one(mine, {"$setOnInsert": {"since": now}}, upsert=True, session=session)
            is_not: Doc = mine | {path: None}
            changed = (await standings.update_one(is_not, {"$set": {path: value}}, session=session)).modified_count
        if changed:
            evidence = [does] if kind == "restriction" else [does, code]
            request = await requests.open_request(
                db, user_id=user_id, kind=kind, state="done", evidence=evidence, now=now, session=session
            )
            told = {"chain": user_id, "target": request["_id"], "details": {"what": code}}
            await audit.record(by, f"{kind}.{does}", **told, now=now, session=session)
        return await of(db, user_id, session=session)

    return await db.in_transaction(all_of_it)
