"""The product with one bug planted, as a process: `python -m tests.faults.planted api early_ack`.

The checker must catch each of them; that is what proves it.
"""

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import workers.main
from app import meta_webhook
from app.models.data_map import DATA_MAP
from app.server import serve
from app.services.stream.hub import Listener
from app.services.webhooks.changes import Change, changes_of
from app.services.webhooks.intake import Intake
from app.settings import ApiSettings, WorkerSettings, load
from workers.main import main as work_as_told

_begun: set[asyncio.Task[None]] = set()


def early_ack() -> None:
    """The webhook is answered before its changes are written."""
    store = Intake.store

    async def early(self: Intake, changes: list[Change], *, now: datetime) -> None:
        task = asyncio.create_task(store(self, changes, now=now))
        _begun.add(task)
        task.add_done_callback(_begun.discard)

    Intake.store = early  # type: ignore[method-assign]


def no_sweep() -> None:
    """A worker does what it hears of, and looks for nothing by itself."""

    async def only_when_rung(
        work: Callable[[], Awaitable[Any]], every_s: float, rung: asyncio.Event | None = None
    ) -> None:
        del every_s
        while rung:
            await rung.wait()
            rung.clear()
            await work()

    workers.main._forever = only_when_rung


def not_unique() -> None:
    """A change has another key each time it comes, and no index forbids a second message, comment or event."""

    def salted(body: bytes, *, dedupe_key: bytes, now: datetime) -> list[Change]:
        found = changes_of(body, dedupe_key=dedupe_key, now=now)
        return [replace(change, key=secrets.token_hex(20)) for change in found]

    meta_webhook.changes_of = salted  # type: ignore[attr-defined]
    for name in ("messages", "comments", "events"):
        indexes = tuple(replace(index, unique=False) for index in DATA_MAP[name].indexes)
        DATA_MAP[name] = replace(DATA_MAP[name], indexes=indexes)


def begins_now() -> None:
    """A listener that comes back is told what happens from then on, wherever it has got to, but for the first of it.

    Without that it might miss nothing: while the API is down, little happens.
    """
    begin = Listener.begin

    async def from_now(self: Listener) -> bytes:
        comes_back, self._from = self._from is not None, None
        opening = await begin(self)
        self.seq += comes_back
        return opening

    Listener.begin = from_now  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    "early_ack": early_ack,
    "no_sweep": no_sweep,
    "not_unique": not_unique,
    "begins_now": begins_now,
}

if __name__ == "__main__":
    _, part, bug = sys.argv
    BUGS[bug]()
    if part == "api":
        serve(load(ApiSettings))
    else:
        asyncio.run(work_as_told(load(WorkerSettings)))
