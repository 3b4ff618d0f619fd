"""Who calls, and whether they may: every route's one door. The table is `app/models/access.py`."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Annotated, Any, cast, get_args

from fastapi import APIRouter, Depends, Path, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from app.errors import (
    Forbidden,
    LabelDeleting,
    NotFound,
    ReauthenticationRequired,
    Unauthenticated,
)
from app.models.access import PERMISSIONS, Permission, Role
from app.parts import Parts
from app.services import support
from app.services.audit import By
from app.services.labels import members
from app.services.partners import clients
from app.services.people import sessions
from app.services.tokens import ENDED, BadToken, Claims, ClientClaims

FRESH = timedelta(minutes=15)
"""Dangerous work needs a log-in or a confirmed password that is no older."""
ANYBODY: dict[str, Any] = {"x-access": "anybody"}
"""`openapi_extra` of a route that needs nobody to be logged in."""
SIGNED: dict[str, Any] = {"x-access": "signed"}
"""`openapi_extra` of a route whose caller proves itself by what it sends: a signature, a token of a mail, a secret."""
BY_RESOURCE: dict[str, Any] = {"x-access": "operations:read"}
"""`openapi_extra` of a route that finds its label by the resource, and then decides with `access_to`."""

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="access_token",
    description="From `POST /v1/sessions`, or for API clients from `POST /v1/oauth/token`; 15 minutes.",
)
BearerDep = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


class UndeclaredAccess(Exception):
    """A route that does not say who may call it. The process does not start with one."""


async def get_parts(request: Request) -> Parts:
    """The process's parts."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(get_parts)]


def state_of(request: Request) -> dict[str, Any]:
    """What is noted of this request: `request_id`, `client`, `standings`; for the log, `actor` and `problem`."""
    state: dict[str, Any] = request.scope["state"]
    return state


async def get_claims(parts: PartsDep, credentials: BearerDep) -> Claims | ClientClaims:
    """What a good access token says. Whether its session or client still lives is for the caller to ask."""
    if credentials is None:
        raise Unauthenticated
    try:
        return parts.signer.verify(credentials.credentials, now=parts.clock())
    except BadToken:
        raise Unauthenticated(ENDED) from None


ClaimsDep = Annotated[Claims | ClientClaims, Depends(get_claims)]


@dataclass(frozen=True)
class Person:
    """A person who is logged in."""

    user_id: str
    session_id: str
    authenticated_at: datetime
    by: By

    def check_fresh(self, now: datetime) -> None:
        """Raise `ReauthenticationRequired` unless they gave their password in the last minutes."""
        if now - self.authenticated_at > FRESH:
            raise ReauthenticationRequired


async def get_person(request: Request, parts: PartsDep, claims: ClaimsDep) -> Person:
    """Who calls. The session is looked up each time: one that has ended ends at once.

    Raises `Unauthenticated`, and `Forbidden` for a partner's token.
    """
    state = state_of(request)
    if isinstance(claims, ClientClaims):
        state["actor"] = claims.client_id
        raise Forbidden("This is for people, not for API clients")
    state["actor"] = claims.user_id
    _, session = await asyncio.gather(
        parts.limiter.hit("account", claims.user_id, state["standings"]),
        sessions.need_session(parts.db, claims.session_id, claims.user_id, now=parts.clock()),
    )
    by = By("person", claims.user_id, state["client"].network, state["request_id"])
    return Person(claims.user_id, claims.session_id, session["authenticated_at"], by)


PersonDep = Annotated[Person, Depends(get_person)]


async def get_fresh_person(request: Request, parts: PartsDep, person: PersonDep) -> Person:
    """A person who gave their password in the last minutes. Raises `ReauthenticationRequired`."""
    person.check_fresh(parts.clock())
    state_of(request)["fresh"] = True
    return person


FreshPersonDep = Annotated[Person, Depends(get_fresh_person)]


@dataclass(frozen=True)
class Access:
    """A caller who may do what the route does, in this label."""

    label_id: str
    role: Role | None
    """None of a partner's API client and of our support."""
    user_id: str
    """Empty for a partner's API client, as is `session_id`."""
    session_id: str
    authenticated_at: datetime | None
    """When a person gave their password; None of a partner's API client."""
    by: By

    def check_fresh(self, now: datetime) -> None:
        """Raise `ReauthenticationRequired` for a person who did not give their password in the last minutes."""
        if self.authenticated_at is not None and now - self.authenticated_at > FRESH:
            raise ReauthenticationRequired


LabelId = Annotated[str, Path(max_length=64, examples=["lbl_01k9zv3t5w8x2m4c6d7f9g1h3j"])]


async def label_access(
    needed: SecurityScopes, request: Request, parts: PartsDep, claims: ClaimsDep, label_id: LabelId
) -> Access:
    """Access to a label, by the table of permissions.

    Raises `Unauthenticated`, `NotFound` for a label of others, `Forbidden`, `ReauthenticationRequired`,
    `LabelDeleting`.
    """
    (permission,) = needed.scopes
    return await access_to(request, parts, claims, label_id, cast(Permission, permission))


async def access_to(
    request: Request, parts: Parts, claims: Claims | ClientClaims, label_id: str, permission: Permission
) -> Access:
    """The decision of `label_access`, also where the label is not in the path."""
    state = state_of(request)
    origin = (state["client"].network, state["request_id"])
    if isinstance(claims, ClientClaims):
        state["actor"] = claims.client_id
        await clients.check_access(parts.db, claims, label_id, permission, now=parts.clock())
        await parts.limiter.hit("client", claims.client_id, state["standings"])
        access = Access(label_id, None, "", "", None, By("client", claims.client_id, *origin))
    else:
        access = await _persons_access(request, parts, claims, label_id, permission)
    await parts.limiter.hit("label", label_id, state["standings"])
    state["access"] = (label_id, permission)
    return access


async def _persons_access(
    request: Request, parts: Parts, claims: Claims, label_id: str, permission: Permission
) -> Access:
    person, membership = await asyncio.gather(  # two reads at once: every route of a label waits for them
        get_person(request, parts, claims), members.membership_of(parts.db, claims.user_id, label_id)
    )
    rule = PERMISSIONS[permission]
    if membership is None:
        by = await _supports_access(parts, person, label_id, permission)
        return Access(label_id, None, person.user_id, person.session_id, person.authenticated_at, by)
    role: Role = membership["role"]
    if role not in rule.roles:
        raise Forbidden("Your role does not allow this")
    if membership.get("label_deleting") and not rule.while_deleting:
        raise LabelDeleting
    if rule.dangerous:
        person.check_fresh(parts.clock())
    return Access(label_id, role, person.user_id, person.session_id, person.authenticated_at, person.by)


async def _supports_access(parts: Parts, person: Person, label_id: str, permission: Permission) -> By:
    """Our support, while a grant lasts. Every use is in the label's audit log. Raises `NotFound`, `Forbidden`."""
    now = parts.clock()
    grant = await support.grant_of(parts.db, person.user_id, label_id, now=now)
    if grant is None:
        raise NotFound
    if not PERMISSIONS[permission].support:
        raise Forbidden
    by = By("support", person.user_id, person.by.network, person.by.request_id)
    details = {"permission": permission}
    await parts.audit.record(by, "support.used", label_id=label_id, target=grant["_id"], details=details, now=now)
    return by


def declared_access(route: APIRoute) -> str:
    """Who may call the route: a permission of the table, `person`, `anybody` or `signed`. Raises `UndeclaredAccess`."""
    given = (route.openapi_extra or {}).get("x-access")
    found = set(_asked_of(route.dependant)) | ({str(given)} if given else set())
    known = {"person", "anybody", "signed", *get_args(Permission)}
    if len(found) != 1 or not found <= known:
        raise UndeclaredAccess(f"{route.path} declares {sorted(found)}, and must declare one")
    return found.pop()


def access_table(routers: Iterable[APIRouter]) -> dict[tuple[str, str], str]:
    """Who may call each path and method. Raises `UndeclaredAccess`: with a route that does not say, nothing starts."""
    table: dict[tuple[str, str], str] = {}
    for route in chain.from_iterable(router.routes for router in routers):
        if not isinstance(route, APIRoute):  # a socket, a mounted app, a bare route: nothing would ask who calls
            raise UndeclaredAccess(f"{route} cannot declare its access")
        table |= {(route.path, method.lower()): declared_access(route) for method in route.methods or ()}
    return table


def _asked_of(dependant: Dependant) -> Iterator[str]:
    for below in dependant.dependencies:
        if below.call is label_access:
            yield from {*(below.parent_oauth_scopes or ()), *(below.own_oauth_scopes or ())} or {"nothing"}
        elif below.call in (get_person, get_fresh_person):
            yield "person"
        else:
            yield from _asked_of(below)
