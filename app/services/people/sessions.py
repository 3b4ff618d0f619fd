"""Sessions: one a log-in, with a refresh token that changes at each use. A used one that comes back ends it."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.db import Database, Doc, Session
from app.errors import NotFound, Unauthenticated
from app.ids import new_id

LIFE = timedelta(days=30)
"""However often it is used."""
IDLE = timedelta(hours=24)
"""One that is not refreshed for so long has ended."""
REFRESH_PREFIX = "sor_"


@dataclass(frozen=True)
class Device:
    """Where a session is: what the browser says of itself, and the network that it is in."""

    network: str | None
    user_agent: str | None


@dataclass(frozen=True)
class Grant:
    """A session and the refresh token that renews it next."""

    session_id: str
    user_id: str
    refresh_token: str = field(repr=False)
    expires_at: datetime


async def start(
    db: Database,
    user_id: str,
    device: Device,
    *,
    now: datetime,
    authenticated_at: datetime | None = None,
    session: Session,
) -> Grant:
    """Log a person in, who has just shown that they are this person; or did at `authenticated_at`."""
    document: Doc = {
        "_id": new_id("ses"),
        "user_id": user_id,
        "network": device.network,
        "user_agent": device.user_agent,
        "created_at": now,
        "authenticated_at": authenticated_at or now,
        "last_used_at": now,
        "ends_at": now + LIFE,
        "expires_at": now + IDLE,
    }
    await db.open("sessions").insert_one(document, session=session)
    return await _grant(db, document, session=session)


async def refresh(db: Database, refresh_token: str, device: Device, *, now: datetime) -> Grant:
    """Exchange a refresh token for the next.

    Raises `Unauthenticated` for an unknown or ended one. For one that was used before, the session ends too: either
    its owner or a thief holds a stolen copy.
    """
    digest = _digest(refresh_token)

    async def rotate(session: Session) -> Grant | None:
        """The next token and the used mark together: whoever gets no answer may ask again with the same one."""
        used = {"$set": {"used_at": now}}
        unused = {"_id": digest, "used_at": None}
        if (await db.open("refresh_tokens").update_one(unused, used, session=session)).modified_count == 0:
            return None
        token = await db.open("refresh_tokens").find_one({"_id": digest}, session=session)
        found = await db.open("sessions").find_one({"_id": token["session_id"]}, session=session) if token else None
        if found is None or found["expires_at"] <= now:
            raise Unauthenticated
        found["expires_at"] = min(now + IDLE, found["ends_at"])
        lives_on = {"last_used_at": now, "network": device.network, "expires_at": found["expires_at"]}
        await db.open("sessions").update_one({"_id": found["_id"]}, {"$set": lives_on}, session=session)
        return await _grant(db, found, session=session)

    grant = await db.in_transaction(rotate)
    if grant is None:
        token = await db.open("refresh_tokens").find_one({"_id": digest})
        if token:
            await end(db, token["session_id"])
        raise Unauthenticated
    return grant


async def session_of(db: Database, refresh_token: str, *, now: datetime) -> Doc | None:
    """The live session whose present refresh token this is, or none."""
    token = await db.open("refresh_tokens").find_one({"_id": _digest(refresh_token), "used_at": None})
    return await get_session(db, token["session_id"], now=now) if token else None


async def get_session(db: Database, session_id: str, *, now: datetime) -> Doc | None:
    """The session, if it has not ended."""
    found = await db.open("sessions").find_one({"_id": session_id})
    return found if found and found["expires_at"] > now else None


async def need_session(db: Database, session_id: str, user_id: str, *, now: datetime) -> Doc:
    """The session. Raises `Unauthenticated` unless it is this person's and has not ended.

    Whoever ends an account ends its sessions: they alone say who is logged in.
    """
    found = await get_session(db, session_id, now=now)
    if found is None or found["user_id"] != user_id:
        raise Unauthenticated
    return found


async def page_of(db: Database, user_id: str, *, before: str | None, limit: int, now: datetime) -> list[Doc]:
    """The person's live sessions, the newest log-in first, one more than `limit` if there are more."""
    query: Doc = {"user_id": user_id, "expires_at": {"$gt": now}} | ({"_id": {"$lt": before}} if before else {})
    return await db.open("sessions").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def end_own(db: Database, session_id: str, user_id: str, *, session: Session) -> None:
    """Log out of one session of the person's. Raises `NotFound`."""
    gone = await db.open("sessions").delete_one({"_id": session_id, "user_id": user_id}, session=session)
    if gone.deleted_count == 0:
        raise NotFound
    await db.open("refresh_tokens").delete_many({"session_id": session_id}, session=session)


async def end(db: Database, session_id: str) -> None:
    """Log out: the session and every token of it are gone at once."""
    await db.open("sessions").delete_one({"_id": session_id})
    await db.open("refresh_tokens").delete_many({"session_id": session_id})


async def end_all(db: Database, user_id: str, *, but: str | None = None, session: Session) -> int:
    """Log the person out everywhere, `but` in one session; how many ended."""
    query: Doc = {"user_id": user_id} | ({"_id": {"$ne": but}} if but else {})
    ended = [doc["_id"] async for doc in db.open("sessions").find(query, {"_id": 1}, session=session)]
    await db.open("sessions").delete_many({"_id": {"$in": ended}}, session=session)
    await db.open("refresh_tokens").delete_many({"session_id": {"$in": ended}}, session=session)
    return len(ended)


async def _grant(db: Database, document: Doc, *, session: Session) -> Grant:
    refresh_token = REFRESH_PREFIX + secrets.token_urlsafe(32)
    await db.open("refresh_tokens").insert_one(
        {
            "_id": _digest(refresh_token),
            "session_id": document["_id"],
            "used_at": None,
            "expires_at": document["ends_at"],  # a used one is known as long as its session may live
        },
        session=session,
    )
    return Grant(document["_id"], document["user_id"], refresh_token, document["expires_at"])


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()
