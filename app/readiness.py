"""Whether the process can do its work: the store and its indexes, Redis, the key ring; and whether workers consume."""

import asyncio
from datetime import datetime, timedelta
from typing import Literal

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from app.db import wrong_indexes
from app.models.health import Readiness
from app.parts import Parts
from app.services import heartbeat, restore_mode
from app.services.promises import showing
from app.services.vault.ring import BadRing, load_public

INDEXES_EVERY = timedelta(seconds=30)
State = Literal["ok", "missing"]
Workers = Literal["consuming", "absent", "late", "unknown"]
Restore = Literal["off", "held_back", "broken_off", "unknown"]


class Indexes:
    """Compares the indexes with the data map: at start, again until they are right, then every `INDEXES_EVERY`."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._looked_at: datetime | None = None

    async def wrong(self, parts: Parts) -> list[str]:
        """Which declared indexes are missing or differ. Raises `PyMongoError`."""
        now = parts.clock()
        if self._wrong or self._looked_at is None or now - self._looked_at > INDEXES_EVERY:
            self._wrong, self._looked_at = await wrong_indexes(parts.db), now
        return self._wrong


async def look(parts: Parts, indexes: Indexes) -> Readiness:
    """Look at every part, all at once."""
    (mongodb, wrong, workers, restore), redis, states = await asyncio.gather(
        _store(parts, indexes), _redis(parts), _promises(parts)
    )
    key_ring = _key_ring(parts)
    ready = mongodb == redis == key_ring == "ok" and not wrong and restore != "broken_off" and not parts.stopping
    broken = [state for state in states or () if not state.holding]
    kept = states is not None and not broken and workers == "consuming" and restore == "off"
    return Readiness(
        ready=ready,
        mongodb=mongodb,
        redis=redis,
        key_ring=key_ring,
        indexes="wrong" if wrong else "ok",
        workers=workers,
        promises=_told(states),
        restore=restore,
        broken_promises=[state.promise.id for state in broken],
        detail="red" if not ready else "green" if kept else "yellow",
        troubles=wrong,
    )


async def _store(parts: Parts, indexes: Indexes) -> tuple[State, list[str], Workers, Restore]:
    try:
        async with asyncio.timeout(5):
            await parts.db.ping()
            workers = await heartbeat.state(parts.db, now=parts.clock())
            return "ok", await indexes.wrong(parts), workers, await _restore(parts)
    except (PyMongoError, TimeoutError):
        return "missing", ["the indexes cannot be read"], "unknown", "unknown"


async def _restore(parts: Parts) -> Restore:
    found = await restore_mode.state(parts.db)
    if found is None:
        return "off"
    return "held_back" if found["complete"] else "broken_off"


async def _promises(parts: Parts) -> list[showing.State] | None:
    """How the promises stand; none when that cannot be read."""
    try:
        async with asyncio.timeout(5):
            return await parts.promises.states(parts.clock())
    except (PyMongoError, TimeoutError):
        return None


def _told(states: list[showing.State] | None) -> Literal["holding", "broken", "not_measured", "unknown"]:
    if states is None:
        return "unknown"
    broken = [state for state in states if not state.holding]
    if any(state.is_measured for state in broken):
        return "broken"
    return "not_measured" if broken else "holding"


async def _redis(parts: Parts) -> State:
    try:
        await parts.bell.ping()
    except (RedisError, OSError, TimeoutError):
        return "missing"
    return "ok"


def _key_ring(parts: Parts) -> State:
    """A ring of AWS counts as there: its being away costs log-ins at providers, which say so, and nothing else."""
    file = parts.settings.vault_public_ring_file
    try:
        if file and parts.settings.vault_ring == "local":
            load_public(file)
    except BadRing:
        return "missing"
    return "ok"
