"""Limits over two API processes and a Valkey of their own: exact together, and what is left of them without Valkey."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx
import pytest
from redis.asyncio import Redis

from app.problems import MEDIA_TYPE
from tests.house import NO_LIMITS, PASSWORD, delivery, eventually, message_change, settings_env, signature
from tools import embedded
from tools.child import Child, running

AT_MOST = 100


@dataclass
class Two:
    """Two API processes, each with a client that is logged in as the same person, and what they count in."""

    clients: list[httpx.AsyncClient]
    valkey: Child


@pytest.fixture
async def two(tmp_path: Path, mongodb_url: str, key_folder: Path) -> AsyncIterator[Two]:
    """With a limit of `AT_MOST` requests a minute for an account."""
    valkey = embedded.valkey_child(tmp_path / "valkey")
    env = settings_env(
        key_folder,
        mongodb_url=mongodb_url,
        redis_url=valkey.url,
        SOUNDOPS_LIMITS=f"{NO_LIMITS},account={AT_MOST}/60",
    )
    env.pop("SOUNDOPS_VAULT_PRIVATE_RING_FILE")
    apis = [
        embedded.api_child(env | {"SOUNDOPS_PORT": str(embedded.free_port())}, log=tmp_path / f"api{number}.log")
        for number in range(2)
    ]
    with running(valkey), running(*apis):
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(httpx.AsyncClient(base_url=api.url, trust_env=False)) for api in apis
            ]
            await log_in(clients)
            yield Two(clients, valkey)


async def log_in(clients: list[httpx.AsyncClient]) -> None:
    """Register one person, and give each client their access token."""
    person = {"name": "A Person", "email": "owner@example.com", "password": PASSWORD}
    born = {"date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
    (await clients[0].post("/v1/users", json=person | born)).raise_for_status()
    login = await clients[0].post("/v1/sessions", json={"email": person["email"], "password": PASSWORD})
    for client in clients:
        client.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"


async def ask_at_once(client: httpx.AsyncClient, times: int) -> list[httpx.Response]:
    """The answers to so many requests on connections of their own, which are all open before the first asks."""
    url, token = client.base_url, client.headers["Authorization"]
    opened = await asyncio.gather(*(asyncio.open_connection(url.host, url.port) for _ in range(times)))
    head = f"GET /v1/me HTTP/1.1\r\nHost: here\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n".encode()
    for _, writer in opened:
        writer.write(head)
    whole = await asyncio.gather(*(reader.read() for reader, _ in opened))
    for _, writer in opened:
        writer.close()
    return [response_of(answer) for answer in whole]


def response_of(whole: bytes) -> httpx.Response:
    """An answer as it came over the wire."""
    head, _, body = whole.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


async def test_a_thousand_parallel_requests(two: Two) -> None:
    """At a limit of 100, exactly 100 pass; all others are told as a problem for how long to wait."""
    here, there = await asyncio.gather(*(ask_at_once(client, 500) for client in two.clients))
    assert Counter(answer.status_code for answer in here + there) == {200: AT_MOST, 429: 1000 - AT_MOST}
    for answer in here + there:
        assert f'"account";q={AT_MOST};w=60' in answer.headers["ratelimit-policy"]
        if answer.status_code == 429:
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.json()["code"] == "too_many_requests"


async def test_reads_and_webhooks_go_on_when_redis_is_killed(two: Two) -> None:
    """All are answered well and soon while nothing is counted; with Redis back, they are counted again."""
    [client, other] = two.clients
    assert "ratelimit" in (await client.get("/v1/me")).headers
    two.valkey.kill()
    slowest_s = 0.0
    for number in range(150):  # more than the limit
        began = perf_counter()
        answer = await (client, other)[number % 2].get("/v1/me")
        slowest_s = max(slowest_s, perf_counter() - began)
        assert answer.status_code == 200
    assert slowest_s < 1.5
    raw = delivery(message_change("mid-1", ms=1_790_000_000_000))
    body = httpx.Request("POST", "http://here", json=raw).read()
    signed = {"X-Hub-Signature-256": signature(body), "Content-Type": "application/json"}
    assert (await client.post("/v1/webhooks/meta", content=body, headers=signed)).status_code == 200
    two.valkey.restart()

    async def counted() -> bool:
        return "ratelimit" in (await other.get("/v1/me")).headers

    await eventually(counted)
    async with Redis.from_url(two.valkey.url) as redis:
        assert await redis.keys("soundops:limit:account:*")
