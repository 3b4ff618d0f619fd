"""The API as a process: uvicorn, with limits on headers that act before a request exists, and an orderly end."""

import asyncio
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn
from prometheus_client import start_http_server
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import edge, logs
from app.clock import utc_now
from app.errors import NotHttp
from app.ids import new_id
from app.main import create_app
from app.parts import Parts, open_parts
from app.problems import MEDIA_TYPE, problem_body
from app.settings import ApiSettings

HEADER_BYTES_AT_MOST = 64 * 1024
HEADERS_WITHIN_S = 10.0
TAKEN_WITHIN_S = 20.0
KEEP_ALIVE_S = 75
STOP_WITHIN_S = 25


class LimitedProtocol(HttpToolsProtocol):
    """Closes a connection whose request line and headers do not end within a number of bytes and seconds.

    uvicorn has no such limit of its own: a client that sends a byte a minute would hold a connection for ever. Nor has
    it one for a client that takes no byte of what it is sent.
    """

    _reading_head = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._end_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEADER_BYTES_AT_MOST:
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0  # what comes after the last part of a body is trailers: they have the headers' limit
        super().on_body(body)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._reading_head:
            self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        self._head_bytes = 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:  # answered early: the rest may not trickle for ever
            self._close_in_time()

    def pause_writing(self) -> None:
        """Break off a connection whose other side takes nothing for long: what waits for it would stay for ever."""
        super().pause_writing()
        self._stalled = self.loop.call_later(TAKEN_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_stall()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in our form, too; `msg` is uvicorn's own."""
        request_id = new_id("req")
        body = problem_body(NotHttp(), request_id)
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\nconnection: close\r\n"
        )
        protection = b"".join(b"%b: %b\r\n" % pair for pair in (*edge.PROTECTION, *edge.DEFAULTS))
        self.transport.write(head.encode() + protection + b"\r\n" + body)
        self.transport.close()

    def _begin_head(self) -> None:
        self._reading_head, self._head_bytes = True, 0
        self._close_in_time()

    def _end_head(self) -> None:
        self._reading_head = False
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _end_stall(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def _close_in_time(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEADERS_WITHIN_S, self.transport.close)


class Server(uvicorn.Server):
    """Tells the parts first when it is told to end, so that readiness is gone before the listener is."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order, with status 0. uvicorn's own would raise the signal again at the end, and die of it."""
        self._parts.stopping = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: they would last."""
        await self._parts.streams.close()
        await super().shutdown(sockets)


def serve(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT; then answer what has begun, for at most `STOP_WITHIN_S`.

    Raises `BadRing`, `OSError` or `ValueError` with a sentence about a key file or a port.
    """
    logs.configure(settings.log_level)
    if settings.metrics_port:
        _serve_metrics(settings.metrics_port)
    parts = open_parts(settings, clock=utc_now)
    Server(server_config(create_app(parts), settings), parts).run()


def server_config(app: ASGIApp, settings: ApiSettings) -> uvicorn.Config:
    """How the API is served."""
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "date_header": True}
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        proxy_headers=False,
        **options,
    )


def _serve_metrics(port: int) -> None:
    try:
        start_http_server(port, addr="127.0.0.1")
    except OSError as exc:
        raise OSError(f"SOUNDOPS_METRICS_PORT: port {port} cannot be listened on ({exc.strerror})") from exc
