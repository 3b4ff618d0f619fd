"""Accounts of people: how one is made, found, changed and disabled. Every way to an account leads through `prepare`."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.errors import AgeRequirementNotMet, InvalidToken, StaleVersion, Unauthenticated
from app.ids import new_id
from app.services.audit import SYSTEM, Audit, By
from app.services.mail import outbox
from app.services.people import sessions
from app.services.people.password_rules import PasswordRules
from app.services.people.passwords import Passwords

MINIMUM_AGE = 16
LAST_TIME_ZONE = timedelta(hours=-12)


@dataclass(frozen=True)
class Applicant:
    """What somebody says of themselves who wants an account."""

    name: str
    email: str
    password: str
    date_of_birth: date
    policy_version: str
    marketing_opt_in: bool


def check_age(born_on: date, *, now: datetime) -> None:
    """Raise `AgeRequirementNotMet` unless the sixteenth birthday has come everywhere on earth (UTC-12 is last)."""
    today = (now + LAST_TIME_ZONE).date()
    age = today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))
    if age < MINIMUM_AGE:
        raise AgeRequirementNotMet


async def prepare(
    passwords: Passwords,
    rules: PasswordRules,
    applicant: Applicant,
    *,
    verified: bool,
    pointer: str = "/password",
    now: datetime,
) -> Doc:
    """An account's document, not stored yet: the age gate, the password's rules and its hash.

    Raises `AgeRequirementNotMet`, `InvalidInput`, `Unavailable`.
    """
    check_age(applicant.date_of_birth, now=now)
    rules.check(applicant.password, (applicant.name, applicant.email), pointer=pointer)
    return {
        "_id": new_id("usr"),
        "name": applicant.name,
        "email": applicant.email,
        "email_key": email_key(applicant.email),
        "email_verified_at": now if verified else None,
        "password_hash": await passwords.hash(applicant.password),
        "password_changed_at": now,
        "policy_version": applicant.policy_version,
        "marketing_opt_in": applicant.marketing_opt_in,
        "created_at": now,
        "version": 1,
    }


async def register(db: Database, audit: Audit, user: Doc, *, by: By, now: datetime) -> None:
    """Store a prepared account, and have its address confirmed.

    For an address that has one already, it looks and takes the same, nothing is stored, and its owner is told by mail:
    who has an account is nobody else's business.
    """

    async def once() -> None:
        known = await by_email(db, user["email"])
        await db.in_transaction(lambda session: _register(db, audit, user, known, by, now, session))

    try:
        await once()
    except DuplicateKeyError:  # two registered at once: now the address is known
        await once()


async def _register(
    db: Database, audit: Audit, user: Doc, known: Doc | None, by: By, now: datetime, session: Session
) -> None:
    """The same work for a known address and an unknown one."""
    template: outbox.Template
    if known is None:
        await db.open("users").insert_one(user, session=session)
        action, template, owner, by = "account.made", "verify_email", user, by.known_as(user["_id"])
    else:
        seen = {"$set": {"registered_again_at": now}}
        await db.open("users").update_one({"_id": known["_id"]}, seen, session=session)
        action, template, owner = "account.made_again", "address_known", known
    chain = owner["_id"]
    await audit.record(by, action, chain=chain, target=chain, now=now, session=session)
    facts = {"name": owner["name"]}
    await outbox.queue(db, template, subject=chain, facts=facts, now=now, session=session)


async def by_email(db: Database, email: str) -> Doc | None:
    """The account of this address, or none."""
    return await db.open("users").find_one({"email_key": email_key(email)})


async def need_user(db: Database, user_id: str, *, session: Session | None = None) -> Doc:
    """The account. Raises `Unauthenticated`: it is asked for by who is logged in to it."""
    user = await db.open("users").find_one({"_id": user_id}, session=session)
    if user is None:
        raise Unauthenticated
    return user


async def of_link(db: Database, token: Doc) -> Doc:
    """The account that a link in a mail is for. Raises `InvalidToken` when it is gone."""
    user = await db.open("users").find_one({"_id": token["subject"]})
    if user is None:
        raise InvalidToken
    return user


async def change(db: Database, user_id: str, *, changes: Doc, versions: list[int] | None) -> Doc:
    """Change what a person says of themselves, if it still is of one of the `versions` seen. Raises `StaleVersion`."""
    query: Doc = {"_id": user_id} | ({"version": {"$in": versions}} if versions is not None else {})
    update = {"$inc": {"version": 1}} | ({"$set": changes} if changes else {})
    written = await db.open("users").update_one(query, update)
    user = await need_user(db, user_id)
    if written.matched_count == 0:
        raise StaleVersion
    return user


async def disable(db: Database, audit: Audit, user: Doc, *, now: datetime) -> None:
    """Let the person in no more, from the next request on, until they are enabled again."""

    async def both(session: Session) -> None:
        await db.open("users").update_one({"_id": user["_id"]}, {"$set": {"disabled_at": now}}, session=session)
        await sessions.end_all(db, user["_id"], session=session)
        await audit.record(SYSTEM, "account.disabled", chain=user["_id"], target=user["_id"], now=now, session=session)

    await db.in_transaction(both)


async def enable(db: Database, audit: Audit, user: Doc, *, now: datetime) -> None:
    """Let the person in again."""

    async def both(session: Session) -> None:
        await db.open("users").update_one({"_id": user["_id"]}, {"$unset": {"disabled_at": ""}}, session=session)
        await audit.record(SYSTEM, "account.enabled", chain=user["_id"], target=user["_id"], now=now, session=session)

    await db.in_transaction(both)


async def end_second_factor(db: Database, audit: Audit, user: Doc, *, now: datetime) -> bool:
    """Take the second factor away, as an operator decided; whether there was one. Every session ends."""

    async def both(session: Session) -> bool:
        gone = await db.open("second_factors").delete_one({"_id": user["_id"]}, session=session)
        if gone.deleted_count == 0:
            return False
        await sessions.end_all(db, user["_id"], session=session)
        facts = {"name": user["name"], "change": "switched off"}
        await outbox.queue(db, "second_factor_changed", subject=user["_id"], facts=facts, now=now, session=session)
        action = "second_factor.switched_off"
        await audit.record(SYSTEM, action, chain=user["_id"], target=user["_id"], now=now, session=session)
        return True

    return await db.in_transaction(both)


def email_key(email: str) -> str:
    """What an address is compared by: its letters' case makes no other person of it."""
    return email.strip().lower()
