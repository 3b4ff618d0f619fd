"""Passwords: argon2id in a small pool of threads, so that hashing neither blocks the loop nor fills the memory."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from app.errors import Unavailable

T = TypeVar("T")
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
"""OWASP's lower bound for argon2id (19 MiB, t=2, p=1): 15 ms here, and 64 waiting cost no memory."""
THREADS, WAITING = max(1, (os.cpu_count() or 2) // 2), 64
"""Half of the cores: hashing on all of them kept an unrelated GET waiting for 120 ms here (2 cores), on one for 30."""


class Passwords:
    """Hashes and verifies; refuses with `Unavailable` when too many wait."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._decoy = self._hasher.hash("the hash that an unknown address is compared with")

    async def hash(self, password: str) -> str:
        """The PHC string to store."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether this is the password. Without a stored hash it takes as long, and says no."""
        return await self._run(lambda: self._matches(stored or self._decoy, password)) and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Whether the hash was made with lower parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the pool."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerificationError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING:
            raise Unavailable("Too many log-ins at once")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
