"""Webhooks out: from the outbox to the product, signed, repeated until it says 2xx. Source: sections 2.3 to 2.6."""

import asyncio
import heapq
import logging
import math
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from sandbox.box import Sandbox
from sandbox.signing import sign, wire_json
from sandbox.state import Webhook

AT_ONCE = 16
"""POSTs in flight at the same time."""
FIRST_GAP_S = 0.5
GATHER_S = 0.2
"""With rebatching, updates of this stretch of time are put together."""
HEADERS = {"Content-Type": "application/json", "User-Agent": "Webhooks/1.0 (https://fb.me/webhooks)", "Accept": "*/*"}
log = logging.getLogger("sandbox")


@dataclass(order=True)
class Parcel:
    """Updates that go out together; a fresh parcel holds one and may be put together with others."""

    due: float
    number: int
    updates: list[Webhook] = field(compare=False)
    attempts: int = field(default=0, compare=False)
    first_failed_ms: int = field(default=0, compare=False)
    repeat: bool = field(default=False, compare=False)
    held_back: bool = field(default=False, compare=False)

    @property
    def kind(self) -> tuple[str, str]:
        """What all updates of one POST share: the object, and the app whose secret signs it."""
        return self.updates[0].object, self.updates[0].app


class Deliverer:
    """Sends what the outbox owes. Its queue is rebuilt from the outbox at start."""

    def __init__(self, box: Sandbox, http: httpx.AsyncClient) -> None:
        self.box, self.http = box, http
        self.failures = 0
        self.last_problem: str | None = None
        self._queue: list[Parcel] = []
        self._numbers = 0
        self._flying: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self.replan()
        box.on_webhooks = self.add
        box.on_reset = self.forget
        self.add(list(box.world.outbox.values()))

    def replan(self) -> None:
        """Take up a changed delivery plan; its seed starts anew."""
        self._random = random.Random(self.box.world.plan.seed)
        self._wake.set()

    def add(self, webhooks: list[Webhook]) -> None:
        """Queue updates."""
        due = self._due()
        for webhook in webhooks:
            self._push(Parcel(due, 0, [webhook]))

    def forget(self) -> None:
        """Drop everything queued, after a reset."""
        self._queue.clear()
        self.failures, self.last_problem = 0, None
        self.replan()

    def flush(self) -> None:
        """Make everything that waits for a delay or a retry due now."""
        now = time.monotonic()
        for parcel in self._queue:
            parcel.due = min(parcel.due, now)
        heapq.heapify(self._queue)
        self._wake.set()

    def status(self) -> dict[str, Any]:
        """How the deliveries stand."""
        world = self.box.world
        return {
            "plan": world.plan.model_dump(mode="json"),
            "waiting": len(self._queue),
            "in_flight": len(self._flying),
            "undelivered": len(world.outbox),
            "delivered": world.delivered,
            "dropped": world.dropped,
            "given_up": world.given_up,
            "failed_attempts": self.failures,
            "last_problem": self.last_problem,
            "idle": not self._queue and not self._flying,
        }

    async def run(self) -> None:
        """Deliver for as long as the process lives."""
        while True:
            self._wake.clear()
            parcel = self._take() if len(self._flying) < AT_ONCE and not self.box.world.plan.pause else None
            if parcel is None:
                await self._sleep()
                continue
            task = asyncio.create_task(self._deliver(parcel))
            self._flying.add(task)
            task.add_done_callback(self._landed)

    async def stop(self) -> None:
        """Cancel what is in flight; the outbox still owes it."""
        for task in self._flying:
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception():
            log.error("a delivery broke", exc_info=task.exception())

    async def _sleep(self) -> None:
        idle = self.box.world.plan.pause or len(self._flying) >= AT_ONCE or not self._queue
        timeout = None if idle else max(0.0, self._queue[0].due - time.monotonic())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)

    def _due(self) -> float:
        """When something new goes out: with rebatching, together with its neighbours in time."""
        plan = self.box.world.plan
        due = time.monotonic() + plan.delay_s
        return math.ceil(due / GATHER_S) * GATHER_S if plan.rebatch[1] > 1 else due

    def _push(self, parcel: Parcel) -> None:
        self._numbers += 1
        parcel.number = self._numbers
        heapq.heappush(self._queue, parcel)
        self._wake.set()

    def _take(self) -> Parcel | None:
        """The next POST that is due: a retry as it was, or as many fresh updates as the plan puts together."""
        plan, now = self.box.world.plan, time.monotonic()
        wanted = self._random.randint(plan.rebatch[0], max(plan.rebatch))
        taken: Parcel | None = None
        while self._queue and self._queue[0].due <= now:
            parcel = self._queue[0]
            if taken and (parcel.attempts or parcel.repeat != taken.repeat or len(taken.updates) >= wanted):
                break
            if taken and parcel.kind != taken.kind:
                break
            heapq.heappop(self._queue)
            if parcel.attempts:
                return parcel
            if self._lost_or_held_back(parcel, now):
                continue
            if taken:
                taken.updates += parcel.updates
            else:
                taken = parcel
        return taken

    def _lost_or_held_back(self, parcel: Parcel, now: float) -> bool:
        plan = self.box.world.plan
        if not parcel.repeat and not parcel.held_back and self._random.random() < plan.drop:
            self.box.record("webhooks_dropped", ids=[webhook.id for webhook in parcel.updates])
            return True
        if not parcel.held_back and self._random.random() < plan.reorder:
            parcel.held_back, parcel.due = True, now + self._random.uniform(0.05, 1.0)
            self._push(parcel)
            return True
        return False

    async def _deliver(self, parcel: Parcel) -> None:
        await self.box.journal.settled()
        world = self.box.world
        body = wire_json(envelope(parcel.updates, self.box.now_ms(), world.plan.shape))
        settings = self.box.settings
        problem = await self.post(body, settings.meta_app_secret if parcel.kind[1] == "meta" else settings.app_secret)
        if not parcel.repeat and not any(webhook.id in world.outbox for webhook in parcel.updates):
            return  # reset while it was under way
        if problem is None:
            self._delivered(parcel)
        else:
            self._failed(parcel, problem)

    async def post(self, body: bytes, secret: str) -> str | None:
        """One attempt; `None` when it was taken, or what went wrong."""
        headers = HEADERS | sign(secret, body)
        try:
            answer = await self.http.post(self.box.settings.webhook_url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            return type(exc).__name__
        return None if answer.is_success else f"HTTP {answer.status_code}"

    def _delivered(self, parcel: Parcel) -> None:
        if parcel.repeat:
            return
        self.box.record("webhooks_delivered", ids=[webhook.id for webhook in parcel.updates])
        again = [w for w in parcel.updates if self._random.random() < self.box.world.plan.duplicate]
        for webhook in again:
            self._push(Parcel(self._due(), 0, [webhook], repeat=True))

    def _failed(self, parcel: Parcel, problem: str) -> None:
        self.failures += 1
        self.last_problem = problem
        now_ms = self.box.now_ms()
        parcel.first_failed_ms = parcel.first_failed_ms or now_ms
        if now_ms - parcel.first_failed_ms >= self.box.settings.give_up_hours * 3_600_000:
            log.error("given up on %d webhook updates: %s", len(parcel.updates), problem)
            self.box.record("webhooks_given_up", ids=[webhook.id for webhook in parcel.updates], problem=problem)
            return
        gap = 0.0 if parcel.attempts == 0 else FIRST_GAP_S * 2 ** min(parcel.attempts - 1, 10)
        parcel.attempts += 1
        parcel.due = time.monotonic() + min(gap, self.box.settings.retry_cap_s)
        self._push(parcel)


def envelope(updates: Sequence[Webhook], now_ms: int, shape: str) -> dict[str, Any]:
    """The body of one POST. `entry.time` is the time of sending: milliseconds for messaging, else seconds."""
    entries: list[dict[str, Any]] = []
    for update in updates:
        if update.form != "changes":
            last = entries[-1] if entries else {}
            if last.get("id") == update.account_id and update.form in last:
                last[update.form].append(update.value)
            else:
                entries.append({"id": update.account_id, "time": now_ms, update.form: [update.value]})
        elif shape == "flat" and update.object == "instagram":
            entry = {"id": update.account_id, "time": now_ms // 1000, "field": update.field, "value": update.value}
            entries.append(entry)
        else:
            changes = [{"field": update.field, "value": update.value}]
            entries.append({"id": update.account_id, "time": now_ms // 1000, "changes": changes})
    return {"object": updates[0].object, "entry": entries}
