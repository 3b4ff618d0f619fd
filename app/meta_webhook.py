"""`POST /v1/webhooks/meta`: the one hot path, a plain ASGI route in front of the router.

Verified, split, durable, and only then `200`. When the store is away: `503`, and Meta delivers again.
"""

import asyncio

from starlette.types import Receive, Scope, Send

from app.errors import InvalidJson, InvalidSignature, Unavailable
from app.parts import Parts
from app.receive import Headers, declared_length, read_body
from app.services.webhooks.changes import Change, NotAWebhook, changes_of
from app.services.webhooks.signature import is_signed

PATH = "/v1/webhooks/meta"
AT_MOST = 8 * 1024 * 1024
LARGE = 256 * 1024
SIGNATURE = b"x-hub-signature-256"
_readers, _verifiers = asyncio.Semaphore(64), asyncio.Semaphore(4)


async def receive_webhook(parts: Parts, scope: Scope, receive: Receive, send: Send) -> None:
    """Take a delivery in. Raises `Problem`."""
    headers: Headers = scope["headers"]
    if declared_length(headers) > LARGE or _is_chunked(headers):
        changes = await _large(parts, headers, receive)
    else:
        changes = _verified(parts, await read_body(receive, headers, at_most=LARGE), headers)
    await parts.intake.store(changes, now=parts.clock())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _large(parts: Parts, headers: Headers, receive: Receive) -> list[Change]:
    """Verify a large body beside the loop, a few at once. Nobody waits for those that are slow to arrive."""
    if _readers.locked():
        raise Unavailable
    async with _readers:
        body = await read_body(receive, headers, at_most=AT_MOST)
    async with _verifiers:
        return await asyncio.to_thread(_verified, parts, body, headers)


def _verified(parts: Parts, body: bytes, headers: Headers) -> list[Change]:
    signatures = [value for name, value in headers if name == SIGNATURE]
    if not is_signed(body, signatures, parts.webhook_secrets):
        raise InvalidSignature
    try:
        return changes_of(body, dedupe_key=parts.dedupe_key, now=parts.clock())
    except NotAWebhook as exc:
        raise InvalidJson from exc


def _is_chunked(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)
