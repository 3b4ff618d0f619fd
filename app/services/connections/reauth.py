"""A connection whose owner must log in again: said once, with a mail to everyone who can see to it."""

from datetime import datetime, timedelta
from typing import NoReturn

from app.clients.graph_errors import TokenDead
from app.db import Database, Doc, Session
from app.models.base import rfc3339
from app.services.audit import SYSTEM, Audit
from app.services.connections import store
from app.services.events import Event, append
from app.services.labels import members
from app.services.mail.outbox import Template
from app.services.operations import GiveUp, TryAgain

PROVIDERS = {"instagram": "Instagram", "facebook": "Facebook", "spotify": "Spotify"}
KINDS = {"instagram": "Instagram account", "page": "Facebook Page", "spotify_user": "Spotify account"}
PROBLEMS = {
    463: "token_expired",
    460: "password_changed",
    458: "access_removed",
    459: "account_checkpoint",
    464: "account_checkpoint",
    490: "account_checkpoint",
    492: "page_role_lost",
}
"""What a subcode of 190 means (Meta, 2026-02); every other one, and none, is `token_invalid`."""
OF_TOKENS = frozenset((*PROBLEMS.values(), "token_invalid", "token_dead", "token_unreadable"))
"""The problems for which a good answer is the cure."""
MAIL_EVERY = timedelta(days=1)
"""A connection that comes and goes is told of once in this time, and again after a new log-in."""
CONFIRM_AFTER, DENIED = timedelta(seconds=10), "token_denied"


def problem_of(error: TokenDead) -> str:
    """Why the token is dead, as a stable code."""
    return PROBLEMS.get(error.subcode, "token_invalid")


def believe(operation: Doc, *, now: datetime) -> None:
    """Return when this operation was told before that the token is dead: once may be a lie. Raises `TryAgain` else."""
    if (operation["problem"] or {}).get("code") != DENIED:
        raise TryAgain(now + CONFIRM_AFTER, DENIED)


async def give_up_dead(
    db: Database, audit: Audit, operation: Doc, connection: Doc, error: TokenDead, *, now: datetime
) -> NoReturn:
    """End the operation that was told, not for the first time, that the token is dead. Raises `GiveUp`, `TryAgain`."""
    believe(operation, now=now)
    await require_login(db, audit, connection, problem_of(error), now=now)
    raise GiveUp("needs_reauth", "The account must be connected again.") from error


async def require_login(db: Database, audit: Audit, connection: Doc, problem: str, *, now: datetime) -> bool:
    """Have the connection wait for a new log-in, with its event, audit row and mails; whether it was this call.

    Nothing of it is deleted: no secret, and nothing that came from the account.
    """
    label_id, connection_id = connection["label_id"], connection["_id"]

    async def tell(session: Session) -> None:
        key = f"connection:{connection_id}:needs_reauth:{rfc3339(now)}"
        await append(db, [Event(label_id, key, "connection.changed", connection_id, now)], session=session)
        if await _may_mail(db, connection, now=now, session=session):
            await mail_managers(db, "connection_needs_login", connection, now=now, session=session)

    return await store.mark(
        db, audit, connection, status="needs_reauth", problem=problem, by=SYSTEM, now=now, also=tell
    )


async def _may_mail(db: Database, connection: Doc, *, now: datetime, session: Session) -> bool:
    """Whether nobody was told of this lately, which is noted as done."""
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}
    there = await db.open("connections").find_one(key, session=session) or {}
    told, log_in = there.get("login_asked"), there.get("renewed_by")
    if told and told["log_in"] == log_in and now - told["at"] < MAIL_EVERY:
        return False
    noted: Doc = {"$set": {"login_asked": {"at": now, "log_in": log_in}}}
    await db.open("connections").update_one(key, noted, session=session)
    return True


async def mail_managers(
    db: Database, template: Template, connection: Doc, *, now: datetime, session: Session, **facts: str
) -> None:
    """Send a mail about the connection to the label's owners and admins."""
    label = await db.open("labels").find_one({"_id": connection["label_id"]}, session=session)
    if label is None:
        return
    account = connection["account"]
    called = f"{KINDS[account['kind']]} {account['name'] or account['username']}"
    told = {"provider": PROVIDERS[connection["provider"]], "account": called}
    told |= {"connection_id": connection["_id"], "label_id": connection["label_id"]} | facts
    for manager in await members.managers(db, label["_id"], session=session):
        await members.tell(db, template, manager["user_id"], label, now=now, session=session, **told)


async def restore(db: Database, audit: Audit, connection: Doc, *, now: datetime) -> bool:
    """A check has found the token good: make a waiting connection active again; whether it was this call.

    Its refresh is asked for anew; what the provider has denied it stays counted until one succeeds.
    """
    if connection["problem"] not in OF_TOKENS:
        return False
    query = {name: connection[name] for name in ("_id", "label_id", "token_version", "problem")}
    query |= {"status": "needs_reauth"}
    update: Doc = {"$set": {"status": "active", "problem": None, "repair_at": now}}
    update |= {"$inc": {"version": 1, "restored": 1}, "$unset": {"problem_since": ""}}

    async def tell(session: Session) -> None:
        await tell_restored(db, connection, now=now, session=session)

    told = {"problem": str(connection["problem"])}
    return await store.change_once(
        db, audit, query, update, "connection.restored", details=told, by=SYSTEM, now=now, also=tell
    )


async def tell_restored(db: Database, connection: Doc, *, now: datetime, session: Session) -> None:
    """Append the event that a waiting connection is active again."""
    key = f"connection:{connection['_id']}:restored:{rfc3339(now)}"
    event = Event(connection["label_id"], key, "connection.changed", connection["_id"], now)
    await append(db, [event], session=session)
