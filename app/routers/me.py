"""One's own account: the profile, the password, the address, the second factor."""

from fastapi import APIRouter, Request, Response

from app.access import FreshPersonDep, PartsDep, Person, PersonDep, state_of
from app.db import Doc, Session
from app.deps import VersionsDep, version_tag
from app.errors import (
    EmailNotVerified,
    FieldError,
    InvalidCredentials,
    InvalidInput,
    InvalidTotp,
    NotFound,
    ReauthenticationRequired,
    StaleVersion,
    TotpEnabled,
    Unavailable,
)
from app.login import prove
from app.models.people import (
    EmailChange,
    MailAsked,
    PasswordChange,
    RecoveryCodes,
    SessionOut,
    TotpConfirm,
    TotpStarted,
    TotpState,
    UserChange,
    UserOut,
)
from app.parts import Parts
from app.problems import problems
from app.routers.people import limit_mail
from app.routers.sessions import attempt_of, granted
from app.services.consents import ledger
from app.services.mail import outbox
from app.services.people import accounts, email_change, recovery, second_factor, sessions

router = APIRouter(prefix="/v1/me", tags=["people"])


@router.get("", operation_id="getMe")
async def get_me(parts: PartsDep, person: PersonDep, response: Response) -> UserOut:
    """The caller's own account."""
    return await _shown(parts, await accounts.need_user(parts.db, person.user_id), response)


@router.patch("", operation_id="changeMe", responses=problems(InvalidInput, StaleVersion))
async def change_me(
    parts: PartsDep, person: PersonDep, body: UserChange, versions: VersionsDep, response: Response
) -> UserOut:
    """Correct what the account says of its person; what is left out stays."""
    changes = body.model_dump(exclude_unset=True)
    user = await accounts.change(parts.db, person.user_id, changes=changes, versions=versions, now=parts.clock())
    return await _shown(parts, user, response)


@router.post(
    "/password",
    operation_id="changePassword",
    responses=problems(InvalidInput, InvalidCredentials, Unavailable),
)
async def change_password(
    parts: PartsDep, person: PersonDep, request: Request, body: PasswordChange, response: Response
) -> SessionOut:
    """Set a new password, by the present one. Every session ends, this one too: the answer begins a new one."""
    user = await accounts.need_user(parts.db, person.user_id)
    new = body.password.get_secret_value()
    parts.password_rules.check(new, (user["name"], user["email"]))
    if new == body.current_password.get_secret_value():
        raise InvalidInput(errors=(FieldError("/password", "must be another one"),))
    attempt = attempt_of(request, user["email"], body.current_password, None)
    user = (await prove(parts, attempt, by_password_alone=True)).user
    hashed, now = await parts.passwords.hash(new), parts.clock()
    grant, user = await recovery.change_password(
        parts.db,
        parts.audit,
        user,
        hashed,
        device=attempt.device,
        authenticated_at=person.authenticated_at,
        by=person.by,
        now=now,
    )
    await parts.note_outside("password_changed", person.user_id)
    return granted(parts, request, grant, user, response)


@router.post(
    "/email",
    operation_id="changeEmail",
    status_code=202,
    responses=problems(InvalidInput, ReauthenticationRequired),
)
async def change_email(parts: PartsDep, person: FreshPersonDep, request: Request, body: EmailChange) -> MailAsked:
    """Ask for another address: the new one gets a link to confirm it, the old one is told. Needs a fresh log-in."""
    user = await accounts.need_user(parts.db, person.user_id)
    if accounts.email_key(body.email) == user["email_key"]:
        raise InvalidInput(errors=(FieldError("/email", "is the account's address already"),))
    await limit_mail(request, parts, "change_email", body.email)
    await parts.limiter.hit("mail_account", person.user_id, state_of(request)["standings"])
    await email_change.ask(parts.db, parts.audit, user, body.email, by=person.by, now=parts.clock())
    return MailAsked()


@router.get("/totp", operation_id="getTotp")
async def get_totp(parts: PartsDep, person: PersonDep) -> TotpState:
    """Whether there is a second factor."""
    factor = await second_factor.of(parts.db, person.user_id)
    if factor is None:
        return TotpState(enabled=False, confirmed_at=None, recovery_codes_left=0)
    return TotpState(enabled=True, confirmed_at=factor["confirmed_at"], recovery_codes_left=len(factor["recovery"]))


@router.post(
    "/totp",
    operation_id="beginTotp",
    status_code=201,
    responses=problems(TotpEnabled, EmailNotVerified, ReauthenticationRequired),
)
async def begin_totp(parts: PartsDep, person: FreshPersonDep) -> TotpStarted:
    """A new second factor, shown this once. It counts when `/confirm` has got a code of it. Needs a fresh log-in."""
    user = await accounts.need_user(parts.db, person.user_id)
    seed = await second_factor.begin(parts.db, parts.account_ring, user, now=parts.clock())
    return TotpStarted(totp_seed=seed, provisioning_uri=second_factor.address(seed, user["email"]))


@router.post(
    "/totp/confirm",
    operation_id="confirmTotp",
    responses=problems(InvalidInput, InvalidTotp, NotFound, TotpEnabled, ReauthenticationRequired),
)
async def confirm_totp(parts: PartsDep, person: FreshPersonDep, body: TotpConfirm) -> RecoveryCodes:
    """Switch the second factor on by a code of it: the other sessions, which had none, end.

    The answer holds the recovery codes, this once.
    """

    async def on(session: Session) -> list[str]:
        code = body.code.get_secret_value()
        codes = await second_factor.confirm(
            parts.db, parts.account_ring, person.user_id, code, now=parts.clock(), session=session
        )
        await sessions.end_all(parts.db, person.user_id, but=person.session_id, session=session)
        await _tell(parts, person, "second_factor.switched_on", "switched on", session)
        return codes

    return RecoveryCodes(recovery_codes=await parts.db.in_transaction(on))


@router.post(
    "/totp/recovery-codes",
    operation_id="renewRecoveryCodes",
    responses=problems(NotFound, ReauthenticationRequired),
)
async def renew_recovery_codes(parts: PartsDep, person: FreshPersonDep) -> RecoveryCodes:
    """New recovery codes, shown this once; the old ones are void. Needs a fresh log-in."""

    async def renew(session: Session) -> list[str]:
        codes = await second_factor.renew_recovery_codes(parts.db, person.user_id, session=session)
        await _tell(parts, person, "second_factor.codes_renewed", "given new recovery codes", session)
        return codes

    codes = await parts.db.in_transaction(renew)
    await parts.note_outside("factor_ended", person.user_id)
    return RecoveryCodes(recovery_codes=codes)


@router.delete(
    "/totp",
    operation_id="removeTotp",
    status_code=204,
    responses=problems(NotFound, ReauthenticationRequired),
)
async def remove_totp(parts: PartsDep, person: FreshPersonDep) -> None:
    """Switch the second factor off. Needs a fresh log-in, which needs the second factor."""

    async def off(session: Session) -> None:
        if await second_factor.remove(parts.db, person.user_id, session=session):
            await _tell(parts, person, "second_factor.switched_off", "switched off", session)

    await parts.db.in_transaction(off)
    await parts.note_outside("factor_ended", person.user_id)


async def _shown(parts: Parts, user: Doc, response: Response) -> UserOut:
    response.headers["ETag"] = version_tag(user)
    row = await ledger.newest(parts.db, user["_id"], "marketing_mail")
    opted_in = ledger.stands(row, now=parts.clock())
    return UserOut.of(user, marketing_opt_in=opted_in, policies=parts.policies)


async def _tell(parts: Parts, person: Person, action: str, change: str, session: Session) -> None:
    """The audit log, and the person themselves by mail."""
    now, user_id = parts.clock(), person.user_id
    await parts.audit.record(person.by, action, chain=user_id, target=user_id, now=now, session=session)
    user = await accounts.need_user(parts.db, user_id, session=session)
    facts = {"name": user["name"], "change": change}
    await outbox.queue(parts.db, "second_factor_changed", subject=user_id, facts=facts, now=now, session=session)
