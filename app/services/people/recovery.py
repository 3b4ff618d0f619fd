"""Confirming an address, and a new password: by a link in a mail, or by the present password.

Asking for a mail costs the same and is answered alike, whether or not the address has an account.
"""

from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import InvalidCredentials
from app.services import single_use
from app.services.audit import Audit, By
from app.services.mail import outbox
from app.services.people import accounts, sessions
from app.services.people.password_rules import PasswordRules
from app.services.people.passwords import Passwords
from app.services.people.sessions import Device, Grant


async def ask(db: Database, template: outbox.Template, email: str, *, now: datetime) -> None:
    """Have a mail sent to who has this address; to nobody, if nobody has it or has no use for it.

    Of an account that waits to be erased it says so, and how to keep it.
    """
    user = await accounts.by_email(db, email)
    if user is None or user.get("disabled_at") or (template == "verify_email" and user["email_verified_at"]):
        await db.in_transaction(lambda session: outbox.queue(db, "none", subject="nobody", now=now, session=session))
        return
    subject, mail = user["_id"], accounts.mail_to(template, user)
    await db.in_transaction(
        lambda session: outbox.queue(db, mail.template, subject=subject, facts=mail.facts, now=now, session=session)
    )


async def verify_email(db: Database, audit: Audit, token: str, *, by: By, now: datetime) -> None:
    """Confirm an address by the token that was sent to it. Raises `InvalidToken`."""
    found = await single_use.look_up(db, "verify_email", token, now=now)

    async def all_of_it(session: Session) -> None:
        await single_use.use_up(db, found, session=session)
        user_id = found["subject"]
        await mark_verified(db, user_id, now=now, session=session)
        await audit.record(
            by.known_as(user_id), "email.verified", chain=user_id, target=user_id, now=now, session=session
        )

    await db.in_transaction(all_of_it)


async def mark_verified(db: Database, user_id: str, *, now: datetime, session: Session) -> None:
    """Note that this person has shown to read the mails to their address."""
    update = {"$set": {"email_verified_at": now}, "$inc": {"version": 1}}
    await db.open("users").update_one({"_id": user_id, "email_verified_at": None}, update, session=session)
    await outbox.void_links(db, user_id, ["verify_email"], now=now, session=session)


async def reset_password(
    db: Database,
    audit: Audit,
    passwords: Passwords,
    rules: PasswordRules,
    *,
    token: str,
    password: str,
    by: By,
    now: datetime,
) -> Doc:
    """Set a new password by the token that was sent to the account's address, which is confirmed by it.

    Every session ends, and every other link that was under way. The account.

    Raises `InvalidToken`, `InvalidInput`.
    """
    found = await single_use.look_up(db, "reset_password", token, now=now)
    user = await accounts.of_link(db, found)
    rules.check(password, (user["name"], user["email"]))
    hashed = await passwords.hash(password)

    async def all_of_it(session: Session) -> None:
        await single_use.use_up(db, found, session=session)
        await set_password(db, user, hashed, now=now, session=session)
        await mark_verified(db, user["_id"], now=now, session=session)
        await audit.record(
            by.known_as(user["_id"]), "password.reset", chain=user["_id"], target=user["_id"], now=now, session=session
        )

    await db.in_transaction(all_of_it)
    return user | {"password_changed_at": now}


async def set_password(db: Database, user: Doc, hashed: str, *, now: datetime, session: Session) -> None:
    """Store a new password's hash, end every session and every link that could undo it, and tell the person."""
    update = {"$set": {"password_hash": hashed, "password_changed_at": now}, "$inc": {"version": 1}}
    await db.open("users").update_one({"_id": user["_id"]}, update, session=session)
    await sessions.end_all(db, user["_id"], session=session)
    await outbox.void_links(db, user["_id"], ["reset_password", "change_email"], now=now, session=session)
    facts = {"name": user["name"]}
    await outbox.queue(db, "password_changed", subject=user["_id"], facts=facts, now=now, session=session)


async def change_password(
    db: Database,
    audit: Audit,
    user: Doc,
    hashed: str,
    *,
    device: Device,
    authenticated_at: datetime,
    by: By,
    now: datetime,
) -> tuple[Grant, Doc]:
    """Set a new password for who has just shown the present one; every session ends, and a new one begins.

    It is as fresh as the one before: the password alone is not what an account with a second factor asks for. Raises
    `InvalidCredentials` when the password has become another one meanwhile.
    """
    user_id = user["_id"]

    async def all_of_it(session: Session) -> Grant:
        same = {"_id": user_id, "password_changed_at": user["password_changed_at"], "erasure_due_at": None}
        if await db.open("users").find_one(same, session=session) is None:
            raise InvalidCredentials
        await set_password(db, user, hashed, now=now, session=session)
        await audit.record(by, "password.changed", chain=user_id, target=user_id, now=now, session=session)
        return await sessions.start(db, user_id, device, now=now, authenticated_at=authenticated_at, session=session)

    return await db.in_transaction(all_of_it), user | {"password_changed_at": now}
