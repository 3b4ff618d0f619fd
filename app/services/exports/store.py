"""Exports, written down: asked for, made, ended. A person's have no `label_id`; `about` is whose data it is.

The file lies in the storage at `key_of(export)`, sealed. Its key is in the record alone, sealed in turn under a key
that is in no database; without the record the file is noise.
"""

import math
import os
from datetime import datetime, timedelta
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo.errors import DuplicateKeyError

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import NotFound, TooManyRequests
from app.export_errors import ExportRunning
from app.ids import first_id, new_id
from app.models.operations import OperationKind
from app.models.privacy_requests import RequestKind
from app.services import operations
from app.services.audit import Audit, By
from app.services.privacy import requests
from app.services.sealed_stream import StreamBroken

Kind = Literal["person", "label"]
OPERATIONS: dict[Kind, OperationKind] = {"person": "export_person", "label": "export_label"}
REQUESTS: dict[Kind, RequestKind] = {"person": "portability", "label": "label_export"}
OVER_KEY = "exports"
"""What the key over the files' keys is derived for."""
A_DAY, MOST_A_DAY = timedelta(days=1), 3
RECORD_LIFE = timedelta(days=30)
LOOKED_AFTER = timedelta(minutes=1)
"""How long after it was asked for the sweep looks first whether its operation has ended without it."""


async def ask(
    db: Database, audit: Audit, *, kind: Kind, user_id: str, label_id: str | None, by: By, now: datetime
) -> Doc:
    """Have an export made; the operation that makes it.

    Raises `ExportRunning`, `TooManyRequests` after `MOST_A_DAY` in a day.
    """
    about = label_id or user_id

    async def all_of_it(session: Session) -> Doc:
        await _check_count(db, label_id, about, now=now, session=session)
        export = _begun(kind, user_id, label_id, now=now)
        operation = await operations.add(
            db,
            label_id=label_id,
            kind=OPERATIONS[kind],
            target=export["_id"],
            key=f"{OPERATIONS[kind]}:{export['_id']}",
            now=now,
            session=session,
        )
        asked = await requests.open_request(
            db,
            user_id=user_id,
            kind=REQUESTS[kind],
            label_id=label_id,
            operation_id=operation["_id"],
            state="in_progress",
            evidence=[export["_id"]],
            now=now,
            session=session,
        )
        export |= {"operation_id": operation["_id"], "request_id": asked["_id"]}
        await db.open("exports").insert_one(export, session=session)
        await record(audit, export, "export.asked", by=by, now=now, session=session)
        return operation

    try:
        return await db.in_transaction(all_of_it)
    except DuplicateKeyError:
        raise ExportRunning from None


def _begun(kind: Kind, user_id: str, label_id: str | None, *, now: datetime) -> Doc:
    return {
        "_id": new_id("exp"),
        "label_id": label_id,
        "about": label_id or user_id,
        "user_id": user_id,
        "kind": kind,
        "state": "running",
        "running": True,
        "attempt": 0,
        "file": None,
        "problem": None,
        "created_at": now,
        "made_at": None,
        "ends_at": None,
        "look_at": now + LOOKED_AFTER,
        "expires_at": now + RECORD_LIFE,
    }


async def _check_count(db: Database, label_id: str | None, about: str, *, now: datetime, session: Session) -> None:
    query: Doc = {"label_id": label_id, "about": about, "_id": {"$gte": first_id("exp", now - A_DAY)}}
    counted = query | {"state": {"$ne": "failed"}}
    found = await db.open("exports").find(counted, session=session).sort("_id", 1).to_list()
    if any(one["state"] == "running" for one in found):
        raise ExportRunning
    if len(found) >= MOST_A_DAY:
        wait = found[-MOST_A_DAY]["created_at"] + A_DAY - now
        detail = f"At most {MOST_A_DAY} exports a day are made"
        raise TooManyRequests(detail, retry_after_s=max(1, math.ceil(wait.total_seconds()) + 1))


async def record(
    audit: Audit, export: Doc, action: str, *, by: By, now: datetime, session: Session | None = None
) -> None:
    """A row of the audit log: in the label's chain, or the person's own."""
    chain = None if export["label_id"] else export["user_id"]
    told = {"label_id": export["label_id"], "chain": chain, "target": export["_id"], "now": now, "session": session}
    await audit.record(by, action, **told)


async def need(db: Database, export_id: str, *, label_id: str | None, about: str, now: datetime) -> Doc:
    """The export of this person or label. Raises `NotFound`."""
    query = {"_id": export_id, "label_id": label_id, "about": about, "expires_at": {"$gt": now}}
    found = await db.open("exports").find_one(query)
    if found is None:
        raise NotFound
    return found


async def find_anywhere(db: Database, export_id: str) -> Doc | None:
    """The export of whomever; the caller decides who may see it."""
    why = f"{ALL_LABELS}an export by id, before it is known whose it is"
    return await db.open("exports").find_one({"_id": export_id}, comment=why)


async def is_of(db: Database, operation: Doc, user_id: str) -> bool:
    """Whether this operation, of no label, makes this person's own export."""
    if operation["kind"] != OPERATIONS["person"]:
        return False
    query = {"label_id": None, "about": user_id, "_id": operation["target"]}
    return await db.open("exports").find_one(query, {"_id": 1}) is not None


async def page_of(
    db: Database, *, label_id: str | None, about: str, before: str | None, limit: int, now: datetime
) -> list[Doc]:
    """The newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "about": about, "expires_at": {"$gt": now}}
    query |= {"_id": {"$lt": before}} if before else {}
    return await db.open("exports").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def fail(db: Database, export: Doc, *, code: str, now: datetime) -> None:
    """Say that nothing came of it, and that it can be asked for again. The request stays open until one is made."""
    problem = {"code": code, "detail": "It could not be made. Ask for it again."}

    async def both(session: Session) -> None:
        mine = {"_id": export["_id"], "label_id": export["label_id"], "state": "running"}
        update = {"$set": {"state": "failed", "problem": problem}, "$unset": {"running": "", "look_at": ""}}
        if (await db.open("exports").update_one(mine, update, session=session)).modified_count:
            told = [f"failed:{code}"]
            await requests.set_state(db, export["request_id"], "in_progress", now=now, session=session, evidence=told)

    await db.in_transaction(both)


async def close_requests(db: Database, export: Doc, *, now: datetime, session: Session) -> None:
    """The request is met, and so are earlier ones, whose exports could not be made or were lost with a database."""
    whose = {} if export["label_id"] else {"user_id": export["user_id"]}
    query = {"label_id": export["label_id"], "kind": REQUESTS[export["kind"]], "closed_at": None} | whose
    waiting = await db.open("privacy_requests").find(query, {"_id": 1}, session=session).to_list()
    for request in waiting:
        await requests.set_state(db, request["_id"], "done", now=now, session=session)


def prefix_of(about: str) -> str:
    """What the keys of all files of a person's or a label's exports begin with."""
    return f"exports/{about}/"


def place_of(export: Doc) -> str:
    """What the keys of all attempts at this export begin with."""
    return f"{prefix_of(export['label_id'] or export['user_id'])}{export['_id']}/"


def key_of(export: Doc) -> str:
    """Where the file of the present attempt lies."""
    return f"{place_of(export)}{export['attempt']:06}"


def bound_to(export: Doc) -> bytes:
    """What the file is sealed for: this attempt at this export, and no other file."""
    return f"soundops-export-v1|{key_of(export)}".encode()


def seal_key(over_key: bytes, export: Doc, data_key: bytes) -> bytes:
    """The file's key, as the record holds it."""
    nonce = os.urandom(12)
    return nonce + AESGCM(over_key).encrypt(nonce, data_key, bound_to(export))


def open_key(over_key: bytes, export: Doc) -> bytes:
    """The file's key. Raises `StreamBroken`."""
    sealed: bytes = export["file"]["sealed_key"]
    try:
        return AESGCM(over_key).decrypt(sealed[:12], sealed[12:], bound_to(export))
    except (InvalidTag, ValueError):
        raise StreamBroken from None
