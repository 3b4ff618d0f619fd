"""The stream: a label's events as they happen, as server-sent events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, get_args

from fastapi import APIRouter, Header, Query, Request, Response, Security
from pymongo.errors import PyMongoError
from starlette.types import Receive, Scope, Send

from app.access import Access, ClaimsDep, PartsDep, label_access
from app.errors import InvalidCursor, InvalidLastEventId, NotFound, Problem, TooManyRequests, Unauthenticated
from app.models.access import Permission
from app.problems import problems
from app.services.events import Type
from app.services.stream.hearing import permissions_of
from app.services.stream.hub import Hub, Listener
from app.services.stream.items import Places

router = APIRouter(tags=["stream"])
Reader = Annotated[Access, Security(label_access, scopes=["stream:read"])]
Hearing = Callable[[], Awaitable[frozenset[Permission]]]
MEDIA_TYPE = "text/event-stream"
LAST_BREATH_S = 0.5
LAST_EVENT_ID = "The `id` of the last event that you have seen: the stream goes on behind it. Without one it begins now"
EXAMPLE = """retry: 2000
id: 4mB9qGqZ0S1pW2xhWzQxXQ

id: Hn1Vn0e0m4b0wB7FWzQyXQ
event: message.received
data: {"id":"evt_01k9zv3t5w","type":"message.received","target":"msg_01k9zv3t5x","at":"2026-11-23T08:00:00.123Z"}

"""


@router.get(
    "/v1/labels/{label_id}/stream",
    operation_id="streamEvents",
    response_class=Response,
    responses=problems(InvalidLastEventId, NotFound, Unauthenticated, TooManyRequests)
    | {
        200: {
            "description": "Events, until the token or the session ends, or we stop: then come back with the last id. "
            f"Their types: {', '.join(get_args(Type))}.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": EXAMPLE}},
        }
    },
)
async def stream_events(
    request: Request,
    parts: PartsDep,
    access: Reader,
    claims: ClaimsDep,
    last_event_id: Annotated[str | None, Header(description=LAST_EVENT_ID)] = None,
    query_id: Annotated[
        str | None, Query(alias="last_event_id", description="The same, for who cannot set a header; the header wins")
    ] = None,
) -> Response:
    """What happens in the label, as it happens: types and ids, never content. Of it, what the caller may read.

    `event: reset` says that events are missing (the id is older than 30 days): load anew. docs/stream.md.
    """

    async def hearing() -> frozenset[Permission]:
        return await permissions_of(parts.db, claims, access.label_id, now=parts.clock())

    places = Places(parts.cursor_key, access.label_id)
    given = last_event_id or query_id
    try:
        behind = places.place_of(given) if given else None
    except InvalidCursor as exc:
        raise InvalidLastEventId from exc
    permissions = await hearing()
    listener = await parts.streams.join(places, behind)
    return EventStream(parts.streams, listener, hearing, permissions, empty=request.scope["state"]["head"])


class EventStream(Response):
    """Sends a listener what it hears, until it is let go, hangs up, or may hear it no more."""

    def __init__(
        self, hub: Hub, listener: Listener, hearing: Hearing, permissions: frozenset[Permission], *, empty: bool
    ) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub, self._listener, self._hearing, self._permissions = hub, listener, hearing, permissions
        self._empty = empty

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if not self._empty:
                await self._live(receive, send)
        finally:
            self._hub.leave(self._listener)
        await send({"type": "http.response.body", "body": b""})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Tell until an end. Who takes nothing is not waited for: the server breaks its connection off."""
        telling, ends = asyncio.create_task(self._tell(send)), asyncio.create_task(self._end(receive))
        try:
            await asyncio.wait((telling, ends), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((telling,), timeout=LAST_BREATH_S)
        finally:
            for task in (telling, ends):
                task.cancel()
            await asyncio.gather(telling, ends, return_exceptions=True)

    async def _tell(self, send: Send) -> None:
        try:
            await self._tell_all(send)
        except (Problem, PyMongoError):  # it may hear this no more, or nobody can say: it comes back, and is told why
            return

    async def _tell_all(self, send: Send) -> None:
        now, bounds = asyncio.get_running_loop().time, self._listener.bounds
        await _send(send, await self._listener.begin())
        told = asked = now()
        while not self._listener.ended.is_set():
            items = await self._listener.following(within_s=bounds.ask_again_s)
            if now() - asked >= bounds.ask_again_s:
                self._permissions, asked = await self._hearing(), now()
            block = b"".join(item.block for item in items if item.is_for(self._permissions))
            if not block and now() - told >= bounds.heartbeat_s:
                block = self._listener.feed.places.heartbeat(self._listener.seq)
            if block:
                await _send(send, block)
                told = now()

    async def _end(self, receive: Receive) -> None:
        """Return when the listener has been let go or has hung up."""
        gone, ended = asyncio.create_task(_gone(receive)), asyncio.create_task(self._listener.ended.wait())
        try:
            await asyncio.wait((gone, ended), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                self._listener.end()
        finally:
            gone.cancel()
            ended.cancel()


async def _send(send: Send, block: bytes) -> None:
    await send({"type": "http.response.body", "body": block, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
