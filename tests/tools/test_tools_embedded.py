"""The stand-ins start, answer, keep their data through `kill -9`, and end with whoever started them."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
import redis

from tools import embedded
from tools.child import ROOT, Child, ChildFailed, running

PARENT = """
import sys, time
from pathlib import Path
from tools import embedded
from tools.child import running
children = [embedded.mongodb_child(Path(sys.argv[1])), embedded.valkey_child(Path(sys.argv[2]))]
with running(*children):
    print(*[child.port for child in children], flush=True)
    time.sleep(60)
"""
APP_ID = "1000000000000077"


def eventually(check: Callable[[], Any], timeout_s: float = 8) -> None:
    """Return as soon as `check` is true."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_free(port: int) -> bool:
    return embedded.port_trouble(embedded.HERE, port) is None


def test_mongodb_answers(tmp_path: Path) -> None:
    """The address names a database that can be written to; afterwards nothing listens any more."""
    with embedded.mongodb(tmp_path / "mongo", database="mine") as url, pymongo.MongoClient[Any](url) as client:
        assert url.endswith("/mine?retryWrites=false&w=majority&journal=true")
        database = client.get_default_database()
        assert database.name == "mine"
        database.things.insert_one({"_id": 1})
        assert database.things.count_documents({}) == 1
        address = client.address
    assert address is not None and is_free(address[1])


def test_mongodb_survives_kill(tmp_path: Path) -> None:
    """What was acknowledged is there after kill -9, on the same port."""
    server = embedded.mongodb_child(tmp_path / "mongo")
    with running(server):
        with pymongo.MongoClient[Any](server.url) as client:
            things = client.get_default_database().things
            things.insert_many([{"_id": n} for n in range(100)])
            assert server.kill() == -signal.SIGKILL
            assert not server.alive
            server.restart()
            assert things.count_documents({}) == 100
        assert server.end() == 0


def test_mongodb_deletes_what_has_expired(tmp_path: Path) -> None:
    """The TTL monitor runs as often as it is told to."""
    with embedded.mongodb(tmp_path / "mongo", ttl_sweep_s=0.2) as url, pymongo.MongoClient[Any](url) as client:
        things = client.get_default_database().things
        things.create_index("at", expireAfterSeconds=0)
        things.insert_one({"at": datetime(2020, 1, 1, tzinfo=UTC)})
        eventually(lambda: things.count_documents({}) == 0)


def test_valkey_survives_kill(tmp_path: Path) -> None:
    """What was acknowledged is there after kill -9."""
    server = embedded.valkey_child(tmp_path / "valkey")
    with running(server), redis.Redis.from_url(server.url) as client:
        client.set("bell", "rung")
        server.kill()
        server.restart()
        assert client.get("bell") == b"rung"
        assert server.end() == 0


def test_sandbox_answers(tmp_path: Path) -> None:
    """The sandbox runs as the app it is told to know."""
    webhook = "http://127.0.0.1:1/webhook"
    with embedded.sandbox(
        tmp_path / "sandbox", webhook, app_id=APP_ID, app_secret="test-secret-0001", verify_token="verify-me"
    ) as url:
        dialog = f"{embedded.instagram_urls(url)['SOUNDOPS_INSTAGRAM_WWW_URL']}/oauth/authorize"
        asked = {"redirect_uri": "http://127.0.0.1/back", "response_type": "code", "scope": "instagram_business_basic"}
        good, bad = (
            httpx.get(dialog, params=asked | {"client_id": client_id}, trust_env=False)
            for client_id in (APP_ID, "another")
        )
        assert (good.status_code, bad.status_code) == (200, 400)


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    """After kill -9 of the parent its children are gone, and the next ones take over their data."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "mongo"), str(tmp_path / "valkey")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        ports = [int(port) for port in parent.stdout.readline().split()]
        assert len(ports) == 2 and not any(map(is_free, ports))
        parent.kill()
    eventually(lambda: all(map(is_free, ports)))
    with running(embedded.mongodb_child(tmp_path / "mongo"), embedded.valkey_child(tmp_path / "valkey")):
        pass


def test_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """A child may be started from a thread that is gone soon, as a pool's may be."""
    server = embedded.valkey_child(tmp_path / "valkey")
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(server.start).result()
        server.wait_ready()
        time.sleep(0.1)
        assert server.alive
    finally:
        server.end()


def test_child_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    """Of a second server on the same data the sentence names the log and tells its last lines, not earlier ones."""
    with running(embedded.mongodb_child(tmp_path / "mongo")):
        second = embedded.mongodb_child(tmp_path / "mongo")
        with pytest.raises(ChildFailed, match=r"the database ended with status 1; the log \S+ ends with:\n") as raised:
            second.restart()
        assert "Device or resource busy" in str(raised.value)
        assert "is ready" not in str(raised.value)


def test_child_that_never_answers_is_ended(tmp_path: Path) -> None:
    """The time to get ready is limited, and one that does not listen to SIGTERM is killed."""
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = Child("the deaf one", [sys.executable, "-c", deaf], log=tmp_path / "log", answers=lambda: False)
    child.start()
    eventually(lambda: "deaf" in child.log.read_text())
    with pytest.raises(ChildFailed, match=r"was not ready within 0\.1 s; the log \S+ ends with:\n  deaf"):
        child.wait_ready(0.1)
    assert child.end(timeout_s=0.1) == -signal.SIGKILL


def test_child_is_given_its_own_settings_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own SOUNDOPS_… and SANDBOX_… reach no child; PATH and the like do."""
    monkeypatch.setenv("SOUNDOPS_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("SANDBOX_PORT", "1")
    tell = "import os; print(*sorted(n for n in os.environ if n.startswith(('SOUNDOPS_', 'SANDBOX_', 'PATH'))))"
    child = Child("a child", [sys.executable, "-c", tell], log=tmp_path / "log", env={"SOUNDOPS_PORT": "1"})
    child.start()
    assert child.process.wait(10) == 0
    assert child.log.read_text().split() == ["PATH", "SOUNDOPS_PORT"]


def test_free_ports_do_not_meet_outgoing_connections() -> None:
    """Ports lie below those the kernel lends to outgoing connections."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 < embedded.free_port() < max(first, 32_768) for _ in range(20))
