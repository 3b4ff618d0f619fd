"""Limits: how often whoever may ask for what, counted in Redis over all processes.

A moving window: of any `window_s` seconds, none holds more than the quota, also not those across a full minute. One
script in Redis decides, so that parallel requests cannot pass together. What happens without Redis is each limit's own
choice (`Away`). docs/decisions/0014-limits.md says why.
"""

import asyncio
import hashlib
import math
import re
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, cast

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from app.clock import EPOCH, Clock, to_ms
from app.errors import TooManyRequests, Unavailable
from app.logs import get_logger
from app.settings import ApiSettings

log = get_logger(__name__)
Name = Literal[
    "address",
    "account",
    "label",
    "client",
    "login_account",
    "login_address",
    "register_address",
    "mail_address",
    "token_client",
    "invite_label",
    "mail_label",
]
Away = Literal["open", "local", "closed"]
"""Without Redis: let everything pass; count in this process alone, with half the quota; or refuse everything."""


@dataclass(frozen=True)
class Limit:
    """At most `quota` in any `window_s` seconds."""

    quota: int
    window_s: int
    away: Away


DEFAULTS: dict[Name, Limit] = {
    "address": Limit(1200, 60, "open"),
    "account": Limit(600, 60, "open"),
    "label": Limit(3000, 60, "open"),
    "client": Limit(600, 60, "open"),
    "login_account": Limit(10, 900, "local"),
    "login_address": Limit(100, 900, "local"),
    "register_address": Limit(60, 3600, "local"),
    "mail_address": Limit(5, 3600, "local"),
    "token_client": Limit(60, 60, "local"),
    "invite_label": Limit(20, 3600, "closed"),
    "mail_label": Limit(100, 3600, "closed"),
}
"""`mail_address` is the mails that anybody can cause to one address; the log-in limits count failures alone."""

KEY_PREFIX = "soundops:limit:"
COUNT = """
local now, window, quota, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) <= now - window do
  redis.call('RPOP', KEYS[1])
  oldest = redis.call('LINDEX', KEYS[1], -1)
end
local count = redis.call('LLEN', KEYS[1])
if count >= quota then return {0, 0, tonumber(oldest)} end
if cost == 1 then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], window)
  count = count + 1
end
return {1, quota - count, tonumber(oldest or now)}
"""
"""Drop what has left the window, then count or refuse, in one step: `{passed, remaining, oldest}`.

Ours, because the library needs two trips and three times our work for one hit (measured), and takes no clock.
"""
AT_ONCE = 16
"""Questions to Redis under way at once: with more, our own queue would look like its silence."""
LOOKS, LOOK_S = 25, 0.01
"""A quarter of a second without an answer, in which this process must have been free to see one so many times."""
REST = timedelta(seconds=1)
"""For how long Redis is not asked after it failed, so that its outage does not slow every request."""


@dataclass(frozen=True)
class Standing:
    """Where somebody stands with a limit."""

    name: str
    quota: int
    window_s: int
    remaining: int
    reset_s: int
    """Seconds until the oldest that counts does not count any more."""


class _RedisAway(Exception):
    """Redis did not answer, or was not asked because it did not a moment ago."""


class Limiter:
    """Counts, and refuses what is too much."""

    def __init__(self, redis: Redis, limits: Mapping[Name, Limit], *, hash_key: bytes, clock: Clock) -> None:
        self._redis, self._limits, self._hash_key, self._clock = redis, limits, hash_key, clock
        self._script = redis.register_script(COUNT)
        self._memory = MemoryStorage()
        self._local = MovingWindowRateLimiter(self._memory)
        self._lanes = asyncio.Semaphore(AT_ONCE)
        self._rests_until = EPOCH

    async def hit(self, name: Name, key: str, standings: list[Standing]) -> None:
        """Count one, and add how the limit stands to `standings`. Raises `TooManyRequests`, `Unavailable`.

        What is refused is not counted.
        """
        found = await self._look(name, key, cost=1)
        if found:
            standings.append(found.standing)
            found.check()

    async def check(self, name: Name, key: str) -> None:
        """Count nothing, only look. Raises `TooManyRequests`, `Unavailable`."""
        found = await self._look(name, key, cost=0)
        if found:
            found.check()

    async def close(self) -> None:
        """Close the connections."""
        if self._memory.timer:
            self._memory.timer.cancel()
        await self._redis.aclose(close_connection_pool=True)

    async def _look(self, name: Name, key: str, *, cost: int) -> "_Found | None":
        """What the limit says; None when it lets everything pass."""
        limit = self._limits[name]
        hashed = hashlib.blake2b(key.encode(), digest_size=16, key=self._hash_key, person=b"soundops limit").hexdigest()
        try:
            return await self._look_in_redis(name, limit, hashed, cost)
        except _RedisAway:
            if limit.away == "closed":
                raise Unavailable from None
            return await self._look_here(name, limit, hashed, cost) if limit.away == "local" else None

    async def _look_in_redis(self, name: Name, limit: Limit, hashed: str, cost: int) -> "_Found":
        async with self._lanes:
            if timedelta() < self._rests_until - self._clock() <= REST:  # a clock set back must not make it longer
                raise _RedisAway
            now, window = to_ms(self._clock()), limit.window_s * 1000
            arguments = [now, window, limit.quota, cost]
            try:
                passed, remaining, oldest = await _soon(self._script([f"{KEY_PREFIX}{name}:{hashed}"], arguments))
            except (RedisError, OSError, TimeoutError) as exc:
                self._rests_until = self._clock() + REST
                log.warning("limits are not counted: Redis is away", reason=type(exc).__name__)
                raise _RedisAway from None
        reset_s = math.ceil((oldest + window - now) / 1000)
        return _Found(bool(passed), Standing(name, limit.quota, limit.window_s, remaining, reset_s))

    async def _look_here(self, name: Name, limit: Limit, hashed: str, cost: int) -> "_Found":
        """As strict in this process alone: half the quota, as there may be others."""
        quota = max(1, limit.quota // 2)
        item = RateLimitItemPerSecond(quota, limit.window_s, namespace=name)
        passed = await (self._local.hit if cost else self._local.test)(item, hashed)
        stats = await self._local.get_window_stats(item, hashed)
        reset_s = math.floor(stats.reset_time - time.time()) + 1
        return _Found(passed, Standing(name, quota, limit.window_s, max(0, stats.remaining), reset_s))


@dataclass(frozen=True)
class _Found:
    passed: bool
    standing: Standing

    def check(self) -> None:
        if not self.passed:
            raise TooManyRequests(retry_after_s=max(1, self.standing.reset_s))


def open_limiter(settings: ApiSettings, *, clock: Clock) -> Limiter:
    """A limiter on the Redis of these settings; connects when it first counts. Raises `ValueError` with a sentence."""
    pool: ConnectionPool = ConnectionPool.from_url(settings.redis_url.get_secret_value())
    hash_key = hashlib.sha256(settings.secret_key.get_secret_value().encode()).digest()
    return Limiter(Redis(connection_pool=pool), limits_of(settings.limits), hash_key=hash_key, clock=clock)


def limits_of(text: str) -> dict[Name, Limit]:
    """Every limit, with what this setting says otherwise. Raises `ValueError` with a sentence, without the value."""
    found = dict(DEFAULTS)
    for given, quota, window_s in re.findall(r"([a-z_]+)=(\d+)/(\d+)", text):
        name = cast(Name, given)
        if name not in found:
            raise ValueError(f"SOUNDOPS_LIMITS: must name only these limits: {', '.join(DEFAULTS)}")
        found[name] = replace(found[name], quota=int(quota), window_s=int(window_s))
    return found


async def _soon(call: Coroutine[Any, Any, Any]) -> Any:
    """Its result. Raises `TimeoutError` when Redis is silent; being busy with other things is no silence."""
    task = asyncio.create_task(call)
    try:
        for _ in range(LOOKS):
            if (await asyncio.wait({task}, timeout=LOOK_S))[0]:
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()
