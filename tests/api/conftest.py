"""A world for the matrices, made once: each test finds it as it was made."""

import secrets
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.db import Database
from tests.api.matrix_dump import Written
from tests.api.matrix_world import AHEAD, World, make_world
from tests.house import NOBODY, billing_env, open_house, settings_env


@pytest.fixture(scope="session")
async def kept_world(mongodb_server: str, redis_url: str, key_folder: Path) -> AsyncIterator[tuple[World, float]]:
    """Two labels with one of everything in each, in a database of their own; and when they were made."""
    head, _, options = mongodb_server.partition("?")
    url = f"{head.rsplit('/', 1)[0]}/test_{secrets.token_hex(6)}?{options}"
    env, written = settings_env(key_folder, mongodb_url=url, redis_url=redis_url), Written()
    env |= billing_env(NOBODY)
    async with open_house(env, listeners=(written,)) as house:
        yield await make_world(house, written), time.monotonic()
    db = Database(url)
    await db.client.drop_database(db.raw.name)
    db.close()


@pytest.fixture
async def world(kept_world: tuple[World, float]) -> World:
    """The two labels, and the time, as when they were made."""
    found, made_at = kept_world
    found.house.clock.offset = AHEAD - timedelta(seconds=time.monotonic() - made_at)
    await found.restore(found.base)
    return found
