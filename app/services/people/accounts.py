"""Accounts of people: how one is made, found, changed and disabled. Every way to an account leads through `prepare`."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.errors import AgeRequirementNotMet, InvalidToken, StaleVersion, Unauthenticated
from app.ids import new_id
from app.models.base import rfc3339
from app.models.consent_texts import current
from app.models.policies import NONE_ACCEPTED, Policies, current_of, version_of
from app.services.audit import SYSTEM, Audit, By
from app.services.consents import choosing
from app.services.mail import outbox
from app.services.people import sessions
from app.services.people.addresses import email_key as email_key
from app.services.people.password_rules import PasswordRules
from app.services.people.passwords import Passwords
from app.services.privacy import requests

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
    gpc: bool
    """Whether their browser said `Sec-GPC: 1`."""


@dataclass(frozen=True)
class Newcomer:
    """An account that is not stored yet."""

    user: Doc
    marketing_opt_in: bool
    gpc: bool


@dataclass(frozen=True)
class Mail:
    """What somebody is told, and the facts that it shows."""

    template: outbox.Template
    facts: dict[str, str]


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
    policies: Policies,
    verified: bool,
    pointer: str = "",
    now: datetime,
) -> Newcomer:
    """An account, not stored yet: the age gate, the policy that was shown, the password's rules and its hash.

    An app that was loaded before the policy changed shows an older one: its people get in, and are asked for the rest.
    `pointer` is where in the request they speak of themselves. Raises `AgeRequirementNotMet`, `InvalidInput`,
    `Unavailable`.
    """
    check_age(applicant.date_of_birth, now=now)
    policy = version_of(policies, applicant.policy_version)
    accepted = [{"version": policy.version, "sha256": policy.sha256, "how": "register", "at": now}] if policy else []
    rules.check(applicant.password, (applicant.name, applicant.email), pointer=f"{pointer}/password")
    user: Doc = {
        "_id": new_id("usr"),
        "name": applicant.name,
        "email": applicant.email,
        "email_key": email_key(applicant.email),
        "email_verified_at": now if verified else None,
        "password_hash": await passwords.hash(applicant.password),
        "password_changed_at": now,
        "policy_version": policy.version if policy else NONE_ACCEPTED,
        "policy_noticed": policy.version if policy else current_of(policies).version,
        "policy_acceptances": accepted,
        "created_at": now,
        "version": 1,
    }
    return Newcomer(user, applicant.marketing_opt_in, applicant.gpc)


async def register(db: Database, audit: Audit, newcomer: Newcomer, *, by: By, now: datetime) -> None:
    """Store a prepared account, and have its address confirmed.

    For an address that has one already, it looks and takes the same, nothing is stored, and its owner is told by mail:
    who has an account is nobody else's business.
    """

    async def once() -> None:
        known = await by_email(db, newcomer.user["email"])
        await db.in_transaction(lambda session: _register(db, audit, newcomer, known, by, now, session))

    try:
        await once()
    except DuplicateKeyError:  # two registered at once: now the address is known
        await once()


async def _register(
    db: Database, audit: Audit, newcomer: Newcomer, known: Doc | None, by: By, now: datetime, session: Session
) -> None:
    """The same work for a known address and an unknown one."""
    if known is None:
        owner, mail = newcomer.user, Mail("verify_email", {"name": newcomer.user["name"]})
        await add(db, audit, newcomer, by=by, now=now, session=session)
    else:
        owner, mail = known, mail_to("address_known", known)
        seen = {"$set": {"registered_again_at": now}}
        await db.open("users").update_one({"_id": known["_id"]}, seen, session=session)
        action = "account.made_again"
        await audit.record(by, action, chain=known["_id"], target=known["_id"], now=now, session=session)
        if newcomer.marketing_opt_in:
            told: Doc = {"by": by, "now": now, "session": session}
            await choosing.ignore(db, audit, known["_id"], "marketing_mail", **told)
    await outbox.queue(db, mail.template, subject=owner["_id"], facts=mail.facts, now=now, session=session)


def mail_to(template: outbox.Template, user: Doc) -> Mail:
    """This mail to the person of an account; while it waits to be erased, the one that says how to keep it."""
    facts = {"name": user["name"]}
    if due_at := user.get("erasure_due_at"):
        return Mail("erasure_waits", facts | {"on": rfc3339(due_at)[:10]})
    return Mail(template, facts)


async def add(db: Database, audit: Audit, newcomer: Newcomer, *, by: By, now: datetime, session: Session) -> None:
    """Store the account. An opt-in to marketing mail is a row of the ledger; see `consents/ledger.py`."""
    user_id = newcomer.user["_id"]
    by = by.known_as(user_id)
    await db.open("users").insert_one(newcomer.user, session=session)
    await audit.record(by, "account.made", chain=user_id, target=user_id, now=now, session=session)
    if newcomer.marketing_opt_in:
        told: Doc = {"text": current("marketing_mail"), "how": "register", "gpc": newcomer.gpc, "by": by, "now": now}
        await choosing.decide_one(db, audit, user_id, "marketing_mail", True, **told, session=session)


async def by_email(db: Database, email: str) -> Doc | None:
    """The account of this address, or none."""
    return await db.open("users").find_one({"email_key": email_key(email)})


def is_shut(user: Doc) -> bool:
    """Whether nobody may log in to it: it is disabled, or going to be erased."""
    return user.get("disabled_at") is not None or user.get("erasure_due_at") is not None


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


async def change(db: Database, user_id: str, *, changes: Doc, versions: list[int] | None, now: datetime) -> Doc:
    """Change what a person says of themselves, if it still is of one of the `versions` seen. Raises `StaleVersion`.

    It is a correction (GDPR 16), met at once.
    """
    query: Doc = {"_id": user_id} | ({"version": {"$in": versions}} if versions is not None else {})
    update = {"$inc": {"version": 1}} | ({"$set": changes} if changes else {})

    async def both(session: Session) -> bool:
        written = await db.open("users").update_one(query, update, session=session)
        if written.matched_count and "name" in changes:
            await note_correction(db, user_id, "name", now=now, session=session)
        return bool(written.matched_count)

    is_written = await db.in_transaction(both)
    user = await need_user(db, user_id)
    if not is_written:
        raise StaleVersion
    return user


async def note_correction(db: Database, user_id: str, field: str, *, now: datetime, session: Session) -> None:
    """Write down that somebody has corrected what is known of them; which field, and not what it says."""
    await requests.open_request(
        db, user_id=user_id, kind="correction", state="done", evidence=[field], now=now, session=session
    )


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
