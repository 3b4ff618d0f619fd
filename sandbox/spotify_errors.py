"""How Spotify's two hosts say no, and the faults in front of both. Source: Spotify's docs, 2026-05."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from sandbox.box import Sandbox
from sandbox.errors import GraphError
from sandbox.faults import perform, take_fault

Handler = Callable[[Request], Awaitable[Response]]


def token_refusal(error: str, description: str, status: int = 400) -> JSONResponse:
    """As accounts.spotify.com says it."""
    return JSONResponse({"error": error, "error_description": description}, status)


def api_refusal(status: int, message: str) -> JSONResponse:
    """As api.spotify.com says it."""
    return JSONResponse({"error": {"status": status, "message": message}}, status)


def guarded(box: Sandbox, handler: Handler) -> Handler:
    """The handler behind the queued faults."""

    async def endpoint(request: Request) -> Response:
        path = request.scope["sandbox.path"]
        try:
            return await perform(take_fault(box, request, path, None), lambda: handler(request))
        except GraphError as fault:
            if path.startswith("/accounts.spotify.com"):
                return token_refusal("server_error", "Sandbox fault", fault.status)
            return api_refusal(fault.status, "Sandbox fault")

    return endpoint
