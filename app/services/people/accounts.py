"""Accounts of people: the age gate, registration, and who a mail address and password belong to."""

from datetime import date, datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.errors import AgeRequirementNotMet, InvalidCredentials, Unauthenticated
from app.ids import new_id
from app.services.people.passwords import Passwords

MINIMUM_AGE = 16
LAST_TIME_ZONE = timedelta(hours=-12)


def check_age(born_on: date, *, now: datetime) -> None:
    """Raise `AgeRequirementNotMet` unless the sixteenth birthday has come everywhere on earth (UTC-12 is last)."""
    today = (now + LAST_TIME_ZONE).date()
    age = today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))
    if age < MINIMUM_AGE:
        raise AgeRequirementNotMet


async def register(
    db: Database,
    passwords: Passwords,
    *,
    name: str,
    email: str,
    password: str,
    policy_version: str,
    marketing_opt_in: bool,
    now: datetime,
) -> Doc:
    """Make an account.

    For an address that has one already, nothing is stored and the answer looks and takes the same: who has an account
    is nobody's business.
    """
    user: Doc = {
        "_id": new_id("usr"),
        "name": name,
        "email": email,
        "email_key": email_key(email),
        "password_hash": await passwords.hash(password),
        "policy_version": policy_version,
        "marketing_opt_in": marketing_opt_in,
        "created_at": now,
        "version": 1,
    }
    try:
        await db.open("users").insert_one(dict(user))
    except DuplicateKeyError:
        return user
    return user


async def need_credentials(db: Database, passwords: Passwords, *, email: str, password: str) -> Doc:
    """The account of this address and password. Raises `InvalidCredentials`."""
    user = await db.open("users").find_one({"email_key": email_key(email)})
    if not await passwords.verify(user["password_hash"] if user else None, password) or user is None:
        raise InvalidCredentials
    if passwords.needs_rehash(user["password_hash"]):
        changed = {"$set": {"password_hash": await passwords.hash(password)}}
        await db.open("users").update_one({"_id": user["_id"], "password_hash": user["password_hash"]}, changed)
    return user


async def need_user(db: Database, user_id: str) -> Doc:
    """The account. Raises `Unauthenticated`: it is asked for by who is logged in to it."""
    user = await db.open("users").find_one({"_id": user_id})
    if user is None:
        raise Unauthenticated
    return user


async def names_of(db: Database, user_ids: list[str]) -> dict[str, str]:
    """The names of these people, by id; of those who are there."""
    found = db.open("users").find({"_id": {"$in": user_ids}}, {"name": 1})
    return {user["_id"]: user["name"] async for user in found}


def email_key(email: str) -> str:
    """What an address is compared by: its letters' case makes no other person of it."""
    return email.strip().lower()
