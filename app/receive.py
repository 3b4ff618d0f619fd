"""Reading a request's body: with a limit in bytes and a limit in time, before anything is parsed."""

import asyncio
from collections.abc import Sequence

from starlette.types import Receive

from app.errors import BodyTooLarge, RequestTimeout

RECEIVE_WITHIN_S = 15.0
Headers = Sequence[tuple[bytes, bytes]]


class ClientGone(Exception):
    """The client hung up before its request was complete."""


def declared_length(headers: Headers) -> int:
    """What `Content-Length` says; 0 when it says nothing usable."""
    values = [value for name, value in headers if name == b"content-length"]
    return int(values[0]) if len(values) == 1 and values[0].isdigit() and len(values[0]) < 16 else 0


async def read_body(receive: Receive, headers: Headers, *, at_most: int) -> bytes:
    """The whole body. Raises `BodyTooLarge`, `RequestTimeout`, `ClientGone`."""
    if declared_length(headers) > at_most:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(RECEIVE_WITHIN_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                body += message.get("body", b"")
                if len(body) > at_most:
                    raise BodyTooLarge
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        raise RequestTimeout from None
