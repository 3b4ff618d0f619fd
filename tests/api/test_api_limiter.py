"""The limiter itself: exact under parallel use, true about when to come back, and strict or open without Redis."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import get_args

import pytest
from redis.asyncio import Redis

from app.clock import utc_now
from app.errors import TooManyRequests, Unavailable
from app.limiter import DEFAULTS, Limit, Limiter, Name, Standing, in_words, limits_of
from app.windows import AT_ONCE, Windows
from tools import embedded

HASH_KEY = b"k" * 32
Open = Callable[..., Limiter]


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time it shows."""
        return self.now

    def forward(self, seconds: float) -> None:
        """Move it."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    """Noon."""
    return HandClock()


@pytest.fixture
async def opened(redis_url: str, clock: HandClock, request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Opens limiters with this quota and window for every name, on the same Redis or on another address."""
    found: list[Limiter] = []
    key = request.node.name.encode()[:64]  # each test counts by itself

    def make(quota: int = 5, window_s: int = 60, *, url: str = redis_url) -> Limiter:
        limits = {name: Limit(quota, window_s, limit.away) for name, limit in DEFAULTS.items()}
        found.append(Limiter(Windows(Redis.from_url(url), clock), limits, hash_key=key))
        return found[-1]

    yield make
    for limiter in found:
        await limiter.close()


async def outcome(limiter: Limiter, name: Name = "account", key: str = "usr_1") -> int:
    """0 when a hit passes, else the seconds to wait."""
    try:
        await limiter.hit(name, key, [])
    except TooManyRequests as refused:
        return int(refused.headers["Retry-After"])
    return 0


async def test_a_thousand_at_once(opened: Open) -> None:
    """Of 1,000 parallel hits by two processes' limiters, at a limit of 100, exactly 100 pass; another key's all do."""
    first, second = opened(100), opened(100)
    waits = await asyncio.gather(*(outcome(limiter) for limiter in (first, second) * 500))
    assert Counter(waits) == {0: 100, 60: 900}
    assert await asyncio.gather(*(outcome(first, key="usr_2") for _ in range(100))) == [0] * 100


async def test_the_time_to_wait_is_true(opened: Open, clock: HandClock) -> None:
    """After it one passes, a second before it none does, however the earlier ones were spread over the window."""
    limiter = opened(4, 60)
    for pause_s in (0.0, 0.001, 17.5, 20.0):
        clock.forward(pause_s)
        assert await outcome(limiter) == 0
    for _ in range(6):
        while (wait_s := await outcome(limiter)) == 0:
            clock.forward(0.9)
        assert wait_s <= 60
        clock.forward(wait_s - 1)
        assert await outcome(limiter) == 1
        clock.forward(1)
        assert await outcome(limiter) == 0


async def test_no_window_holds_more_than_the_quota(opened: Open, clock: HandClock) -> None:
    """Also not the one across a full minute: what came at its end counts at the beginning of the next."""
    limiter = opened(10, 60)
    passed: list[datetime] = []
    clock.forward(59)
    for _ in range(400):
        if await outcome(limiter) == 0:
            passed.append(clock.now)
        clock.forward(0.5)
    window = timedelta(seconds=60)
    busiest = max(sum(start <= at < start + window for at in passed) for start in passed)
    assert (busiest, len(passed)) == (10, 40)


async def test_a_process_that_asks_late(opened: Open, clock: HandClock) -> None:
    """One whose question arrives after a later one of another process sends nobody away for more than the window."""
    limiter = opened(1, 60)
    assert await outcome(limiter) == 0
    clock.forward(-0.2)
    assert await outcome(limiter) == 60


async def test_what_is_refused_is_not_counted(opened: Open, clock: HandClock) -> None:
    """Whoever goes on knocking waits no longer than whoever does not."""
    limiter = opened(1, 10)
    assert await outcome(limiter) == 0
    for seconds_left in range(10, 0, -1):
        assert await outcome(limiter) == seconds_left
        clock.forward(1)
    assert await outcome(limiter) == 0


async def test_a_look_counts_nothing(opened: Open) -> None:
    """However often; it refuses when the next hit would be refused."""
    limiter = opened(2)
    for _ in range(10):
        await limiter.check("login_account", "a@example.com")
    assert [await outcome(limiter, "login_account", "a@example.com") for _ in range(2)] == [0, 0]
    with pytest.raises(TooManyRequests) as refused:
        await limiter.check("login_account", "a@example.com")
    assert refused.value.headers == {"Retry-After": "60"}
    await limiter.check("login_address", "a@example.com")  # another limit's key


async def test_more_keys_than_go_together(opened: Open) -> None:
    """Each of many that come at once gets its own answer, also where one key is among them twice."""
    limiter = opened(1)
    keys = [f"usr_{number}" for number in range(3 * AT_ONCE)] * 2
    waits = await asyncio.gather(*(outcome(limiter, key=key) for key in keys))
    assert waits == [0] * (3 * AT_ONCE) + [60] * (3 * AT_ONCE)


async def test_one_who_hangs_up_costs_the_others_nothing(opened: Open) -> None:
    """Of hits that wait together, some are given up: the others are answered."""
    limiter = opened(100)
    tasks = [asyncio.create_task(outcome(limiter, key=f"usr_{number}")) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[1::2] == [0] * 10 and all(isinstance(one, asyncio.CancelledError) for one in found[::2])
    assert await outcome(limiter) == 0


async def test_how_a_limit_stands(opened: Open, clock: HandClock) -> None:
    """What is left, and when the oldest ends; a refusal tells it too."""
    limiter, standings = opened(3, 60), list[Standing]()
    await limiter.hit("label", "lbl_1", standings)
    clock.forward(10.4)
    await limiter.hit("label", "lbl_1", standings)
    await limiter.hit("label", "lbl_1", standings)
    with pytest.raises(TooManyRequests):
        await limiter.hit("label", "lbl_1", standings)
    assert [(found.name, found.quota, found.window_s) for found in standings] == [("label", 3, 60)] * 4
    assert [(found.remaining, found.reset_s) for found in standings] == [(2, 60), (1, 50), (0, 50), (0, 50)]


async def test_keys_of_any_text(opened: Open) -> None:
    """Long, odd, empty: each counts by itself."""
    limiter = opened(1)
    keys = ["", "a", "A", "a ", "é", "*", "a:b", "a\r\nb", "\0", "x" * 100_000, "🎵"]
    assert [await outcome(limiter, key=key) for key in keys] == [0] * len(keys)
    assert 0 not in [await outcome(limiter, key=key) for key in keys]


@pytest.mark.parametrize("name", get_args(Name))
async def test_without_redis(opened: Open, name: Name) -> None:
    """Each limit as it is declared: open, closed, or half its quota in this process alone, looks included."""
    limiter, standings, found = opened(10, url=f"redis://{embedded.HERE}:9"), list[Standing](), list[int]()
    waits = list[int]()
    for _ in range(12):
        try:
            await limiter.check(name, "somebody")
            await limiter.hit(name, "somebody", standings)
        except (TooManyRequests, Unavailable) as refused:
            found.append(refused.status)
            waits.append(int(refused.headers["Retry-After"]))
        else:
            found.append(200)
    wanted = {"open": [200] * 12, "closed": [503] * 12, "local": [200] * 5 + [429] * 7}
    assert found == wanted[DEFAULTS[name].away]
    assert all(1 <= wait_s <= 60 for wait_s in waits)
    assert [one.remaining for one in standings] == ([4, 3, 2, 1, 0] if DEFAULTS[name].away == "local" else [])


async def test_the_local_limit_is_exact_too(opened: Open) -> None:
    """100 log-ins that fail at the same moment: half the quota passes."""
    limiter = opened(10, url=f"redis://{embedded.HERE}:9")
    waits = await asyncio.gather(*(outcome(limiter, "login_account") for _ in range(100)))
    assert waits.count(0) == 5


async def test_a_silent_redis_is_asked_once_a_second(opened: Open, clock: HandClock) -> None:
    """The first waits for a quarter of a second, those at the same time with it, and then nobody for a second."""
    connections = 0

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silence, embedded.HERE, 0) as silent:
        limiter = opened(url=f"redis://{embedded.HERE}:{silent.sockets[0].getsockname()[1]}")
        began = perf_counter()
        assert await outcome(limiter) == 0
        assert 0.2 < perf_counter() - began < 1
        began = perf_counter()
        assert await asyncio.gather(*(outcome(limiter) for _ in range(500))) == [0] * 500
        assert perf_counter() - began < 0.5
        assert connections == 1
        clock.forward(1)
        await outcome(limiter)
        assert connections == 2
        clock.forward(-3600)  # a clock that is set back lets nobody rest for an hour
        await outcome(limiter)
        assert connections == 3
        await limiter.close()


async def test_a_late_answer_is_nobody_elses(opened: Open, clock: HandClock, redis_url: str) -> None:
    """What Redis says after we gave up waiting is not taken for the answer to the next question."""
    limiter = opened(1)
    assert await outcome(limiter, key="used up") == 0
    async with Redis.from_url(redis_url) as admin:
        await admin.execute_command("CLIENT", "PAUSE", 5000)
        assert await outcome(limiter, key="fresh") == 0  # passed uncounted
        await admin.execute_command("CLIENT", "UNPAUSE")
    clock.forward(1)
    assert await outcome(limiter, key="used up") == 59
    assert await outcome(limiter, key="another") == 0


async def test_a_busy_process_is_no_silence_of_redis(opened: Open) -> None:
    """While the loop is held up for longer than Redis may be silent, hits wait, and none passes uncounted."""
    limiter = opened(20)

    async def hold_up() -> None:
        for _ in range(6):
            end = perf_counter() + 0.3
            while perf_counter() < end:
                pass
            await asyncio.sleep(0)

    waits = (await asyncio.gather(*(outcome(limiter) for _ in range(100)), hold_up()))[:-1]
    assert waits.count(0) == 20


async def test_redis_comes_back(opened: Open, clock: HandClock, tmp_path: Path) -> None:
    """Killed, it is missed; back, it counts again after a second, with what it has kept or from the beginning."""
    valkey = embedded.valkey_child(tmp_path / "valkey")
    valkey.start()
    try:
        valkey.wait_ready()
        limiter = opened(2, url=valkey.url)
        assert [await outcome(limiter) == 0 for _ in range(3)] == [True, True, False]
        valkey.kill()
        assert await outcome(limiter) == 0
        valkey.start()
        valkey.wait_ready()
        clock.forward(1)
        assert [await outcome(limiter) == 0 for _ in range(3)][-1] is False
    finally:
        valkey.end()


async def test_by_a_socket_file(opened: Open, tmp_path: Path) -> None:
    """An address of the form `unix://` works like the others."""
    socket = tmp_path / "s"
    valkey = embedded.valkey_child(tmp_path / "valkey")
    valkey.command += ["--unixsocket", str(socket)]
    valkey.start()
    try:
        valkey.wait_ready()
        limiter, standings = opened(2, url=f"unix://{socket}?db=1"), list[Standing]()
        await limiter.hit("account", "usr_1", standings)
        assert [found.remaining for found in standings] == [1]
        await limiter.close()
    finally:
        valkey.end()


def test_the_setting_changes_limits_by_name() -> None:
    """Named ones, the later word of two; all others stay. One that there is not is refused without being repeated."""
    found = limits_of("account=1/2, label=3/4,account=5/6,")
    assert found == DEFAULTS | {"account": Limit(5, 6, "open"), "label": Limit(3, 4, "open")}
    assert limits_of("") == DEFAULTS
    with pytest.raises(ValueError, match=r"^SOUNDOPS_LIMITS: must name only these limits: address, ") as refused:
        limits_of("account=5/6,canary=1/2")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("wait_s", "words"), [(1, "1 second"), (120, "120 seconds"), (121, "3 minutes"), (840, "14 minutes")]
)
def test_a_wait_in_words(wait_s: int, words: str) -> None:
    """Never less than it is."""
    assert in_words(wait_s) == words


def test_every_limit_has_a_default() -> None:
    """Log-in and mail stay strict without Redis, reads stay open."""
    assert set(DEFAULTS) == set(get_args(Name))
    assert {name for name, limit in DEFAULTS.items() if limit.away == "open"} == {
        "address",
        "account",
        "label",
        "client",
    }


async def test_the_real_clock_will_do(redis_url: str) -> None:
    """A limiter as the process opens it."""
    limiter = Limiter(Windows(Redis.from_url(redis_url), utc_now), DEFAULTS, hash_key=HASH_KEY)
    standings = list[Standing]()
    await limiter.hit("client", f"cli_{perf_counter()}", standings)
    assert [(found.remaining, found.reset_s) for found in standings] == [(599, 60)]
    await limiter.close()
