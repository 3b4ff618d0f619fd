"""The product for tests: the API in this process on a real database, a worker's hands beside it, and a clock to move.

`running.py` starts the same as processes of their own.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
from asgi_lifespan import LifespanManager
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandListener

from app import clock, keys, parts
from app.clock import Clock, utc_now
from app.db import Database, Doc
from app.ids import new_id
from app.limiter import Name
from app.main import create_app
from app.models.data_map import DATA_MAP
from app.models.features import Provider
from app.services.vault.secrets import put_secret
from app.settings import ApiSettings, S, WorkerSettings
from tests.watch import StoreWatch
from tools import embedded
from workers import billing, consents, jobs, rules
from workers import main as worker_main

APP_ID, APP_SECRET = "1000000000000077", "soundops-test-app-secret-01"
META_APP_ID, META_APP_SECRET = "2000000000000077", "soundops-test-meta-secret-01"
STRIPE_KEY = "sk_test_soundopstests00000001"
STRIPE_WEBHOOK_SECRET = "whsec_soundopstests00000001"
VERIFY_TOKEN = "soundops-test-verify-token"
SECRET_KEY = "only-for-tests-0123456789-abcdefghijklmnop"
PUBLIC_URL = "http://127.0.0.1:8000"
REDIRECT_URIS = ",".join(f"{PUBLIC_URL}/v1/oauth/callback/{provider}" for provider in get_args(Provider))
PASSWORD = "a long sentence only I know"
NOBODY = "http://127.0.0.1:9"
"""Where nothing listens."""
NO_POSTBOX = "smtp://127.0.0.1:9"
NO_LIMITS = ",".join(f"{name}=100000000/60" for name in get_args(Name))
"""For tests that are not about limits."""
ACCOUNT, FAN = "17841400000000001", "900000000000011"


def settings_env(
    key_folder: Path,
    *,
    mongodb_url: str,
    redis_url: str,
    sandbox_url: str = NOBODY,
    smtp_url: str = NO_POSTBOX,
    **more: str,
) -> dict[str, str]:
    """The settings of an API and a worker."""
    return {
        "SOUNDOPS_PUBLIC_URL": PUBLIC_URL,
        "SOUNDOPS_MONGODB_URL": mongodb_url,
        "SOUNDOPS_REDIS_URL": redis_url,
        "SOUNDOPS_INSTAGRAM_APP_ID": APP_ID,
        "SOUNDOPS_INSTAGRAM_APP_SECRET": APP_SECRET,
        "SOUNDOPS_META_APP_ID": META_APP_ID,
        "SOUNDOPS_META_APP_SECRET": META_APP_SECRET,
        "SOUNDOPS_META_VERIFY_TOKEN": VERIFY_TOKEN,
        "SOUNDOPS_SECRET_KEY": SECRET_KEY,
        "SOUNDOPS_JWT_KEY_FILE": str(key_folder / "jwt.pem"),
        "SOUNDOPS_VAULT_PUBLIC_RING_FILE": str(key_folder / "ring.public.json"),
        "SOUNDOPS_VAULT_PRIVATE_RING_FILE": str(key_folder / "ring.private.json"),
        "SOUNDOPS_VAULT_ACCOUNT_RING_FILE": str(key_folder / "ring.accounts.json"),
        "SOUNDOPS_SMTP_URL": smtp_url,
        "SOUNDOPS_STORAGE_FOLDER": str(key_folder / "storage"),
        "SOUNDOPS_LIMITS": NO_LIMITS,
        **embedded.meta_urls(sandbox_url),
        **more,
    }


def billing_env(stripe_url: str) -> dict[str, str]:
    """The settings that switch billing on: with these, labels have plans, and their limits count."""
    return {
        "SOUNDOPS_STRIPE_API_URL": stripe_url,
        "SOUNDOPS_STRIPE_SECRET_KEY": STRIPE_KEY,
        "SOUNDOPS_STRIPE_WEBHOOK_SECRET": STRIPE_WEBHOOK_SECRET,
    }


def paying(label_id: str, plan: str, now: datetime, **changes: Any) -> Doc:
    """The account of a label that pays for a plan; `changes` of its subscription."""
    subscription: Doc = {
        "id": "sub_test",
        "status": "active",
        "plan": plan,
        "interval": "month",
        "lookup_key": f"soundops_{plan}_month",
        "price_id": "price_test",
        "item_id": "si_test",
        "currency": "gbp",
        "current_period_end": now + timedelta(days=30),
        "cancel_at_period_end": False,
        "cancel_at": None,
        "trial_end": None,
        "paused_reason": None,
        "pending_update": False,
        "collection_paused": False,
        "first_paid": True,
    }
    return {
        "_id": new_id("bil"),
        "label_id": label_id,
        "customer_id": f"cus_{label_id}",
        "details": None,
        "subscription": subscription | changes,
        "payment_method": None,
        "had_trial": True,
        "past_due_since": None,
        "live_subscriptions": 1,
        "synced_at": now,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }


def make_keys(folder: Path) -> Path:
    """A JWT key and a key ring, made once."""
    if not (folder / "jwt.pem").exists():
        keys.create(folder)
    return folder


def signature(body: bytes, secret: str = APP_SECRET) -> str:
    """What Meta puts into `X-Hub-Signature-256`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed_request(secret: str, user_id: str, *, at: datetime, **more: Any) -> str:
    """What Meta posts to the deauthorize and data-deletion callbacks."""
    told = {"algorithm": "HMAC-SHA256", "issued_at": int(at.timestamp()), "user_id": user_id} | more
    text = base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=")
    made = base64.urlsafe_b64encode(hmac.digest(secret.encode(), text, "sha256")).rstrip(b"=")
    return f"{made.decode()}.{text.decode()}"


def message_change(mid: str, *, text: str = "Hello", ms: int, fan: str = FAN, account: str = ACCOUNT) -> Doc:
    """One `messaging` item: a fan writes."""
    return {
        "sender": {"id": fan},
        "recipient": {"id": account},
        "timestamp": ms,
        "message": {"mid": mid, "text": text},
    }


def delivery(*items: Doc, account: str = ACCOUNT, ms: int = 1) -> Doc:
    """A webhook body of these `messaging` items."""
    return {"object": "instagram", "entry": [{"id": account, "time": ms, "messaging": list(items)}]}


@dataclass
class MovableClock:
    """The system's time, and as far beside it as a test says."""

    offset: timedelta = timedelta()

    def __call__(self) -> Any:
        return clock.shifted(self.offset)()


@dataclass
class House:
    """The API (`http`, nobody logged in), a worker's parts, and the database under both."""

    http: httpx.AsyncClient
    api: parts.Parts
    worker: jobs.Parts
    clock: MovableClock
    watch: StoreWatch
    app: Any = field(repr=False)
    postbox_url: str = ""
    opened_at: datetime = field(default_factory=utc_now)

    @property
    def db(self) -> Database:
        """The database."""
        return self.api.db

    async def person(
        self, email: str = "owner@example.com", *, policy_version: str = "2026-03-13"
    ) -> httpx.AsyncClient:
        """A client of somebody who has registered and logged in."""
        body = {"name": "A Person", "email": email, "password": PASSWORD}
        born = {"date_of_birth": "1990-05-17", "policy_version": policy_version}
        (await self.http.post("/v1/users", json=body | born)).raise_for_status()
        login = await self.http.post("/v1/sessions", json={"email": email, "password": PASSWORD})
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=PUBLIC_URL)
        client.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
        return client

    async def label(self, person: httpx.AsyncClient, slug: str = "nightjar") -> str:
        """A label that the person owns."""
        answer = await person.post("/v1/labels", json={"name": "Nightjar", "slug": slug})
        return str(answer.raise_for_status().json()["id"])

    async def connection(self, label_id: str, account: str = ACCOUNT, **changes: Any) -> Doc:
        """An active connection of a label, as the exchange leaves it; its token is `token-of-<account>`."""
        found: Doc = {
            "_id": f"con_{label_id[4:]}{account[-2:]}",
            "label_id": label_id,
            "provider": "instagram",
            "network": "instagram",
            "status": "active",
            "problem": None,
            "features": ["comments", "messages"],
            "active_features": ["comments", "messages"],
            "asked_scopes": [],
            "granted_scopes": [],
            "account": {
                "provider_id": account,
                "username": "nightjar",
                "name": None,
                "picture_url": None,
                "kind": "instagram",
            },
            "account_ids": [account],
            "person_ids": [account],
            "subscription_id": account,
            "subscribed_fields": [],
            "active_account_id": account,
            "token_version": 1,
            "token_issued_at": self.clock(),
            "token_expires_at": None,
            "access_ends_at": None,
            "renews": None,
            "created_at": self.clock(),
            "version": 1,
        } | changes
        await self.db.open("connections").insert_one(found)
        token = f"token-of-{account}"
        ring = self.api.ring
        await put_secret(self.db, ring, token, connection=found, purpose="access_token", now=self.clock())
        return found

    async def connect(self, person: httpx.AsyncClient, label_id: str, account: str = "nightjar.records") -> Doc:
        """Connect an account of the sandbox's by the real log-in; the connection as the API shows it, once active."""
        path = f"/v1/labels/{label_id}/connections"
        wish = {"provider": "instagram", "features": ["messages", "comments"]}
        begun = (await person.post(path, json=wish)).raise_for_status().json()
        async with httpx.AsyncClient(trust_env=False) as browser:
            allowed = await browser.post(begun["authorize_url"], data={"account": account, "allow": "1"})
        back = urlsplit(allowed.headers["location"])
        (await person.get(f"{back.path}?{back.query}")).raise_for_status()
        await self.work()
        found: Doc = (await person.get(f"{path}/{begun['id']}")).raise_for_status().json()
        assert found["status"] == "active" or found["replaced_by"], found
        return found

    async def deliver(self, body: Doc | bytes, *, signed: str | None = None) -> httpx.Response:
        """POST a webhook as Meta would."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-Hub-Signature-256": signed or signature(raw), "Content-Type": "application/json"}
        return await self.http.post("/v1/webhooks/meta", content=raw, headers=headers)

    async def work(self) -> None:
        """Do everything that is due, once, as a worker's sweep would."""
        await jobs.drain_waiting(self.worker)
        await rules.look_after(self.worker)
        await billing.look_after(self.worker)
        await consents.look_after(self.worker)
        await asyncio.gather(*await jobs.start_due(self.worker))

    async def receive(self, *items: Doc) -> None:
        """Deliver these `messaging` items and drain them."""
        assert (await self.deliver(delivery(*items))).status_code == 200
        await self.work()

    async def fan_writes(self, fan: str, text: str, *, account: str = "nightjar.records", at: int = 0) -> Doc:
        """Have a fan of the sandbox's write, and deliver the webhook; `{mid, account_id, igsid, conversation_id}`."""
        order: Doc = {"fan": fan, "account": account, "text": text} | ({"at": at} if at else {})
        async with httpx.AsyncClient(base_url=self.sandbox_url, trust_env=False) as sandbox:
            written: Doc = (await sandbox.post("/_sandbox/fans/write", json=order)).raise_for_status().json()
        change = message_change(
            written["mid"], text=text, ms=at or self.ms(), fan=written["igsid"], account=written["account_id"]
        )
        body = delivery(change, account=written["account_id"])
        assert (await self.deliver(body)).status_code == 200
        await self.work()
        return written

    async def mails(self, to: str) -> list[Doc]:
        """What the postbox has got for this address since the house was opened, newest first.

        `{id, to, from, subject, text, html, received_at, message_id, token, headers}`. `work` sends what is queued.
        """
        async with httpx.AsyncClient(base_url=self.postbox_url, trust_env=False) as postbox:
            found = (await postbox.get("/mails", params={"to": to})).raise_for_status().json()
        return [mail for mail in found if datetime.fromisoformat(mail["received_at"]) >= self.opened_at]

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox is, if this house has one."""
        return self.api.settings.instagram_graph_url.removesuffix("/graph.instagram.com")

    def ms(self, ago: timedelta = timedelta()) -> int:
        """Meta's time of an event so long ago."""
        return clock.to_ms(self.clock() - ago)


@asynccontextmanager
async def open_house(
    env: Mapping[str, str], *, postbox_url: str = "", listeners: tuple[CommandListener, ...] = ()
) -> AsyncIterator[House]:
    """The product in this process. Every tenant query of the test is watched, and every command by `listeners` too.

    `postbox_url` is the postbox's of the settings' SMTP address.
    """
    settings = _settings(WorkerSettings, env)
    watch, moving = StoreWatch(), MovableClock()
    time: Clock = moving
    api = parts.open_parts(
        _settings(ApiSettings, env), clock=time, db=Database(env["SOUNDOPS_MONGODB_URL"], listeners=(watch, *listeners))
    )
    worker = worker_main.open_parts(settings)
    worker.db.close()
    worker.db, worker.clock, worker.audit, worker.objects = api.db, time, api.audit, api.objects
    await (
        api.streams.close()
    )  # a stream ends as soon as it has begun: this client of the app's waits for an answer's end
    async with LifespanManager(create_app(api), startup_timeout=30) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
            yield House(http, api, worker, moving, watch, manager.app, postbox_url)
        watch.broken += await _undeclared(api.db)
    await worker.graph.http.aclose()
    if worker.stripe:
        await worker.stripe.close()
    for ring in worker.rings:
        await ring.close()
    await worker.bell.close()
    assert not watch.broken, watch.broken


async def _undeclared(db: Database) -> list[str]:
    """The collections that a test has left and the data map does not know; a store that is away has none."""
    try:
        there = await db.raw.list_collection_names()
        return [f"{name} is not on the data map" for name in there if name not in DATA_MAP]
    except PyMongoError:
        return []


def _settings(kind: type[S], env: Mapping[str, str]) -> S:
    before = dict(os.environ)
    os.environ.update(env)
    try:
        return kind(_env_file=None)
    finally:
        os.environ.clear()
        os.environ.update(before)


async def eventually(check: Any, timeout_s: float = 15) -> Any:
    """What the coroutine function `check` says, as soon as it is true."""
    async with asyncio.timeout(timeout_s):
        while not (found := await check()):
            await asyncio.sleep(0.05)
    return found
