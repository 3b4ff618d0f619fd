"""The whole product as processes of their own, for drills that kill them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pymongo
from pymongo.database import Database

from app.db import Doc
from tests.house import (
    APP_ID,
    APP_SECRET,
    META_APP_ID,
    META_APP_SECRET,
    PASSWORD,
    VERIFY_TOKEN,
    make_keys,
    settings_env,
)
from tools import demo, embedded
from tools.child import Child, running
from tools.plan import api_env, worker_env

Part = Literal["api", "worker", "database", "redis"]
WEBHOOK = "/v1/webhooks/meta"
TTL_SWEEP_S = "60"
"""As mongod's; a sweep reads everything, which the drills' load would feel."""


@dataclass
class Plant:
    """What runs. `env` is the worker's environment."""

    database: Child
    redis: Child
    sandbox: Child
    postbox: Child
    api: Child
    worker: Child
    env: dict[str, str]
    folder: Path
    label_id: str = ""
    answers: list[bytes] = field(default_factory=list)
    """Every answer that the label's owner got: its headers and its body."""

    def part(self, name: Part) -> Child:
        """The process of this name."""
        found: Child = getattr(self, name)
        return found

    @contextmanager
    def store(self) -> Iterator[Database[Doc]]:
        """The database itself, past our own code."""
        with pymongo.MongoClient[Doc](self.database.url, tz_aware=True) as client:
            yield client.get_default_database()

    @contextmanager
    def owner(self) -> Iterator[httpx.Client]:
        """A client of the label's owner, freshly logged in."""
        hooks = {"response": [self._keep]}
        with httpx.Client(base_url=self.api.url, timeout=30, trust_env=False, event_hooks=hooks) as http:
            demo.log_in(http, PASSWORD)
            yield http

    def _keep(self, answer: httpx.Response) -> None:
        headers = b"".join(name + b": " + value + b"\n" for name, value in answer.headers.raw)
        self.answers.append(headers + answer.read())

    def connect(self) -> None:
        """Make a label, and connect the sandbox's account to it by the real log-in."""
        with self.owner() as http:
            self.label_id = demo.need_label(http)
            demo.connect(http, self.label_id, api_url=self.api.url, public_url=self.api.url)


@contextmanager
def plant(
    folder: Path,
    *,
    bug: str | None = None,
    transaction_s: str = "60",
    ttl_sweep_s: str = TTL_SWEEP_S,
    **settings: str,
) -> Iterator[Plant]:
    """Run everything, with a connected account. `settings` are more `SOUNDOPS_…`; `bug` is one of `planted.py`.

    What a dead worker leaves open in the database is ended after `transaction_s`, and what has expired is deleted every
    `ttl_sweep_s`.
    """
    sweep_s, longest_s = float(ttl_sweep_s), float(transaction_s)
    database = embedded.mongodb_child(folder / "mongodb", ttl_sweep_s=sweep_s, transaction_s=longest_s)
    redis = embedded.valkey_child(folder / "valkey")
    api_port = embedded.free_port()
    api_url = f"http://{embedded.HERE}:{api_port}"
    sandbox = embedded.sandbox_child(
        folder / "sandbox",
        f"{api_url}{WEBHOOK}",
        app_id=APP_ID,
        app_secret=APP_SECRET,
        verify_token=VERIFY_TOKEN,
        meta_app_id=META_APP_ID,
        meta_app_secret=META_APP_SECRET,
        redirect_uris=f"{api_url}/v1/oauth/callback/instagram,{api_url}/v1/oauth/callback/facebook",
        env={"SANDBOX_RETRY_CAP_S": "0.5"},
    )
    postbox = embedded.postbox_child(folder / "postbox")
    env = settings_env(
        make_keys(folder / "keys"),
        mongodb_url=database.url,
        redis_url=redis.url,
        sandbox_url=sandbox.url,
        smtp_url=embedded.smtp_url(postbox),
        SOUNDOPS_PUBLIC_URL=api_url,
        SOUNDOPS_PORT=str(api_port),
        **settings,
    )
    api = embedded.api_child(api_env(env), log=folder / "logs" / "api.log")
    metrics_port = embedded.free_port()
    worker = embedded.worker_child(
        worker_env(env) | {"SOUNDOPS_METRICS_PORT": str(metrics_port)}, log=folder / "logs" / "worker.log"
    )
    worker.answers = lambda: _answers(f"http://{embedded.HERE}:{metrics_port}/metrics")
    if bug:
        api.command = [sys.executable, "-m", "tests.faults.planted", "api", bug]
        worker.command = [sys.executable, "-m", "tests.faults.planted", "worker", bug]
    with running(database, redis, sandbox, postbox), running(api, worker):
        found = Plant(database, redis, sandbox, postbox, api, worker, worker_env(env), folder)
        found.connect()
        yield found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
