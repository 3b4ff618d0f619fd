"""The doorbell: tells workers by Redis to look now. A ring may get lost; the workers' sweep looks anyway."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from arq import ArqRedis
from arq.connections import RedisSettings
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.logs import get_logger

log = get_logger(__name__)
QUEUE = "soundops:jobs"
STREAMS = "soundops:streams"
"""The channel on which is told which labels have new events: their ids, with a space between."""
DRAIN_EVERY_S = 0.03
RING_TIMEOUT_S = 2.0


def serialize(job: dict[str, Any]) -> bytes:
    """Jobs are JSON: a pickle in Redis would be code to run."""
    return json.dumps(job, default=repr).encode()


def deserialize(raw: bytes) -> dict[str, Any]:
    """The job of these bytes."""
    job: dict[str, Any] = json.loads(raw)
    return job


def patient_settings(url: str) -> RedisSettings:
    """How a worker reaches Redis: it sits a short outage out, which a request would not."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 2
    settings.conn_retries = 0
    settings.retry_on_timeout = True
    settings.retry = Retry(ExponentialBackoff(cap=1, base=0.05), 5)
    settings.retry_on_error = [RedisConnectionError, RedisTimeoutError, BusyLoadingError, OSError]
    return settings


class Bell:
    """Rings for operations at once, and for the drain at most every `DRAIN_EVERY_S`, but always after a commit."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._waits = False
        self._labels: set[str] = set()
        self._ringing: set[asyncio.Task[None]] = set()

    async def ring(self, operation_id: str) -> None:
        """Have a worker look at this operation."""
        await self._enqueue("run_operation", operation_id)

    async def ring_drain(self) -> None:
        """Have a worker drain the inbox, soon; rings that come together are one."""
        if not self._waits:
            self._waits = True
            self._begin(self._drain_soon())

    async def ring_billing(self) -> None:
        """Have a worker look at what Stripe has told."""
        await self._enqueue("look_at_billing")

    def ring_stream(self, label_id: str) -> None:
        """Have every API process look at the label's events, at once; labels that come together are one message."""
        if not self._labels:
            self._begin(self._tell_streams())
        self._labels.add(label_id)

    async def ping(self) -> None:
        """Raise `RedisError`, `OSError` or `TimeoutError` unless Redis answers."""
        async with asyncio.timeout(1):
            await self._redis.ping()

    async def close(self) -> None:
        """Close the connections."""
        for task in self._ringing:
            task.cancel()
        await asyncio.gather(*self._ringing, return_exceptions=True)
        await self._redis.aclose(close_connection_pool=True)

    async def _drain_soon(self) -> None:
        await asyncio.sleep(DRAIN_EVERY_S)
        self._waits = False
        await self._enqueue("drain_inbox")

    async def _tell_streams(self) -> None:
        told, self._labels = self._labels, set()
        try:
            async with asyncio.timeout(RING_TIMEOUT_S):
                await self._redis.publish(STREAMS, " ".join(told))
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("bell not heard", job="streams", reason=type(exc).__name__)

    def _begin(self, ringing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(ringing)
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def _enqueue(self, job: str, *arguments: str) -> None:
        try:
            async with asyncio.timeout(RING_TIMEOUT_S):
                await self._redis.enqueue_job(job, *arguments, _queue_name=QUEUE)
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("bell not heard", job=job, reason=type(exc).__name__)


def open_ear(url: str) -> Redis:
    """A connection to listen by. It waits as long as nothing is told."""
    pool: ConnectionPool = ConnectionPool.from_url(url, socket_connect_timeout=RING_TIMEOUT_S)
    return Redis.from_pool(pool)


def open_bell(url: str) -> Bell:
    """A bell on this Redis; connects when it first rings."""
    pool: ConnectionPool = ConnectionPool.from_url(
        url, socket_connect_timeout=RING_TIMEOUT_S, socket_timeout=RING_TIMEOUT_S
    )
    return Bell(ArqRedis(pool, job_serializer=serialize, job_deserializer=deserialize, default_queue_name=QUEUE))
