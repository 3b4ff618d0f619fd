"""What the flows of publishing share: files that Meta can fetch, scheduled publications, and time that passes."""

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image

from app.clients.objects_folder import Folder
from app.db import Doc, Session
from app.ids import new_id
from app.services.publishing.queueing import queue_targets, targets_of
from tests.flows.facebook_harness import NIGHTJAR, log_in
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.house import PASSWORD, House

VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(400)


def picture(width: int = 1080, height: int = 1080) -> bytes:
    """A JPEG."""
    made = io.BytesIO()
    Image.new("RGB", (width, height), (20, 40, 60)).save(made, "JPEG", quality=30)
    return made.getvalue()


class Files:
    """Serves every address: a video where it names one, else a picture."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        files, image = self, picture()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                files.asked.append(self.path)
                body = VIDEO if "mp4" in self.path else image
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def asset_of(label_id: str, kind: str, number: int, now: datetime) -> Doc:
    """A ready file of a label's, as the checks leave it."""
    asset_id = new_id("ast")
    content_type = "image/jpeg" if kind == "image" else "video/mp4"
    size = {"width": 1080, "height": 1080 if kind == "image" else 1920}
    key = f"labels/{label_id}/{asset_id}/original"
    original = {"name": "original", "key": key, "content_type": content_type, "bytes": 9000, "sha256": f"{number:064x}"}
    more: Doc = {"duration_ms": 12_000, "video": _PROBED} if kind == "video" else {}
    return {
        "_id": asset_id,
        "label_id": label_id,
        "kind": kind,
        "state": "ready",
        "name": f"{kind} {number}",
        "content_type": content_type,
        "bytes": 9000,
        "sha256": f"{number:064x}",
        "focus": None,
        "alt_text": "",
        "renditions": [original | size],
        "problem": None,
        "created_at": now,
        "updated_at": now,
        "version": 1,
        **size,
        **more,
    }


_PROBED = {"container": "mp4", "video_codec": "h264", "audio_codec": "aac", "fps": 30.0, "bitrate": 4_000_000}
ASSETS = {"image": ["image"], "carousel": ["image", "video", "image"], "reel": ["video"], "story": ["image"]}


def publication_of(label_id: str, kind: str, targets: list[str], assets: list[str], now: datetime, **more: Any) -> Doc:
    """A publication that is about to be scheduled."""
    return {
        "_id": new_id("pub"),
        "label_id": label_id,
        "version": 1,
        "content_version": 1,
        "state": "scheduled",
        "kind": kind,
        "mode": "automatic",
        "targets": targets,
        "assets": assets,
        "caption": "" if kind == "story" else "Out on Friday.",
        "alt_texts": {},
        "first_comment": None,
        "user_tags": [],
        "collaborators": [],
        "location_id": None,
        "cover": None,
        "share_to_feed": None,
        "audio_name": None,
        "link": None,
        "late_policy": {"publish_within_min": 60},
        "plan_id": None,
        "offset": None,
        "reveals_release": False,
        "scheduled_at": None,
        "timezone": "Europe/Berlin",
        "created_by": {"kind": "system", "id": "soundops"},
        "authors": [],
        "shown": None,
        "approved_by": None,
        "approved_version": 1,
        "created_at": now,
        "updated_at": now,
        **more,
    }


@dataclass
class Press:
    """A label that publishes on one account."""

    desk: Desk
    meta: Meta
    files: Files

    @property
    def house(self) -> House:
        """The product."""
        return self.desk.house

    async def schedule(self, kind: str = "image", *, after: timedelta = timedelta(), **more: Any) -> Doc:
        """Schedule a publication of this kind; as it is stored."""
        now, label_id = self.house.clock(), self.desk.label_id
        kinds = more.pop("files", ASSETS.get(kind, []))
        assets = [asset_of(label_id, one, number, now) for number, one in enumerate(kinds)]
        if assets:
            await self.house.db.open("assets").insert_many(assets)
        publication = publication_of(label_id, kind, [self.desk.connection_id], [a["_id"] for a in assets], now, **more)
        publication["scheduled_at"] = now + after
        await self.house.db.in_transaction(partial(self._queue, publication))
        return publication

    async def _queue(self, publication: Doc, session: Session) -> None:
        db, now = self.house.db, self.house.clock()
        await db.open("publications").insert_one(publication, session=session)
        await queue_targets(db, publication, due_at=publication["scheduled_at"], now=now, session=session)

    async def target(self, publication: Doc) -> Doc:
        """Its only target."""
        found = await targets_of(self.house.db, self.desk.label_id, [publication["_id"]])
        (target,) = found[publication["_id"]]
        return target

    async def state(self, publication: Doc) -> str:
        """Its own state."""
        key = {"_id": publication["_id"], "label_id": self.desk.label_id}
        found = await self.house.db.open("publications").find_one(key)
        assert found is not None
        return str(found["state"])

    async def operation(self, publication: Doc) -> Doc:
        """The operation of its only target."""
        target = await self.target(publication)
        (found,) = await self.desk.stored("operations", _id=target["operation_id"])
        return found

    async def settle(self, publication: Doc, turns: int = 60) -> Doc:
        """Work, and let the time pass that is waited for, until nothing is done by itself any more; its target."""
        for _ in range(turns):
            await self.house.work()
            operation = await self.operation(publication)
            if not operation.get("due_at"):
                return await self.target(publication)
            wait = operation["due_at"] - self.house.clock()
            if wait > timedelta():
                await self.pass_by(wait + timedelta(milliseconds=5))
        raise AssertionError(f"not settled: {await self.target(publication)}")

    async def until(self, publication: Doc, wanted: Callable[[Doc], Any], turns: int = 60) -> Doc:
        """Work, and let the time pass that is waited for, until its target is as it is `wanted`; the target."""
        for _ in range(turns):
            await self.house.work()
            target, operation = await self.target(publication), await self.operation(publication)
            if wanted(target):
                return target
            if operation.get("due_at"):
                await self.pass_by(
                    max(operation["due_at"] - self.house.clock(), timedelta()) + timedelta(milliseconds=5)
                )
        raise AssertionError(f"not so: {await self.target(publication)}")

    async def pass_by(self, time: timedelta) -> None:
        """Let so much time pass, here and at Meta."""
        pass_by(self.house, time)
        await self.meta.control("PUT", "/clock", offset_s=self.house.clock.offset.total_seconds())

    async def shown(self) -> list[Doc]:
        """What Meta has shown to the world."""
        return [*await self.meta.ledger("media_published"), *await self.meta.ledger("page_item_published")]

    async def fault(self, fault: str, path: str = "/media_publish$", **more: Any) -> None:
        """Have calls of this path, that of publishing, suffer."""
        await self.meta.fault(fault, path, **more)

    async def post(self, path: str, status: int = 200, **body: Any) -> Doc:
        """What the API answers under the label, to the owner who logs in for it: time has passed."""
        login = await self.house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
        self.desk.owner.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
        answer = await self.desk.owner.post(f"/v1/labels/{self.desk.label_id}{path}", json=body)
        assert answer.status_code == status, answer.text
        found: Doc = answer.json()
        return found


async def on_instagram(house: House, meta: Meta, files: Files, folder: Path) -> Press:
    """A label with an Instagram account on which it may publish and comment."""
    owner = await house.person()
    label_id = await house.label(owner)
    path = f"/v1/labels/{label_id}/connections"
    wish = {"provider": "instagram", "features": ["comments", "publishing"]}
    begun = (await owner.post(path, json=wish)).raise_for_status().json()
    async with httpx.AsyncClient(trust_env=False) as browser:
        allowed = await browser.post(begun["authorize_url"], data={"account": "nightjar.records", "allow": "1"})
    back = urlsplit(allowed.headers["location"])
    (await owner.get(f"{back.path}?{back.query}")).raise_for_status()
    await house.work()
    return _press(Desk(house, owner, label_id, begun["id"]), meta, files, folder)


async def on_a_page(house: House, meta: Meta, files: Files, folder: Path) -> Press:
    """A label with a Page on which it may publish and comment."""
    login = await log_in(house, features=["comments", "publishing"])
    (connected,) = (await login.connect(NIGHTJAR)).values()
    desk = Desk(house, login.owner, login.label_id, connected["connection_id"])
    return _press(desk, meta, files, folder)


def _press(desk: Desk, meta: Meta, files: Files, folder: Path) -> Press:
    desk.house.worker.objects = desk.house.api.objects = Folder(folder, files.url, b"s" * 32)
    return Press(desk, meta, files)
