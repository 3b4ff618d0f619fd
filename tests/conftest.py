"""Real parts for every test: a MongoDB-wire server, Valkey and the sandbox Meta, one of each for a test process."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from app.db import Database, wrong_indexes
from app.models.data_map import DATA_MAP
from tests.house import (
    APP_ID,
    APP_SECRET,
    META_APP_ID,
    META_APP_SECRET,
    NOBODY,
    REDIRECT_URIS,
    STRIPE_KEY,
    STRIPE_WEBHOOK_SECRET,
    VERIFY_TOKEN,
    House,
    make_keys,
    open_house,
    settings_env,
)
from tests.people_map import undeclared_people
from tools import embedded
from tools.child import Child, running

# structlog paints a traceback with all locals, which takes half a minute here
structlog.configure(processors=[structlog.processors.KeyValueRenderer()])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why the browser tests were skipped, where they were: a count of skipped tests is easily overlooked."""
    if any(report.nodeid.startswith("tests/browser/") for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line("SKIPPED: browser tests (no chromium; apt-get install chromium)")


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MongoDB; with `SOUNDOPS_TEST_MONGODB_URL` set, that one."""
    real = os.environ.get("SOUNDOPS_TEST_MONGODB_URL")
    if real:
        yield real
        return
    with embedded.mongodb(tmp_path_factory.mktemp("mongodb") / "data", ttl_sweep_s=1) as url:
        yield url


@pytest.fixture
def brief_mongodb_url(tmp_path: Path) -> Iterator[str]:
    """A MongoDB of the test's own that soon ends what a dead process has left open: for tests that kill one."""
    child = embedded.mongodb_child(tmp_path / "mongodb", ttl_sweep_s=60, transaction_s=1)
    with running(child):
        yield child.url


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
        meta_app_id=META_APP_ID,
        meta_app_secret=META_APP_SECRET,
        redirect_uris=REDIRECT_URIS,
        env={
            "SANDBOX_STRIPE_SECRET_KEY": STRIPE_KEY,
            "SANDBOX_STRIPE_WEBHOOK_SECRET": STRIPE_WEBHOOK_SECRET,
            "SANDBOX_STRIPE_WEBHOOK_URL": f"{NOBODY}/v1/webhooks/stripe",
        },
    )
    with running(child):
        yield child.url


@pytest.fixture(scope="session")
def postbox_child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A postbox, running."""
    child = embedded.postbox_child(tmp_path_factory.mktemp("postbox") / "data")
    with running(child):
        yield child


@pytest.fixture(scope="session")
def postbox(postbox_child: Child) -> str:
    """The address of a postbox's pages: `House.mails` reads what is in it."""
    return postbox_child.url


@pytest.fixture(scope="session")
def smtp_url(postbox_child: Child) -> str:
    """Where the postbox takes mails."""
    return embedded.smtp_url(postbox_child)


@pytest.fixture(scope="session")
def moto_child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """AWS as moto plays it, running."""
    child = embedded.moto_child(tmp_path_factory.mktemp("moto") / "data")
    with running(child):
        yield child


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of our own."""
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def fresh_mongodb_url(mongodb_server: str) -> AsyncIterator[str]:
    """A new database, which is dropped in the end."""
    url = _new_database(mongodb_server)
    yield url
    await _drop(url)


@pytest.fixture(scope="session")
async def spare_databases() -> AsyncIterator[list[str]]:
    """Databases that earlier tests have left: empty, and with every index."""
    spare: list[str] = []
    yield spare
    for url in spare:
        await _drop(url)


@pytest.fixture
async def mongodb_url(mongodb_server: str, spare_databases: list[str]) -> AsyncIterator[str]:
    """A database of the test's own. It may have its indexes already: making them takes longer than most tests."""
    url = spare_databases.pop() if spare_databases else _new_database(mongodb_server)
    yield url
    if await _is_as_new(url):
        spare_databases.append(url)
    else:
        await _drop(url)


def _new_database(server: str) -> str:
    head, _, options = server.partition("?")
    return f"{head.rsplit('/', 1)[0]}/test_{secrets.token_hex(6)}?{options}"


async def _is_as_new(url: str) -> bool:
    """Empty the database, and say whether its indexes are as declared.

    First what the test has left is looked through for people whom the data map does not know of.
    """
    db = Database(url)
    try:
        assert await undeclared_people(db) == []
        for name in DATA_MAP:
            await db.raw[name].delete_many({})
        return not await wrong_indexes(db)
    finally:
        db.close()


async def _drop(url: str) -> None:
    db = Database(url)
    await db.client.drop_database(db.raw.name)
    db.close()


@pytest.fixture
async def house(
    mongodb_url: str, redis_url: str, key_folder: Path, postbox: str, smtp_url: str
) -> AsyncIterator[House]:
    """The product, with nobody at Meta's end."""
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, smtp_url=smtp_url)
    async with open_house(env, postbox_url=postbox) as found:
        yield found


@pytest.fixture
async def connected_house(
    mongodb_url: str, redis_url: str, key_folder: Path, sandbox_url: str, postbox: str, smtp_url: str
) -> AsyncIterator[House]:
    """The product, with the sandbox at Meta's end."""
    env = settings_env(
        key_folder, mongodb_url=mongodb_url, redis_url=redis_url, sandbox_url=sandbox_url, smtp_url=smtp_url
    )
    async with open_house(env, postbox_url=postbox) as found:
        yield found
