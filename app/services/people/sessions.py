"""Sessions: one a log-in, with a refresh token that changes at each use. A used one that comes back ends it."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.db import Database, Doc
from app.errors import Unauthenticated
from app.ids import new_id

LIFE = timedelta(days=30)
"""However often it is used."""
IDLE = timedelta(hours=24)
"""One that is not refreshed for so long has ended."""
REFRESH_PREFIX = "sor_"


@dataclass(frozen=True)
class Grant:
    """A session and the refresh token that renews it next."""

    session_id: str
    user_id: str
    refresh_token: str = field(repr=False)
    expires_at: datetime


async def start(db: Database, user_id: str, *, network: str | None, user_agent: str | None, now: datetime) -> Grant:
    """Log a person in, who has just shown that they are this person."""
    session: Doc = {
        "_id": new_id("ses"),
        "user_id": user_id,
        "network": network,
        "user_agent": user_agent,
        "created_at": now,
        "authenticated_at": now,
        "last_used_at": now,
        "ends_at": now + LIFE,
        "expires_at": now + IDLE,
    }
    await db.open("sessions").insert_one(session)
    return await _grant(db, session)


async def refresh(db: Database, refresh_token: str, *, now: datetime) -> Grant:
    """Exchange a refresh token for the next.

    Raises `Unauthenticated` for an unknown or ended one. For one that was used before, the session ends too: either
    its owner or a thief holds a stolen copy.
    """
    digest = _digest(refresh_token)
    used = await db.open("refresh_tokens").update_one({"_id": digest, "used_at": None}, {"$set": {"used_at": now}})
    token = await db.open("refresh_tokens").find_one({"_id": digest})
    if token is None:
        raise Unauthenticated
    if used.modified_count == 0:
        await end(db, token["session_id"])
        raise Unauthenticated
    session = await get_session(db, token["session_id"], now=now)
    if session is None:
        raise Unauthenticated
    session["expires_at"] = min(now + IDLE, session["ends_at"])
    lives_on = {"$set": {"last_used_at": now, "expires_at": session["expires_at"]}}
    await db.open("sessions").update_one({"_id": session["_id"]}, lives_on)
    return await _grant(db, session)


async def session_of(db: Database, refresh_token: str, *, now: datetime) -> Doc | None:
    """The live session whose present refresh token this is, or none."""
    token = await db.open("refresh_tokens").find_one({"_id": _digest(refresh_token), "used_at": None})
    return await get_session(db, token["session_id"], now=now) if token else None


async def get_session(db: Database, session_id: str, *, now: datetime) -> Doc | None:
    """The session, if it has not ended."""
    session = await db.open("sessions").find_one({"_id": session_id})
    return session if session and session["expires_at"] > now else None


async def need_session(db: Database, session_id: str, user_id: str, *, now: datetime) -> Doc:
    """The session. Raises `Unauthenticated` unless it is this person's and has not ended.

    Whoever ends an account ends its sessions: they alone say who is logged in.
    """
    session = await get_session(db, session_id, now=now)
    if session is None or session["user_id"] != user_id:
        raise Unauthenticated
    return session


async def end(db: Database, session_id: str) -> None:
    """Log out: the session and every token of it are gone at once."""
    await db.open("sessions").delete_one({"_id": session_id})
    await db.open("refresh_tokens").delete_many({"session_id": session_id})


async def _grant(db: Database, session: Doc) -> Grant:
    refresh_token = REFRESH_PREFIX + secrets.token_urlsafe(32)
    await db.open("refresh_tokens").insert_one(
        {
            "_id": _digest(refresh_token),
            "session_id": session["_id"],
            "used_at": None,
            "expires_at": session["expires_at"],
        }
    )
    return Grant(session["_id"], session["user_id"], refresh_token, session["expires_at"])


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()
