"""Errors as RFC 9457 answers: the only place where they become HTTP. No answer repeats what the caller sent."""

from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.body_fields import unknown_field
from app.errors import FieldError, InvalidCursor, InvalidInput, MethodNotAllowed, NotFound, Problem, Unavailable
from app.logs import get_logger
from app.oauth import PATHS as OAUTH_PATHS
from app.oauth import error_of
from app.services.vault.ring_errors import RingUnavailable

log = get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://soundops.io/problems/"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MESSAGES = {
    "missing": "is missing",
    "json_invalid": "is not JSON",
    **dict.fromkeys(("string_too_short", "too_short"), "must have a length of at least {min_length}"),
    **dict.fromkeys(("string_too_long", "too_long"), "must have a length of at most {max_length}"),
    "string_pattern_mismatch": "does not have the right form, {pattern}",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_type": "must be text",
    "list_type": "must be a list",
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object"),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        "must be a date since 1900, like 1990-04-01",
    ),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware"),
        "must be an instant like 2026-11-23T08:00:00Z",
    ),
}
"""By pydantic's type of error. What the sentences are filled with are the field's own limits: none of it was sent."""


class FieldErrorOut(BaseModel):
    """One invalid input."""

    pointer: str
    detail: str


class PlanLimitOut(BaseModel):
    """A limit of a plan, and how the label stands to it."""

    limit: str
    used: int
    most: int
    plan: str
    plan_with_more: str | None = None
    remove: int


class ProblemOut(BaseModel):
    """What went wrong (RFC 9457). `code` is stable; `request_id` finds the request in our logs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldErrorOut] = []
    plan_limits: list[PlanLimitOut] = []
    """Of `plan_limit_reached` and `plan_too_small` alone: what there is too much of, and which plan has more."""
    error: str | None = None
    """Of the OAuth routes alone, as is `error_description`: what RFC 6749 calls it."""
    error_description: str | None = None


def problem_body(problem: Problem, request_id: str, path: str = "") -> bytes:
    """The answer's body, to a request of this path."""
    body: dict[str, Any] = {
        "type": TYPE_BASE + problem.code,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.errors:
        body["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in problem.errors]
    body |= problem.also
    if path in OAUTH_PATHS:
        body |= error_of(problem)
    return orjson.dumps(body)


def problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        example = {"summary": kind.title, "value": orjson.loads(problem_body(_sample(kind), "req_01k9zv3t5w"))}
        entry = found.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}, "examples": {}}},
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][kind.code] = example
        if kind.title not in entry["description"]:
            entry["description"] += f"; {kind.title}"
    return found


def _sample(kind: type[Problem]) -> Problem:
    problem = kind()
    if kind is InvalidInput:
        problem.errors = (FieldError("/name", "is missing"),)
    return problem


def install(app: FastAPI) -> None:
    """Have every error of the app answered as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(PyMongoError, _on_store)
    app.add_exception_handler(RingUnavailable, _on_ring)
    app.add_exception_handler(Exception, _on_anything)


def _answer(request: Request, problem: Problem) -> Response:
    request.scope["state"]["problem"] = problem.code
    body = problem_body(problem, request.scope["state"]["request_id"], request.scope["path"])
    return Response(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


async def _on_problem(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return _answer(request, exc)


async def _on_invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = tuple(FieldError(_pointer(error), _detail(request, error)) for error in exc.errors()[:50])
    if any(error.pointer == "/query/cursor" for error in errors):
        return _answer(request, InvalidCursor())
    return _answer(request, InvalidInput(errors=errors))


async def _on_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code == MethodNotAllowed.status:
        return _answer(request, MethodNotAllowed(headers={"Allow": ", ".join(_methods_at(request))}))
    return _answer(request, NotFound() if exc.status_code == NotFound.status else Problem())


def _methods_at(request: Request) -> list[str]:
    """What this path can be asked for. The router itself names only its first route's methods."""
    routes = request.app.routes
    return [m for m in METHODS if any(r.matches({**request.scope, "method": m})[0] is Match.FULL for r in routes)]


async def _on_store(request: Request, exc: Exception) -> Response:
    log.warning("the store refused or is away", reason=type(exc).__name__)
    return _answer(request, Unavailable())


async def _on_ring(request: Request, exc: Exception) -> Response:
    log.warning("the key ring does not seal now", reason=str(exc))
    return _answer(request, Unavailable())


async def _on_anything(request: Request, exc: Exception) -> Response:
    """The guard logs it: starlette raises it on after this answer."""
    return _answer(request, Problem())


def _pointer(error: dict[str, Any]) -> str:
    """Where it is. A name that is not ours is the caller's own words: there, only what holds it is told."""
    location: tuple[Any, ...] = error["loc"]
    parts = location[1:] if location and location[0] == "body" else location
    if parts is location:
        parts = parts[:2]  # what follows is which of several checks it was
    known = parts[:-1] if error["type"] == "extra_forbidden" else parts
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in known)


def _detail(request: Request, error: dict[str, Any]) -> str:
    """What is wrong, from a fixed list or in the words of our own checks; never the value."""
    if error["type"] == "extra_forbidden":
        return unknown_field(request, error["loc"])
    if error["type"] == "missing" and error["loc"] == ("body",):
        return "the body is missing"
    known = _MESSAGES.get(error["type"])
    if known:
        return known.format_map(error.get("ctx") or {})
    # a library's own words (of an e-mail address) may repeat the value
    ours = error["ctx"].get("error") if error["type"] == "value_error" else None
    return str(ours) if isinstance(ours, ValueError) else "does not have the right form"
