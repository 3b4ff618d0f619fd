"""Logging in: the limits, the password, the second factor, the session, and what is told of it.

Beside the routers and not among the services: it needs the limiter, which counts over processes.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from app.db import Doc, Session
from app.errors import InvalidCredentials, InvalidTotp, Problem, TotpRequired
from app.limiter import Standing
from app.models.base import rfc3339
from app.parts import Parts
from app.services.audit import By
from app.services.mail import outbox
from app.services.people import accounts, devices, second_factor, sessions
from app.services.people.sessions import Device, Grant


@dataclass(frozen=True)
class Attempt:
    """Who wants in, with what, and from where."""

    email: str
    password: str = field(repr=False)
    totp: str | None = field(repr=False)
    device_cookie: str | None = field(repr=False)
    device: Device
    limit_key: str = field(repr=False)
    request_id: str
    standings: list[Standing]


@dataclass(frozen=True)
class Proof:
    """Who has shown to be whom, and how."""

    user: Doc
    known_device: bool
    recovered: bool
    """By a recovery code."""


async def log_in(parts: Parts, attempt: Attempt, *, instead_of: str | None = None) -> tuple[Grant, Doc]:
    """A session and its person; with `instead_of`, that session ends.

    Raises `InvalidCredentials`, `TotpRequired`, `InvalidTotp`, `TooManyRequests`, `Unavailable`.
    """
    proof = await prove(parts, attempt)
    return await _begin(parts, proof, attempt, ends=instead_of), proof.user


async def prove(parts: Parts, attempt: Attempt, *, by_password_alone: bool = False) -> Proof:
    """Who it is, by password and second factor, within the limits. Raises as `log_in` does.

    An unknown address is answered as a wrong password is, and costs as much.
    """
    user = await accounts.by_email(parts.db, attempt.email)
    device = devices.known(parts.device_key, user, attempt.device_cookie) if user else None
    account_key = f"{accounts.email_key(attempt.email)}\0{device or ''}"
    await _check_limits(parts, attempt, account_key)
    try:
        right = await parts.passwords.verify(user["password_hash"] if user else None, attempt.password)
        if not right or user is None or accounts.is_shut(user):
            raise InvalidCredentials
        await _check_limits(parts, attempt, account_key)  # others may have guessed at the same time
        used = None if by_password_alone else await _use_factor(parts, user, attempt)
    except (InvalidCredentials, InvalidTotp) as refusal:
        await _note_failure(parts, user, attempt, account_key, refusal)
        raise
    if used == "recovery_code":
        await parts.note_outside("factor_ended", user["_id"])
    return Proof(user, device is not None, used == "recovery_code")


async def _check_limits(parts: Parts, attempt: Attempt, account_key: str) -> None:
    await parts.limiter.check("login_account", account_key)
    await parts.limiter.check("login_address", attempt.limit_key)


async def _use_factor(parts: Parts, user: Doc, attempt: Attempt) -> second_factor.Used | None:
    factor = await second_factor.of(parts.db, user["_id"])
    if factor is None:
        return None
    if attempt.totp is None:
        raise TotpRequired
    return await second_factor.use(parts.db, parts.account_ring, factor, attempt.totp, now=parts.clock())


async def _note_failure(parts: Parts, user: Doc | None, attempt: Attempt, account_key: str, refusal: Problem) -> None:
    """Count it, and write it down: of an unknown address in one of 256 chains of nobody's."""
    await parts.limiter.hit("login_account", account_key, attempt.standings)
    await parts.limiter.hit("login_address", attempt.limit_key, attempt.standings)
    digest = hashlib.sha256(accounts.email_key(attempt.email).encode()).hexdigest()
    chain = user["_id"] if user else f"nobody_{digest[:2]}"
    by = By("person", chain, attempt.device.network, attempt.request_id)
    details = {"why": refusal.code}
    await parts.audit.record(by, "session.refused", chain=chain, target=chain, details=details, now=parts.clock())


async def _begin(parts: Parts, proof: Proof, attempt: Attempt, *, ends: str | None) -> Grant:
    now, user = parts.clock(), proof.user
    if parts.passwords.needs_rehash(user["password_hash"]):
        same = {"_id": user["_id"], "password_hash": user["password_hash"]}
        fresh = {"$set": {"password_hash": await parts.passwords.hash(attempt.password)}}
        await parts.db.open("users").update_one(same, fresh)

    async def all_of_it(session: Session) -> Grant:
        await _need_unchanged(parts, user, session)
        if ends:
            await sessions.end_own(parts.db, ends, user["_id"], session=session)
        grant = await sessions.start(parts.db, user["_id"], attempt.device, now=now, session=session)
        by = By("person", user["_id"], attempt.device.network, attempt.request_id)
        action = "session.confirmed" if ends else "session.started"
        await parts.audit.record(by, action, chain=user["_id"], target=grant.session_id, now=now, session=session)
        for template, facts in _notices(proof, attempt, again=ends is not None, now=now):
            await outbox.queue(parts.db, template, subject=user["_id"], facts=facts, now=now, session=session)
        return grant

    return await parts.db.in_transaction(all_of_it)


async def _need_unchanged(parts: Parts, user: Doc, session: Session) -> None:
    """Touch the account in the session's transaction: of a log-in and a change of the password, one is first."""
    same = {"_id": user["_id"], "password_changed_at": user["password_changed_at"], "disabled_at": None}
    same["erasure_due_at"] = None
    seen = {"$set": {"last_login_at": parts.clock()}}
    if (await parts.db.open("users").update_one(same, seen, session=session)).matched_count == 0:
        raise InvalidCredentials


def _notices(
    proof: Proof, attempt: Attempt, *, again: bool, now: datetime
) -> list[tuple[outbox.Template, dict[str, str]]]:
    found: list[tuple[outbox.Template, dict[str, str]]] = []
    name, device = proof.user["name"], attempt.device
    if not proof.known_device and not again and proof.user.get("last_login_at"):
        where = {"device": device.user_agent or "unknown", "network": device.network or "unknown"}
        found.append(("new_device", {"name": name, "at": rfc3339(now)} | where))
    if proof.recovered:
        found.append(("second_factor_changed", {"name": name, "change": "a recovery code was used"}))
    return found
