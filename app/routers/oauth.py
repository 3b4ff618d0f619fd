"""OAuth for partners' API clients: client credentials for a short-lived token, its revocation, and a look at it."""

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Request

from app.access import SIGNED, PartsDep, state_of
from app.errors import (
    InvalidClient,
    InvalidInput,
    InvalidRequest,
    InvalidScope,
    OwnerDecisionRequired,
    UnsupportedGrantType,
)
from app.models.oauth import FORM, ClientAuth, Introspection, TokenOut, TokenReference, TokenRequest
from app.oauth import basic_credentials
from app.parts import Parts
from app.problems import problems
from app.services.partners import clients
from app.services.partners.clients import Proven
from app.services.tokens import BadToken, ClientClaims

router = APIRouter(prefix="/v1/oauth", tags=["oauth"])
GRANT = "client_credentials"


def _takes(body: type[ClientAuth]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes this as JSON or as a form, from a client that proves itself."""
    form = {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
    return SIGNED | {"requestBody": {"content": {FORM: form}}, "security": [{"client_basic": []}, {}]}


@router.post(
    "/token",
    operation_id="createOauthToken",
    openapi_extra=_takes(TokenRequest),
    responses=problems(
        InvalidInput, InvalidRequest, InvalidScope, UnsupportedGrantType, InvalidClient, OwnerDecisionRequired
    ),
)
async def create_oauth_token(
    request: Request, parts: PartsDep, body: TokenRequest, background: BackgroundTasks
) -> TokenOut:
    """An access token for an API client (RFC 6749, section 4.4).

    The client authenticates by HTTP Basic, or by `client_id` and `client_secret` in the body; not by both.
    """
    proven = await _proven(request, parts, body)
    if body.grant_type is None:
        raise InvalidRequest("grant_type is missing")
    if body.grant_type != GRANT:
        raise UnsupportedGrantType
    now = parts.clock()
    claims = clients.grant(proven, body.scope, now=now)
    background.add_task(clients.note_use, parts.db, proven, now=now)
    return TokenOut(
        access_token=parts.signer.issue_for_client(claims, now=now),
        expires_in=int(claims.expires_at.timestamp()) - int(now.timestamp()),
        scope=" ".join(sorted(claims.scopes)),
    )


@router.post(
    "/revoke",
    operation_id="revokeOauthToken",
    openapi_extra=_takes(TokenReference),
    responses=problems(InvalidInput, InvalidRequest, InvalidClient),
)
async def revoke_oauth_token(request: Request, parts: PartsDep, body: TokenReference) -> None:
    """End an access token of the client's own at once (RFC 7009).

    One that is unknown, has ended or is another's is answered alike, and nothing changes.
    """
    proven = await _proven(request, parts, body)
    claims = _claims_of(parts, body)
    if claims is not None:
        await clients.revoke(parts.db, proven, claims)


@router.post(
    "/introspect",
    operation_id="introspectOauthToken",
    openapi_extra=_takes(TokenReference),
    response_model_exclude_none=True,
    responses=problems(InvalidInput, InvalidRequest, InvalidClient),
)
async def introspect_oauth_token(request: Request, parts: PartsDep, body: TokenReference) -> Introspection:
    """Whether an access token of the client's own is good now, and what for (RFC 7662)."""
    proven = await _proven(request, parts, body)
    claims = _claims_of(parts, body)
    scopes = await clients.scopes_of(parts.db, proven, claims, now=parts.clock()) if claims else None
    if claims is None or scopes is None:
        return Introspection(active=False)
    return Introspection(
        active=True,
        scope=" ".join(scopes),
        client_id=claims.client_id,
        sub=claims.client_id,
        label_id=claims.label_id,
        iss=parts.signer.issuer,
        exp=int(claims.expires_at.timestamp()),
        jti=claims.token_id,
    )


async def _proven(request: Request, parts: Parts, body: ClientAuth) -> Proven:
    """The client that authenticates, in one of the two ways. Raises `InvalidClient`, `InvalidRequest`.

    Counted by client and network: so nobody can use up a client's requests from elsewhere.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1 or (headers and body.client_secret is not None):
        raise InvalidRequest("Authenticate once, in one way")
    if headers:
        client_id, secret = basic_credentials(headers[0])
        if body.client_id not in (None, client_id):
            raise InvalidRequest("Authenticate as one client")
    elif body.client_id is not None and body.client_secret is not None:
        client_id, secret = body.client_id, body.client_secret.get_secret_value()
    else:
        raise InvalidClient
    state = state_of(request)
    await parts.limiter.hit("token_client", f"{client_id} {state['client'].network}", state["standings"])
    proven = await clients.prove(parts.db, client_id, secret, now=parts.clock(), request_id=state["request_id"])
    state["actor"] = client_id
    state["proven"] = (proven.client["label_id"], client_id, proven.key["id"])
    return proven


def _claims_of(parts: Parts, body: TokenReference) -> ClientClaims | None:
    """What the token says, if it is an API client's and has not ended. Raises `InvalidRequest` when there is none."""
    if body.token is None:
        raise InvalidRequest("token is missing")
    try:
        claims = parts.signer.verify(body.token.get_secret_value(), now=parts.clock())
    except BadToken:
        return None
    return claims if isinstance(claims, ClientClaims) else None
