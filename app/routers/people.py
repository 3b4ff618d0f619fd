"""People and their sessions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, Security

from app.access import ANYBODY, SIGNED, PartsDep, PersonDep
from app.deps import REFRESH_COOKIE, check_origin, refresh_cookie, version_tag
from app.errors import (
    AgeRequirementNotMet,
    InvalidCredentials,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
    WrongOrigin,
)
from app.models.people import SessionCreate, SessionOut, UserCreate, UserOut
from app.parts import Parts
from app.problems import problems
from app.services.people import accounts, sessions
from app.services.tokens import LIFE, Claims

router = APIRouter(prefix="/v1", tags=["people"])


@router.post(
    "/users",
    operation_id="createUser",
    openapi_extra=ANYBODY,
    status_code=201,
    responses=problems(InvalidInput, AgeRequirementNotMet, Unavailable),
)
async def create_user(parts: PartsDep, body: UserCreate) -> UserOut:
    """Register.

    People under 16 are refused, and nothing about them is stored. The date of birth is never stored. An address that
    has an account already is answered alike, and nothing changes.
    """
    now = parts.clock()
    accounts.check_age(body.date_of_birth, now=now)
    user = await accounts.register(
        parts.db,
        parts.passwords,
        name=body.name,
        email=body.email,
        password=body.password.get_secret_value(),
        policy_version=body.policy_version,
        marketing_opt_in=body.marketing_opt_in,
        now=now,
    )
    return UserOut.of(user)


@router.get("/me", operation_id="getMe", responses=problems(Unauthenticated))
async def get_me(parts: PartsDep, person: PersonDep, response: Response) -> UserOut:
    """The caller's own account."""
    user = await accounts.need_user(parts.db, person.user_id)
    response.headers["ETag"] = version_tag(user)
    return UserOut.of(user)


@router.post(
    "/sessions",
    operation_id="createSession",
    openapi_extra=ANYBODY,
    responses=problems(InvalidInput, InvalidCredentials, Unavailable, WrongOrigin),
    dependencies=[Depends(check_origin)],
)
async def create_session(parts: PartsDep, body: SessionCreate, response: Response) -> SessionOut:
    """Log in: an access token in the answer, and a refresh token in an HttpOnly cookie."""
    password = body.password.get_secret_value()
    user = await accounts.need_credentials(parts.db, parts.passwords, email=body.email, password=password)
    return _granted(
        parts, await sessions.start(parts.db, user["_id"], network=None, user_agent=None, now=parts.clock()), response
    )


@router.post(
    "/sessions/refresh",
    operation_id="refreshSession",
    openapi_extra=SIGNED,
    responses=problems(Unauthenticated, WrongOrigin),
    dependencies=[Depends(check_origin)],
)
async def refresh_session(
    parts: PartsDep, response: Response, token: Annotated[str | None, Security(refresh_cookie)]
) -> SessionOut:
    """The next access token, and the next cookie. A cookie that was used before ends the session."""
    if not token:
        raise Unauthenticated
    return _granted(parts, await sessions.refresh(parts.db, token, now=parts.clock()), response)


@router.delete(
    "/sessions/{session_id}",
    operation_id="endSession",
    status_code=204,
    responses=problems(Unauthenticated, NotFound, WrongOrigin),
    dependencies=[Depends(check_origin)],
)
async def end_session(parts: PartsDep, person: PersonDep, session_id: str, response: Response) -> None:
    """Log out of a session of one's own; `current` is this one. It ends at once, everywhere."""
    wanted = person.session_id if session_id == "current" else session_id
    found = await sessions.get_session(parts.db, wanted, now=parts.clock())
    if found is None or found["user_id"] != person.user_id:
        raise NotFound
    await sessions.end(parts.db, wanted)
    if wanted == person.session_id:
        response.delete_cookie(REFRESH_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def _granted(parts: Parts, grant: sessions.Grant, response: Response) -> SessionOut:
    response.set_cookie(
        REFRESH_COOKIE,
        grant.refresh_token,
        max_age=int((grant.expires_at - parts.clock()).total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
    token = parts.signer.issue(Claims(grant.user_id, grant.session_id), now=parts.clock())
    return SessionOut(access_token=token, expires_in=int(LIFE.total_seconds()))
