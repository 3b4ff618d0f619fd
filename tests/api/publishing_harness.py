"""A label that publishes: its people, its accounts, its files, and what it plans."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from app.db import Doc
from app.ids import new_id
from app.models.base import rfc3339
from tests.api.people import join
from tests.house import House

PAGE = "10000000000000077"
CAPTION = "Night Swim is out on Friday, on all the usual islands."


def an_image(label_id: str, *, width: int = 1080, height: int = 1080, **changes: Any) -> Doc:
    """A picture of the label's, ready, as a JPEG."""
    rendition = {"name": "original", "content_type": "image/jpeg", "bytes": 200_000, "width": width, "height": height}
    return _asset(label_id, "image", rendition, width=width, height=height) | changes


def a_video(label_id: str, *, seconds: float = 20, video: Doc | None = None, **changes: Any) -> Doc:
    """A video of the label's, ready, as Meta likes it; `video` changes what was probed."""
    size = {"width": 1080, "height": 1920}
    rendition = {"name": "original", "content_type": "video/mp4", "bytes": 9_000_000, **size}
    probed = {"container": "mp4", "video_codec": "h264", "audio_codec": "aac", "fps": 30.0, "bitrate": 4_000_000}
    probed |= {"moov_first": True, "audio_channels": 2, "audio_rate": 44_100}
    made = _asset(label_id, "video", rendition, **size) | {"duration_ms": int(seconds * 1000), "bytes": 9_000_000}
    return made | {"video": probed | (video or {})} | changes


def _asset(label_id: str, kind: str, rendition: Doc, **size: int) -> Doc:
    made: Doc = {"_id": new_id("ast"), "label_id": label_id, "kind": kind, "state": "ready", "name": "sleeve"}
    made |= {"content_type": rendition["content_type"], "bytes": rendition["bytes"], "sha256": new_id("ast")}
    return made | size | {"renditions": [rendition | {"key": "k", "sha256": "s"}], "problem": None, "version": 1}


@dataclass
class Desk:
    """A label that publishes, by its owner and an editor, to an Instagram account and a Page."""

    house: House
    label_id: str
    owner: httpx.AsyncClient
    editor: httpx.AsyncClient
    account: str
    page: str

    @property
    def path(self) -> str:
        """Where its publications are."""
        return f"/v1/labels/{self.label_id}/publications"

    async def asset(self, asset: Doc | None = None) -> str:
        """A file of the label's: a picture, unless another one is given."""
        made = asset or an_image(self.label_id)
        await self.house.db.open("assets").insert_one(made)
        return str(made["_id"])

    def soon(self, **later: float) -> str:
        """An instant, so much later; a day unless it is told."""
        at: datetime = self.house.clock() + timedelta(**later or {"days": 1})
        return rfc3339(at.replace(microsecond=0, second=0))

    async def body(self, **changes: Any) -> Doc:
        """A publication of one picture, tomorrow."""
        assets = changes.pop("assets", None) or [await self.asset()]
        body: Doc = {"kind": "image", "targets": [self.account], "assets": assets, "caption": CAPTION}
        return body | {"scheduled_at": self.soon()} | changes

    async def post(self, **changes: Any) -> Doc:
        """A text on the Page, tomorrow: what needs no file."""
        plain: Doc = {"kind": "page_post", "targets": [self.page], "caption": CAPTION, "scheduled_at": self.soon()}
        return plain | changes

    async def draft(self, by: httpx.AsyncClient | None = None, body: Doc | None = None, **changes: Any) -> Doc:
        """A stored draft."""
        answer = await (by or self.owner).post(self.path, json=body or await self.post(**changes))
        assert answer.status_code == 201, answer.text
        found: Doc = answer.json()
        return found

    async def step(
        self,
        publication: Doc,
        name: str,
        body: Doc | None = None,
        *,
        by: httpx.AsyncClient | None = None,
        seen: str | None = None,
    ) -> httpx.Response:
        """A step of a publication; `seen` is the `ETag` of what the caller saw."""
        more: Doc = {} if body is None else {"json": body}
        headers = {"If-Match": seen} if seen else {}
        path = f"{self.path}/{publication['id']}/{name}"
        return await (by or self.owner).post(path, headers=headers, **more)

    async def get(self, publication: Doc) -> Doc:
        """A publication as it is now."""
        found: Doc = (await self.owner.get(f"{self.path}/{publication['id']}")).raise_for_status().json()
        return found


async def open_desk(house: House) -> Desk:
    """A label that publishes."""
    owner = await house.person("owner@example.com")
    label_id = await house.label(owner)
    on: Doc = {"features": ["publishing"], "active_features": ["publishing"]}
    account = await house.connection(label_id, **on)
    facebook: Doc = {"provider": "facebook", "network": "facebook"}
    page = await house.connection(label_id, PAGE, **on, **facebook)
    named = {"$set": {"account.username": "nightjar.page", "account.kind": "page"}}
    await house.db.open("connections").update_one({"_id": page["_id"], "label_id": label_id}, named)
    editor = await join(house, "editor@example.com", label_id, "editor")
    return Desk(house, label_id, owner, editor, account["_id"], page["_id"])
