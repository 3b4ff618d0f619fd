"""The stand-in for Stripe as one part of the sandbox: the API, the pages, the controls, its clock and deliveries."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.settings import Settings
from sandbox.stripe.clock import catch_up, due_of
from sandbox.stripe.control import control_routes
from sandbox.stripe.deliver import AT_ONCE, Deliverer
from sandbox.stripe.endpoints import make_endpoint
from sandbox.stripe.events import tell_changes
from sandbox.stripe.front import front_routes
from sandbox.stripe.pages import page_routes
from sandbox.stripe.store import Store, Tx
from sandbox.stripe.web import Api

PREFIX = "/stripe"
SEED_ENDPOINT = "we_sandbox"
TICK_S = 0.2
log = logging.getLogger("sandbox")


class StripeSandbox:
    """Opened once per process; `running` runs its clock and its deliveries."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        base_url = f"http://{settings.host}:{settings.port}{PREFIX}"
        self.store = Store(settings.data / "stripe.jsonl", base_url, due_of, tell_changes)
        api = Api(self.store, settings.stripe_keys)
        self.app = Starlette(
            routes=[
                Route("/v1/{path:path}", api.answer, methods=["GET", "POST", "DELETE"]),
                *control_routes(self.store, self._seed),
                *page_routes(self.store),
                *front_routes(self.store),
            ]
        )

    def _seed(self) -> None:
        """The endpoint that the settings name, with their secrets."""
        url, keys = self.settings.stripe_webhook_url, self.settings.stripe_webhook_secrets
        known = self.store.objects.get(SEED_ENDPOINT)
        if not url or not keys or (known and known["url"] == url and known["_secrets"] == list(keys)):
            return
        tx = Tx(self.store)
        made = make_endpoint(tx, url, ["*"], keys[0], SEED_ENDPOINT)
        made["_secrets"] = list(keys)
        tx.commit()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver, and let time pass."""
        self._seed()
        limits = httpx.Limits(max_connections=AT_ONCE + 2, max_keepalive_connections=AT_ONCE + 2)
        async with httpx.AsyncClient(timeout=self.settings.webhook_timeout_s, limits=limits, trust_env=False) as http:
            deliverer = Deliverer(self.store, http, self.settings.retry_cap_s)
            tasks = [asyncio.create_task(deliverer.run()), asyncio.create_task(self._tick())]
            for task in tasks:
                task.add_done_callback(_end_with)
            yield
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await deliverer.stop()
        await self.store.settled()
        await self.store.journal.close()

    async def _tick(self) -> None:
        while True:
            catch_up(self.store)
            await asyncio.sleep(TICK_S)


def _end_with(task: asyncio.Task[None]) -> None:
    """A stand-in whose clock or deliveries have stopped would only mislead: end, and say why."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("the sandbox's Stripe has stopped", exc_info=task.exception())
        os._exit(1)
