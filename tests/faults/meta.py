"""Meta's side of a delivery: at a steady rate, and what is not answered 200 comes again until it is."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from tests.faults.traffic import Traffic
from tests.house import signature

AT_ONCE = 64
PATIENCE_S = 10.0
AGAIN_S = (0.2, 1.0)


@dataclass
class Meta:
    """Delivers traffic to a webhook, and keeps what it was told."""

    url: str
    traffic: Traffic
    rate: float
    rng: random.Random
    answers: Counter[str] = field(default_factory=Counter)
    """How often each status, or each kind of broken connection, was the answer."""
    acknowledged: set[int] = field(default_factory=set)
    """The numbers of the changes for which we were told 200."""
    begun_in_s: float = 0.0
    """How long it took to begin every delivery."""
    slowest_s: float = 0.0
    """The longest that an answer of 200 took."""

    async def deliver_all(self, on_begun: Callable[[int], None]) -> None:
        """Return when every delivery has been answered 200. `on_begun` hears the number of each that begins."""
        limits = httpx.Limits(max_connections=AT_ONCE)
        at_once = asyncio.Semaphore(AT_ONCE)
        began = time.monotonic()
        async with (
            httpx.AsyncClient(limits=limits, timeout=PATIENCE_S, trust_env=False) as http,
            asyncio.TaskGroup() as group,
        ):
            for number, (body, changes) in enumerate(self.traffic.deliveries):
                await asyncio.sleep(began + number / self.rate - time.monotonic())
                on_begun(number)
                group.create_task(self._deliver(http, at_once, body, changes))
            self.begun_in_s = time.monotonic() - began

    async def _deliver(
        self, http: httpx.AsyncClient, at_once: asyncio.Semaphore, body: bytes, changes: tuple[int, ...]
    ) -> None:
        headers = {"X-Hub-Signature-256": signature(body), "Content-Type": "application/json"}
        while True:
            async with at_once:
                began = time.monotonic()
                try:
                    answer = str((await http.post(self.url, content=body, headers=headers)).status_code)
                except httpx.TransportError as exc:
                    answer = type(exc).__name__
            self.answers[answer] += 1
            if answer == "200":
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                self.acknowledged.update(changes)
                return
            await asyncio.sleep(self.rng.uniform(*AGAIN_S))
