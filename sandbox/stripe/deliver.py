"""Delivering events to endpoints: signed, tried again, and lost, doubled or shuffled where the options say so."""

import asyncio
import hashlib
import hmac
import json
import logging
import random
import time

import httpx

from sandbox.stripe.options import Options, options_of
from sandbox.stripe.store import Obj, Store, Tx

FIRST_GAP_S = 0.25
MOST_ATTEMPTS = 12
AT_ONCE = 16
IDLE_S = 0.02
log = logging.getLogger("sandbox")


def signature(secrets: list[str], body: bytes, stamp: int) -> str:
    """`Stripe-Signature`: one `v1` for each secret, and the `v0` that test events have."""
    signed = str(stamp).encode() + b"." + body
    found = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={stamp}", *(f"v1={one}" for one in found), f"v0={hashlib.sha256(signed).hexdigest()}"])


def payload(event: Obj) -> bytes:
    """An event as it is sent."""
    return json.dumps({name: value for name, value in event.items() if not name.startswith("_")}, indent=2).encode()


class Deliverer:
    """Sends what is owed. Runs as one task for as long as the program."""

    def __init__(self, store: Store, http: httpx.AsyncClient, retry_cap_s: float) -> None:
        self.store, self.http, self.retry_cap_s = store, http, retry_cap_s
        self.under_way: dict[str, asyncio.Task[None]] = {}
        self.random = random.Random(1)
        self.seed = 1

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            options = options_of(self.store)
            if options.seed != self.seed:
                self.seed, self.random = options.seed, random.Random(options.seed)
            for delivery in self._due(options):
                task = asyncio.create_task(self._send(delivery["id"], options))
                self.under_way[delivery["id"]] = task
            await asyncio.sleep(IDLE_S)

    async def stop(self) -> None:
        """End what is under way; it is sent again after the next start."""
        for task in self.under_way.values():
            task.cancel()
        await asyncio.gather(*self.under_way.values(), return_exceptions=True)

    def _due(self, options: Options) -> list[Obj]:
        if options.paused:
            return []
        now = time.time() - options.delay_s
        waiting = [
            one
            for one in self.store.of_kind("_delivery")
            if one["state"] == "waiting" and one["due_at"] <= now and one["id"] not in self.under_way
        ]
        if options.reorder:
            self.random.shuffle(waiting)
        return waiting[: max(0, AT_ONCE - len(self.under_way))]

    async def _send(self, key: str, options: Options) -> None:
        try:
            await self._attempt(key, options)
        finally:
            self.under_way.pop(key, None)

    async def _attempt(self, key: str, options: Options) -> None:
        delivery = self.store.objects.get(key)
        event = self.store.objects.get(delivery["event"]) if delivery else None
        endpoint = self.store.objects.get(delivery["endpoint"]) if delivery else None
        if delivery is None or event is None or endpoint is None or endpoint["status"] != "enabled":
            self._note(key, "given_up", None, 0)
            return
        if delivery["attempts"] == 0 and self._gets_lost(options):
            self._note(key, "dropped", None, 0)
            return
        await self.store.settled()  # what was never kept must not be told
        status = await self._post(event, endpoint, options)
        if status is not None and 200 <= status < 300:
            if self.random.random() < options.duplicate:
                await self._post(event, endpoint, options)
            self._note(key, "delivered", status, 1)
        elif delivery["attempts"] + 1 >= MOST_ATTEMPTS:
            self._note(key, "given_up", status, 1)
        else:
            self._note(key, "waiting", status, 1)

    async def _post(self, event: Obj, endpoint: Obj, options: Options) -> int | None:
        body = payload(event)
        stamp = int(time.time()) + options.stamp_offset_s
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(endpoint["_secrets"], body, stamp),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            return (await self.http.post(endpoint["url"], content=body, headers=headers)).status_code
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            log.info("a Stripe webhook found nobody: %s", type(exc).__name__)
            return None

    def _gets_lost(self, options: Options) -> bool:
        if 0 < options.drop < 1:
            return self.random.random() < options.drop
        left = options_of(self.store)
        if left.drop < 1:
            return False
        tx = Tx(self.store)
        kept = tx.the("options")
        kept["_said"] = kept["_said"] | {"drop": left.drop - 1}
        tx.commit()
        return True

    def _note(self, key: str, state: str, status: int | None, tried: int) -> None:
        """Write down how an attempt has ended."""
        tx = Tx(self.store)
        delivery = tx.get(key)
        if delivery is None:
            return
        gap = min(self.retry_cap_s, FIRST_GAP_S * 2 ** delivery["attempts"])
        delivery |= {"state": state, "last_status": status, "attempts": delivery["attempts"] + tried}
        delivery["due_at"] = time.time() + gap
        event = tx.get(delivery["event"])
        if event is not None and state != "waiting":
            event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
            event["_success"] = state == "delivered" and event["pending_webhooks"] == 0 and not event.get("_missed")
            event["_missed"] = event.get("_missed") or state != "delivered"
        if state == "delivered":
            tx.cut(key)
            _count(tx)
        tx.commit()


def _count(tx: Tx) -> None:
    counted = tx.get("counts") or tx.add({"id": "counts", "object": "_counts", "delivered": 0})
    counted["delivered"] += 1
