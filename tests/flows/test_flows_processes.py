"""The main job with each part a process of its own: API, worker, database, Valkey, and a Meta that delivers itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.db import Doc
from tests.flows.flows_harness import Meta, meta_at
from tests.house import APP_ID, APP_SECRET, PASSWORD, VERIFY_TOKEN, eventually, settings_env
from tools import embedded
from tools.child import running
from tools.plan import api_env, worker_env

ACCOUNT = "nightjar.records"


@dataclass
class Running:
    """The product as it runs: its API, and Meta."""

    http: httpx.AsyncClient
    meta: Meta

    async def get(self, path: str) -> Any:
        """What the API answers."""
        return (await self.http.get(path)).raise_for_status().json()

    async def post(self, path: str, body: Doc, **headers: str) -> httpx.Response:
        """A POST that must succeed."""
        return (await self.http.post(path, json=body, headers=headers)).raise_for_status()


@asynccontextmanager
async def everything_running(folder: Path, mongodb_url: str, key_folder: Path) -> AsyncIterator[Running]:
    """Start it all on ports of its own, and end it all."""
    port = embedded.free_port()
    url = f"http://127.0.0.1:{port}"
    sandbox = embedded.sandbox_child(
        folder / "sandbox",
        f"{url}/v1/webhooks/meta",
        app_id=APP_ID,
        app_secret=APP_SECRET,
        verify_token=VERIFY_TOKEN,
        redirect_uris=f"{url}/v1/oauth/callback/instagram",
    )
    valkey = embedded.valkey_child(folder / "valkey")
    own = {"SOUNDOPS_PORT": str(port), "SOUNDOPS_PUBLIC_URL": url}
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=valkey.url, sandbox_url=sandbox.url) | own
    api = embedded.api_child(api_env(env), log=folder / "api.log")
    worker = embedded.worker_child(worker_env(env), log=folder / "worker.log")
    with running(valkey, sandbox), running(worker, api):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=15) as http, meta_at(sandbox.url) as meta:
            yield Running(http, meta)


async def connect(run: Running) -> str:
    """Register, log in, make a label and connect the account; the label's path."""
    person = {"name": "A Person", "email": "owner@example.com", "password": PASSWORD}
    await run.post("/v1/users", person | {"date_of_birth": "1990-05-17", "policy_version": "2026-03-13"})
    login = await run.post("/v1/sessions", {"email": person["email"], "password": PASSWORD})
    run.http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    label = f"/v1/labels/{(await run.post('/v1/labels', {'name': 'Nightjar', 'slug': 'nightjar'})).json()['id']}"
    begun = (await run.post(f"{label}/connections", {"provider": "instagram", "features": ["messages"]})).json()
    async with httpx.AsyncClient(trust_env=False) as browser:
        allowed = await browser.post(begun["authorize_url"], data={"account": ACCOUNT, "allow": "1"})
    back = urlsplit(allowed.headers["location"])
    (await run.http.get(f"{back.path}?{back.query}")).raise_for_status()

    async def active() -> bool:
        return bool((await run.get(f"{label}/connections/{begun['id']}"))["status"] == "active")

    await eventually(active)
    return label


async def test_from_a_fans_words_to_their_end(tmp_path: Path, mongodb_url: str, key_folder: Path) -> None:
    """Written, seen, answered within the wait, echoed, read, and taken back."""
    async with everything_running(tmp_path, mongodb_url, key_folder) as run:
        label = await connect(run)
        order = {"fan": "mara", "account": ACCOUNT, "text": "When is the vinyl back?"}
        written = await run.meta.control("POST", "/fans/write", **order)

        async def conversations() -> list[Doc]:
            found: list[Doc] = (await run.get(f"{label}/conversations"))["data"]
            return found

        async def counted() -> list[Doc]:
            return [found for found in await conversations() if found["unread_count"] == 1]

        [conversation] = await eventually(counted)
        assert conversation["participant"]["provider_id"] == written["igsid"]
        path = f"{label}/conversations/{conversation['id']}/messages"

        async def messages() -> list[Doc]:
            found: list[Doc] = (await run.get(path))["data"]
            return found

        answered = await run.post(path, {"text": "On Friday."}, Prefer="wait=10")
        assert (answered.status_code, answered.json()["state"]) == (200, "sent"), answered.text
        reply = answered.json()
        [sent] = await run.meta.ledger("message_sent")
        assert (sent["text"], sent["message_id"]) == ("On Friday.", reply["provider_id"])

        async def echoed() -> bool:
            return bool((await run.meta.control("GET", "/delivery"))["undelivered"] == 0)

        await eventually(echoed)
        await run.meta.control("POST", "/fans/read", mid=reply["provider_id"])
        await run.meta.control("POST", "/fans/unsend", mid=written["mid"])

        async def read_and_unsent() -> list[Doc]:
            found = await messages()
            return found if found[0]["read_at"] and found[-1]["deleted_at"] else []

        shown = await eventually(read_and_unsent)
        assert [(found["direction"], found["text"], found["state"]) for found in shown] == [
            ("out", "On Friday.", "sent"),
            ("in", None, None),
        ]
        assert shown[0]["id"] == reply["id"]

        async def nothing_unread() -> bool:
            return [found["unread_count"] for found in await conversations()] == [0]

        await eventually(nothing_unread)
        assert len(await run.meta.ledger("message_sent")) == 1
