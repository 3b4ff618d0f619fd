"""Publishing on Instagram, on whichever host. Source: Meta, content publishing (meta-platform.md, section 5)."""

import json

from app.clients import answers
from app.clients.graph_call import At, need, only_row
from app.clients.graph_errors import Malformed
from app.clients.graph_publishing import Part, Prepared, Quota, Shown, Status, Words, get, id_of, post

STATUSES: dict[str, Status] = {
    "IN_PROGRESS": "in_progress",
    "FINISHED": "finished",
    "PUBLISHED": "published",
    "ERROR": "error",
    "EXPIRED": "expired",
}
NEWEST = "100"
"""Posts: as many as an account may publish in a day (content_publishing_limit)."""


async def make_item(at: At, part: Part) -> str:
    """The container of one item of a carousel; its id."""
    form = _of_part(part) | {"is_carousel_item": "true"} | ({"media_type": "VIDEO"} if part.is_video else {})
    return id_of(await post(at, f"/{at.account_id}/media", form))


async def make(at: At, words: Words, parts: list[Part], items: list[str]) -> str:
    """The container that is published, of one part or of a carousel's `items`; its id."""
    form: dict[str, str] = {}
    if words.kind == "carousel":
        form |= {"media_type": "CAROUSEL", "children": ",".join(items)}
    else:
        form |= _of_part(parts[0])
    if words.kind == "reel":
        form |= {"media_type": "REELS"} | _of_reel(words)
    if words.kind == "story":
        form["media_type"] = "STORIES"
    if words.kind != "story" and words.caption:
        form["caption"] = words.caption
    if words.kind != "story" and words.collaborators:
        form["collaborators"] = json.dumps(words.collaborators)
    if words.location_id:
        form["location_id"] = words.location_id
    return id_of(await post(at, f"/{at.account_id}/media", form))


async def look(at: At, container_id: str) -> Prepared:
    """How far a container is."""
    body = await get(at, f"/{container_id}", fields="status_code,status")
    status = STATUSES.get(answers.text(body.get("status_code")) or "")
    return Prepared(need(status))


async def publish(at: At, container_id: str) -> str:
    """Publish a container, once; the media's id. After any failure at all, `look` before anything else."""
    return id_of(await post(at, f"/{at.account_id}/media_publish", {"creation_id": container_id}))


async def quota(at: At) -> Quota:
    """How many posts of the last 24 hours count, and how many may."""
    body = await get(at, f"/{at.account_id}/content_publishing_limit", fields="quota_usage,config")
    row = only_row(body)
    config = answers.table(row.get("config")) or {}
    total, window_s = answers.whole(config.get("quota_total")), answers.whole(config.get("quota_duration"))
    return Quota(need(answers.whole(row.get("quota_usage"))), need(total), window_s or 86_400)


async def show(at: At, media_id: str) -> Shown:
    """A media that is there."""
    body = await get(at, f"/{media_id}", fields="id,permalink,timestamp")
    return Shown(need(answers.identifier(body.get("id"))), answers.https_address(body.get("permalink")))


async def newest(at: At) -> list[Shown]:
    """What the account has posted lately, the newest first; stories are not among it."""
    body = await get(at, f"/{at.account_id}/media", fields="id,permalink,caption,timestamp", limit=NEWEST)
    rows = need(answers.rows(body.get("data")))
    return [
        Shown(
            need(answers.identifier(row.get("id"))),
            answers.https_address(row.get("permalink")),
            answers.text(row.get("caption")) or "",
            answers.text(row.get("timestamp"), most=40) or "",
        )
        for row in rows
    ]


def _of_part(part: Part) -> dict[str, str]:
    if not part.url.isascii():
        raise Malformed
    form = {"video_url" if part.is_video else "image_url": part.url}
    form |= {"alt_text": part.alt_text} if part.alt_text else {}
    return form | ({"user_tags": json.dumps(part.tags)} if part.tags else {})


def _of_reel(words: Words) -> dict[str, str]:
    form: dict[str, str] = {}
    if words.cover_url:
        form["cover_url"] = words.cover_url
    elif words.cover_ms is not None:
        form["thumb_offset"] = str(words.cover_ms)
    if words.share_to_feed is not None:
        form["share_to_feed"] = "true" if words.share_to_feed else "false"
    return form | ({"audio_name": words.audio_name} if words.audio_name else {})
