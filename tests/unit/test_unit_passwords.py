"""Passwords: argon2id, as slow for an unknown address as for a known one, and bounded in how many wait."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from app.errors import Unavailable
from app.services.people.passwords import LANES, MEMORY_KIB, PASSES, WAITING, Passwords

PASSWORD = "a long sentence only I know"


@pytest.fixture(scope="module")
def shared() -> Iterator[Passwords]:
    """One pool for this file: making its decoy takes a hash."""
    passwords = Passwords()
    yield passwords
    passwords.close()


async def test_a_hash_is_argon2id(shared: Passwords) -> None:
    """With OWASP's parameters or better, and another salt each time."""
    first, second = await shared.hash(PASSWORD), await shared.hash(PASSWORD)
    found = extract_parameters(first)
    assert (found.type, found.version) == (Type.ID, 19)
    assert (found.memory_cost, found.time_cost, found.parallelism) == (MEMORY_KIB, PASSES, LANES)
    assert MEMORY_KIB >= 19 * 1024 and PASSES >= 2
    assert first != second and PASSWORD not in first
    assert await shared.verify(first, PASSWORD) and await shared.verify(second, PASSWORD)


@pytest.mark.parametrize(
    "other", ["", PASSWORD + " ", PASSWORD[:-1], PASSWORD.upper(), PASSWORD + "\0", f"{PASSWORD}x" * 100, "пароль"]
)
async def test_another_password_does_not_match(shared: Passwords, other: str) -> None:
    """Close, long or empty; and each of them can be a password itself."""
    assert not await shared.verify(await shared.hash(PASSWORD), other)
    assert await shared.verify(await shared.hash(other), other)


@pytest.mark.parametrize("password", [PASSWORD, "", "the hash that an unknown address is compared with"])
async def test_an_unknown_address_never_matches(shared: Passwords, password: str) -> None:
    """Not even with the decoy's own password."""
    assert not await shared.verify(None, password)


async def test_an_unknown_address_takes_as_long(shared: Passwords) -> None:
    """Its best time of ten is at least half of a known one's: a path without the hash would be a thousandth of it."""
    stored = await shared.hash(PASSWORD)

    async def best(known: str | None) -> float:
        times = []
        for _ in range(10):
            began = time.perf_counter()
            await shared.verify(known, "not the password")
            times.append(time.perf_counter() - began)
        return min(times)

    assert await best(None) > 0.5 * await best(stored)


WEAKER = {
    "passes": PasswordHasher(PASSES - 1, MEMORY_KIB, LANES),
    "memory": PasswordHasher(PASSES, MEMORY_KIB // 2, LANES),
    "length": PasswordHasher(PASSES, MEMORY_KIB, LANES, hash_len=16),
    "kind": PasswordHasher(PASSES, MEMORY_KIB, LANES, type=Type.I),
}


@pytest.mark.parametrize("what", WEAKER)
async def test_a_weaker_hash_is_made_anew(shared: Passwords, what: str) -> None:
    """Made with less than today's parameters it still matches, and is known for it."""
    old = WEAKER[what].hash(PASSWORD)
    assert shared.needs_rehash(old)
    assert await shared.verify(old, PASSWORD)
    assert not shared.needs_rehash(await shared.hash(PASSWORD))


async def test_too_many_at_once_are_refused(shared: Passwords) -> None:
    """As many as may wait are served; one more of any kind is told at once when to come back, and later is served."""
    stored = await shared.hash(PASSWORD)
    waiting = [asyncio.create_task(shared.verify(stored, PASSWORD)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    for one_more in (shared.verify(stored, PASSWORD), shared.verify(None, PASSWORD), shared.hash(PASSWORD)):
        with pytest.raises(Unavailable) as refused:
            await one_more
        assert int(refused.value.headers["Retry-After"]) > 0
    assert not any(task.done() for task in waiting)
    assert await asyncio.gather(*waiting) == [True] * WAITING
    assert await shared.verify(stored, PASSWORD)


async def test_who_goes_away_makes_room(shared: Passwords) -> None:
    """A caller who hangs up while waiting no longer counts."""
    stored = await shared.hash(PASSWORD)
    waiting = [asyncio.create_task(shared.verify(stored, PASSWORD)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await shared.verify(stored, PASSWORD)


async def test_the_loop_goes_on_meanwhile(shared: Passwords) -> None:
    """Hashing is the threads' work: the loop turns many times before one hash is there."""
    hashing, turns = asyncio.create_task(shared.hash(PASSWORD)), 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 5
