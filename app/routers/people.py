"""People who are not logged in: registering, and the links in mails."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Cookie, Request, Response

from app.access import ANYBODY, SIGNED, PartsDep, state_of
from app.deps import DEVICE_COOKIE, DEVICE_KNOWN_S, set_cookie
from app.errors import AgeRequirementNotMet, InvalidInput, InvalidToken, Unavailable
from app.models.cookies import AGE_COOKIE
from app.models.people import (
    EmailChangeConfirm,
    EmailVerification,
    EmailVerified,
    MailAsked,
    PasswordResetConfirm,
    PasswordResetCreate,
    UserCreate,
    UserOut,
)
from app.parts import Parts
from app.problems import problems
from app.services.audit import By
from app.services.mail import outbox
from app.services.people import accounts, devices, email_change, recovery
from app.services.people.accounts import Applicant, Newcomer
from app.signals import GpcDep

router = APIRouter(prefix="/v1", tags=["people"])
AGE_ASKED_AGAIN_S = 24 * 3600
AgeCookie = Annotated[str | None, Cookie(alias=AGE_COOKIE, include_in_schema=False)]
_LINK = problems(InvalidInput, InvalidToken)


def somebody(request: Request) -> By:
    """Who acts by a link or a form, before we know who it is."""
    state = state_of(request)
    return By("person", "unknown", state["client"].network, state["request_id"])


def check_old_enough(born_on: date, refused: str | None, *, now: datetime) -> None:
    """Raise `AgeRequirementNotMet` for who is too young: before anything is counted, looked up or kept.

    The browser remembers it for a day, as a bare flag: with that, another birth date is no answer.
    """
    if refused is not None:
        raise AgeRequirementNotMet
    try:
        accounts.check_age(born_on, now=now)
    except AgeRequirementNotMet:
        flag = f"{AGE_COOKIE}=1; Max-Age={AGE_ASKED_AGAIN_S}; Path=/; Secure; HttpOnly; SameSite=Lax"
        raise AgeRequirementNotMet(headers={"Set-Cookie": flag}) from None


async def prepared(parts: Parts, applicant: Applicant, *, verified: bool = False, pointer: str = "") -> Newcomer:
    """A new account, not stored yet."""
    return await accounts.prepare(
        parts.passwords,
        parts.password_rules,
        applicant,
        policies=parts.policies,
        verified=verified,
        pointer=pointer,
        now=parts.clock(),
    )


async def limit_mail(request: Request, parts: Parts, template: outbox.Template, email: str) -> None:
    """Count a mail that anybody can cause. Raises `TooManyRequests`, for known and unknown addresses alike."""
    state, key = state_of(request), f"{template}\0{accounts.email_key(email)}"
    await parts.limiter.hit("mail_caller", f"{key}\0{state['client'].limit_key}", state["standings"])
    await parts.limiter.hit("mail_address", key, state["standings"])


@router.post(
    "/users",
    operation_id="createUser",
    openapi_extra=ANYBODY,
    status_code=201,
    responses=problems(InvalidInput, AgeRequirementNotMet, Unavailable),
)
async def create_user(
    parts: PartsDep, request: Request, body: UserCreate, gpc: GpcDep, refused: AgeCookie = None
) -> UserOut:
    """Register; a mail asks to confirm the address.

    People under 16 are refused, and nothing about them is stored. The date of birth is never stored. An address that
    has an account already is answered alike, nothing changes, and its owner is told by mail.
    """
    check_old_enough(body.date_of_birth, refused, now=parts.clock())
    await parts.limiter.hit("register_address", state_of(request)["client"].limit_key, state_of(request)["standings"])
    told = body.model_dump(exclude={"password"})
    newcomer = await prepared(parts, Applicant(**told, password=body.password.get_secret_value(), gpc=gpc))
    await limit_mail(request, parts, "verify_email", body.email)
    await accounts.register(parts.db, parts.audit, newcomer, by=somebody(request), now=parts.clock())
    return UserOut.of(newcomer.user, marketing_opt_in=newcomer.marketing_opt_in, policies=parts.policies)


@router.post("/users/verify-email", operation_id="verifyEmail", openapi_extra=SIGNED, responses=_LINK)
async def verify_email(parts: PartsDep, request: Request, body: EmailVerification) -> EmailVerified:
    """Confirm an address by the token of the mail; or, by the address, have the mail sent again."""
    if body.token is not None:
        token = body.token.get_secret_value()
        await recovery.verify_email(parts.db, parts.audit, token, by=somebody(request), now=parts.clock())
        return EmailVerified(status="verified")
    assert body.email is not None
    await limit_mail(request, parts, "verify_email", body.email)
    await recovery.ask(parts.db, "verify_email", body.email, now=parts.clock())
    return EmailVerified(status="accepted")


@router.post(
    "/password-resets",
    operation_id="createPasswordReset",
    openapi_extra=ANYBODY,
    status_code=202,
    responses=problems(InvalidInput),
)
async def create_password_reset(parts: PartsDep, request: Request, body: PasswordResetCreate) -> MailAsked:
    """Ask for a mail with a link to set a new password. Whether the address has an account is not told."""
    await limit_mail(request, parts, "reset_password", body.email)
    await recovery.ask(parts.db, "reset_password", body.email, now=parts.clock())
    return MailAsked()


@router.post(
    "/password-resets/confirm",
    operation_id="confirmPasswordReset",
    openapi_extra=SIGNED,
    status_code=204,
    responses=_LINK | problems(Unavailable),
)
async def confirm_password_reset(
    parts: PartsDep, request: Request, body: PasswordResetConfirm, response: Response
) -> None:
    """Set a new password by the token of the mail. It works once; every session of the account ends.

    The browser counts as one that the account knows: nobody's guessing keeps it from logging in.
    """
    user = await recovery.reset_password(
        parts.db,
        parts.audit,
        parts.passwords,
        parts.password_rules,
        token=body.token.get_secret_value(),
        password=body.password.get_secret_value(),
        by=somebody(request),
        now=parts.clock(),
    )
    await parts.note_outside("password_changed", user["_id"])
    set_cookie(response, DEVICE_COOKIE, devices.mark(parts.device_key, user), DEVICE_KNOWN_S)


@router.post(
    "/users/email-change/confirm",
    operation_id="confirmEmailChange",
    openapi_extra=SIGNED,
    status_code=204,
    responses=_LINK,
)
async def confirm_email_change(parts: PartsDep, request: Request, body: EmailChangeConfirm) -> None:
    """Make the new address the account's, by the token that was sent to it. Every session of the account ends."""
    token = body.token.get_secret_value()
    await email_change.confirm(parts.db, parts.audit, token, by=somebody(request), now=parts.clock())


@router.post(
    "/users/email-change/undo",
    operation_id="undoEmailChange",
    openapi_extra=SIGNED,
    status_code=204,
    responses=_LINK,
)
async def undo_email_change(parts: PartsDep, request: Request, body: EmailChangeConfirm) -> None:
    """Give the account its old address back, by the token that was sent there.

    Every session of the account ends, and its password is void: a mail leads to a new one.
    """
    token = body.token.get_secret_value()
    user_id = await email_change.undo(parts.db, parts.audit, token, by=somebody(request), now=parts.clock())
    await parts.note_outside("erasure_cancelled", user_id)
    await parts.note_outside("password_changed", user_id)
