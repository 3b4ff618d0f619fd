"""The outer form of the OAuth routes: forms instead of JSON, clients by HTTP Basic, and the RFCs' names of errors."""

import base64
from http import HTTPStatus
from urllib.parse import unquote_plus

from app.errors import InvalidClient, InvalidRequest, Problem
from app.models.oauth import ClientAuth, TokenReference, TokenRequest

PATHS: dict[str, type[ClientAuth]] = {
    "/v1/oauth/token": TokenRequest,
    "/v1/oauth/revoke": TokenReference,
    "/v1/oauth/introspect": TokenReference,
}
"""What each of the routes takes."""
_ERRORS = {"invalid_client", "invalid_scope", "unsupported_grant_type"}


def check_place(query: bytes) -> None:
    """Raise `InvalidRequest` unless everything is in the body: an address ends up in logs."""
    if query:
        raise InvalidRequest("Credentials do not belong into the address: send everything in the body")


def basic_credentials(header: str) -> tuple[str, str]:
    """The client's id and secret of an `Authorization` header (RFC 6749, section 2.3.1). Raises `InvalidClient`."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient
    try:
        text = base64.b64decode(given.strip(), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        client_id, secret = (unquote_plus(part, errors="strict") for part in (client_id, secret))
    except ValueError as exc:
        raise InvalidClient from exc
    if not colon or "\0" in client_id or len(client_id) > 64:
        raise InvalidClient
    return client_id, secret


def error_of(problem: Problem) -> dict[str, str]:
    """The members that OAuth libraries look for (RFC 6749, section 5.2)."""
    name = "invalid_request"
    if problem.code in _ERRORS:
        name = problem.code
    elif problem.status == HTTPStatus.FORBIDDEN:
        name = "invalid_scope"
    elif problem.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        name = "temporarily_unavailable"
    elif problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        name = "server_error"
    return {"error": name, "error_description": problem.detail}
