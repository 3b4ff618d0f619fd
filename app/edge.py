"""The outermost layer: request ids, limits before parsing, security headers, the access log, and the last resort.

Pure ASGI: a `BaseHTTPMiddleware` would cost most of the throughput.
"""

import time
from collections.abc import Callable

from pymongo.errors import PyMongoError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import HeadersTooLarge, Problem, Unavailable, UnsupportedMediaType, UriTooLong
from app.ids import new_id
from app.json_guard import check_json
from app.logs import get_logger
from app.meta_webhook import PATH as META_WEBHOOK
from app.meta_webhook import receive_webhook
from app.parts import Parts
from app.problems import MEDIA_TYPE, problem_body
from app.receive import ClientGone, read_body

log = get_logger("access")
BODY_BYTES = 1024 * 1024
URI_BYTES, HEADER_BYTES, HEADERS = 8 * 1024, 16 * 1024, 100
_CSP = b"default-src 'none'; frame-ancestors 'none'"
_HEADERS = [
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-site"),
]
_DEFAULTS = [(b"content-security-policy", _CSP), (b"cache-control", b"no-store")]


class Edge:
    """Wraps the app. `parts` gives the process's parts once they are open."""

    def __init__(self, app: ASGIApp, *, parts: Callable[[], Parts]) -> None:
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, scope, request_id=new_id("req"))
        try:
            await self._handle(scope, receive, answer)
        except ClientGone:
            answer.status = 499
        except Problem as problem:
            await answer.problem(problem)
        except PyMongoError as exc:
            log.warning("the store refused or is away", request_id=answer.request_id, reason=type(exc).__name__)
            await answer.problem(Unavailable())
        except Exception:  # the process's edge: nothing beyond it would answer in our form
            log.exception("unhandled", request_id=answer.request_id, path=scope["path"])
            await answer.problem(Problem())
        answer.log()

    async def _handle(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        _check_head(scope)
        if scope["path"] == META_WEBHOOK and scope["method"] == "POST":
            await receive_webhook(self._parts(), scope, receive, answer)
            return
        body = await read_body(receive, scope["headers"], at_most=BODY_BYTES)
        if body:
            _check_body(scope, body)
        await self._app(scope, _replayed(body, receive), answer)


class _Answer:
    """Sends the answer on, with our headers on it, and remembers what it was."""

    def __init__(self, send: Send, scope: Scope, *, request_id: str) -> None:
        self._send, self._scope, self._began = send, scope, time.perf_counter()
        self.request_id, self.status = request_id, 0
        scope.setdefault("state", {})["request_id"] = request_id

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], *_HEADERS, (b"x-request-id", self.request_id.encode())]
            given = {name.lower() for name, _ in headers}
            message["headers"] = headers + [pair for pair in _DEFAULTS if pair[0] not in given]
        await self._send(message)

    async def problem(self, problem: Problem) -> None:
        if self.status:
            return  # the answer has begun; the server closes the connection
        body = problem_body(problem, self.request_id)
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body))} | problem.headers
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self({"type": "http.response.start", "status": problem.status, "headers": encoded})
        await self({"type": "http.response.body", "body": b"" if self._scope["method"] == "HEAD" else body})

    def log(self) -> None:
        if self._scope["path"] == META_WEBHOOK and self.status == 200:
            return
        log.info(
            "request",
            request_id=self.request_id,
            method=self._scope["method"],
            path=self._scope["path"],
            status=self.status,
            ms=round((time.perf_counter() - self._began) * 1000, 1),
        )


def _check_head(scope: Scope) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > URI_BYTES:
        raise UriTooLong
    headers = scope["headers"]
    if len(headers) > HEADERS or sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES:
        raise HeadersTooLarge


def _check_body(scope: Scope, body: bytes) -> None:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    if len(types) != 1 or types[0].split(b";")[0].strip().lower() != b"application/json":
        raise UnsupportedMediaType
    check_json(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
