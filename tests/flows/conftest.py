"""An owner at the inbox: with nobody at Meta's end, in the time of Meta's examples, or with the sandbox."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app import keys
from app.services.vault import watched
from tests.flows.billing_harness import Shop, shop_in
from tests.flows.flows_harness import (
    PAYLOADS_AT,
    Desk,
    Meta,
    meta_at,
    move_to,
    only_the_clock_decides,
    sit_down,
)
from tests.flows.keeping_harness import spotify_env
from tests.flows.publishing_harness import Files, Press, on_a_page, on_instagram
from tests.flows.till_harness import Till, till_at
from tests.house import House, billing_env, make_keys, open_house, settings_env


@pytest.fixture
async def desk(house: House) -> Desk:
    """At the inbox, with nobody at Meta's end."""
    return await sit_down(house)


@pytest.fixture
def backup_keys(tmp_path: Path) -> Path:
    """Keys of backups."""
    keys.create_backup_keys(tmp_path / "backup-keys")
    return tmp_path / "backup-keys"


@pytest.fixture
async def timeless_house(house: House) -> House:
    """One whose clock a test may move by any time: nothing but the clock decides what has expired."""
    await only_the_clock_decides(house)
    return house


@pytest.fixture
async def example_desk(timeless_house: House) -> Desk:
    """At the inbox, a moment after Meta's examples were sent."""
    move_to(timeless_house, PAYLOADS_AT)
    return await sit_down(timeless_house)


@pytest.fixture
async def live_house(
    mongodb_url: str, redis_url: str, key_folder: Path, sandbox_url: str, postbox: str, smtp_url: str
) -> AsyncIterator[House]:
    """With the sandbox at Meta's end, a clock to move, and little patience with slow answers."""
    env = settings_env(
        key_folder,
        mongodb_url=mongodb_url,
        redis_url=redis_url,
        sandbox_url=sandbox_url,
        smtp_url=smtp_url,
        SOUNDOPS_GRAPH_TIMEOUT_S="1",
        **spotify_env(sandbox_url),
    )
    async with open_house(env, postbox_url=postbox) as found:
        await only_the_clock_decides(found)
        yield found


@pytest.fixture
async def meta(live_house: House) -> AsyncIterator[Meta]:
    """The sandbox, fresh."""
    async with meta_at(live_house.sandbox_url) as found:
        yield found


@pytest.fixture
async def live_desk(live_house: House, meta: Meta) -> Desk:
    """At the inbox of an account that was connected by the sandbox's real log-in."""
    owner = await live_house.person()
    label_id = await live_house.label(owner)
    connection = await live_house.connect(owner, label_id)
    return Desk(live_house, owner, label_id, connection["id"])


@pytest.fixture
async def till(
    mongodb_url: str, redis_url: str, key_folder: Path, sandbox_url: str, postbox: str, smtp_url: str
) -> AsyncIterator[Till]:
    """With the sandbox's Stripe at the other end, whose clock is the product's, too."""
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, smtp_url=smtp_url)
    env |= billing_env(f"{sandbox_url}/stripe")
    async with open_house(env, postbox_url=postbox) as found:
        await only_the_clock_decides(found)
        async with till_at(found) as made:
            yield made


@pytest.fixture
async def vault_house(
    mongodb_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """The product with keys of its own, that notices a changed ring at once."""
    monkeypatch.setattr(watched, "LOOK_EVERY_S", 0.0)
    env = settings_env(make_keys(tmp_path / "keys"), mongodb_url=mongodb_url, redis_url=redis_url)
    async with open_house(env) as found:
        yield found


@pytest.fixture(scope="module")
def files() -> Files:
    """Where Meta fetches."""
    return Files()


@pytest.fixture
async def press(live_house: House, meta: Meta, files: Files, tmp_path: Path) -> Press:
    """A label that publishes on Instagram."""
    await meta.control("PUT", "/publishing", video_s=1)
    return await on_instagram(live_house, meta, files, tmp_path)


@pytest.fixture
async def page(live_house: House, meta: Meta, files: Files, tmp_path: Path) -> Press:
    """A label that publishes on a Page."""
    return await on_a_page(live_house, meta, files, tmp_path)


@pytest.fixture
async def shop(
    mongodb_url: str, redis_url: str, key_folder: Path, sandbox_url: str, postbox: str, smtp_url: str
) -> AsyncIterator[Shop]:
    """A label where billing is on, with the sandbox at Stripe's end."""
    env = settings_env(
        key_folder,
        mongodb_url=mongodb_url,
        redis_url=redis_url,
        sandbox_url=sandbox_url,
        smtp_url=smtp_url,
        **billing_env(f"{sandbox_url}/stripe"),
    )
    async with open_house(env, postbox_url=postbox) as house, shop_in(house) as found:
        yield found
