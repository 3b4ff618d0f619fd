"""The sandbox as one object: settings, journal, world and clock, and the one way to change anything."""

import random
import secrets
import string
import time
from collections.abc import Callable
from typing import Any

import httpx

from sandbox.apply import apply
from sandbox.facebook_seed import PAGE_BY_ID
from sandbox.facebook_world import flows_through_page
from sandbox.journal import Journal, Row
from sandbox.settings import Settings
from sandbox.state import Webhook, World

_LETTERS = string.ascii_letters + string.digits


class Sandbox:
    """Everything a handler needs. Opened once per process; replays the journal."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.journal = Journal(settings.data / "journal.jsonl")
        self.world = World()
        self.on_webhooks: Callable[[list[Webhook]], None] = lambda webhooks: None
        self.http = httpx.AsyncClient(trust_env=False)
        """Fetches what calls name by its address."""
        self.on_reset: Callable[[], None] = lambda: None
        for row in self.journal.replay():
            apply(self.world, row)

    def now_ms(self) -> int:
        """The sandbox's time, in milliseconds since 1970."""
        return int(time.time() * 1000) + self.world.offset_ms

    def record(self, kind: str, **details: Any) -> Row:
        """Write a row down and apply it.

        No answer and no webhook leaves before it is on disk: the front layer and the deliverer wait for `settled`.
        """
        row: Row = {"seq": self.world.seq + 1, "at": self.now_ms(), "kind": kind} | details
        self.journal.append(row)
        apply(self.world, row)
        if kind == "reset":
            self.on_reset()
        if row.get("webhooks"):
            self.on_webhooks([self.world.outbox[f"{row['seq']}.{n}"] for n in range(len(row["webhooks"]))])
        return row

    def owed(self, account_id: str, field: str, form: str, value: dict[str, Any]) -> list[dict[str, Any]]:
        """The `webhooks` of a row: one for each app that hears this of the account or Page, or none."""
        update = {"account_id": account_id, "field": field, "form": form, "value": value}
        found = []
        if field in self.world.subscriptions.get(account_id, ()):
            found.append(update | ({"object": "page", "app": "meta"} if account_id in PAGE_BY_ID else {}))
        if flows_through_page(self.world, account_id, field):
            found.append(update | {"app": "meta"})
        return found


def new_mid(prefix: str = "aWdfZA") -> str:
    """A message id: opaque and long; `m_` on Messenger."""
    return prefix + _random_letters(114)


def new_number_id(prefix: str) -> str:
    """An id of 17 digits."""
    return prefix + "".join(random.choices(string.digits, k=17 - len(prefix)))


def new_token(prefix: str = "IGAA") -> str:
    """An access token: `IGAA`, or `EAA` of Facebook, and 140 url-safe characters."""
    return prefix + secrets.token_urlsafe(105)


def new_code() -> str:
    """An authorization code."""
    return "AQ" + secrets.token_urlsafe(120)


def new_trace_id() -> str:
    """An `fbtrace_id`."""
    return "A" + _random_letters(22)


def _random_letters(count: int) -> str:
    return "".join(random.choices(_LETTERS, k=count))
