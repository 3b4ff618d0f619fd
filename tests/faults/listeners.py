"""Listeners of a label's stream over real connections, which come back by their last id whenever they are cut off."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from app.db import Doc

AGAIN_S = (0.05, 0.4)
READ_S = 30.0


@dataclass
class Ear:
    """One listener, and all that it was told. The ids are the stream's places, the events what happened."""

    host: str
    port: int
    path: str
    token: str
    last_id: str = ""
    heard: list[Doc] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    """When it heard each."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    resets: int = 0
    refused: list[str] = field(default_factory=list)

    async def listen(self) -> None:
        """Listen for ever; cut off, come back a moment later."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                await self._once()
            await asyncio.sleep(random.uniform(*AGAIN_S))

    async def _once(self) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            again = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
            head = f"GET {self.path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {self.token}\r\n{again}\r\n"
            writer.write(head.encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
            if " 200 " not in answer.split("\r\n", 1)[0]:
                self.refused.append(answer.split("\r\n", 1)[0])
                return
            self.connections += 1
            async for block in _blocks(reader):
                self._take(block)
        finally:
            writer.close()

    def _take(self, block: str) -> None:
        """A block counts when it is whole: what was cut off in the middle comes again."""
        told = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in told:
            self.resets += told["event"] == "reset"
            self.heard.append(json.loads(told["data"]))
            self.at.append(time.monotonic())
        self.last_id = told.get("id", self.last_id)
        self.opened.set()


@asynccontextmanager
async def listening(ears: list[Ear]) -> AsyncIterator[None]:
    """While all of them listen, each having begun."""
    tasks = [asyncio.create_task(ear.listen()) for ear in ears]
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(ear.opened.wait() for ear in ears))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _blocks(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """The blocks of a chunked answer."""
    text = ""
    while True:
        async with asyncio.timeout(READ_S):
            size = int((await reader.readline()) or b"0", 16)
            piece = await reader.readexactly(size + 2)
        if size == 0:
            return
        *whole, text = (text + piece[:-2].decode()).split("\n\n")
        for block in whole:
            yield block
