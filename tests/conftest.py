"""Real parts for every test: a MongoDB-wire server, Valkey and the sandbox Meta, one of each for a test process."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pymongo
import pytest

from tests.house import APP_ID, APP_SECRET, NOBODY, PUBLIC_URL, VERIFY_TOKEN, House, make_keys, open_house, settings_env
from tools import embedded
from tools.child import running


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MongoDB; with `SOUNDOPS_TEST_MONGODB_URL` set, that one."""
    real = os.environ.get("SOUNDOPS_TEST_MONGODB_URL")
    if real:
        yield real
        return
    with embedded.mongodb(tmp_path_factory.mktemp("mongodb") / "data", ttl_sweep_s=1) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis; with `SOUNDOPS_TEST_REDIS_URL` set, that one."""
    real = os.environ.get("SOUNDOPS_TEST_REDIS_URL")
    if real:
        yield real
        return
    with embedded.valkey(tmp_path_factory.mktemp("valkey") / "data") as url:
        yield url


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sandbox Meta, whose own webhooks reach nobody."""
    child = embedded.sandbox_child(
        tmp_path_factory.mktemp("sandbox") / "data",
        f"{NOBODY}/v1/webhooks/meta",
        app_id=APP_ID,
        app_secret=APP_SECRET,
        verify_token=VERIFY_TOKEN,
        redirect_uris=f"{PUBLIC_URL}/v1/oauth/callback/instagram",
    )
    with running(child):
        yield child.url


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of our own."""
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def mongodb_url(mongodb_server: str) -> Iterator[str]:
    """A database of the test's own, which is dropped in the end."""
    name = f"test_{secrets.token_hex(6)}"
    head, _, options = mongodb_server.partition("?")
    yield f"{head.rsplit('/', 1)[0]}/{name}?{options}"
    with pymongo.MongoClient[dict[str, object]](mongodb_server) as client:
        client.drop_database(name)


@pytest.fixture
async def house(mongodb_url: str, redis_url: str, key_folder: Path) -> AsyncIterator[House]:
    """The product, with nobody at Meta's end."""
    async with open_house(settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)) as found:
        yield found


@pytest.fixture
async def connected_house(mongodb_url: str, redis_url: str, key_folder: Path, sandbox_url: str) -> AsyncIterator[House]:
    """The product, with the sandbox at Meta's end."""
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, sandbox_url=sandbox_url)
    async with open_house(env) as found:
        yield found
