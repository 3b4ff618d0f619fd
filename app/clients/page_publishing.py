"""Publishing on a Page: hidden first, then shown, which may be repeated (R-51). Source: meta-platform.md, section 5.8.

What is prepared is named by what it is, as `post:…`, `video:…`, `photo_story:…`: each is shown in its own way.
"""

import json
from typing import Any

from app.clients import answers
from app.clients.graph_call import need, once
from app.clients.graph_errors import Malformed
from app.clients.publishing import PUBLISHING, At, Part, Prepared, Shown, Status, Words, get, id_of, post

VIDEO_STATUSES: dict[str, Status] = {"ready": "finished", "error": "error", "expired": "expired"}
HIDDEN = {"published": "false"}


async def make_item(at: At, part: Part) -> str:
    """A hidden photo, to be shown by a post; its id."""
    return id_of(await post(at, f"/{at.account_id}/photos", HIDDEN | {"url": part.url}))


async def make(at: At, words: Words, parts: list[Part], items: list[str]) -> str:
    """What is shown later; its id, with what it is."""
    is_video = bool(parts) and parts[0].is_video
    if words.kind == "story" and not is_video:
        return f"photo_story:{await make_item(at, parts[0])}"
    if words.kind in ("reel", "story"):
        edge = "video_reels" if words.kind == "reel" else "video_stories"
        video_id = id_of(await post(at, f"/{at.account_id}/{edge}", {"upload_phase": "start"}), "video_id")
        await _upload(at, video_id, parts[0].url)
        return f"{'reel' if words.kind == 'reel' else 'video_story'}:{video_id}"
    if is_video:
        form = HIDDEN | {"file_url": parts[0].url, "description": words.caption}
        return f"video:{id_of(await post(at, f'/{at.account_id}/videos', form))}"
    form = HIDDEN | ({"message": words.caption} if words.caption else {}) | ({"link": words.link} if words.link else {})
    if items:
        form["attached_media"] = json.dumps([{"media_fbid": one} for one in items])
    return f"post:{id_of(await post(at, f'/{at.account_id}/feed', form))}"


async def look_at_item(at: At, photo_id: str) -> Prepared:
    """A hidden photo is there, or the call is refused."""
    await get(at, f"/{photo_id}", fields="id")
    return Prepared("finished")


async def look(at: At, prepared_id: str) -> Prepared:
    """How far it is, and whether it is shown."""
    form, own_id = _split(prepared_id)
    if form == "post":
        body = await get(at, f"/{own_id}", fields="id,is_published")
        return Prepared("published", own_id) if need(_flag(body.get("is_published"))) else Prepared("finished")
    if form == "photo_story":
        return await _story_of(at, own_id)
    body = await get(at, f"/{own_id}", fields="id,status,published,post_id")
    status = answers.table(body.get("status")) or {}
    phase = answers.table(status.get("publishing_phase")) or {}
    if phase.get("publish_status") == "published" or body.get("published") is True:
        return Prepared("published", answers.identifier(body.get("post_id")))
    return Prepared(VIDEO_STATUSES.get(answers.text(status.get("video_status")) or "", "in_progress"))


async def publish(at: At, prepared_id: str, words: Words) -> str | None:
    """Show it; the post's id, where it is told. After any failure at all, `look` before anything else."""
    form, own_id = _split(prepared_id)
    if form == "post":
        await post(at, f"/{own_id}", {"is_published": "true"})
        return own_id
    if form == "video":
        await post(at, f"/{own_id}", {"published": "true"})
        return None
    if form == "photo_story":
        body = await post(at, f"/{at.account_id}/photo_stories", {"photo_id": own_id})
    else:
        edge = "video_reels" if form == "reel" else "video_stories"
        finish = {"upload_phase": "finish", "video_id": own_id}
        finish |= {"video_state": "PUBLISHED", "description": words.caption} if form == "reel" else {}
        body = await post(at, f"/{at.account_id}/{edge}", finish)
    return answers.identifier(body.get("post_id"))


async def show(at: At, post_id: str) -> Shown:
    """A post that is there."""
    body = await get(at, f"/{post_id}", fields="id,permalink_url")
    return Shown(need(answers.identifier(body.get("id"))), answers.https_address(body.get("permalink_url")))


async def _upload(at: At, video_id: str, url: str) -> None:
    """Have Facebook fetch the video. It may be repeated."""
    address = f"{at.upload_url}/video-upload/{at.host.version}/{video_id}"
    told: dict[str, Any] = {"token": at.token, "used_for": PUBLISHING, "account_id": at.account_id}
    await once(at.host, "POST", address, **told, repeatable=True, scheme="OAuth", headers={"file_url": url})


async def _story_of(at: At, photo_id: str) -> Prepared:
    """Whether a hidden photo is shown as a story: the Page's stories name the photo that each shows."""
    body = await get(at, f"/{at.account_id}/stories", fields="post_id,media_id,status", limit="50")
    for row in need(answers.rows(body.get("data"))):
        if answers.identifier(row.get("media_id")) == photo_id:
            return Prepared("published", answers.identifier(row.get("post_id")))
    return await look_at_item(at, photo_id)


def _split(prepared_id: str) -> tuple[str, str]:
    form, _, own_id = prepared_id.partition(":")
    if not own_id:
        raise Malformed
    return form, own_id


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
