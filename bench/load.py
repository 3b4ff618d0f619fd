"""The load generator: one process, keep-alive connections, on each one request at a time, as fast as answers come."""

import asyncio
import hashlib
import hmac
import itertools
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

HOST = "127.0.0.1"
ACCOUNT = b"17841400000000001"
DELIVERY = (
    b'{"object":"instagram","entry":[{"time":%(ms)d,"id":"%(account)s","messaging":[{"sender":{"id":"9%(n)014d"},'
    b'"recipient":{"id":"%(account)s"},"timestamp":%(ms)d,"message":{"mid":"aWdfZAG1faXRlbToxOklHTWVzc2FnZ%(run)d:%(n)d",'
    b'"text":"When is the vinyl back? Caf\\u00e9 \\ud83c\\udfb5 https:\\/\\/example.test"}}]}]}'
)
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


class BadAnswer(Exception):
    """An answer that is not `200`, or a connection that was closed: the figures would mean nothing."""


@dataclass(frozen=True)
class Load:
    """What one round does. `watched` are the processes whose CPU time is measured beside."""

    port: int
    requests: Callable[[], Iterator[bytes]]
    connections: int
    warm_up_s: float
    measured_s: float
    watched: Mapping[str, int]


@dataclass(frozen=True)
class Round:
    """What one round measured. CPU is in cores: 1.0 is one of them all the time."""

    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu: Mapping[str, float]
    """Of each watched process, and of the `generator`."""


def deliveries(path: bytes, secret: bytes) -> Iterator[bytes]:
    """Signed webhooks of one message each, no two of them alike, in this process or another."""
    ms = int(time.time() * 1000)
    values = {b"ms": ms, b"account": ACCOUNT, b"run": time.monotonic_ns()}
    for number in itertools.count():
        body = DELIVERY % (values | {b"n": number})
        signature = hmac.digest(secret, body, hashlib.sha256).hex().encode()
        yield (
            b"POST %b HTTP/1.1\r\nHost: bench\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
            b"Content-Type: application/json\r\nX-Hub-Signature-256: sha256=%b\r\nContent-Length: %d\r\n\r\n%b"
        ) % (path, signature, len(body), body)


def reads(path: bytes, access_token: bytes) -> Iterator[bytes]:
    """The same GET again and again."""
    return itertools.repeat(
        b"GET %b HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nAuthorization: Bearer %b\r\n\r\n"
        % (path, access_token)
    )


def run(load: Load) -> Round:
    """Put the load on, in this process. Raises `BadAnswer`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(load))


@dataclass
class _Tally:
    """What the connections of a round share."""

    requests: Iterator[bytes]
    latencies_s: list[float] = field(default_factory=list)
    ending: bool = False


class _Connection(asyncio.Protocol):
    """One keep-alive connection. `ended` is done after its last answer, or with `BadAnswer`."""

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._received = b""
        self._began = 0.0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._received = b""
        self._tally.latencies_s.append(time.perf_counter() - self._began)
        if not head.startswith(b"HTTP/1.1 200 "):
            self._end(BadAnswer((head + b"\n" + body).decode(errors="replace")))
        elif self._tally.ending:
            self._end()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(BadAnswer("the connection was closed"))

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._tally.requests))

    def _end(self, failure: BadAnswer | None = None) -> None:
        if self.ended.done():
            return
        if failure:
            self.ended.set_exception(failure)
        else:
            self.ended.set_result(None)
        self._transport.close()


async def _run(load: Load) -> Round:
    loop, tally = asyncio.get_running_loop(), _Tally(load.requests())
    pids = {**load.watched, "generator": os.getpid()}
    opened = [
        await loop.create_connection(lambda: _Connection(tally), HOST, load.port) for _ in range(load.connections)
    ]
    ended = [connection.ended for _, connection in opened]
    await _pass(load.warm_up_s, ended)
    tally.latencies_s.clear()
    began, cpu_before = time.perf_counter(), _cpu_s(pids)
    await _pass(load.measured_s, ended)
    took, latencies = time.perf_counter() - began, sorted(tally.latencies_s)
    cpu = {name: (used_s - cpu_before[name]) / took for name, used_s in _cpu_s(pids).items()}
    tally.ending = True
    await asyncio.gather(*ended)  # the next round begins when nothing of this one is under way
    if not latencies:
        raise BadAnswer(f"no answer within {took:.1f} s")
    p50, p95, p99 = (latencies[int(len(latencies) * part)] * 1000 for part in (0.5, 0.95, 0.99))
    return Round(len(latencies) / took, p50, p95, p99, cpu)


async def _pass(seconds: float, ended: list[asyncio.Future[None]]) -> None:
    """Let this time pass. Raises `BadAnswer` at once when a connection has failed."""
    done, _ = await asyncio.wait(ended, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for failed in done:
        failed.result()


def _content_length(head: bytes) -> int:
    found = _LENGTH.search(head)
    if found is None:
        raise BadAnswer("an answer without Content-Length")
    return int(found[1])


def _cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """The CPU time that each has used, in seconds; 0 where there is no `/proc` to tell."""
    return {name: _cpu_ticks(Path(f"/proc/{pid}/stat")) / os.sysconf("SC_CLK_TCK") for name, pid in pids.items()}


def _cpu_ticks(stat: Path) -> int:
    if not stat.exists():
        return 0
    after_name = stat.read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])
