"""The API as a process: how it treats bad connections, how it starts, what it tells its operator, and how it ends."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pymongo
import pytest

from app.clock import utc_now
from app.db import Database, Doc
from app.server import HEADER_BYTES_AT_MOST
from app.services import operations
from tests.api.served import (
    PATIENCE_S,
    Connection,
    Served,
    all_until_closed,
    answer_of,
    child_env,
    code_of,
    request,
    trickle,
)
from tests.api.test_api_errors import in_pieces
from tests.house import PASSWORD, eventually
from tools import embedded
from tools.child import OURS, ROOT, running

MIB = 1024 * 1024
CANARY = "Canary7fSecret"


@pytest.fixture
def served(tmp_path: Path, key_folder: Path, mongodb_url: str, redis_url: str) -> Iterator[Served]:
    """One for a test that ends it or looks into it."""
    env = child_env(key_folder, mongodb_url, redis_url)
    child = embedded.api_child(env, log=tmp_path / "api.log")
    with running(child):
        yield Served(child, env)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, key_folder: Path, mongodb_server: str, redis_url: str
) -> Iterator[Served]:
    """One for all that only talk with it."""
    head, _, options = mongodb_server.partition("?")
    name = f"test_{secrets.token_hex(6)}"
    figures = {"SOUNDOPS_METRICS_PORT": str(embedded.free_port())}
    env = child_env(key_folder, f"{head.rsplit('/', 1)[0]}/{name}?{options}", redis_url, **figures)
    child = embedded.api_child(env, log=tmp_path_factory.mktemp("api") / "api.log")
    with running(child):
        yield Served(child, env)
    with pymongo.MongoClient[Doc](mongodb_server) as client:
        client.drop_database(name)


async def let_go(shared: Served, first: bytes, piece: bytes, *, after_an_answer: bool = False) -> bytes:
    """What a client is told that begins with `first` and then trickles `piece`s, until the server closes."""
    async with shared.connected() as (reader, writer):
        if after_an_answer:
            writer.write(request("GET", "/healthz"))
            assert (await answer_of(reader))[0] == 200
        writer.write(first)
        slow = asyncio.create_task(trickle(writer, piece))
        try:
            return await all_until_closed(reader)
        finally:
            slow.cancel()


async def test_slow_clients_are_let_go(shared: Served) -> None:
    """Whoever is silent or trickles holds no connection, before an answer or after it."""
    post = ("POST", "/v1/sessions", "Content-Type: application/json", "Content-Length: 1000")
    long = ("POST", "/v1/sessions", "Content-Type: application/json", f"Content-Length: {MIB * 1000}")
    silent, line, headers, second, body, rest = await asyncio.gather(
        let_go(shared, b"", b""),
        let_go(shared, b"GET /heal", b"t"),
        let_go(shared, request("GET", "/healthz")[:-2], b"X-A: b\r\n"),
        let_go(shared, request("GET", "/healthz")[:-2], b"X-A: b\r\n", after_an_answer=True),
        let_go(shared, request(*post), b" "),
        let_go(shared, request(*long), b" "),
    )
    assert (silent, line, headers, second) == (b"", b"", b"", b"")
    assert body.startswith(b"HTTP/1.1 408 ") and code_of(body.partition(b"\r\n\r\n")[2]) == "request_timeout"
    assert rest.startswith(b"HTTP/1.1 413 ") and code_of(rest.partition(b"\r\n\r\n")[2]) == "body_too_large"


async def test_headers_have_limits(shared: Served) -> None:
    """Over 16 kB there is an answer; over 64 kB, whether or not they ever end, there is none."""
    async with shared.connected() as (reader, writer):
        writer.write(request("GET", "/healthz", "X-Long: " + "x" * 20_000))
        status, headers, body = await answer_of(reader)
        assert (status, code_of(body)) == (431, "headers_too_large")
        assert headers["x-content-type-options"] == "nosniff"
        writer.write(request("GET", "/healthz"))
        assert (await answer_of(reader))[0] == 200
    endless = b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * (HEADER_BYTES_AT_MOST + 10_000)
    assert await let_go(shared, endless, b"") == b""


async def test_bodies_have_limits(shared: Served) -> None:
    """A body that says that it is too large is refused at once; one that does not say, when it is."""
    json_type = "Content-Type: application/json"
    async with shared.connected() as (reader, writer):
        writer.write(request("POST", "/v1/sessions", json_type, f"Content-Length: {MIB + 1}"))
        status, _, body = await answer_of(reader)
        assert (status, code_of(body)) == (413, "body_too_large")
        writer.write(b" " * (MIB + 1))  # it may finish, and go on
        writer.write(request("GET", "/healthz"))
        assert (await answer_of(reader))[0] == 200
    async with shared.client() as http:
        headers = {"Content-Type": "application/json"}
        answer = await http.post("/v1/sessions", headers=headers, content=in_pieces(2 * MIB))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        answer = await http.post("/v1/sessions", headers=headers, content=in_pieces(MIB - 4096))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"hello\r\n\r\n",
    request("GET", "/healthz", "No colon"),
    request("GET", "/healthz", "Odd\x00Name: x"),
    request("GET", "/healthz", " Folded: x"),
    request("POST", "/v1/sessions", "Content-Length: -1"),
    request("POST", "/v1/sessions", "Content-Length: 2", "Content-Length: 3", body=b"{}"),
    request("POST", "/v1/sessions", "Content-Length: 2", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    request("POST", "/v1/sessions", "Transfer-Encoding: chunked", body=b"zz\r\n"),
    request("CONNECT", "here:443"),
)


async def test_what_is_not_http_is_refused(shared: Served) -> None:
    """With 400 and a closed connection, also where two readers could disagree on where a request ends."""
    for garbage in GARBAGE:
        said = await let_go(shared, garbage, b"")
        assert said.startswith(b"HTTP/1.1 400 ") and said.count(b"HTTP/1.1") == 1, (garbage, said[:100])
        assert b'"code":"not_http"' in said and garbage[:20] not in said
        head = said.partition(b"\r\n\r\n")[0].split(b"\r\n")
        for name in (b"strict-transport-security", b"content-security-policy", b"cache-control", b"referrer-policy"):
            assert len([line for line in head if line.startswith(name + b": ")]) == 1
    async with shared.client() as http:
        assert (await http.get("/healthz")).status_code == 200


async def test_head_gets_no_body(shared: Served) -> None:
    """Only its length; the next answer on the connection begins right after it."""
    async with shared.connected() as (reader, writer):
        for path, status in (("/healthz", 200), ("/nothing", 404)):
            writer.write(request("HEAD", path) + request("GET", path))
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith(f"HTTP/1.1 {status} ")
            assert "server:" not in head.lower() and "date:" in head.lower()
            got, headers, body = await answer_of(reader)
            assert (got, len(body)) == (status, int(headers["content-length"]))
            assert body and f"content-length: {len(body)}" in head


async def log_in(http: httpx.AsyncClient) -> str:
    """Register and log in; the token, which the client sends from now on."""
    person = {"name": "A Person", "email": "owner@example.com", "password": PASSWORD}
    more = {"date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
    (await http.post("/v1/users", json=person | more)).raise_for_status()
    login = await http.post("/v1/sessions", json={"email": person["email"], "password": PASSWORD})
    token = str(login.raise_for_status().json()["access_token"])
    http.headers["Authorization"] = f"Bearer {token}"
    return token


async def test_the_operator_is_told_what_happens_and_no_secrets(served: Served) -> None:
    """Each log line is JSON; requests and a failure of ours are there, their data is not."""
    async with served.client() as http:
        token = await log_in(http)
        label = (await http.post("/v1/labels", json={"name": "N", "slug": "n"})).json()["id"]
        state = {"state": CANARY, "code": CANARY, "hub.verify_token": CANARY}
        await http.get("/v1/oauth/callback/instagram", params=state)
        await http.get("/v1/webhooks/meta", params=state)
        with pymongo.MongoClient[Doc](served.env["SOUNDOPS_MONGODB_URL"]) as client:
            broken = {"created_at": f"{CANARY} IGAA{CANARY}"}
            client.get_default_database()["labels"].update_one({"_id": label}, {"$set": broken})
        await http.get("/v1/labels", params={"q": CANARY})
        failed = await http.get(f"/v1/labels/{label}", headers={"X-Odd": CANARY})
        assert (failed.status_code, failed.json()["code"]) == (500, "internal_error")
    line = await served.said_of(failed.headers["x-request-id"])
    assert (line["method"], line["path"], line["status"]) == ("GET", f"/v1/labels/{label}", 500)
    assert line["ms"] >= 0 and line["timestamp"].endswith("Z") and line["level"] == "info"
    [trouble] = [found for found in served.said() if found["event"] == "unhandled"]
    assert trouble["request_id"] == line["request_id"] and trouble["error"] and trouble["at"]
    written = served.child.log.read_text()
    for secret in (CANARY, token, token.rpartition(".")[2], PASSWORD, "owner@example.com", "sor_", "?"):
        assert secret not in written, secret


async def figures(served: Served) -> dict[str, float]:
    """What the operator's port tells."""
    async with served.client() as http:
        answer = await http.get(f"http://{embedded.HERE}:{served.env['SOUNDOPS_METRICS_PORT']}/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    lines = [line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


async def test_figures_have_a_port_of_their_own(shared: Served) -> None:
    """On this machine's own address only; the public port knows nothing of them."""
    name = 'http_answers_total{status="404"}'
    before = (await figures(shared)).get(name, 0)
    async with shared.client() as http:
        public = await http.get("/metrics")
        assert (public.status_code, public.json()["code"]) == (404, "not_found")

    async def counted() -> bool:
        return (await figures(shared))[name] == before + 1

    await eventually(counted)


async def began(begin: bytes, connection: Connection) -> None:
    """Send a request's beginning, and wait until the app has asked for its body."""
    reader, writer = connection
    writer.write(begin)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


async def refused(served: Served) -> bool:
    """Whether a new connection is."""
    try:
        async with served.connected():
            return False
    except ConnectionRefusedError:
        return True


async def waiting_operation(served: Served, http: httpx.AsyncClient) -> str:
    """The id of an operation that nobody works on."""
    label = (await http.post("/v1/labels", json={"name": "N", "slug": "n"})).json()["id"]
    db = Database(served.env["SOUNDOPS_MONGODB_URL"])
    try:
        wish = await operations.add(db, label_id=label, kind="exchange_code", target="con_x", key="k", now=utc_now())
    finally:
        db.close()
    return str(wish["_id"])


async def test_an_orderly_end(served: Served) -> None:
    """Told to end, it answers what has begun, takes nothing new, and ends well."""
    async with served.client() as http, served.connected() as waiting, served.connected() as slow, served.connected():
        token = await log_in(http)
        path = f"/v1/operations/{await waiting_operation(served, http)}"
        expect = ("Expect: 100-continue", f"Authorization: Bearer {token}")
        await began(request("GET", path, *expect, "Prefer: wait=20"), waiting)
        length = ("Content-Type: application/json", "Content-Length: 4")
        await began(request("POST", "/v1/sessions", *expect, *length, body=b"{ "), slow)
        served.child.process.send_signal(signal.SIGTERM)
        await eventually(lambda: refused(served))
        status, _, body = await answer_of(waiting[0])  # it does not wait the 20 seconds out
        assert (status, json.loads(body)["state"]) == (200, "queued")
        assert served.child.alive
        slow[1].write(b" }")
        status, headers, body = await answer_of(slow[0])
        assert (status, code_of(body), headers["connection"]) == (422, "invalid_input", "close")
        assert await asyncio.to_thread(served.child.process.wait, 30) == 0
    assert "Traceback" not in served.child.log.read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_an_idle_one_ends_at_once(served: Served, how: signal.Signals) -> None:
    """By Ctrl-C too; a connection that is only kept open does not hold it."""
    async with served.client() as http:
        assert (await http.get("/healthz")).status_code == 200
        assert await asyncio.to_thread(served.child.kill, how) == 0
    assert "Traceback" not in served.child.log.read_text()


async def start_with(env: Mapping[str, str], folder: Path) -> tuple[int | None, list[str]]:
    """The exit status of an API with these settings, and the lines it said."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env = inherited | {"PYTHONPATH": str(ROOT)} | dict(env)
    run, pipes = asyncio.create_subprocess_exec, asyncio.subprocess
    process = await run(sys.executable, "-m", "app", cwd=folder, env=env, stdout=pipes.PIPE, stderr=pipes.STDOUT)
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    return process.returncode, said.decode().splitlines()


async def test_bad_settings_are_refused_by_name(tmp_path: Path, key_folder: Path) -> None:
    """One sentence each, never a value, never a traceback; several at once are all told."""
    good = child_env(key_folder, "mongodb://127.0.0.1:9/x", "redis://127.0.0.1:9/0")
    (tmp_path / "bad").write_text(CANARY)
    missing = {"SOUNDOPS_MONGODB_URL", "SOUNDOPS_REDIS_URL", "SOUNDOPS_SECRET_KEY", "SOUNDOPS_PUBLIC_URL"}
    without = {name: value for name, value in good.items() if name not in missing}
    cases: list[tuple[dict[str, str], list[str]]] = [
        (without, [f"{name} is missing." for name in missing]),
        (
            good | {"SOUNDOPS_SECRET_KEY": CANARY, "SOUNDOPS_PORT": CANARY, "SOUNDOPS_LOG_LEVEL": CANARY},
            ["SOUNDOPS_SECRET_KEY must be 32 random characters", "SOUNDOPS_PORT: ", "SOUNDOPS_LOG_LEVEL: "],
        ),
        (good | {"SOUNDOPS_ENVIRONMENT": "production"}, ["SOUNDOPS_PUBLIC_URL must be https in production."]),
        (good | {"SOUNDOPS_VAULT_PUBLIC_RING_FILE": str(tmp_path / "bad")}, [str(tmp_path / "bad")]),
        (good | {"SOUNDOPS_JWT_KEY_FILE": str(tmp_path / "none")}, [f"'{tmp_path / 'none'}'"]),
    ]
    ended = await asyncio.gather(*(start_with(env, tmp_path) for env, _ in cases))
    for (_, wanted), (status, said) in zip(cases, ended, strict=True):
        assert (status, len(said)) == (2, len(wanted)), said
        assert all(any(words in line for line in said) for words in wanted), said
        assert all(line.endswith(".") and CANARY not in line for line in said), said


async def test_a_port_that_is_taken_is_one_sentence(shared: Served, tmp_path: Path) -> None:
    """It names the port; a second API on it does not start, and the first does not mind."""
    figures, public = "SOUNDOPS_METRICS_PORT", "SOUNDOPS_PORT"
    free = {name: str(embedded.free_port()) for name in (figures, public)}
    (status, [said]), (failed, lines) = await asyncio.gather(
        start_with({**shared.env, public: free[public]}, tmp_path),
        start_with({**shared.env, figures: free[figures]}, tmp_path),
    )
    assert (status, said) == (
        2,
        f"{figures}: port {shared.env[figures]} cannot be listened on (Address already in use).",
    )
    assert failed not in (0, None) and not [line for line in lines if "Traceback" in line]
    [told] = [line for line in lines if "address already in use" in line]
    assert shared.env[public] in told
    async with shared.client() as http:
        assert (await http.get("/healthz")).status_code == 200
