"""Erasure of a fan: asked for by our desk in each label concerned, or by the label itself; decided by the label.

A label hears of its own request alone. What nobody has decided is done by itself before it is due.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.db import Database, Doc, Session
from app.errors import Conflict, FieldError, InvalidInput, NotFound
from app.models.base import rfc3339
from app.models.fan_requests import BEFORE_DUE
from app.services import operations
from app.services.audit import SYSTEM, Audit, By
from app.services.inbox.deleted_fans import ID
from app.services.labels import members
from app.services.privacy import requests

WHERE = (("conversations", "participant"), ("comments", "author"))
"""In which documents of a label fans are, and where in them."""
RefusalReason = Literal["not_the_person", "legal_claim", "legal_duty", "freedom_of_expression"]
"""Why a request may be refused (GDPR 12.2, 17.3)."""


HANDLE = re.compile(r"[a-z0-9._]{1,30}")
"""What Instagram's names look like."""


@dataclass(frozen=True)
class Fan:
    """Whom it is about: an id at the provider, or a handle without its `@`; one of the two."""

    provider_id: str | None
    handle: str | None

    def matches(self, path: str) -> Doc:
        """What finds their documents: `path` holds `{provider_id, username}`."""
        if self.provider_id:
            return {f"{path}.provider_id": self.provider_id}
        return {f"{path}.username": self.handle}

    def document(self) -> Doc:
        """As a request holds them."""
        return {"provider_ids": [self.provider_id] if self.provider_id else [], "handle": self.handle}


def fan_of(provider_id: str | None, handle: str | None) -> Fan:
    """The fan of these words. Raises `InvalidInput` for what is no id, or no handle that Instagram gives.

    Nobody would be found by it, and the request would be met without anything having been erased.
    """
    name = handle.strip().removeprefix("@").strip().lower() if handle is not None else None
    if name is not None and not HANDLE.fullmatch(name):
        raise InvalidInput(errors=(FieldError("/handle", "must be a name on Instagram: a-z, 0-9, dots, underscores"),))
    if provider_id is not None and not ID.fullmatch(provider_id):
        raise InvalidInput(errors=(FieldError("/provider_id", "must be the number of a fan"),))
    return Fan(provider_id, name)


async def open_by_label(db: Database, audit: Audit, label_id: str, fan: Fan, *, by: By, now: datetime) -> Doc:
    """Have all of a fan erased in this label, at once; the request. Asked again while it runs, it is the same.

    If our desk has asked for the same before, that is accepted. Raises `NotFound` where the label has nothing of them.
    """

    async def all_of_it(session: Session) -> Doc:
        if known := await _open_one(db, label_id, fan, session):
            await _accept(db, audit, known, by=by, now=now, session=session)
            return await need(db, label_id, known["_id"], session=session)
        if not await _has(db, label_id, fan):
            raise NotFound("Nothing is here of a fan of this number or name")
        return await _open(db, audit, label_id, fan, asked_by="label", begin_at=now, by=by, now=now, session=session)

    return await db.in_transaction(all_of_it)


async def open_by_desk(db: Database, audit: Audit, fan: Fan, *, now: datetime) -> list[Doc]:
    """Ask every label that has something of this fan; the requests. Each label's owners and admins get a mail."""
    return [await ask_label(db, audit, one, fan, now=now) for one in await labels_with(db, fan)]


async def labels_with(db: Database, fan: Fan) -> list[str]:
    """The labels in which something of this fan is stored: each is looked through."""
    labels = db.open("labels").find({}, {"_id": 1}).sort("_id", 1)
    return [label["_id"] async for label in labels if await _has(db, label["_id"], fan)]


async def _has(db: Database, label_id: str, fan: Fan) -> bool:
    """Whether the label has something of this fan."""
    for name, path in WHERE:
        if await db.open(name).find_one({"label_id": label_id} | fan.matches(path), {"_id": 1}):
            return True
    return False


async def need(db: Database, label_id: str, request_id: str, *, session: Session | None = None) -> Doc:
    """A request of this label's. Raises `NotFound`."""
    query = {"_id": request_id, "label_id": label_id, "kind": "fan_erasure"}
    found = await db.open("privacy_requests").find_one(query, session=session)
    if found is None:
        raise NotFound
    return found


async def page_of(db: Database, label_id: str, *, before: str | None, limit: int) -> list[Doc]:
    """The label's requests of fans, the newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "user_id": None} | ({"_id": {"$lt": before}} if before else {})
    return await db.open("privacy_requests").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def execute(db: Database, audit: Audit, label_id: str, request_id: str, *, by: By, now: datetime) -> Doc:
    """Have it done now; the request. Raises `NotFound`, `Conflict` when it is closed."""

    async def all_of_it(session: Session) -> Doc:
        request = await need(db, label_id, request_id, session=session)
        if request["state"] in requests.CLOSED:
            raise Conflict("The request is closed")
        await _accept(db, audit, request, by=by, now=now, session=session)
        return await need(db, label_id, request_id, session=session)

    return await db.in_transaction(all_of_it)


async def _accept(db: Database, audit: Audit, request: Doc, *, by: By, now: datetime, session: Session) -> None:
    """Have it begun now, unless it has."""
    if request["state"] != "received":
        return
    await operations.hasten(db, await _operation(db, request, session), now=now, session=session)
    await requests.set_state(db, request["_id"], "in_progress", now=now, session=session)
    told: Doc = {"label_id": request["label_id"], "target": request["_id"]}
    await audit.record(by, "fan_erasure.accepted", **told, now=now, session=session)


async def refuse(
    db: Database, audit: Audit, label_id: str, request_id: str, *, reason: RefusalReason, by: By, now: datetime
) -> Doc:
    """Refuse it, for a reason that the law knows; the request. Raises `NotFound`, `Conflict` once it has begun."""

    async def all_of_it(session: Session) -> Doc:
        request = await need(db, label_id, request_id, session=session)
        if request["state"] != "received":
            raise Conflict("Only a request that nobody has decided on can be refused")
        operation = await _operation(db, request, session)
        await operations.cancel_waiting(db, operation, now=now, session=session)
        await requests.set_state(db, request_id, "refused", evidence=[reason], now=now, session=session)
        await requests.forget(db, request_id, "fan", session=session)
        told: Doc = {"label_id": label_id, "target": request_id, "details": {"reason": reason}}
        await audit.record(by, "fan_erasure.refused", **told, now=now, session=session)
        return await need(db, label_id, request_id, session=session)

    return await db.in_transaction(all_of_it)


async def _operation(db: Database, request: Doc, session: Session) -> Doc:
    query = {"_id": request["operation_id"], "label_id": request["label_id"]}
    found = await db.open("operations").find_one(query, session=session)
    if found is None:
        raise NotFound
    return found


async def ask_label(db: Database, audit: Audit, label_id: str, fan: Fan, *, now: datetime) -> Doc:
    """Ask one label, and tell its owners and admins; its request. Asked again while that is open, it is the same."""

    async def all_of_it(session: Session) -> Doc:
        if known := await _open_one(db, label_id, fan, session):
            return known
        begin_at = requests.one_month_after(now) - BEFORE_DUE
        request = await _open(
            db, audit, label_id, fan, asked_by="desk", begin_at=begin_at, by=SYSTEM, now=now, session=session
        )
        label = await db.open("labels").find_one({"_id": label_id}, session=session)
        facts = {"on": rfc3339(begin_at)[:10], "request_id": request["_id"], "label_id": label_id}
        for manager in await members.managers(db, label_id, session=session):
            await members.tell(
                db, "fan_erasure_asked", manager["user_id"], label or {}, now=now, session=session, **facts
            )
        return request

    return await db.in_transaction(all_of_it)


async def _open_one(db: Database, label_id: str, fan: Fan, session: Session) -> Doc | None:
    """The label's open request of this fan, or none."""
    query = {"label_id": label_id, "user_id": None, "kind": "fan_erasure", "state": {"$nin": sorted(requests.CLOSED)}}
    who: Doc = {"fan.provider_ids": fan.provider_id} if fan.provider_id else {"fan.handle": fan.handle}
    return await db.open("privacy_requests").find_one(query | who, session=session)


async def _open(
    db: Database,
    audit: Audit,
    label_id: str,
    fan: Fan,
    *,
    asked_by: Literal["desk", "label"],
    begin_at: datetime,
    by: By,
    now: datetime,
    session: Session,
) -> Doc:
    more: Doc = {"fan": fan.document(), "asked_by": asked_by}
    request = await requests.open_request(
        db,
        user_id=None,
        kind="fan_erasure",
        label_id=label_id,
        state="in_progress" if asked_by == "label" else "received",
        evidence=[f"asked_by_{asked_by}"],
        more=more,
        now=now,
        session=session,
    )
    operation = await operations.add(
        db,
        label_id=label_id,
        kind="erase_fan",
        target=request["_id"],
        key=f"erase_fan:{request['_id']}",
        now=now,
        due_at=begin_at,
        session=session,
    )
    await requests.set_operation(db, request, operation["_id"], session=session)
    told: Doc = {"label_id": label_id, "target": request["_id"], "details": {"asked_by": asked_by}}
    await audit.record(by, "fan_erasure.asked", **told, now=now, session=session)
    return request
