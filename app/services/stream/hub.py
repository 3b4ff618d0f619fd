"""The hub: one reader a label and process, however many listen.

A listener first catches up by itself, from where it says it has got to; at the reader's place it joins, in the same
breath, so that nothing is missed or told twice. What it is told waits in a bounded queue: a listener that is too slow
is let go, and comes back by the last id that it has seen. A ring by Redis says where to look; a look a second finds
what nobody rang for.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client import Counter, Gauge
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.bell import STREAMS
from app.db import Database
from app.errors import TooManyRequests, Unavailable
from app.logs import get_logger
from app.services import events
from app.services.stream.items import Item, Places

log = get_logger(__name__)
LOOK_EVERY_S = 1.0
TOGETHER_S = 0.02
"""How long a reader leaves between two looks, so that what comes together is told together."""
BACK_S = 1.0
COME_BACK_S = 5
LISTENERS = Gauge("stream_listeners", "Who listens to streams at this process")
SLOW = Counter("stream_slow_total", "Listeners that were let go because they did not keep up")


@dataclass(frozen=True)
class Bounds:
    """How many may listen, and how much is kept and how often is asked for each."""

    in_process: int = 2_000
    of_label: int = 500
    """At one process."""
    waiting: int = 1_000
    """How many events may wait for a listener: ten seconds of a very busy label."""
    ask_again_s: float = 4.0
    """So often a stream asks whether its listener may still hear it."""
    heartbeat_s: float = 15.0


class Listener:
    """One who listens. `seq` is the place of the last event that it was given."""

    def __init__(self, feed: "Feed", seq: int | None, bounds: Bounds) -> None:
        self.feed, self.seq, self._from, self.bounds = feed, 0, seq, bounds
        self.ended = asyncio.Event()
        self._waiting: deque[Item] = deque()
        self._woken = asyncio.Event()

    def offer(self, item: Item) -> None:
        """Have this told next; who is too far behind is let go."""
        if len(self._waiting) >= self.bounds.waiting:
            SLOW.inc()
            self.end()
            return
        self._waiting.append(item)
        self._woken.set()

    def end(self) -> None:
        """Let the listener go."""
        self.ended.set()
        self._woken.set()

    async def begin(self) -> bytes:
        """What the stream begins with: where it stands, or that the client must load anew. Raises `PyMongoError`."""
        db, label_id, places = self.feed.db, self.feed.label_id, self.feed.places
        if self._from is not None and await events.follows(db, label_id, self._from):
            self.seq = self._from
            return places.opening(self.seq)
        self.seq = await events.head_of(db, label_id)
        return places.opening(self.seq) + (b"" if self._from is None else places.reset(self.seq).block)

    async def following(self, *, within_s: float) -> list[Item]:
        """What comes next, in order; nothing when nothing comes within this time. Raises `PyMongoError`."""
        while self not in self.feed.live:
            read_up_to = self.feed.seq
            found = await events.after(self.feed.db, self.feed.label_id, self.seq)
            if found:
                return self._in_order([self.feed.places.item(event) for event in found])
            if self.seq < read_up_to:  # what the reader has read has expired before we came to it
                self.seq = read_up_to
                return [self.feed.places.reset(self.seq)]
            if self.seq >= self.feed.seq:  # else it has read on during our look
                self.feed.live.add(self)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        self._woken.clear()
        items = [item for item in self._waiting if item.seq > self.seq]
        self._waiting.clear()
        return self._in_order(items)

    def _in_order(self, items: list[Item]) -> list[Item]:
        """The items, with a reset in place of what is missing before one."""
        told: list[Item] = []
        for item in items:
            if item.seq != self.seq + 1:
                told.append(self.feed.places.reset(item.seq - 1))
            told.append(item)
            self.seq = item.seq
        return told


class Feed:
    """A label's reader in this process. `seq` is the place that it has read up to."""

    def __init__(self, db: Database, places: Places) -> None:
        self.db, self.places, self.label_id = db, places, places.label_id
        self.seq = 0
        self.live: set[Listener] = set()
        self.all: set[Listener] = set()
        self.rung = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read, behind what is there. Raises `PyMongoError`."""
        if self._reader is None:
            head = await events.head_of(self.db, self.label_id)
            if self._reader is None:  # else somebody has begun meanwhile, and reads from where they did
                self.seq = max(self.seq, head)
                self._reader = asyncio.create_task(self._read())

    def stop(self) -> None:
        """Read no more."""
        if self._reader:
            self._reader.cancel()

    async def _read(self) -> None:
        """Tell the listeners of what is new, as long as there are any."""
        while True:
            try:
                await self._look()
            except PyMongoError as exc:
                log.warning("a stream stands: the store is away", label=self.label_id, reason=type(exc).__name__)
                await asyncio.sleep(BACK_S)
            except Exception:  # a reader's edge: its listeners would wait for ever
                log.exception("a stream stands", label=self.label_id)
                await asyncio.sleep(BACK_S)
            await asyncio.sleep(TOGETHER_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.rung.wait()
            self.rung.clear()

    async def _look(self) -> None:
        while found := await events.after(self.db, self.label_id, self.seq):
            for item in [self.places.item(event) for event in found]:
                self.seq = item.seq
                for listener in self.live:
                    listener.offer(item)


class Hub:
    """All who listen at this process."""

    def __init__(self, db: Database, connect: Callable[[], Redis]) -> None:
        self._db, self._connect = db, connect
        self.bounds = Bounds()
        self._feeds: dict[str, Feed] = {}
        self._ear: asyncio.Task[None] | None = None
        self._count = 0
        self._closed = False

    async def join(self, places: Places, seq: int | None) -> Listener:
        """Listen to a label behind this place; without one, from now on.

        Raises `TooManyRequests` and `Unavailable` when too many listen, `PyMongoError`. At a process that ends, the
        listener has ended before it begins: the client comes back, elsewhere.
        """
        if self._count >= self.bounds.in_process:
            raise Unavailable("Too many listen at this server", retry_after_s=COME_BACK_S)
        feed = self._feeds.setdefault(places.label_id, Feed(self._db, places))
        if len(feed.all) >= self.bounds.of_label:
            raise TooManyRequests("Too many listen to this label's stream", retry_after_s=COME_BACK_S)
        listener = Listener(feed, seq, self.bounds)
        self._add(listener)
        try:
            await feed.start()
        except BaseException:
            self.leave(listener)
            raise
        return listener

    def leave(self, listener: Listener) -> None:
        """It listens no more; the last of a label takes the reader along."""
        feed = listener.feed
        if listener not in feed.all:
            return
        feed.all.discard(listener)
        feed.live.discard(listener)
        self._count -= 1
        LISTENERS.set(self._count)
        if not feed.all:
            feed.stop()
            if self._feeds.get(feed.label_id) is feed:
                del self._feeds[feed.label_id]

    async def close(self) -> None:
        """End every stream, and let none begin."""
        self._closed = True
        for feed in self._feeds.values():
            for listener in feed.all:
                listener.end()
        for feed in list(self._feeds.values()):
            feed.stop()
        if self._ear:
            self._ear.cancel()
            await asyncio.gather(self._ear, return_exceptions=True)

    def _add(self, listener: Listener) -> None:
        listener.feed.all.add(listener)
        self._count += 1
        LISTENERS.set(self._count)
        if self._closed:
            listener.end()
        elif self._ear is None:
            self._ear = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        """Hear Redis ring. While it is away, the readers look by themselves."""
        while True:
            redis = self._connect()
            try:
                async with redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(STREAMS)
                    self._ring(list(self._feeds))
                    async for message in channel.listen():
                        self._ring(message["data"].decode().split())
            except (RedisError, OSError, TimeoutError, UnicodeDecodeError) as exc:
                log.warning("the stream's bell is away", reason=type(exc).__name__)
            finally:
                await redis.aclose()
            await asyncio.sleep(BACK_S)

    def _ring(self, labels: list[str]) -> None:
        for label_id in labels:
            if feed := self._feeds.get(label_id):
                feed.rung.set()
