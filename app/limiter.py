"""Limits: how often whoever may ask for what.

Moving windows, counted over all processes (`app/windows.py`): of any `window_s` seconds, none holds more than the
quota, also not those across a full minute. What happens without Redis is each limit's own choice (`Away`).
docs/decisions/0014-limits.md says why.
"""

import hashlib
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool, Redis

from app.clock import Clock
from app.errors import TooManyRequests, Unavailable
from app.settings import ApiSettings
from app.windows import RedisAway, Windows

Name = Literal[
    "address",
    "account",
    "label",
    "client",
    "login_account",
    "login_address",
    "register_address",
    "mail_address",
    "mail_caller",
    "mail_account",
    "token_client",
    "invite_label",
    "mail_label",
    "check_connection",
    "consent_address",
    "usage_address",
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
    "mail_address": Limit(20, 3600, "local"),
    "mail_caller": Limit(5, 3600, "local"),
    "mail_account": Limit(50, 3600, "closed"),
    "token_client": Limit(60, 60, "local"),
    "invite_label": Limit(20, 3600, "closed"),
    "mail_label": Limit(100, 3600, "closed"),
    "check_connection": Limit(10, 600, "local"),
    "consent_address": Limit(60, 3600, "local"),
    "usage_address": Limit(300, 60, "local"),
}
"""The log-in limits count failures alone. `mail_address` and `mail_caller` count the mails that anybody can cause: to
an address, and to it from one caller, so that no single stranger keeps its owner from a new password."""

WORDS: dict[Name, str] = {
    "address": "Too many requests from this network address",
    "account": "Too many requests by this account",
    "label": "Too many requests for this label",
    "client": "Too many requests by this API client",
    "login_account": "Too many failed log-ins",
    "login_address": "Too many failed log-ins from this network address",
    "register_address": "Too many new accounts from this network address",
    "mail_address": "Too many mails to this address",
    "mail_caller": "Too many mails to this address from here",
    "mail_account": "Too many mails by this account",
    "token_client": "Too many requests for tokens by this API client",
    "invite_label": "Too many invitations by this label",
    "mail_label": "Too many mails by this label",
    "check_connection": "Too many checks of this connection",
    "consent_address": "Too many decisions from this network address",
    "usage_address": "Too many usage reports from this network address",
}
"""What whoever is over a limit is told: the same, whether there is such an account or not."""

KEY_PREFIX = "soundops:limit:"


@dataclass(frozen=True)
class Standing:
    """Where somebody stands with a limit."""

    name: Name
    quota: int
    window_s: int
    remaining: int
    reset_s: int
    """Seconds until the oldest that counts does not count any more."""


class Limiter:
    """Counts, and refuses what is too much."""

    def __init__(self, windows: Windows, limits: Mapping[Name, Limit], *, hash_key: bytes) -> None:
        self._windows, self._limits, self._hash_key = windows, limits, hash_key
        self._memory = MemoryStorage()
        self._local = MovingWindowRateLimiter(self._memory)

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
        await self._windows.close()

    async def _look(self, name: Name, key: str, *, cost: int) -> "_Found | None":
        """What the limit says; None when it lets everything pass."""
        limit = self._limits[name]
        hashed = hashlib.blake2b(key.encode(), digest_size=16, key=self._hash_key, person=b"soundops limit").hexdigest()
        rule = {"quota": limit.quota, "window_s": limit.window_s}
        try:
            seen = await self._windows.look(f"{KEY_PREFIX}{name}:{hashed}", cost=cost, **rule)
        except RedisAway:
            if limit.away == "closed":
                raise Unavailable from None
            return await self._look_here(name, limit, hashed, cost) if limit.away == "local" else None
        return _Found(seen.passed, Standing(name, **rule, remaining=seen.remaining, reset_s=seen.reset_s))

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
            wait_s = max(1, self.standing.reset_s)
            raise TooManyRequests(f"{WORDS[self.standing.name]}: try again in {in_words(wait_s)}", retry_after_s=wait_s)


def in_words(wait_s: int) -> str:
    """A wait as people say it: in seconds up to two minutes, else in minutes, rounded up."""
    count, unit = (wait_s, "second") if wait_s <= 120 else (math.ceil(wait_s / 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def open_limiter(settings: ApiSettings, *, clock: Clock) -> Limiter:
    """A limiter on the Redis of these settings; connects when it first counts. Raises `ValueError` with a sentence."""
    pool: ConnectionPool = ConnectionPool.from_url(settings.redis_url.get_secret_value())
    hash_key = hashlib.sha256(settings.secret_key.get_secret_value().encode()).digest()
    return Limiter(Windows(Redis(connection_pool=pool), clock), limits_of(settings.limits), hash_key=hash_key)


def limits_of(text: str) -> dict[Name, Limit]:
    """Every limit, with what this setting says otherwise. Raises `ValueError` with a sentence, without the value."""
    found = dict(DEFAULTS)
    for given, quota, window_s in re.findall(r"([a-z_]+)=(\d+)/(\d+)", text):
        name = cast(Name, given)
        if name not in found:
            raise ValueError(f"SOUNDOPS_LIMITS: must name only these limits: {', '.join(DEFAULTS)}")
        found[name] = replace(found[name], quota=int(quota), window_s=int(window_s))
    return found
