"""What workers do: thin functions around services. Jobs carry ids only; rung twice, a thing is done once."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.bell import Bell
from app.clients.graph import Graph
from app.clock import Clock
from app.db import Database, Doc
from app.logs import get_logger
from app.services import heartbeat, operations
from app.services.exchange import exchange
from app.services.inbox import sending
from app.services.inbox.drain import drain
from app.services.operations import GiveUp, InDoubt, TryAgain
from app.services.vault.private_ring import PrivateRing
from app.services.vault.ring import PublicRing
from app.settings import WorkerSettings

log = get_logger(__name__)
DUE_AT_ONCE = 200
OPERATIONS_AT_ONCE = 20


@dataclass
class Parts:
    """What lives as long as a worker."""

    worker_id: str
    settings: WorkerSettings
    db: Database
    bell: Bell
    graph: Graph
    rings: tuple[PublicRing, PrivateRing]
    clock: Clock
    draining: asyncio.Lock = field(default_factory=asyncio.Lock)
    drain_again: bool = False
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPERATIONS_AT_ONCE))
    running: set[str] = field(default_factory=set)
    stopping: bool = False


async def drain_inbox(ctx: dict[str, Any]) -> None:
    """Work off the webhook inbox. One drain a process: a ring during one makes it look once more."""
    parts: Parts = ctx["parts"]
    parts.drain_again = True
    if parts.draining.locked():
        return
    async with parts.draining:
        while parts.drain_again and not parts.stopping:
            parts.drain_again = False
            await drain(parts.db, parts.clock)


async def run_operation(ctx: dict[str, Any], operation_id: str) -> None:
    """Do one operation if it is still there to do."""
    parts: Parts = ctx["parts"]
    if operation_id in parts.running or parts.stopping:
        return
    parts.running.add(operation_id)
    try:
        async with parts.room:
            await _run(parts, operation_id)
    finally:
        parts.running.discard(operation_id)


async def _run(parts: Parts, operation_id: str) -> None:
    db, lease = parts.db, timedelta(seconds=parts.settings.lease_s)
    operation = await operations.claim(db, operation_id, lease=lease, now=parts.clock())
    if operation is None:
        return
    try:
        async with asyncio.timeout(parts.settings.lease_s * 0.8):
            result = await _do(parts, operation)
    except TryAgain as later:
        await operations.postpone(db, operation, until=later.at, reason=later.reason, now=parts.clock())
    except GiveUp as end:
        await operations.fail(db, operation, code=end.code, detail=end.detail, now=parts.clock())
        log.warning("operation failed", operation=operation_id, kind=operation["kind"], problem=end.code)
    except InDoubt as doubt:
        await operations.leave_in_doubt(db, operation, reason=doubt.reason, look_at=doubt.look_at, now=parts.clock())
        log.warning("operation in doubt", operation=operation_id, kind=operation["kind"])
    else:
        await operations.succeed(db, operation, result=result, now=parts.clock())
    following = await operations.next_in_queue(db, operation)
    if following:
        await parts.bell.ring(following)


async def _do(parts: Parts, operation: Doc) -> Doc:
    if operation["kind"] == "exchange_code":
        uri = parts.settings.instagram_redirect_uri
        return await exchange(parts.db, parts.graph, parts.rings, operation, redirect_uri=uri, clock=parts.clock)
    if operation["kind"] == "send_reply":
        return await sending.send_reply(parts.db, parts.graph, parts.rings[1], operation, clock=parts.clock)
    raise GiveUp("unknown_kind", "This worker does not know this kind of operation.")


async def beat(ctx: dict[str, Any]) -> None:
    """Show that this worker takes jobs from the queue: the job came through Redis."""
    parts: Parts = ctx["parts"]
    await heartbeat.beat(parts.db, parts.worker_id, now=parts.clock())


async def look_for_work(parts: Parts) -> None:
    """The sweep: do what is due, whether or not anybody rang."""
    ctx = {"parts": parts}
    await drain_inbox(ctx)
    due = await operations.due(parts.db, now=parts.clock(), limit=DUE_AT_ONCE)
    ended = await asyncio.gather(*(run_operation(ctx, one) for one in due), return_exceptions=True)
    for operation_id, problem in zip(due, ended, strict=True):
        if problem is not None:  # its lease ends, and it is taken over; the others must not be cut off for it
            log.warning("operation broken off", operation=operation_id, reason=type(problem).__name__)
