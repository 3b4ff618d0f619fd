"""The API as a process, and bare connections to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.db import Doc
from tests.house import eventually, settings_env
from tools import embedded
from tools.child import Child

PATIENCE_S = 60
"""More than any limit of the server's: who waits so long has not been let go."""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Served:
    """The API as a process, and what it was told."""

    child: Child
    env: Mapping[str, str]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """A bare connection."""
        reader, writer = await asyncio.open_connection(embedded.HERE, self.child.port)
        try:
            yield reader, writer
        finally:
            writer.close()

    def client(self) -> httpx.AsyncClient:
        """A well-behaved client."""
        return httpx.AsyncClient(base_url=self.child.url, trust_env=False, timeout=PATIENCE_S)

    def said(self) -> list[Doc]:
        """Its log, which must be JSON, line by line."""
        whole = self.child.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    async def said_of(self, request_id: str) -> Doc:
        """The log line of a request, which is written after the answer."""

        async def found() -> list[Doc]:
            return [line for line in self.said() if line["event"] == "request" and line["request_id"] == request_id]

        [line] = await eventually(found)
        return dict(line)


def child_env(key_folder: Path, mongodb_url: str, redis_url: str, **more: str) -> dict[str, str]:
    """The settings of an API on a port of its own; the workers' ring is not for it."""
    own = {"SOUNDOPS_PORT": str(embedded.free_port())} | more
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, **own)
    return {name: value for name, value in env.items() if name != "SOUNDOPS_VAULT_PRIVATE_RING_FILE"}


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: here", *headers, "", "")).encode() + body


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """The next answer on a connection: status, headers, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers.get("content-length", "0")))


def code_of(body: bytes) -> str:
    """The code of the problem in an answer's body."""
    return str(json.loads(body)["code"])


async def all_until_closed(reader: asyncio.StreamReader) -> bytes:
    """Everything that comes before the other side closes; it must."""
    said = bytearray()
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionResetError):  # closed all the same
            while piece := await reader.read(65_536):
                said += piece
    return bytes(said)


async def trickle(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send this again and again, until told to stop or until nobody takes it any more."""
    with suppress(ConnectionError):
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.5)
