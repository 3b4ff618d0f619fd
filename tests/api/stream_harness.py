"""A listener for tests: the app's own stream, block by block, over ASGI itself; httpx would wait for its end."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.clock import utc_now
from app.db import Doc
from app.services import events
from app.services.events import Event
from tests.house import House

WITHIN_S = 10.0


@dataclass
class Told:
    """One block of a stream."""

    id: str = ""
    type: str = ""
    data: Doc = field(default_factory=dict)
    comment: str = ""
    retry: str = ""


@dataclass
class Stream:
    """An answer that goes on. `status` and `headers` are there once it has begun; `taking` is when its client reads."""

    messages: asyncio.Queue[Mapping[str, Any]] = field(default_factory=asyncio.Queue)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    taking: asyncio.Event = field(default_factory=asyncio.Event)

    async def body(self, *, within_s: float = WITHIN_S) -> bytes:
        """The next piece; empty at the end."""
        async with asyncio.timeout(within_s):
            piece: bytes = (await self.messages.get())["body"]
        return piece

    async def told(self, *, within_s: float = WITHIN_S) -> list[Told]:
        """The blocks of the next piece; none at the end."""
        piece = (await self.body(within_s=within_s)).decode()
        return [_parsed(block) for block in piece.split("\n\n") if block]

    async def events(self, count: int) -> list[Told]:
        """So many events."""
        found: list[Told] = []
        while len(found) < count:
            more = await self.told()
            assert more, f"the stream ended after {found}"
            found += [told for told in more if told.type]
        return found

    async def ended(self, *, within_s: float = WITHIN_S) -> list[Told]:
        """What is told until the stream ends; it must."""
        found: list[Told] = []
        while more := await self.told(within_s=within_s):
            found += more
        return found


@asynccontextmanager
async def listening(
    house: House, client: httpx.AsyncClient, path: str, *, method: str = "GET", query: str = "", **headers: str
) -> AsyncIterator[Stream]:
    """A stream that has begun; in the end its client hangs up, and the app must be done with it soon."""
    found = Stream()
    found.taking.set()
    given = {"authorization": client.headers.get("Authorization", "")} | headers
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items() if value]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": pairs,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_000),
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "state": {},
    }
    asked = False

    async def receive() -> Mapping[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await found.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        await found.taking.wait()
        if message["type"] == "http.response.start":
            found.status = message["status"]
            found.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            begun.set()
        else:
            await found.messages.put(message)

    begun = asyncio.Event()
    task = asyncio.create_task(house.app(scope, receive, send))
    try:
        async with asyncio.timeout(WITHIN_S):
            await begun.wait()
        yield found
    finally:
        found.hung_up.set()
        found.taking.set()
        async with asyncio.timeout(WITHIN_S):
            await task


async def happen(house: House, label_id: str, *keys: str, kind: events.Type = "connection.changed") -> None:
    """Have events of this kind happen, each under its key, about a target of the same name."""
    await events.append(house.db, [Event(label_id, key, kind, key, utc_now()) for key in keys])


def _parsed(block: str) -> Told:
    told = Told()
    for line in block.split("\n"):
        name, _, value = line.partition(": ")
        if name == "":
            told.comment = value
        elif name == "data":
            told.data = json.loads(value)
        elif name == "event":
            told.type = value
        else:
            setattr(told, name, value)
    return told
