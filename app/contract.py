"""The contract: `openapi.json`, generated from the code."""

import json
from copy import deepcopy
from functools import cache
from typing import Any, cast, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app import (
    billing_errors,
    comment_errors,
    deliveries,
    errors,
    export_errors,
    publication_errors,
    publishing_errors,
    storage_errors,
)
from app.deps import takes_no_others
from app.errors import (
    BodyTooLarge,
    Forbidden,
    HeadersTooLarge,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidJson,
    LabelDeleting,
    NotFound,
    OwnerDecisionRequired,
    Problem,
    ReauthenticationRequired,
    RequestInProgress,
    RequestTimeout,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    UriTooLong,
)
from app.models.access import PERMISSIONS, Permission, Role, Scope
from app.problems import MEDIA_TYPE, ProblemOut, problems

VERSION = "0.1.0"
DESCRIPTION = """The back end that an independent record label runs its public life on.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists take `limit` and `cursor` and answer
`{data, next_cursor}`. Every POST takes an `Idempotency-Key`: the same key and body within 24 hours get the first good
answer again; a refusal is not kept. Single resources carry an `ETag`; `If-Match` refuses a change to another version
(`412`). What takes longer answers `202` with an operation; `Prefer: wait=N` holds the answer for its end. Every answer
has an `X-Request-Id`.

What is limited is counted over a moving window. Every answer to what was counted says how the limits stand
(draft-ietf-httpapi-ratelimit-headers-10): `RateLimit-Policy: "address";q=1200;w=60` (at most `q` in any `w` seconds)
and `RateLimit: "address";r=1199;t=60` (`r` are left; the oldest that counts ends in `t` seconds). Over a limit the
answer is `429`, and waiting for its `Retry-After` is enough. A browser's log-in, refresh and log-out must declare
`Content-Type: application/json`, also without a body.

`x-access` of an operation names the permission that it needs, `x-roles` the roles that have it, and `x-partner-scope`
the scope by which an API client has it. Where no permission is needed, `x-access` is `person` (to be logged in),
`signed` (the caller proves itself by what it sends: a signature, a secret, the refresh cookie, the token of a mail) or
`anybody`.

Every problem, by its `code`:

"""
RETRY_AFTER = {"description": "Seconds to wait; then there is room again.", "schema": {"type": "integer", "minimum": 1}}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the first good answer again for 24 hours (`Idempotency-Replayed: true`).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
CLIENT_SCHEMES: dict[str, Any] = {
    "client_credentials": {
        "type": "oauth2",
        "description": "API clients: the token of `POST /v1/oauth/token`, sent as `Authorization: Bearer`.",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/v1/oauth/token",
                "scopes": {
                    scope: "data from Meta: needs the owner's decision"
                    if PERMISSIONS[scope].meta
                    else "the label's own"
                    for scope in get_args(Scope)
                },
            }
        },
    },
    "client_basic": {
        "type": "http",
        "scheme": "basic",
        "description": "API clients: `client_id` and `client_secret`, each form-encoded (RFC 6749, section 2.3.1).",
    },
}


def generate(app: FastAPI) -> dict[str, Any]:
    """The contract of this app: its routes, the delivery route in front of them, and what holds for all of them."""
    told = DESCRIPTION + _problem_table()
    found = get_openapi(title="SoundOps", version=VERSION, description=told, routes=app.routes, tags=TAGS)
    schemas = found["components"]["schemas"]
    schemas |= ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}").pop("$defs")
    schemas["ProblemOut"] = {
        name: value
        for name, value in ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}").items()
        if name != "$defs"
    }
    found["components"]["securitySchemes"] |= CLIENT_SCHEMES
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    of_providers = [deepcopy(operation) for operation in deliveries.OPERATIONS.values()]
    for path, operation in zip(deliveries.OPERATIONS, of_providers, strict=True):
        found["paths"].setdefault(path, {})["post"] = operation
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            if all(operation is not delivery for delivery in of_providers):
                _complete(path, method, operation)
                _tell_access(operation, app.state.access[path, method])
            _share_examples(operation, found["components"].setdefault("examples", {}))
    return found


def _share_examples(operation: dict[str, Any], shared: dict[str, Any]) -> None:
    """Have the example of each problem stand in the contract once: in every operation, they would be most of it."""
    for answer in operation["responses"].values():
        examples = answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        for code in examples:
            shared.setdefault(code, examples[code])
            examples[code] = {"$ref": f"#/components/examples/{code}"}


def _problem_table() -> str:
    """Every problem that there is, in Markdown."""
    modules = (
        errors,
        billing_errors,
        comment_errors,
        export_errors,
        publication_errors,
        publishing_errors,
        storage_errors,
    )
    named = {name: kind for module in modules for name, kind in vars(module).items()}.values()
    kinds = [kind for kind in named if isinstance(kind, type) and issubclass(kind, Problem)]
    rows = [f"| {kind.status} | `{kind.code}` | {kind.title} |" for kind in sorted(kinds, key=_status_and_code)]
    return "\n".join(("| Status | Code | Title |", "| --- | --- | --- |", *rows))


def _status_and_code(kind: type[Problem]) -> tuple[int, str]:
    return kind.status, kind.code


def _tell_access(operation: dict[str, Any], access: str) -> None:
    """Say who may call it, and how whoever may not is refused."""
    operation["x-access"] = access
    if access in ("anybody", "signed"):
        return
    kinds: list[type[Problem]] = [Unauthenticated, Forbidden]
    if access != "person":
        rule = PERMISSIONS[cast(Permission, access)]
        operation["x-roles"] = [role for role in get_args(Role) if role in rule.roles]
        operation["x-partner-scope"] = access if rule.partner else None
        kinds += [NotFound] + ([] if rule.while_deleting else [LabelDeleting])
        kinds += [ReauthenticationRequired] if rule.dangerous else []
        if rule.partner:
            kinds += [OwnerDecisionRequired] if rule.meta else []
            operation["security"].append({"client_credentials": [access]})
    for kind in kinds:
        _add(operation["responses"], kind)


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what every route of its kind takes and may answer, for the layers in front of the routes."""
    if operation["responses"].get("422", {}).get("description") == "Validation Error":
        del operation["responses"]["422"]
    kinds: list[type[Problem]] = [UriTooLong, HeadersTooLarge, TooManyRequests, Problem, Unavailable]
    if operation.get("parameters") or takes_no_others(path):
        kinds.append(InvalidInput)
    if method == "post":
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
        kinds += [InvalidInput, RequestInProgress, IdempotencyKeyReused]
    if "requestBody" in operation:
        kinds += [InvalidJson, RequestTimeout, BodyTooLarge, UnsupportedMediaType]
    for kind in kinds:
        _add(operation["responses"], kind)
    operation["responses"]["429"]["headers"] = {"Retry-After": RETRY_AFTER}


def _add(responses: dict[str, Any], kind: type[Problem]) -> None:
    """Document one more problem, beside those that the route itself has with the same status."""
    (more,) = problems(kind).values()
    known = responses.setdefault(str(kind.status), more)
    if MEDIA_TYPE not in known["content"]:
        known["content"] |= more["content"]
    known["content"][MEDIA_TYPE]["examples"] |= more["content"][MEDIA_TYPE]["examples"]
    if kind.title not in known["description"]:
        known["description"] += f"; {kind.title}"


TAGS = [
    {"name": "health", "description": "Alive, ready, and how to find out about us."},
    {"name": "people", "description": "Accounts, sessions, second factors, and the links in mails."},
    {
        "name": "privacy",
        "description": "One's own data: consents, requests, restriction, objection, the end of the account; policies, "
        "and promises that are measured.",
    },
    {"name": "labels", "description": "The tenants. Another label's resource answers `404`."},
    {"name": "members", "description": "Who works for a label, in which role, and who was asked to."},
    {"name": "audit", "description": "Who did what, when and from where. No route changes or deletes a row."},
    {"name": "support", "description": "Our support looking into a label: for a reason, for a while, visible to it."},
    {
        "name": "partners",
        "description": "API clients: scopes, secrets that are shown once, and the owner's decision on data from Meta.",
    },
    {
        "name": "oauth",
        "description": "For API clients: `client_credentials` for a token of 15 minutes (RFC 6749, 7009, 7662). "
        "Forms are taken as well as JSON, and errors carry the RFCs' `error`.",
    },
    {"name": "exports", "description": "Copies of all that is stored of a person or a label, as a zip."},
    {"name": "connections", "description": "Accounts at providers. A token is never shown."},
    {"name": "inbox", "description": "What fans write and what the label answers, for 30 days after Meta's own time."},
    {"name": "comments", "description": "What is written below a label's posts, and what is done about it."},
    {
        "name": "publishing",
        "description": "What a label publishes: planned, checked against what Meta takes, approved, scheduled.",
    },
    {
        "name": "insights",
        "description": "What Meta tells of accounts and of what they post, day by day, with sources and gaps.",
    },
    {"name": "numbers", "description": "How long fans wait, how long conversations are open, and what is open."},
    {"name": "rules", "description": "What is done by itself with what fans write; a dry run shows it beforehand."},
    {"name": "assets", "description": "The label's images and videos: uploaded, looked at, cut to shape."},
    {"name": "billing", "description": "What a label pays for, what it was invoiced and what it has paid."},
    {"name": "operations", "description": "Deferred work."},
    {"name": "stream", "description": "What happens, as it happens: types and ids, never content."},
    {"name": "webhooks", "description": "What Meta and Stripe call."},
]


@cache
def document(app: FastAPI) -> bytes:
    """The contract as the file's bytes."""
    return (json.dumps(generate(app), indent=1, ensure_ascii=False) + "\n").encode()
