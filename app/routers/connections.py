"""Connections: how a label's account at a provider is connected, and how it is."""

import html
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.responses import HTMLResponse, RedirectResponse

from app import cursors
from app.access import SIGNED, Access, BearerDep, PartsDep, get_claims, get_person, label_access, state_of
from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.db import Doc
from app.deps import PagingDep, VersionsDep, refresh_cookie, version_tag
from app.errors import (
    ConnectionNotActive,
    Forbidden,
    InvalidCursor,
    InvalidInput,
    InvalidState,
    NotFound,
    ProviderNotAvailable,
    StaleVersion,
    Unauthenticated,
)
from app.models.access import PERMISSIONS
from app.models.connections import (
    ConnectionChange,
    ConnectionCreate,
    ConnectionOut,
    ConnectionPage,
    ConnectionStarted,
    Status,
)
from app.models.features import Provider
from app.parts import Parts
from app.problems import problems
from app.services.audit import By
from app.services.connections import beginning, store, switching
from app.services.connections.beginning import Beginner, Wish
from app.services.labels import members
from app.services.people import sessions

router = APIRouter(tags=["connections"])
PATH = "/v1/labels/{label_id}/connections"
Reader = Annotated[Access, Security(label_access, scopes=["connections:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["connections:write"])]
DONE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>SoundOps</title></head>
<body><p>The account {outcome}. You can close this window.</p></body></html>
"""


@router.post(
    PATH,
    operation_id="createConnection",
    status_code=201,
    responses=problems(
        *(InvalidInput, Forbidden, NotFound, ProviderNotAvailable, Unauthenticated, BillingReadOnly, PlanLimitReached)
    ),
)
async def create_connection(
    parts: PartsDep, access: Writer, body: ConnectionCreate, response: Response
) -> ConnectionStarted:
    """Begin to connect an account: send its owner's browser to `authorize_url`, which works once, for ten minutes."""
    if body.return_to is not None:
        beginning.check_return_to(parts.settings, body.return_to)
    await parts.meter.need_room(access.label_id, "connections", now=parts.clock())
    wish = Wish(body.provider, body.features, body.return_to)
    connection, authorize_url = await beginning.begin(
        parts.db, parts.settings, parts.audit, wish, _beginner(access), now=parts.clock()
    )
    response.headers["Location"] = f"/v1/labels/{access.label_id}/connections/{connection['_id']}"
    response.headers["ETag"] = version_tag(connection)
    return ConnectionStarted.at(connection, authorize_url)


@router.get(
    PATH, operation_id="listConnections", responses=problems(InvalidInput, InvalidCursor, NotFound, Unauthenticated)
)
async def list_connections(
    parts: PartsDep,
    access: Reader,
    paging: PagingDep,
    status: Annotated[Status | None, Query(description="Only those that stand so")] = None,
) -> ConnectionPage:
    """The label's connections, the oldest first; without `status` also those that have ended, for 12 months."""
    place = f"connections:{access.label_id}:{status}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await store.page_of(parts.db, access.label_id, status=status, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return ConnectionPage(data=[ConnectionOut.of(connection) for connection in page], next_cursor=following)


@router.get(PATH + "/{connection_id}", operation_id="getConnection", responses=problems(NotFound, Unauthenticated))
async def get_connection(parts: PartsDep, access: Reader, connection_id: str, response: Response) -> ConnectionOut:
    """One connection and how it is. A token is never shown."""
    connection = await store.need(parts.db, access.label_id, connection_id)
    response.headers["ETag"] = version_tag(connection)
    return ConnectionOut.of(connection)


@router.patch(
    PATH + "/{connection_id}",
    operation_id="changeConnection",
    responses=problems(ConnectionNotActive, InvalidInput, Forbidden, NotFound, StaleVersion, Unauthenticated),
)
async def change_connection(
    parts: PartsDep,
    access: Writer,
    connection_id: str,
    body: ConnectionChange,
    versions: VersionsDep,
    response: Response,
) -> ConnectionOut:
    """Switch features on and off.

    What is off stops at once: no call is made for it, what waited for its turn fails as `feature_off`, and what the
    provider still sends is not stored. What is on works at once if its scopes were granted; if not, it stays inactive,
    and `missing_scopes` says what a new log-in must grant.
    """
    switched = await switching.switch(
        parts.db,
        parts.audit,
        access.label_id,
        connection_id,
        features=body.features,
        versions=versions,
        by=access.by,
        now=parts.clock(),
    )
    if switched.operation_id:
        await parts.bell.ring(switched.operation_id)
    response.headers["ETag"] = version_tag(switched.connection)
    return ConnectionOut.of(switched.connection)


@router.get(
    "/v1/oauth/callback/{provider}",
    operation_id="finishLogin",
    openapi_extra=SIGNED,
    response_class=Response,
    responses=problems(InvalidInput, InvalidState, NotFound, Unauthenticated)
    | {
        200: {"description": "Done, where no `return_to` was given", "content": {"text/html": {}}},
        302: {"description": "Back to `return_to`, with `connection_id` and `status` added to its query"},
    },
)
async def finish_login(
    request: Request,
    parts: PartsDep,
    provider: Provider,
    state: Annotated[str, Query(min_length=1, max_length=200, description="What the login was begun with")],
    credentials: BearerDep,
    cookie: Annotated[str | None, Security(refresh_cookie)],
    code: Annotated[str | None, Query(min_length=1, max_length=4000, description="From the provider")] = None,
    error: Annotated[str | None, Query(max_length=200, description="`access_denied`: its owner said no")] = None,
) -> Response:
    """Where a provider sends the browser back to: checks `state`, seals the code, and has a worker exchange it."""
    if code is None and error is None:
        raise InvalidInput("Neither a code nor an error came back")
    session_id = await _session_of(request, parts, credentials, cookie)
    pending = await beginning.consume_state(
        parts.db, state, provider=provider, session_id=session_id, now=parts.clock()
    )
    membership = await members.membership_of(parts.db, pending["user_id"], pending["label_id"])
    if membership is None or membership["role"] not in PERMISSIONS["connections:write"].roles:
        raise InvalidState
    if membership.get("label_deleting"):
        raise InvalidState
    if code is None:
        connection = await store.need(parts.db, pending["label_id"], pending["connection_id"])
        by = By("person", pending["user_id"], state_of(request)["client"].network, state_of(request)["request_id"])
        await store.end_log_in(parts.db, parts.audit, connection, problem="access_denied", by=by, now=parts.clock())
        return _back(pending, "error")
    verifier = beginning.verifier_of(parts.settings, provider, state)
    operation = await beginning.accept_code(
        parts.db, parts.ring, pending, code=code, verifier=verifier, now=parts.clock()
    )
    await parts.bell.ring(operation["_id"])
    return _back(pending, "pending")


def _beginner(access: Access) -> Beginner:
    return Beginner(access.label_id, access.user_id, access.session_id, access.by)


async def _session_of(request: Request, parts: Parts, credentials: BearerDep, cookie: str | None) -> str | None:
    """The session that the browser shows, by cookie or token. Without any, only a laptop's login may go on."""
    if credentials is not None:
        return (await get_person(request, parts, await get_claims(parts, credentials))).session_id
    found = await sessions.session_of(parts.db, cookie, now=parts.clock()) if cookie else None
    if found is not None:
        return str(found["_id"])
    if cookie is not None or parts.settings.environment == "production":
        raise InvalidState
    return None


def _back(pending: Doc, status: str) -> Response:
    if pending["return_to"] is None:
        outcome = "was not connected" if status == "error" else "is being connected: SoundOps shows what came of it"
        return HTMLResponse(DONE.format(outcome=html.escape(outcome)))
    parts = urlsplit(pending["return_to"])
    query = [*parse_qsl(parts.query), ("connection_id", pending["connection_id"]), ("status", status)]
    return RedirectResponse(parts._replace(query=urlencode(query)).geturl(), 302)
