"""A browser, and the product as it is reached on the web: the app, the API and other people's pages, each on a host."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.browser.front import API, APP, Front, front_of
from tests.browser.web import PATIENCE_MS, Web, opened
from tests.house import settings_env
from tools import embedded

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
ONLY_OURS = "MAP *.soundops.test 127.0.0.1,MAP evil.test 127.0.0.1,MAP * ~NOTFOUND"
"""The names that the browser finds: ours, and no other in the world."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is. Without one the test is skipped, but not in CI."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("no chromium: CI must have one")
    if found is None:
        pytest.skip("no chromium")
    return found


@pytest.fixture(scope="session")
def front(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The hosts, and what browsers have sent to the API's. The API itself may not run yet."""
    with front_of(embedded.free_port(), tmp_path_factory.mktemp("front")) as found:
        yield found


@pytest.fixture(scope="session")
async def web(
    front: Front, mongodb_server: str, redis_url: str, key_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Web]:
    """The product behind its front: the real process, on a database of its own."""
    mongodb_url = urlsplit(mongodb_server)._replace(path=f"/browser_{secrets.token_hex(6)}").geturl()
    env = settings_env(
        key_folder,
        mongodb_url=mongodb_url,
        redis_url=redis_url,
        SOUNDOPS_PORT=str(front.api_port),
        SOUNDOPS_PUBLIC_URL=front.url(API),
        SOUNDOPS_APP_ORIGINS=front.url(APP),
    )
    with embedded.api(env, log=tmp_path_factory.mktemp("api") / "api.log") as api:
        async with opened(front, api.url, mongodb_url) as found:
            yield found
            await found.db.client.drop_database(found.db.raw.name)


@pytest.fixture(scope="session")
async def browser(chromium: str, front: Front) -> AsyncIterator[Browser]:
    """Chromium, which trusts the front's certificate and no other that is signed by itself."""
    own = [f"--host-resolver-rules={ONLY_OURS}", f"--ignore-certificate-errors-spki-list={front.spki}"]
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=chromium, args=FLAGS + own)
        yield found
        await found.close()


@pytest.fixture
async def visitor(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Somebody's browser, with nothing in it yet."""
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()
