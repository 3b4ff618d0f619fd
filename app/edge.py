"""The outermost layers: request ids, security headers and the access log; limits before parsing, and the last resort.

Pure ASGI: a `BaseHTTPMiddleware` would cost most of the throughput.
"""

import time
from collections.abc import Iterable

from prometheus_client import Counter
from pymongo.errors import PyMongoError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import forms, oauth, storage_routes
from app.client_address import client_of
from app.clients.objects_folder import Folder
from app.errors import HeadersTooLarge, Problem, TooManyRequests, Unavailable, UnsupportedMediaType, UriTooLong
from app.ids import new_id
from app.json_guard import check_json
from app.limiter import Standing
from app.logs import get_logger
from app.meta_webhook import PATH as META_WEBHOOK
from app.meta_webhook import receive_webhook
from app.parts import Parts
from app.problems import MEDIA_TYPE, problem_body
from app.receive import ClientGone, read_body
from app.stripe_webhook import PATH as STRIPE_WEBHOOK
from app.stripe_webhook import receive_event

log = get_logger("access")
ANSWERS = Counter("http_answers_total", "Answers by status", ["status"])
GONE = 499
"""The client hung up before it was answered (as nginx calls it)."""
BODY_BYTES = 1024 * 1024
JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
URI_BYTES, HEADER_BYTES, HEADERS = 8 * 1024, 16 * 1024, 100
WEBHOOKS = "/v1/webhooks/"
"""Providers call these. They sign what they send, and come from few addresses: limiting those would lose messages."""
ALWAYS_ANSWERED = ("/healthz", "/readyz")
NOTED = ("actor", "problem")
"""What the log tells of a request where it is known: the id of whoever asks, and the code of the refusal."""
_CSP = b"default-src 'none'; frame-ancestors 'none'"
PROTECTION = [
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-site"),
]
DEFAULTS = [(b"content-security-policy", _CSP), (b"cache-control", b"no-store")]
"""Where an answer does not say otherwise."""


class Edge:
    """Outermost: gives each request its id, each answer our headers, and the log a line."""

    def __init__(self, app: ASGIApp, *, trusted_hops: int) -> None:
        self._app, self._trusted_hops = app, trusted_hops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, began, status = new_id("req"), time.perf_counter(), GONE
        asked = scope["method"]
        method = "GET" if asked == "HEAD" else asked  # the server sends no body of a HEAD's answer
        standings: list[Standing] = []
        noted = {
            "request_id": request_id,
            "client": client_of(scope, trusted_hops=self._trusted_hops),
            "standings": standings,
            "head": asked == "HEAD",
        }
        scope = {**scope, "method": method, "state": {**scope.get("state", {}), **noted}}

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *PROTECTION, (b"x-request-id", request_id.encode())]
                given = {name.lower() for name, _ in headers}
                message["headers"] = [
                    *headers,
                    *(pair for pair in DEFAULTS if pair[0] not in given),
                    *_vary_by_origin(headers),
                    *limit_headers(standings),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)
        ANSWERS.labels(status).inc()
        if scope["path"] == META_WEBHOOK and status == 200:
            return
        log.info(
            "request",
            request_id=request_id,
            method=asked,
            path=scope["path"],
            status=status,
            ms=round((time.perf_counter() - began) * 1000, 1),
            **{name: scope["state"][name] for name in NOTED if name in scope["state"]},
        )


class Guard:
    """Limits before parsing, the hot path, and the last resort: whatever is raised becomes a problem."""

    def __init__(self, app: ASGIApp, *, parts: Parts) -> None:
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        problem = await self._handle(scope, receive, watched)
        if problem and not begun:  # else the server closes the connection
            await _send_problem(problem, scope, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> Problem | None:
        request_id = scope["state"]["request_id"]
        try:
            await self._count(scope)
            _check_head(scope)
            if scope["path"] == META_WEBHOOK and scope["method"] == "POST":
                await receive_webhook(self._parts, scope, receive, send)
                return None
            if scope["path"] == STRIPE_WEBHOOK and scope["method"] == "POST":
                await receive_event(self._parts, scope, receive, send)
                return None
            if storage_routes.is_ours(scope["path"]) and isinstance(self._parts.objects, Folder):
                await storage_routes.serve(self._parts.objects, scope, receive, send, now=self._parts.clock())
                return None
            form = forms.FORMS.get(scope["path"])
            body = await read_body(receive, scope["headers"], at_most=forms.BODY_BYTES if form else BODY_BYTES)
            if scope["path"].startswith(forms.UNSUBSCRIBE):
                body = b""
            if form and scope["method"] == "POST":
                if scope["path"] in oauth.PATHS:
                    oauth.check_place(scope["query_string"])
                if not body:
                    raise form.refusal("The body is missing")
                if _content_type(scope) == FORM:
                    scope, body = _without_form(scope, form, body)
            if body:
                _check_body(scope, body)
            await self._app(scope, _replayed(body, receive), send)
        except ClientGone:
            return None
        except Problem as problem:
            return problem
        except PyMongoError as exc:
            log.warning("the store refused or is away", request_id=request_id, reason=type(exc).__name__)
            return Unavailable()
        except Exception:  # the process's edge: nothing beyond it would answer in our form
            log.exception("unhandled", request_id=request_id, path=scope["path"])
            return Problem()
        return None

    async def _count(self, scope: Scope) -> None:
        """Count the request for its address. Raises `TooManyRequests`."""
        path, state = scope["path"], scope["state"]
        if path.startswith(WEBHOOKS):
            return
        try:
            await self._parts.limiter.hit("address", state["client"].limit_key, state["standings"])
        except TooManyRequests:
            if path not in ALWAYS_ANSWERED:
                raise


def limit_headers(standings: list[Standing]) -> list[tuple[bytes, bytes]]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10); none where nothing was counted."""
    if not standings:
        return []
    latest = {standing.name: standing for standing in standings}.values()
    policy = ", ".join(f'"{one.name}";q={one.quota};w={one.window_s}' for one in latest)
    left = ", ".join(f'"{one.name}";r={one.remaining};t={one.reset_s}' for one in latest)
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]


def _vary_by_origin(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Say on every answer that it depends on `Origin`, or a cache would give one site what another may read."""
    said = any(name.lower() == b"vary" and b"origin" in value.lower() for name, value in headers)
    return [] if said else [(b"vary", b"Origin")]


async def _send_problem(problem: Problem, scope: Scope, send: Send) -> None:
    scope["state"]["problem"] = problem.code
    body = problem_body(problem, scope["state"]["request_id"], scope["path"])
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body))} | problem.headers
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _check_head(scope: Scope) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > URI_BYTES:
        raise UriTooLong
    headers = scope["headers"]
    if len(headers) > HEADERS or sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES:
        raise HeadersTooLarge


def _check_body(scope: Scope, body: bytes) -> None:
    if _content_type(scope) != JSON:
        raise UnsupportedMediaType("Send a form or JSON" if scope["path"] in forms.FORMS else "")
    check_json(body)


def _content_type(scope: Scope) -> bytes:
    """What the body is declared as; nothing where that is not told, or told twice."""
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    return types[0].split(b";")[0].strip().lower() if len(types) == 1 else b""


def _without_form(scope: Scope, form: forms.Form, body: bytes) -> tuple[Scope, bytes]:
    """The same request with JSON as its body: nothing behind us knows forms. Raises the form's `refusal`."""
    converted = forms.as_json(form, body)
    kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
    told = [(b"content-type", JSON), (b"content-length", str(len(converted)).encode())]
    return {**scope, "headers": [*kept, *told]}, converted


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
