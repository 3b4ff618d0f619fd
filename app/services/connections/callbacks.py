"""People who leave at Meta's end: they have removed our app, or ask for deletion. What we are told once, we do once.

Whose connections it ends is decided by the ids that were stored when the person logged in, within the app that signed
the request: the other app calls people by other ids. Of the person nothing is kept but a keyed hash.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session, TryTransactionAgain
from app.services.audit import Audit, By
from app.services.connections import leaving, store
from app.services.webhooks.signed_request import SignedRequest

Kind = Literal["deauthorized", "data_deletion"]
LIFE = timedelta(days=365)
"""How long a request is remembered, and its page can be read."""
SKEW = timedelta(minutes=5)
"""How far Meta's clock and ours may differ."""
CODE_BYTES = 15
"""Of the HMAC: 120 bits, 24 letters and digits."""
CODE = re.compile(r"[A-Z2-7]{24}")


@dataclass(frozen=True)
class Progress:
    """How far a deletion is."""

    state: Literal["received", "in_progress", "done"]
    completed_at: datetime | None


async def receive(
    db: Database, audit: Audit, key: bytes, signed: SignedRequest, *, kind: Kind, by: By, now: datetime
) -> str:
    """Begin the end of all that the person has connected, and return the confirmation code.

    The same request again, and another of the same person while the first is being worked off, get the same code; the
    former changes nothing. Nobody's id is answered like somebody's.
    """
    code = code_of(key, signed, kind)
    person = _hash(key, "person", signed.family, signed.user_id).hex()

    async def all_of_it(session: Session) -> str:
        requests = db.open("deletion_requests")
        if known := await requests.find_one({"answered": code}, session=session):
            return str(known["_id"])
        ended = await _end_connections(db, audit, signed, kind=kind, by=by, now=now, session=session)
        still = await _still_open(db, f"{kind}:{person}", session)
        if still is not None:
            also = {"answered": code, "ended": {"$each": ended}}
            await requests.update_one({"_id": still["_id"]}, {"$addToSet": also}, session=session)
            return str(still["_id"])
        before = [] if kind == "deauthorized" else await _ended_before(db, person, session)
        request: Doc = {
            "_id": code,
            "kind": kind,
            "provider": signed.family,
            "person": person,
            "answered": [code],
            "ended": [*ended, *(one for one in before if one not in ended)],
            "requested_at": now,
            "expires_at": now + LIFE,
        }
        request |= {"open_for": f"{kind}:{person}"} if ended else {}
        try:
            await requests.insert_one(request, session=session)
        except DuplicateKeyError as exc:  # the same at once: now it is there
            raise TryTransactionAgain from exc
        return code

    return await db.in_transaction(all_of_it)


def code_of(key: bytes, signed: SignedRequest, kind: Kind) -> str:
    """The request's confirmation code: always the same, and not to be guessed by who knows all that is in it."""
    found = _hash(key, kind, signed.family, signed.user_id, str(int(signed.issued_at.timestamp())))
    return base64.b32encode(found[:CODE_BYTES]).decode()


async def get_request(db: Database, code: str, *, now: datetime) -> Doc | None:
    """The request for deletion with this code, or none."""
    if not CODE.fullmatch(code):
        return None
    query = {"_id": code, "kind": "data_deletion", "expires_at": {"$gt": now}}
    return await db.open("deletion_requests").find_one(query)


async def progress_of(db: Database, request: Doc, *, session: Session | None = None) -> Progress:
    """How far it is, by how the connections' ends stand. One whose record is gone went with its label."""
    completed, begun = [request["requested_at"]], False
    is_over = True
    for place in request["ended"]:
        record = await db.open("disconnections").find_one(place, session=session)
        if record is None:
            continue
        if record["completed_at"] is None:
            is_over = False
            begun = begun or len(record["steps"]) > 1  # the first, to refuse use, is done at once
        else:
            completed.append(record["completed_at"])
    if is_over:
        return Progress("done", max(completed))
    return Progress("in_progress" if begun or len(completed) > 1 else "received", None)


async def _end_connections(
    db: Database, audit: Audit, signed: SignedRequest, *, kind: Kind, by: By, now: datetime, session: Session
) -> list[Doc]:
    """Where the connections' ends are written down.

    Who has logged in since they removed our app, which Meta may tell us late, has come back: that stays. A wish for
    deletion is about that too, but its grant lives.
    """
    ended: list[Doc] = []
    for connection in await store.all_of_person(db, signed.family, signed.user_id, session=session):
        logged_in_at: datetime = connection.get("authorized_at") or connection["created_at"]
        is_older = logged_in_at <= signed.issued_at + SKEW
        if is_older or kind == "data_deletion":
            await leaving.begin(
                db, audit, connection, reason=kind, grant_ended=is_older, by=by, now=now, session=session
            )
            ended.append({"_id": connection["_id"], "label_id": connection["label_id"]})
    await store.forget_former(db, signed.family, signed.user_id, session=session)
    return ended


async def _still_open(db: Database, open_for: str, session: Session) -> Doc | None:
    """The request that is being worked off; one that has been is closed."""
    requests = db.open("deletion_requests")
    found = await requests.find_one({"open_for": open_for}, session=session)
    if found is None or (await progress_of(db, found, session=session)).state != "done":
        return found
    await requests.update_one({"_id": found["_id"]}, {"$unset": {"open_for": ""}}, session=session)
    return None


async def _ended_before(db: Database, person: str, session: Session) -> list[Doc]:
    """What ended when the person removed the app, which comes before they can ask for deletion."""
    query = {"person": person, "kind": "deauthorized"}
    found = await db.open("deletion_requests").find(query, session=session).to_list()
    return [place for request in found for place in request["ended"]]


def _hash(key: bytes, *parts: str) -> bytes:
    return hmac.digest(key, "\0".join(parts).encode(), hashlib.sha256)
