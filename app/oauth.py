"""The outer form of the OAuth routes: forms instead of JSON, clients by HTTP Basic, and the RFCs' names of errors."""

import base64
import json
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote_plus

from app.errors import InvalidClient, InvalidJson, InvalidRequest, Problem
from app.json_guard import check_json
from app.models.oauth import ClientAuth, TokenReference, TokenRequest

PATHS: dict[str, type[ClientAuth]] = {
    "/v1/oauth/token": TokenRequest,
    "/v1/oauth/revoke": TokenReference,
    "/v1/oauth/introspect": TokenReference,
}
"""What each of the routes takes. Nothing else in the house takes a form."""
BODY_BYTES, FIELDS = 16 * 1024, 20
_ERRORS = {"invalid_client", "invalid_scope", "unsupported_grant_type"}


def check_place(query: bytes, body: bytes) -> None:
    """Raise `InvalidRequest` unless everything is in the body: an address ends up in logs."""
    if query:
        raise InvalidRequest("Credentials do not belong into the address: send everything in the body")
    if not body:
        raise InvalidRequest("The body is missing")


def form_as_json(path: str, body: bytes) -> bytes:
    """A form as the JSON that the route takes. Raises `InvalidRequest`.

    Of a form, other fields are left out and empty ones count as left out; one that is there twice is refused (RFC 6749,
    section 3.2).
    """
    try:
        found = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS, errors="strict"
        )
        if len({name for name, _ in found}) < len(found):
            raise InvalidRequest("A field is there twice")
        known = PATHS[path].model_fields
        converted = json.dumps({name: value for name, value in found if value and name in known}).encode()
        check_json(converted)
    except (ValueError, InvalidJson) as exc:
        raise InvalidRequest("The form is not one") from exc
    return converted


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
