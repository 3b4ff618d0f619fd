"""Sessions: logging in and out, staying logged in, and where one is logged in."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, Security
from pydantic import SecretStr

from app import cursors
from app.access import ANYBODY, SIGNED, PartsDep, PersonDep, state_of
from app.db import Doc, Session
from app.deps import DEVICE_COOKIE, DEVICE_KNOWN_S, REFRESH_COOKIE, PagingDep, check_origin, refresh_cookie, set_cookie
from app.errors import (
    InvalidCredentials,
    InvalidCursor,
    InvalidInput,
    InvalidTotp,
    NotFound,
    TotpRequired,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    WrongOrigin,
)
from app.login import Attempt, log_in
from app.models.people import Reauthentication, SessionCreate, SessionOut, SessionPage, SessionShown
from app.parts import Parts
from app.problems import problems
from app.routers.consents import heed
from app.services.audit import By
from app.services.people import accounts, devices, sessions
from app.services.people.sessions import Device, Grant
from app.services.tokens import LIFE, Claims
from app.signals import GpcDep

router = APIRouter(prefix="/v1/sessions", tags=["people"])
AGENT_LENGTH = 200
_LOG_IN = problems(InvalidInput, InvalidCredentials, TotpRequired, InvalidTotp, Unavailable, WrongOrigin)


def device_of(request: Request) -> Device:
    """Where a request comes from, as a session remembers it."""
    agent = "".join(letter for letter in request.headers.get("user-agent", "") if letter.isprintable())
    return Device(state_of(request)["client"].network, agent[:AGENT_LENGTH] or None)


def attempt_of(request: Request, email: str, password: SecretStr, totp: SecretStr | None) -> Attempt:
    """A log-in as a request asks for it."""
    state = state_of(request)
    return Attempt(
        email=email,
        password=password.get_secret_value(),
        totp=totp.get_secret_value() if totp else None,
        device_cookie=request.cookies.get(DEVICE_COOKIE),
        device=device_of(request),
        limit_key=state["client"].limit_key,
        request_id=state["request_id"],
        standings=state["standings"],
    )


def granted(parts: Parts, request: Request, grant: Grant, user: Doc | None, response: Response) -> SessionOut:
    """The answer that gives a session, with its cookie; and, for a `user` who logged in, the known device's."""
    lasts_s = int((grant.expires_at - parts.clock()).total_seconds())
    set_cookie(response, REFRESH_COOKIE, grant.refresh_token, lasts_s)
    if user and not devices.known(parts.device_key, user, request.cookies.get(DEVICE_COOKIE)):
        set_cookie(response, DEVICE_COOKIE, devices.mark(parts.device_key, user), DEVICE_KNOWN_S)
    token = parts.signer.issue(Claims(grant.user_id, grant.session_id), now=parts.clock())
    return SessionOut(access_token=token, expires_in=int(LIFE.total_seconds()))


@router.post(
    "",
    operation_id="createSession",
    openapi_extra=ANYBODY,
    responses=_LOG_IN,
    dependencies=[Depends(check_origin)],
)
async def create_session(
    parts: PartsDep, request: Request, body: SessionCreate, gpc: GpcDep, response: Response
) -> SessionOut:
    """Log in: an access token in the answer, and a refresh token in an HttpOnly cookie.

    An account with a second factor answers `totp_required` until `totp` is given. A log-in from a browser that the
    account does not know is told to its person by mail.
    """
    grant, user = await log_in(parts, attempt_of(request, body.email, body.password, body.totp))
    state = state_of(request)
    await heed(parts, grant.user_id, By("person", grant.user_id, state["client"].network, state["request_id"]), gpc=gpc)
    return granted(parts, request, grant, user, response)


@router.post(
    "/refresh",
    operation_id="refreshSession",
    openapi_extra=SIGNED,
    responses=problems(Unauthenticated, UnsupportedMediaType, WrongOrigin),
    dependencies=[Depends(check_origin)],
)
async def refresh_session(
    parts: PartsDep, request: Request, response: Response, token: Annotated[str | None, Security(refresh_cookie)]
) -> SessionOut:
    """The next access token, and the next cookie. A cookie that was used before ends the session.

    So a single-page app refreshes under a lock that its tabs share (`navigator.locks`), and with `keepalive: true`: a
    reload must not lose the answer that carries the next cookie.
    """
    if not token:
        raise Unauthenticated
    grant = await sessions.refresh(parts.db, token, device_of(request), now=parts.clock())
    return granted(parts, request, grant, None, response)


@router.post(
    "/reauthenticate",
    operation_id="reauthenticate",
    responses=_LOG_IN,
    dependencies=[Depends(check_origin)],
)
async def reauthenticate(
    parts: PartsDep, person: PersonDep, request: Request, body: Reauthentication, response: Response
) -> SessionOut:
    """Confirm the password, which dangerous work needs to be 15 minutes old at most.

    The present session ends, and the answer begins a new one.
    """
    user = await accounts.need_user(parts.db, person.user_id)
    attempt = attempt_of(request, user["email"], body.password, body.totp)
    grant, user = await log_in(parts, attempt, instead_of=person.session_id)
    return granted(parts, request, grant, user, response)


@router.get("", operation_id="listSessions", responses=problems(InvalidInput, InvalidCursor))
async def list_sessions(parts: PartsDep, person: PersonDep, paging: PagingDep) -> SessionPage:
    """Where the caller is logged in, the newest log-in first."""
    place = f"sessions:{person.user_id}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await sessions.page_of(parts.db, person.user_id, before=before, limit=paging.limit, now=parts.clock())
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    shown = [SessionShown.of(session, current=person.session_id) for session in page]
    return SessionPage(data=shown, next_cursor=following)


@router.delete("", operation_id="endOtherSessions", status_code=204, responses=problems(WrongOrigin))
async def end_other_sessions(parts: PartsDep, person: PersonDep) -> None:
    """Log out everywhere else. The other sessions end at once."""

    async def others(session: Session) -> None:
        ended = await sessions.end_all(parts.db, person.user_id, but=person.session_id, session=session)
        details = {"ended": str(ended)}
        await parts.audit.record(
            person.by,
            "session.others_ended",
            chain=person.user_id,
            target=person.user_id,
            details=details,
            now=parts.clock(),
            session=session,
        )

    await parts.db.in_transaction(others)


@router.delete(
    "/{session_id}",
    operation_id="endSession",
    status_code=204,
    responses=problems(NotFound, UnsupportedMediaType, WrongOrigin),
    dependencies=[Depends(check_origin)],
)
async def end_session(parts: PartsDep, person: PersonDep, session_id: str, response: Response) -> None:
    """Log out of a session of one's own; `current` is this one. It ends at once, everywhere."""
    wanted, user_id = person.session_id if session_id == "current" else session_id, person.user_id

    async def ended(session: Session) -> None:
        await sessions.end_own(parts.db, wanted, user_id, session=session)
        now = parts.clock()
        await parts.audit.record(person.by, "session.ended", chain=user_id, target=wanted, now=now, session=session)

    await parts.db.in_transaction(ended)
    if wanted == person.session_id:
        response.delete_cookie(REFRESH_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
