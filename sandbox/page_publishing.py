"""Publishing on a Page: posts, photos, videos, reels, stories, hidden first or at once. Source: section 5.8."""

import json
from typing import Any

from sandbox.box import new_number_id
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.facebook_call import FacebookCall
from sandbox.facebook_seed import PAGE_BY_ID, Page
from sandbox.fetching import MEGABYTE, Fetched, check_image, check_video
from sandbox.fields import parse_fields, project, time_text
from sandbox.posted_state import Form, PageItem
from sandbox.publishing import behaviour

PHOTO_BYTES = 4 * MEGABYTE
PHASES = {"IN_PROGRESS": "in_progress", "ERROR": "error", "EXPIRED": "error"}


def create_post(call: FacebookCall, page: Page) -> dict[str, Any]:
    """A post of words, a link, or photos that are there already."""
    _need(call, page)
    text, link, attached = call.text("message"), call.text("link"), _attached(call, page)
    if not (text.strip() or link or attached):
        raise bad_parameter("One of message, link and attached_media is required")
    if link and not link.startswith(("http://", "https://")):
        raise GraphError(100, "(#100) The link is not an address", 1609005)
    told = {"text": text, "link": link or None, "media": attached}
    return {"id": _create(call, page, "post", f"{page.id}_{new_number_id('12')}", **told)}


def create_photo(call: FacebookCall, page: Page) -> dict[str, Any]:
    """A photo: alone a post, or hidden, to be shown by one."""
    _need(call, page)
    check_image(_file(call, "url"), most_bytes=PHOTO_BYTES, any_ratio=True)
    photo_id = _create(call, page, "photo", new_number_id("13"), text=call.text("caption"))
    return {"id": photo_id}


def create_video(call: FacebookCall, page: Page) -> dict[str, Any]:
    """A video from an address."""
    _need(call, page)
    check_video(_file(call, "file_url"))
    return {"id": _create(call, page, "video", new_number_id("14"), text=call.text("description"))}


def publish_photo_story(call: FacebookCall, page: Page) -> dict[str, Any]:
    """Show a hidden photo as a story; a second time it is refused."""
    _need(call, page)
    photo = call.box.world.posted.items.get(call.text("photo_id"))
    if photo is None or photo.account_id != page.id or photo.form != "photo":
        raise unsupported(call.method, call.text("photo_id"))
    if photo.published:
        raise bad_parameter("The photo is published already")
    return {"success": True, "post_id": _show(call, photo)}


def reel(call: FacebookCall, page: Page) -> dict[str, Any]:
    """Begin or finish a reel."""
    return _in_phases(call, page, "reel")


def video_story(call: FacebookCall, page: Page) -> dict[str, Any]:
    """Begin or finish a story that is a video."""
    return _in_phases(call, page, "story")


def upload(call: FacebookCall, video_id: str) -> dict[str, Any]:
    """`rupload`: take the bytes of a begun reel or story from an address."""
    item = _need_item(call, video_id)
    check_video(_file(call, "file_url"))
    usual = behaviour(call.box, is_video=True, counts=False)
    changes = {"uploaded": True} | ({"ready_ms": usual["ready_ms"]} if item.ready_ms else {})
    call.box.record("page_item_uploaded", account_id=item.account_id, item_id=video_id, changes=changes)
    return {"success": True}


def answer_item(call: FacebookCall, item: PageItem) -> dict[str, Any]:
    """Show a post, photo or video; publish a hidden one, or change its words; delete it."""
    page = PAGE_BY_ID[item.account_id]
    if call.method == "GET":
        call.need_page(page)
        call.need("pages_read_engagement")
        return project(item_node(call, item), parse_fields(call.text("fields") or "id"), "Post")
    _need(call, page)
    if call.method == "DELETE":
        call.box.record("page_item_deleted", account_id=page.id, media_id=item.id)
        return {"success": True}
    wanted = call.text("is_published") or call.text("published")
    if wanted.lower() == "true" and not item.published:
        if item.status(call.box.now_ms()) != "FINISHED":
            raise GraphError(1363047, "(#1363047) The video is not ready")
        _show(call, item)
    return {"success": True}


def item_node(call: FacebookCall, item: PageItem) -> dict[str, Any]:
    """What a post, photo or video can show."""
    status = item.status(call.box.now_ms())
    shown = "published" if item.published else "draft"
    phases = {
        "video_status": {"FINISHED": "ready", "PUBLISHED": "ready"}.get(status, PHASES.get(status, "ready")),
        "publishing_phase": {"status": "complete" if item.published else "not_started", "publish_status": shown},
    }
    return {
        "id": item.id,
        "message": item.text,
        "description": item.text,
        "created_time": time_text(item.created_ms),
        "from": {"id": item.account_id, "name": PAGE_BY_ID[item.account_id].name},
        "permalink_url": f"https://www.facebook.com/{item.post_id or item.id}",
        "is_published": item.published,
        "published": item.published,
        "post_id": item.post_id,
        "status": phases,
    }


def list_stories(call: FacebookCall, page: Page) -> dict[str, Any]:
    """The Page's stories, the newest first."""
    call.need_page_token(page)
    call.need("pages_read_engagement")
    items = [one for one in call.box.world.posted.items.values() if one.account_id == page.id and one.published]
    stories = [one for one in reversed(items) if one.form == "story" or (one.form == "photo" and one.post_id)]
    return {"data": [{"post_id": one.post_id, "media_id": one.id, "status": "PUBLISHED"} for one in stories[:50]]}


def _in_phases(call: FacebookCall, page: Page, form: Form) -> dict[str, Any]:
    _need(call, page)
    phase = call.text("upload_phase")
    if phase == "start":
        video_id = _create(call, page, form, new_number_id("15"), text="", uploaded=False)
        return {"video_id": video_id, "upload_url": f"https://rupload.facebook.com/video-upload/v26.0/{video_id}"}
    if phase != "finish":
        raise bad_parameter("Param upload_phase must be one of {start, finish}")
    item = _need_item(call, call.text("video_id"))
    if form == "reel" and call.text("video_state") != "PUBLISHED":
        return {"success": True}
    if item.published:
        raise bad_parameter("The video is published already")
    if item.status(call.box.now_ms()) != "FINISHED":
        raise GraphError(1363047, "(#1363047) The video is not ready")
    return {"success": True, "post_id": _show(call, item, text=call.text("description"))}


def _create(call: FacebookCall, page: Page, form: Form, item_id: str, **told: Any) -> str:
    box = call.box
    published = form in ("post", "photo", "video") and call.text("published").lower() != "false"
    is_video = form in ("video", "reel", "story")
    usual = behaviour(box, is_video=is_video, counts=is_video)
    details: dict[str, Any] = {"account_id": page.id, "item_id": item_id, "form": form, "published": published}
    box.record("page_item_created", **details, **told, **usual)
    if published:
        box.record("page_item_published", account_id=page.id, item_id=item_id, text=told["text"], changes={})
    return item_id


def _show(call: FacebookCall, item: PageItem, *, text: str | None = None) -> str:
    """Publish it; the id of the post that shows it."""
    post_id = item.id if item.form == "post" else f"{item.account_id}_{new_number_id('16')}"
    words = item.text if text is None else text
    changes = {"published": True, "post_id": post_id, "text": words}
    told = {"text": words, "form": item.form, "post_id": post_id}
    call.box.record("page_item_published", account_id=item.account_id, item_id=item.id, **told, changes=changes)
    return post_id


def _need(call: FacebookCall, page: Page) -> None:
    call.need_page_token(page)
    call.need("pages_manage_posts")
    call.need_task(page, "CREATE_CONTENT")


def _need_item(call: FacebookCall, item_id: str) -> PageItem:
    item = call.box.world.posted.items.get(item_id)
    if item is None or item.account_id != call.token.account_id:
        raise unsupported(call.method, item_id)
    return item


def _file(call: FacebookCall, name: str) -> Fetched:
    files: dict[str, Fetched] = call.params.get("sandbox.files") or {}
    if name not in files:
        raise bad_parameter(f"The parameter {name} is required")
    return files[name]


def _attached(call: FacebookCall, page: Page) -> list[str]:
    try:
        rows = json.loads(call.text("attached_media") or "[]")
        ids = [str(row["media_fbid"]) for row in rows]
    except (ValueError, TypeError, KeyError):
        raise bad_parameter("Param attached_media must be an array of {media_fbid}") from None
    for one in ids:
        item = call.box.world.posted.items.get(one)
        if item is None or item.account_id != page.id or item.form != "photo":
            raise bad_parameter("Param attached_media names no photo of this Page")
    return ids
