"""Publishing on a Page: hidden first, then shown, which may be repeated (R-51). Source: meta-platform.md, section 5.8.

What is prepared is named by what it is, as `post:…` or `video:…`: each is shown in its own way.
"""

import json
from typing import Any

from app.clients import answers
from app.clients.graph_call import At, need
from app.clients.graph_errors import Malformed
from app.clients.graph_publishing import Part, Prepared, Shown, Status, Words, get, id_of, post

VIDEO_STATUSES: dict[str, Status] = {"ready": "finished", "error": "error", "expired": "expired"}
HIDDEN = {"published": "false"}


async def make_item(at: At, part: Part) -> str:
    """A hidden photo, to be shown by a post; its id."""
    return id_of(await post(at, f"/{at.account_id}/photos", HIDDEN | {"url": part.url}))


async def make(at: At, words: Words, parts: list[Part], items: list[str]) -> str:
    """What is shown later; its id, with what it is."""
    if parts and parts[0].is_video:
        form = HIDDEN | {"file_url": parts[0].url, "description": words.caption}
        return f"video:{id_of(await post(at, f'/{at.account_id}/videos', form))}"
    form = HIDDEN | ({"message": words.caption} if words.caption else {}) | ({"link": words.link} if words.link else {})
    if items:
        form["attached_media"] = json.dumps([{"media_fbid": one} for one in items])
    return f"post:{id_of(await post(at, f'/{at.account_id}/feed', form))}"


async def look(at: At, prepared_id: str) -> Prepared:
    """How far it is, and whether it is shown."""
    form, own_id = _split(prepared_id)
    if form == "post":
        body = await get(at, f"/{own_id}", fields="id,is_published")
        return Prepared("published", own_id) if need(_flag(body.get("is_published"))) else Prepared("finished")
    body = await get(at, f"/{own_id}", fields="id,status,published,post_id")
    status = answers.table(body.get("status")) or {}
    phase = answers.table(status.get("publishing_phase")) or {}
    if phase.get("publish_status") == "published" or body.get("published") is True:
        return Prepared("published", answers.identifier(body.get("post_id")))
    return Prepared(VIDEO_STATUSES.get(answers.text(status.get("video_status")) or "", "in_progress"))


async def publish(at: At, prepared_id: str) -> str | None:
    """Show it; the post's id, where it is told. After any failure at all, `look` before anything else."""
    form, own_id = _split(prepared_id)
    await post(at, f"/{own_id}", {"is_published": "true"} if form == "post" else {"published": "true"})
    return own_id if form == "post" else None


async def show(at: At, post_id: str) -> Shown:
    """A post that is there."""
    body = await get(at, f"/{post_id}", fields="id,permalink_url")
    return Shown(need(answers.identifier(body.get("id"))), answers.https_address(body.get("permalink_url")))


def own_id(prepared_id: str) -> str:
    """The network's own id of something prepared. Raises `Malformed`."""
    return _split(prepared_id)[1]


def _split(prepared_id: str) -> tuple[str, str]:
    form, _, own_id = prepared_id.partition(":")
    if not own_id:
        raise Malformed
    return form, own_id


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
