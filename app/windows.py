"""Moving windows in Redis: how often something happened lately, counted over all processes.

Group commit: while one question is under way, the next ones gather, and go together. One script decides, so that what
comes at the same moment cannot pass together.
"""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.clock import EPOCH, Clock, to_ms
from app.logs import get_logger

log = get_logger(__name__)
COUNT = """
local now, found = tonumber(ARGV[1]), {}
for place, key in ipairs(KEYS) do
  local window, quota, cost = tonumber(ARGV[3 * place - 1]), tonumber(ARGV[3 * place]), tonumber(ARGV[3 * place + 1])
  local oldest = redis.call('LINDEX', key, -1)
  while oldest and tonumber(oldest) <= now - window do
    redis.call('RPOP', key)
    oldest = redis.call('LINDEX', key, -1)
  end
  local count = redis.call('LLEN', key)
  local passed = count < quota and 1 or 0
  if passed == 1 and cost == 1 then
    redis.call('LPUSH', key, now)
    redis.call('PEXPIRE', key, window)
    count = count + 1
  end
  found[place] = {passed, math.max(0, quota - count), tonumber(oldest or now)}
end
return found
"""
"""For each key: drop what has left the window, then count or refuse. `{passed, remaining, oldest}` of each."""
AT_ONCE = 256
"""So many keys in one question: the script holds Redis up for a millisecond or two."""
LOOKS, LOOK_S = 25, 0.01
"""A quarter of a second without an answer, in which this process must have been free to see one so many times."""
REST = timedelta(seconds=1)
"""For how long Redis is not asked after it failed, so that its outage does not slow every request."""


class RedisAway(Exception):
    """Redis did not answer, or was not asked because it did not a moment ago."""


@dataclass(frozen=True)
class Seen:
    """What a window shows."""

    passed: bool
    remaining: int
    reset_s: int
    """Seconds until the oldest that counts does not count any more, rounded up."""


@dataclass(frozen=True)
class _Question:
    key: str
    window_ms: int
    quota: int
    cost: int
    answer: asyncio.Future[Seen] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Windows:
    """Counts in Redis. One a process, used by one event loop."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis, self._clock = redis, clock
        self._script = redis.register_script(COUNT)
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None
        self._rests_until = EPOCH

    async def look(self, key: str, *, quota: int, window_s: int, cost: int) -> Seen:
        """Whether one more passes; with a `cost` of 1 it is counted when it does. Raises `RedisAway`."""
        if timedelta() < self._rests_until - self._clock() <= REST:  # a clock set back must not make it longer
            raise RedisAway
        question = _Question(key, window_s * 1000, quota, cost)
        self._waiting.append(question)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await question.answer

    async def close(self) -> None:
        """Close the connections."""
        if self._asking:
            self._asking.cancel()
        await self._redis.aclose(close_connection_pool=True)

    async def _ask_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            try:
                found = await self._ask(group)
            except Exception as exc:  # whatever it is: those who wait must hear of it, and the next ones be asked for
                away = isinstance(exc, RedisError | OSError | TimeoutError)
                if away:
                    self._rests_until = self._clock() + REST
                    log.warning("limits are not counted: Redis is away", reason=type(exc).__name__)
                    group, self._waiting = group + self._waiting, []
                for question in group:
                    if not question.answer.done():
                        question.answer.set_exception(RedisAway() if away else exc)
            else:
                for question, seen in zip(group, found, strict=True):
                    if not question.answer.done():
                        question.answer.set_result(seen)
        self._asking = None

    async def _ask(self, group: list[_Question]) -> list[Seen]:
        now = to_ms(self._clock())
        arguments = [now, *(one for asked in group for one in (asked.window_ms, asked.quota, asked.cost))]
        with _Patience():
            found = await self._script([asked.key for asked in group], arguments)
        return [
            # another process may have counted after our `now`, and come first: nobody waits longer than the window
            Seen(bool(passed), remaining, math.ceil((min(oldest, now) + asked.window_ms - now) / 1000))
            for asked, (passed, remaining, oldest) in zip(group, found, strict=True)
        ]


class _Patience:
    """Ends what its task awaits when Redis is silent; that this process is busy with other things is no silence.

    Cheaper than a task for each question: it is one timer, and on the way of every request.
    """

    def __init__(self) -> None:
        self._looks = 0
        self._over = False

    def __enter__(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._over and kind is asyncio.CancelledError and self._task and self._task.uncancel() == 0:
            raise TimeoutError

    def _look(self) -> None:
        self._looks += 1
        if self._looks < LOOKS:
            self._timer = self._loop.call_later(LOOK_S, self._look)
        elif self._task:
            self._over = True
            self._task.cancel()
