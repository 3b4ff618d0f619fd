"""Makers for tests about people: links as mails would carry them, codes as an authenticator app would show them."""

from datetime import timedelta
from typing import Any

import httpx
import pyotp

from app.db import Doc
from app.models.access import Role
from app.services import single_use
from app.services.labels import members
from app.services.single_use import Purpose
from tests.house import House

JSON = {"Content-Type": "application/json"}


async def user_of(house: House, email: str) -> Doc:
    """The stored account of this address."""
    found = await house.db.open("users").find_one({"email_key": email.lower()})
    assert found is not None
    return found


async def link(house: House, purpose: Purpose, subject: str, **data: str) -> str:
    """The token that a mail would carry, made as the worker makes it."""
    return await single_use.issue(house.db, purpose, subject=subject, data=data, now=house.clock())


async def verified(house: House, email: str) -> httpx.AsyncClient:
    """A person whose address is confirmed."""
    person = await house.person(email)
    token = await link(house, "verify_email", (await user_of(house, email))["_id"])
    (await house.http.post("/v1/users/verify-email", json={"token": token})).raise_for_status()
    return person


async def with_second_factor(house: House, email: str) -> tuple[httpx.AsyncClient, pyotp.TOTP, list[str]]:
    """A person with a second factor, its codes, and its recovery codes. The present time's code is used up."""
    person = await verified(house, email)
    seed = (await person.post("/v1/me/totp")).raise_for_status().json()["totp_seed"]
    totp = pyotp.TOTP(seed)
    answer = await person.post("/v1/me/totp/confirm", json={"code": code_now(house, totp)})
    return person, totp, answer.raise_for_status().json()["recovery_codes"]


def code_now(house: House, totp: pyotp.TOTP, *, steps: int = 0) -> str:
    """What the app shows now, or so many half minutes later."""
    return totp.at(house.clock() + timedelta(seconds=30 * steps))


async def join(house: House, email: str, label_id: str, role: Role) -> httpx.AsyncClient:
    """A person who works for the label in this role."""
    person = await house.person(email)
    user = await user_of(house, email)
    membership = members.new_membership(label_id, user["_id"], role, now=house.clock())
    await house.db.open("memberships").insert_one(membership)
    return person


async def member_id(house: House, label_id: str, email: str) -> str:
    """The id of this person's membership."""
    found = await members.membership_of(house.db, (await user_of(house, email))["_id"], label_id)
    assert found is not None
    return str(found["_id"])


async def mails(house: House, template: str | None = None) -> list[Doc]:
    """The mails that wait or were sent, oldest first."""
    query: Doc = {"template": template} if template else {}
    return await house.db.open("mails").find(query, comment="all-labels: a test").sort("_id", 1).to_list()


async def actions(house: House, chain: str) -> list[str]:
    """What the audit log says of this chain, in order."""
    query = {"chain": chain}
    found = house.db.open("audit_log").find(query, comment="all-labels: a test").sort("seq", 1)
    return [row["action"] async for row in found]


def problem(answer: httpx.Response) -> tuple[int, Any]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json().get("code")
