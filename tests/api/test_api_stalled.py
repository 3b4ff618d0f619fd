"""A client that takes nothing of what it is sent is cut off; one that is slow is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.server import LimitedProtocol

WITHIN_S = 0.5
PIECE = b"x" * 64 * 1024


class Impatient(LimitedProtocol):
    """The same, for tests that do not wait."""

    taken_within_s = WITHIN_S


@dataclass
class Endless:
    """An app that sends until its client is gone."""

    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        sending = asyncio.create_task(self._send(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()
        sending.cancel()

    async def _send(self, send: Send) -> None:
        while True:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            await asyncio.sleep(0)


@asynccontextmanager
async def asked(app: Endless) -> AsyncIterator[asyncio.StreamReader]:
    """The answer of a server with this app, asked over a real connection."""
    config = uvicorn.Config(app, http=Impatient, ws="none", lifespan="off", log_config=None)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=2**14)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    yield reader
    writer.close()
    server.close()
    for task in state.tasks:
        task.cancel()


async def test_who_takes_nothing_is_cut_off() -> None:
    """However much waits: nothing of it is kept."""
    app = Endless()
    async with asked(app):
        async with asyncio.timeout(20):
            await app.gone.wait()


async def test_who_is_slow_is_not() -> None:
    """A little now and then, for longer than one may take nothing."""
    app = Endless()
    async with asked(app) as reader:
        for _ in range(10):
            await reader.readexactly(len(PIECE) * 16)
            await asyncio.sleep(WITHIN_S / 4)
        assert not app.gone.is_set()
