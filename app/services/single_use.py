"""Tokens in mails: good for one thing, once, for a while. Only their hashes are stored."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal

from app.db import Database, Doc, Session
from app.errors import InvalidToken

Purpose = Literal[
    "verify_email",
    "reset_password",
    "change_email",
    "undo_email_change",
    "invitation",
    "cancel_erasure",
    "export_file",
]
LIVES: dict[Purpose, timedelta] = {
    "verify_email": timedelta(minutes=60),
    "reset_password": timedelta(minutes=30),
    "change_email": timedelta(minutes=60),
    "undo_email_change": timedelta(hours=72),
    "invitation": timedelta(days=7),
    "export_file": timedelta(minutes=5),
    "cancel_erasure": timedelta(days=7),
}
"""An invitation and an undo give nothing to who only has the link: see docs/decisions/0012-links-in-mails.md."""
PREFIX = "sot_"


async def issue(db: Database, purpose: Purpose, *, subject: str, data: dict[str, str], now: datetime) -> str:
    """A token for the person or invitation `subject`; made when the mail is sent. `data` comes back with it."""
    token = PREFIX + secrets.token_urlsafe(32)
    await db.open("single_use_tokens").insert_one(
        {
            "_id": _digest(token),
            "purpose": purpose,
            "subject": subject,
            "data": data,
            "created_at": now,
            "expires_at": now + LIVES[purpose],
        }
    )
    return token


async def look_up(db: Database, purpose: Purpose, token: str, *, now: datetime) -> Doc:
    """What the token is for: `{_id, subject, data, …}`. It is not used up. Raises `InvalidToken`."""
    found = await db.open("single_use_tokens").find_one({"_id": _digest(token), "purpose": purpose})
    if found is None or found["expires_at"] <= now:
        raise InvalidToken
    return found


async def use_up(db: Database, found: Doc, *, session: Session) -> None:
    """End the token, in the transaction of what it is used for. Raises `InvalidToken` when another was first."""
    gone = await db.open("single_use_tokens").delete_one({"_id": found["_id"]}, session=session)
    if gone.deleted_count == 0:
        raise InvalidToken


async def withdraw(db: Database, subject: str, *, purposes: list[Purpose], session: Session | None = None) -> None:
    """End every token of these purposes that the person or invitation has."""
    query = {"subject": subject, "purpose": {"$in": purposes}}
    await db.open("single_use_tokens").delete_many(query, session=session)


async def take_back(db: Database, token: str) -> None:
    """End a token whose mail was not sent."""
    await db.open("single_use_tokens").delete_one({"_id": _digest(token)})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
