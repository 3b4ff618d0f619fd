"""A label at the plant that publishes: its accounts, its files, and publications whose time has come."""

import asyncio
import hashlib
import io
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from PIL import Image

from app.clock import utc_now
from app.db import Database, Doc, Session
from app.services.publishing.queueing import queue_targets
from tests.faults.plant import Plant
from tests.flows.publishing_harness import ASSETS, VIDEO, asset_of, publication_of

KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("instagram", "image", ("image",)),
    ("instagram", "carousel", ("image", "video", "image")),
    ("instagram", "reel", ("video",)),
    ("instagram", "story", ("image",)),
    ("facebook", "page_post", ()),
    ("facebook", "page_post", ("image", "image")),
    ("facebook", "page_post", ("video",)),
)
"""Every kind there is, one after the other."""
assert {kind for _, kind, _ in KINDS} == {*ASSETS, "page_post"}


class Files:
    """Serves a file of its own for each address, so that Meta's ledger tells whose it is."""

    def __init__(self) -> None:
        made = io.BytesIO()
        Image.new("RGB", (320, 320), (20, 40, 60)).save(made, "JPEG", quality=20)
        image = made.getvalue()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = (VIDEO if "mp4" in self.path else image) + asset_in(self.path).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.image = image
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def sha256_of(self, asset: Doc) -> str:
        """The digest of what Meta gets of this asset."""
        return hashlib.sha256((VIDEO if asset["kind"] == "video" else self.image) + asset["_id"].encode()).hexdigest()


def asset_in(path: str) -> str:
    """The id of the asset that an address names."""
    at = path.find("ast_")
    return path[at : at + 30]


@dataclass
class Press:
    """What publishes, and what it was given to publish."""

    plant: Plant
    files: Files
    connections: dict[str, str] = field(default_factory=dict)
    """By network."""
    words: dict[str, str] = field(default_factory=dict)
    """By publication: what it is found by in Meta's ledger, its caption or the digest of its file."""

    def connect(self) -> None:
        """Connect an Instagram account and a Page by the real log-ins."""
        with self.plant.owner() as http:
            path = f"/v1/labels/{self.plant.label_id}/connections"
            wish = {"provider": "instagram", "features": ["comments", "publishing"]}
            begun = http.post(path, json=wish).raise_for_status().json()
            self._allow(http, begun["authorize_url"], {"account": "oldmill.sound"})
            found = self._active(http, path, "oldmill.sound")
            self.connections["instagram"] = found["id"]
            begun = http.post(path, json=wish | {"provider": "facebook"}).raise_for_status().json()
            self._allow(http, begun["authorize_url"], {"person": "robin"})
            here = f"{path}/{begun['id']}"
            while http.get(here).raise_for_status().json()["step"] != "choose_accounts":
                time.sleep(0.1)
            pages = http.get(f"{here}/accounts").raise_for_status().json()["data"]
            page = next(one for one in pages if one["name"] == "Night Market")
            chosen = {"accounts": [{"provider_id": page["provider_id"]}]}
            http.post(f"{here}/accounts", json=chosen).raise_for_status()
            self.connections["facebook"] = self._active(http, path, "Night Market")["id"]

    def _allow(self, http: httpx.Client, address: str, who: dict[str, str]) -> None:
        with httpx.Client(timeout=15, trust_env=False) as browser:
            answer = browser.post(address, data=who | {"allow": "1"})
        http.get(answer.headers["location"]).raise_for_status()

    def _active(self, http: httpx.Client, path: str, name: str) -> Doc:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            rows: list[Doc] = http.get(path, params={"limit": 100}).raise_for_status().json()["data"]
            for one in rows:
                account = one["account"] or {}
                if one["status"] == "active" and name in (account.get("username"), account.get("name")):
                    return one
            time.sleep(0.2)
        raise TimeoutError(f"{name} is not connected")

    def schedule(
        self, mark: str, count: int, rng: random.Random, *, from_s: float = 0.0, within_s: float = 0.0
    ) -> list[str]:
        """Schedule so many publications of all kinds, due now or within so many seconds; their ids."""
        return asyncio.run(self._schedule(mark, count, rng, (from_s, from_s + within_s)))

    async def _schedule(self, mark: str, count: int, rng: random.Random, due_in: tuple[float, float]) -> list[str]:
        db = Database(self.plant.database.url)
        try:
            made = []
            for number in range(count):
                made.append(await self._one(db, f"{mark} {number}", KINDS[number % len(KINDS)], rng, due_in))
            return made
        finally:
            db.close()

    async def _one(
        self,
        db: Database,
        words: str,
        what: tuple[str, str, tuple[str, ...]],
        rng: random.Random,
        due_in: tuple[float, float],
    ) -> str:
        (network, kind, kinds), now, label_id = what, utc_now(), self.plant.label_id
        assets = [asset_of(label_id, one, number, now) for number, one in enumerate(kinds)]
        if assets:
            await db.open("assets").insert_many(assets)
        comment = rng.choice([None, f"{words} comment"]) if kind != "story" else None
        told: Doc = {"caption": "" if kind == "story" else words, "first_comment": comment}
        targets, ids = [self.connections[network]], [asset["_id"] for asset in assets]
        publication = publication_of(label_id, kind, targets, ids, now, **told)
        publication["scheduled_at"] = now + timedelta(seconds=rng.uniform(*due_in))
        await db.in_transaction(partial(_queue, db, publication))
        self.words[publication["_id"]] = self.files.sha256_of(assets[0]) if kind == "story" else words
        return str(publication["_id"])

    def shown(self) -> list[str]:
        """What Meta has shown to the world, by its words or its file's digest."""
        rows = self._ledger()
        files = {row["container_id"]: row["files"] for row in rows if row["kind"] == "container_created"}
        found = []
        for row in rows:
            if row["kind"] == "media_published":
                found.append(row["caption"] or files[row["container_id"]][0])
            elif row["kind"] == "page_item_published":
                found.append(row["text"])
        return found

    def comments(self) -> list[str]:
        """The comments that there are at Meta."""
        return [row["text"] for row in self._ledger() if row["kind"] in ("comment_created", "comment_replied")]

    def _ledger(self) -> list[Doc]:
        with httpx.Client(base_url=self.plant.sandbox.url, timeout=60, trust_env=False) as sandbox:
            rows: list[Doc] = sandbox.get("/_sandbox/ledger").raise_for_status().json()["rows"]
            return rows

    def control(self, method: str, path: str, **body: Any) -> None:
        """A control call of the sandbox's."""
        with httpx.Client(base_url=self.plant.sandbox.url, timeout=30, trust_env=False) as sandbox:
            sandbox.request(method, f"/_sandbox{path}", json=body).raise_for_status()


async def _queue(db: Database, publication: Doc, session: Session) -> None:
    await db.open("publications").insert_one(publication, session=session)
    due_at, now = publication["scheduled_at"], utc_now()
    await queue_targets(db, publication, due_at=due_at, now=now, session=session)
