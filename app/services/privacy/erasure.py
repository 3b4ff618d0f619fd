"""The erasure of a person as they ask for it: their access ends at once, and for a week a mailed link takes it back.

`erasing.py` does the rest when the week is over. See docs/rights.md.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import InvalidToken, LastOwner, Unauthenticated
from app.models.base import rfc3339
from app.services import operations, single_use
from app.services.audit import Audit, By
from app.services.labels import members
from app.services.mail import outbox
from app.services.people import sessions
from app.services.privacy import requests

GRACE = timedelta(days=7)
CODE_BYTES = 15
"""120 bits: 24 letters and digits."""
_OWN = f"{ALL_LABELS}a person's own labels"


@dataclass(frozen=True)
class Begun:
    """A request, and the code by which whoever has it can see how far it is. Only its hash is stored."""

    request: Doc
    code: str


async def blocked_by(db: Database, user_id: str, *, session: Session | None = None) -> list[str]:
    """The labels whose only owner this is, unless they are going to be deleted."""
    owned = db.open("memberships").find({"user_id": user_id, "role": "owner"}, comment=_OWN, session=session)
    found = [one["label_id"] async for one in owned if not one.get("label_deleting")]
    return [one for one in found if not await members.has_another_owner(db, one, user_id, session=session)]


async def begin(db: Database, audit: Audit, user_id: str, *, receipts: str, by: By, now: datetime) -> Begun:
    """End the person's access now, and have everything of theirs erased after the time of grace.

    `receipts` is the address that the code belongs behind. Raises `LastOwner`, `Unauthenticated` when it has begun
    already.
    """
    code = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode()
    due_at = now + GRACE

    async def all_of_it(session: Session) -> Doc:
        shut = {"$set": {"erasure_due_at": due_at}, "$inc": {"version": 1}}
        user = await db.open("users").find_one_and_update(
            {"_id": user_id, "erasure_due_at": None}, shut, session=session
        )
        if user is None:
            raise Unauthenticated
        await _need_other_owners(db, user_id, session)
        leaving = {"$set": {"leaving": True}}
        await db.open("memberships").update_many({"user_id": user_id}, leaving, comment=_OWN, session=session)
        await sessions.end_all(db, user_id, session=session)
        links: list[single_use.Purpose] = ["verify_email", "reset_password", "change_email"]
        await outbox.void_links(db, user_id, links, now=now, session=session)
        request = await requests.open_request(
            db,
            user_id=user_id,
            kind="erasure",
            state="waiting",
            now=now,
            session=session,
            more={"code": hash_of(code)},
        )
        facts = {"name": user["name"], "on": rfc3339(due_at)[:10], "page": f"{receipts}{code}"}
        await outbox.queue(db, "erasure_begun", subject=user_id, facts=facts, now=now, session=session)
        told = {"chain": user_id, "target": request["_id"]}
        await audit.record(by, "erasure.asked", **told, now=now, session=session)
        operation = await operations.add(
            db,
            label_id=None,
            kind="erase_person",
            target=request["_id"],
            key=f"erase_person:{request['_id']}",
            now=now,
            due_at=due_at,
            session=session,
        )
        await requests.set_operation(db, request, operation["_id"], session=session)
        return request

    return Begun(await db.in_transaction(all_of_it), code)


async def cancel(db: Database, audit: Audit, token: str, *, by: By, now: datetime) -> str:
    """Keep the account after all, by the token of the mail; its person, who logs in again. Raises `InvalidToken`."""
    found = await single_use.look_up(db, "cancel_erasure", token, now=now)

    async def all_of_it(session: Session) -> None:
        await single_use.use_up(db, found, session=session)
        if not await call_off(db, audit, found["subject"], by=by.known_as(found["subject"]), now=now, session=session):
            raise InvalidToken

    await db.in_transaction(all_of_it)
    return str(found["subject"])


async def call_off(db: Database, audit: Audit, user_id: str, *, by: By, now: datetime, session: Session) -> bool:
    """End an erasure that has not begun to erase; whether there was one."""
    query = {"_id": user_id, "erasure_due_at": {"$gt": now}, "erasing": None}
    update = {"$unset": {"erasure_due_at": ""}, "$inc": {"version": 1}}
    if (await db.open("users").update_one(query, update, session=session)).modified_count == 0:
        return False
    stay = {"$unset": {"leaving": ""}}
    await db.open("memberships").update_many({"user_id": user_id}, stay, comment=_OWN, session=session)
    links: list[single_use.Purpose] = ["cancel_erasure"]
    await outbox.void_links(db, user_id, links, now=now, session=session)
    request = await requests.open_of(db, user_id, "erasure", session=session)
    if request is not None:
        target = [request["_id"]]
        await operations.cancel(db, None, kind="erase_person", targets=target, now=now, session=session)
        await requests.set_state(db, request["_id"], "cancelled", now=now, session=session)
        told = {"chain": user_id, "target": request["_id"]}
        await audit.record(by, "erasure.cancelled", **told, now=now, session=session)
    return True


def hash_of(code: str) -> str:
    """What is stored of a code."""
    return hashlib.sha256(code.encode()).hexdigest()


async def _need_other_owners(db: Database, user_id: str, session: Session) -> None:
    """Raise `LastOwner`. Each label is touched: of two owners who leave at once, the second sees that they are last."""
    owned = db.open("memberships").find({"user_id": user_id, "role": "owner"}, comment=_OWN, session=session)
    for one in await owned.to_list():
        touched = {"$inc": {"owners_changed": 1}}
        await db.open("labels").update_one({"_id": one["label_id"]}, touched, session=session)
    if blocked := await blocked_by(db, user_id, session=session):
        raise LastOwner(f"No other owner of {', '.join(blocked[:5])} stays: make somebody else one, or delete it")
