"""Unwrapped data keys, kept for minutes: each unwrapping is a call that costs. What they open is never kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from time import monotonic

MOST = 2_000
LIFE_S = 300.0


class DataKeys:
    """At most `most` data keys, each for `life_s`; the one that was used longest ago goes first."""

    def __init__(self, *, most: int = MOST, life_s: float = LIFE_S, timer: Callable[[], float] = monotonic) -> None:
        self._most, self._life_s, self._timer = most, life_s, timer
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[bytes]] = {}

    async def get(self, name: bytes, fetch: Callable[[], Coroutine[None, None, bytes]]) -> bytes:
        """The data key of this name: kept, or fetched once for however many ask at the same time.

        Raises what `fetch` does; nothing is kept then.
        """
        kept = self._kept.get(name)
        if kept and self._timer() < kept[0]:
            self._kept.move_to_end(name)
            return kept[1]
        task = self._asked.get(name)
        if task is None:
            task = self._asked[name] = asyncio.create_task(self._fetch(name, fetch))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asked may be gone
        return await asyncio.shield(task)  # one who gives up does not take it from the others

    async def _fetch(self, name: bytes, fetch: Callable[[], Coroutine[None, None, bytes]]) -> bytes:
        try:
            data_key = await fetch()
        finally:
            del self._asked[name]
        self._kept[name] = self._timer() + self._life_s, data_key
        self._kept.move_to_end(name)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return data_key
