"""A worker process: arq for the bell and the schedules, and a sweep of its own that needs no Redis at all."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
from arq.cron import cron
from arq.worker import Worker, func
from prometheus_client import Counter, Gauge, start_http_server
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from app import bell, logs
from app.clients.facebook import Facebook
from app.clients.google_analytics import Analytics
from app.clients.graph import Graph
from app.clients.mail import open_mailer
from app.clients.spotify import Spotify
from app.clients.stripe_api import Stripe, open_stripe
from app.clock import utc_now
from app.db import Database, create_indexes
from app.derived_keys import derive
from app.ids import new_id
from app.logs import get_logger
from app.services import faults, retention
from app.services.assets.opening import open_objects
from app.services.audit import Audit
from app.services.connections import tending
from app.services.privacy import reminding
from app.services.publishing import watching
from app.services.vault.private_ring import open_private_ring
from app.services.vault.rings import open_public_ring
from app.settings import WorkerSettings
from workers import billing, consents, exports, jobs, promises, rules, vault_schedule
from workers.jobs import Parts

log = get_logger(__name__)
RETENTION_EVERY_S = 30
REMIND_EVERY_S = 60
TEND_EVERY_S = 30
TEND_CONVERSATIONS_EVERY_S = 1
LATE_EVERY_S = 10
STOP_WITHIN_S = 20
JOB_TIMEOUT_S = 300
"""Longer than any operation's lease: the lease is what cuts it off."""
MAIL_STEPS_A_LEASE = 3
"""A mail's two steps, and room for what we write around them."""
TAKES_NO_COOKIES = DefaultCookiePolicy(allowed_domains=())
"""One client calls for all labels: what a provider sets in the answer to one must not go out with another's call."""
RETENTION_LAG = Gauge("retention_lag_seconds", "For how long the oldest expired document has been overdue")
SWEPT = Counter("retention_deleted_total", "Expired documents deleted by our own sweep", ["collection"])


async def run(settings: WorkerSettings) -> None:
    """Work until told to stop (SIGTERM, SIGINT): then claim nothing more, finish what runs, and end."""
    parts = open_parts(settings)
    faults.arm(settings.kill_at, after=settings.kill_after)
    parts.db.placed = lambda label_id: _placed(parts, label_id)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, addr="127.0.0.1")
    log.info("worker started", worker=parts.worker_id)
    loops = [
        asyncio.create_task(_forever(lambda: jobs.drain_waiting(parts), settings.sweep_s, parts.rung)),
        asyncio.create_task(_forever(lambda: rules.look_after(parts), settings.sweep_s, parts.placed)),
        asyncio.create_task(_forever(lambda: jobs.start_due(parts), settings.sweep_s)),
        asyncio.create_task(_forever(lambda: billing.look_after(parts), settings.sweep_s, parts.billed)),
        asyncio.create_task(_forever(lambda: billing.keep(parts), billing.KEEP_EVERY_S)),
        asyncio.create_task(_forever(lambda: consents.look_after(parts), consents.EVERY_S)),
        asyncio.create_task(_forever(lambda: _retain(parts), RETENTION_EVERY_S)),
        asyncio.create_task(_forever(lambda: _remind(parts), REMIND_EVERY_S)),
        asyncio.create_task(_forever(lambda: tending.tend(parts.db, parts.audit, clock=parts.clock), TEND_EVERY_S)),
        asyncio.create_task(_forever(lambda: jobs.tend_conversations(parts), TEND_CONVERSATIONS_EVERY_S)),
        asyncio.create_task(_forever(lambda: watching.look_for_late(parts.db, now=parts.clock()), LATE_EVERY_S)),
        asyncio.create_task(_forever(lambda: vault_schedule.look_after(parts), vault_schedule.EVERY_S)),
        asyncio.create_task(_forever(lambda: exports.look_after(parts), exports.EVERY_S)),
        asyncio.create_task(_forever(lambda: exports.look_for_strays(parts), exports.STRAYS_EVERY_S)),
        asyncio.create_task(_forever(lambda: promises.look_after(parts), promises.EVERY_S)),
        asyncio.create_task(_listen(parts)),
    ]
    await stop.wait()
    parts.stopping = True
    await _finish(parts)
    for task in loops:
        task.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    await parts.bell.close()
    await parts.graph.http.aclose()
    if parts.stripe:
        await parts.stripe.close()
    for ring in parts.rings:
        await ring.close()
    await parts.objects.close()
    parts.db.close()
    log.info("worker stopped", worker=parts.worker_id)


def open_parts(settings: WorkerSettings) -> Parts:
    """Open everything a worker needs. Raises `BadRing`."""
    db = Database(settings.mongodb_url.get_secret_value())
    http = httpx.AsyncClient(
        timeout=settings.graph_timeout_s, follow_redirects=False, trust_env=False, cookies=CookieJar(TAKES_NO_COOKIES)
    )
    outside: dict[str, Any] = {"http": http, "version": settings.graph_version, "timeout_s": settings.graph_timeout_s}
    return Parts(
        worker_id=new_id("wrk"),
        settings=settings,
        db=db,
        bell=bell.open_bell(settings.redis_url.get_secret_value()),
        graph=Graph(
            **outside,
            graph_url=settings.instagram_graph_url,
            app_id=settings.instagram_app_id,
            app_secret=settings.instagram_signing_secret,
            www_url=settings.instagram_www_url,
            api_url=settings.instagram_api_url,
        ),
        facebook=Facebook(
            **outside,
            graph_url=settings.facebook_graph_url,
            app_id=settings.meta_app_id,
            app_secret=settings.meta_signing_secret,
            www_url=settings.facebook_www_url,
        ),
        spotify=Spotify(
            http=http,
            accounts_url=settings.spotify_accounts_url,
            api_url=settings.spotify_api_url,
            client_id=settings.spotify_client_id,
            client_secret=settings.spotify_client_secret.get_secret_value() if settings.spotify_client_secret else "",
            timeout_s=settings.graph_timeout_s,
        ),
        stripe=_open_stripe(settings),
        mailer=open_mailer(
            settings.smtp_url.get_secret_value(),
            tls_required=settings.environment == "production",
            timeout_s=settings.lease_s / MAIL_STEPS_A_LEASE,
        ),
        rings=(open_public_ring(settings), open_private_ring(settings)),
        audit=Audit(db, derive(settings, "audit")),
        objects=open_objects(settings),
        analytics=_open_analytics(settings, http),
        clock=utc_now,
    )


def _open_stripe(settings: WorkerSettings) -> Stripe | None:
    """None where billing is off."""
    key = settings.stripe_secret_key
    return open_stripe(settings.stripe_api_url, key.get_secret_value()) if key else None


def _open_analytics(settings: WorkerSettings, http: httpx.AsyncClient) -> Analytics | None:
    if settings.ga_api_secret is None:
        return None
    return Analytics(
        http=http,
        url=settings.ga_url,
        measurement_id=settings.ga_measurement_id,
        api_secret=settings.ga_api_secret.get_secret_value(),
        timeout_s=settings.graph_timeout_s,
    )


def _placed(parts: Parts, label_id: str) -> None:
    """The label has new events: tell the streams of every process, and our rules."""
    parts.bell.ring_stream(label_id)
    parts.placed.set()


async def _listen(parts: Parts) -> None:
    """Take jobs from Redis; when it goes away, wait for it to come back. The sweep works meanwhile."""
    while True:
        worker = _arq_worker(parts)
        try:
            await worker.main()
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("the bell is away", reason=type(exc).__name__)
        except Exception:  # the process's edge: a worker must not go deaf for good
            log.exception("listening failed")
        finally:
            if worker.pool:  # none when it never reached Redis
                await worker.pool.aclose()
        await asyncio.sleep(1)


def _arq_worker(parts: Parts) -> Worker:
    settings = bell.patient_settings(parts.settings.redis_url.get_secret_value())
    return Worker(
        functions=[
            func(jobs.drain_inbox, name="drain_inbox"),
            func(jobs.run_operation, name="run_operation"),
            func(jobs.look_at_billing, name="look_at_billing"),
        ],
        cron_jobs=[cron(jobs.beat, second=set(range(0, 60, 5)), max_tries=3, unique=False, run_at_startup=True)],
        queue_name=bell.QUEUE,
        redis_settings=settings,
        job_serializer=bell.serialize,
        job_deserializer=bell.deserialize,
        ctx={"parts": parts},
        max_jobs=50,
        job_timeout=timedelta(seconds=JOB_TIMEOUT_S),
        keep_result=0,
        max_tries=1000,
        poll_delay=0.05,
        handle_signals=False,
        log_results=False,
        health_check_interval=10,
        health_check_key=f"{bell.QUEUE}:health:{parts.worker_id}",
    )


async def _retain(parts: Parts) -> None:
    RETENTION_LAG.set(await retention.lag_seconds(parts.db, now=parts.clock()))
    for name, count in (await retention.sweep(parts.db, now=parts.clock())).items():
        SWEPT.labels(name).inc(count)


async def _remind(parts: Parts) -> None:
    await reminding.remind(parts.db, privacy_mail=parts.settings.privacy_mail, now=parts.clock())


async def _forever(work: Callable[[], Awaitable[Any]], every_s: float, rung: asyncio.Event | None = None) -> None:
    """Do it again and again, at once when somebody has rung. A failure costs one round: this is the process's edge."""
    bell_rang = rung or asyncio.Event()
    while True:
        bell_rang.clear()
        try:
            await work()
        except PyMongoError as exc:
            log.warning("the store is away", reason=type(exc).__name__)
        except Exception:
            log.exception("a round of work failed")
        with suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await bell_rang.wait()


async def _finish(parts: Parts) -> None:
    """Wait for what runs, at most `STOP_WITHIN_S`; what is left over is taken over when its lease ends."""
    for _ in range(STOP_WITHIN_S * 20):
        if not parts.running and not parts.draining.locked():
            return
        await asyncio.sleep(0.05)


async def main(settings: WorkerSettings) -> None:
    """Set the logs up, make missing indexes, and work."""
    logs.configure(settings.log_level)
    db = Database(settings.mongodb_url.get_secret_value())
    try:
        await create_indexes(db)
    except PyMongoError as exc:
        log.warning("indexes not made: the store is away", reason=type(exc).__name__)
    finally:
        db.close()
    await run(settings)
