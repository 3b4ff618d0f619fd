"""Handing an export out: a link that works once and for minutes, and the file, opened chunk by chunk on its way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clients.objects import Objects
from app.db import Database, Doc, Session
from app.errors import Forbidden, InvalidToken, Unauthenticated
from app.export_errors import ExportExpired, ExportNotReady
from app.services import single_use
from app.services.audit import Audit, By
from app.services.exports import store
from app.services.labels import members
from app.services.people import sessions
from app.services.sealed_stream import HEAD, Opener, chunks_of, span_of


@dataclass(frozen=True)
class Link:
    """The token of a link, and when it ends."""

    token: str
    expires_at: datetime


async def link_to(db: Database, export: Doc, *, user_id: str, session_id: str, now: datetime) -> Link:
    """A link to the file for this person in this session.

    Raises `Forbidden` for another owner's, `ExportNotReady`, `ExportExpired`.
    """
    if export["user_id"] != user_id:
        raise Forbidden("Only who asked for this export can have it: ask for one of your own")
    check_there(export, now=now)
    data = {"export_id": export["_id"], "session_id": session_id}
    token = await single_use.issue(db, "export_file", subject=user_id, data=data, now=now)
    lasts: timedelta = single_use.LIVES["export_file"]
    return Link(token, min(now + lasts, export["ends_at"]))


def check_there(export: Doc, *, now: datetime) -> None:
    """Raise `ExportNotReady`, `ExportExpired`."""
    if export["state"] == "expired" or (export["ends_at"] and export["ends_at"] <= now):
        raise ExportExpired
    if export["state"] != "ready":
        raise ExportNotReady


async def take(db: Database, audit: Audit, token: str, *, by: By, use: bool, now: datetime) -> Doc:
    """The export of a link, which does not work again if this is its `use`.

    Raises `InvalidToken` when the link is not one, was used, is too old, or its session has ended; when its person may
    not have the export any more; `ExportNotReady`, `ExportExpired`.
    """
    found = await single_use.look_up(db, "export_file", token, now=now)
    user_id, export = found["subject"], await store.find_anywhere(db, found["data"]["export_id"])
    if export is None or export["user_id"] != user_id:
        raise InvalidToken
    try:
        await sessions.need_session(db, found["data"]["session_id"], user_id, now=now)
        await _check_owner(db, export)
    except (Unauthenticated, Forbidden):
        raise InvalidToken("The session that this link was for has ended, or its person is no owner any more") from None
    check_there(export, now=now)
    if use:

        async def use_up(session: Session) -> None:
            await single_use.use_up(db, found, session=session)
            person = by.known_as(user_id)
            await store.record(audit, export, "export.downloaded", by=person, now=now, session=session)

        await db.in_transaction(use_up)
    return export


async def _check_owner(db: Database, export: Doc) -> None:
    """Raise `Forbidden` when a label's export is asked for by somebody who is not its owner any more."""
    if export["label_id"] is None:
        return
    membership = await members.membership_of(db, export["user_id"], export["label_id"])
    if membership is None or membership["role"] != "owner":
        raise Forbidden


async def opener_of(objects: Objects, over_key: bytes, export: Doc) -> Opener:
    """What opens the file. Raises `ObjectsError`, `StreamBroken`."""
    head = await objects.read(store.key_of(export), 0, HEAD)
    return Opener(store.open_key(over_key, export), store.bound_to(export), head)


async def chunks(objects: Objects, opener: Opener, export: Doc) -> AsyncIterator[bytes]:
    """The zip, a chunk at a time. Raises `ObjectsError`, `StreamBroken`: then what was handed out is not whole."""
    key, count = store.key_of(export), chunks_of(export["file"]["bytes"])
    for index in range(count):
        start, size = span_of(index)
        sealed = await objects.read(key, start, size)
        yield await asyncio.to_thread(opener.open, index, sealed, last=index == count - 1)
