"""Faults: what a call is made to suffer, by a magic value in its text or by a queued order."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

import orjson
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from sandbox.box import Sandbox, new_number_id
from sandbox.errors import GraphError
from sandbox.state import Fault, Token
from sandbox.subjects import find_subject

_MAGIC = re.compile(
    r"!!(?:error:(?P<code>-?\d{1,8})(?:/(?P<subcode>\d{1,8}))?|http:(?P<status>[45]\d\d)|slow:(?P<seconds>\d{1,6}(?:\.\d+)?)"
    r"|(?P<plain>html|empty|lost|500-executed))"
)
MESSAGES = {
    1: "An unknown error has occurred.",
    2: "An unexpected error has occurred. Please retry your request later.",
    4: "(#4) Application request limit reached",
    10: "(#10) Application does not have permission for this action",
    17: "(#17) User request limit reached",
    190: "Error validating access token: The session has been invalidated",
    368: "(#368) The action attempted has been deemed abusive or is otherwise disallowed",
    613: "(#613) Calls to this api have exceeded the rate limit.",
}


class HangUp(Response):
    """No answer at all: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection under the server."""
        hang_up: Callable[[], None] = scope["sandbox.hang_up"]
        hang_up()


def magic_fault(text: str) -> Fault | None:
    """The fault that this text asks for, as `!!error:190/463` or `!!lost`."""
    match = _MAGIC.search(text)
    if not match:
        return None
    if match["code"]:
        return Fault(
            fault="error", code=int(match["code"]), subcode=int(match["subcode"]) if match["subcode"] else None
        )
    if match["status"]:
        return Fault(fault="http", code=int(match["status"]))
    if match["seconds"]:
        return Fault(fault="slow", seconds=min(600.0, float(match["seconds"])))
    return Fault.model_validate({"fault": match["plain"]})


def take_fault(box: Sandbox, request: Request, path: str, token: Token | None) -> Fault | None:
    """The first queued fault that this call meets; one of its `times` is used up."""
    for fault in box.world.faults:
        match = fault.match
        if match.method and match.method.upper() != request.method:
            continue
        if match.account and not _concerns(match.account, path, token):
            continue
        if re.search(match.path, path):
            taken = fault.model_copy()
            box.record("fault_used", fault_id=fault.id, path=path, method=request.method)
            return taken
    return None


def _concerns(name: str, path: str, token: Token | None) -> bool:
    """Whether a call is made for this account, Page or person, or is about it."""
    found = find_subject(name)
    if found is None or token is None:
        return False
    return found.id in (token.account_id, token.person_id, *path.split("/"))


async def perform(fault: Fault | None, execute: Callable[[], Awaitable[Response]]) -> Response:
    """Answer a call under this fault. Only `slow`, `lost`, `500-executed` and `error-executed` execute it."""
    match fault:
        case None:
            return await execute()
        case Fault(fault="slow"):
            await asyncio.sleep(fault.seconds)
            return await execute()
        case Fault(fault="lost"):
            await asyncio.sleep(fault.seconds)
            with suppress(GraphError):
                await execute()
            return HangUp()
        case Fault(fault="500-executed"):
            await execute()
            raise GraphError(2, MESSAGES[2])
        case Fault(fault="error-executed"):
            await execute()
            raise _error_of(fault)
        case Fault(fault="200-not-executed"):
            return JSONResponse({"id": new_number_id("199"), "success": True})
        case Fault(fault="error"):
            raise _error_of(fault)
        case Fault(fault="html"):
            return HTMLResponse("<!DOCTYPE html><html><body><h1>Sorry, something went wrong.</h1></body></html>", 502)
        case Fault(fault="http"):
            return http_fault(fault)
    return Response(b"", 500, media_type="application/json")


def _error_of(fault: Fault) -> GraphError:
    code = fault.code if fault.code is not None else 2
    return GraphError(code, MESSAGES.get(code, f"(#{code}) Sandbox fault"), fault.subcode)


def http_fault(fault: Fault) -> Response:
    """The error that an `http` fault asks for: plain text, or Spotify's shape where it has a `reason`."""
    status = fault.code if fault.code and 400 <= fault.code < 600 else 500
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    if fault.reason is None:
        return PlainTextResponse("Sandbox fault", status, headers)
    error = {"status": status, "message": "Sandbox fault", "reason": fault.reason}
    return JSONResponse({"error": error}, status, headers)


def outgoing_text(params: dict[str, object]) -> str:
    """The words a call would publish: where magic values are looked for."""
    message = params.get("message", "")
    if isinstance(message, dict):
        message = message.get("text", "")
    return message if isinstance(message, str) else ""


async def read_params(request: Request) -> dict[str, object]:
    """All parameters of a call: query, then form or JSON body. Raises code 100 for a body that cannot be read."""
    params: dict[str, object] = dict(request.query_params)
    body = await request.body()
    if not body:
        return params
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            document = orjson.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise GraphError(100, "(#100) The request body is not a JSON object")
        return params | document
    form = await request.form()
    return params | {key: value for key, value in form.items() if isinstance(value, str)}


def error_response(error: GraphError, path: str) -> JSONResponse:
    """The error in the shape of the host that was called."""
    return error.login_response() if path.startswith("/api.instagram.com") else error.graph_response()
