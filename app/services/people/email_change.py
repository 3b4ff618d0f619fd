"""Another address: the new one confirms it, the old one is told at once, and can undo it for three days."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.errors import InvalidToken
from app.services import single_use
from app.services.audit import Audit, By
from app.services.mail import outbox
from app.services.people import accounts, sessions
from app.services.privacy import erasure


async def ask(db: Database, audit: Audit, user: Doc, email: str, *, by: By, now: datetime) -> None:
    """Send a link to the new address, and word to the old one.

    An address that has an account already gets word of that instead: the caller cannot tell.
    """
    taken, subject, name = await accounts.by_email(db, email), user["_id"], user["name"]

    async def all_of_it(session: Session) -> None:
        await outbox.void_links(db, subject, ["change_email"], now=now, session=session)
        if taken:
            mail = accounts.mail_to("address_known", taken)
            await outbox.queue(db, mail.template, subject=taken["_id"], facts=mail.facts, now=now, session=session)
        else:
            facts = {"name": name, "email": email, "token_email": email}
            await outbox.queue(db, "change_email", subject=subject, to=email, facts=facts, now=now, session=session)
        facts = {"name": name, "email": email}
        await outbox.queue(
            db, "email_change_asked", subject=subject, to=user["email"], facts=facts, now=now, session=session
        )
        await audit.record(by, "email.change_asked", chain=subject, target=subject, now=now, session=session)

    await db.in_transaction(all_of_it)


async def confirm(db: Database, audit: Audit, token: str, *, by: By, now: datetime) -> None:
    """Make the new address the account's. Every session ends. Raises `InvalidToken`."""
    found = await single_use.look_up(db, "change_email", token, now=now)
    user = await accounts.of_link(db, found)

    async def all_of_it(session: Session) -> None:
        await single_use.use_up(db, found, session=session)
        await _move(db, user, found["data"]["email"], now=now, session=session)
        await accounts.note_correction(db, user["_id"], "email", now=now, session=session)
        facts = {"name": user["name"], "email": found["data"]["email"], "token_email": user["email"]}
        await outbox.queue(
            db, "email_changed", subject=user["_id"], to=user["email"], facts=facts, now=now, session=session
        )
        await audit.record(
            by.known_as(user["_id"]), "email.changed", chain=user["_id"], target=user["_id"], now=now, session=session
        )

    await _or_taken(db, all_of_it)


async def undo(db: Database, audit: Audit, token: str, *, by: By, now: datetime) -> str:
    """Give the account its old address back. Every session ends, and the password is void: a mail leads to a new one.

    An erasure that whoever moved the account has asked for is called off. Whose account it is.

    Raises `InvalidToken`.
    """
    found = await single_use.look_up(db, "undo_email_change", token, now=now)
    user = await accounts.of_link(db, found)
    email = found["data"]["email"]

    async def all_of_it(session: Session) -> None:
        await single_use.use_up(db, found, session=session)
        await _move(db, user, email, now=now, session=session)
        await outbox.void_links(db, user["_id"], ["undo_email_change"], now=now, session=session)
        await _lock_out(db, user, now=now, session=session)
        by_owner = by.known_as(user["_id"])
        await erasure.call_off(db, audit, user["_id"], by=by_owner, now=now, session=session)
        facts = {"name": user["name"]}
        await outbox.queue(db, "email_change_undone", subject=user["_id"], facts=facts, now=now, session=session)
        await audit.record(
            by_owner,
            "email.change_undone",
            chain=user["_id"],
            target=user["_id"],
            now=now,
            session=session,
        )

    await _or_taken(db, all_of_it)
    return str(user["_id"])


async def _lock_out(db: Database, user: Doc, *, now: datetime, session: Session) -> None:
    """Whoever moved the account knew its password: that is void, and so is a second factor of theirs."""
    void = {"$set": {"password_hash": None, "password_changed_at": now}}
    await db.open("users").update_one({"_id": user["_id"]}, void, session=session)
    theirs = {"_id": user["_id"], "confirmed_at": {"$gte": user["email_verified_at"]}}
    await db.open("second_factors").delete_one(theirs, session=session)


async def _move(db: Database, user: Doc, email: str, *, now: datetime, session: Session) -> None:
    fields = {"email": email, "email_key": accounts.email_key(email), "email_verified_at": now}
    update = {"$set": fields, "$inc": {"version": 1}}
    await db.open("users").update_one({"_id": user["_id"]}, update, session=session)
    await sessions.end_all(db, user["_id"], session=session)
    links: list[single_use.Purpose] = ["verify_email", "reset_password", "change_email"]
    await outbox.void_links(db, user["_id"], links, now=now, session=session)


async def _or_taken(db: Database, work: Callable[[Session], Coroutine[Any, Any, None]]) -> None:
    """Somebody else has made an account of the address meanwhile: then the link is void."""
    try:
        await db.in_transaction(work)
    except DuplicateKeyError:
        raise InvalidToken from None
