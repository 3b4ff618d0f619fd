"""Publishing on Instagram: containers, their status, publishing them, the quota, deleting. Source: section 5."""

import json
from typing import Any

from sandbox.box import Sandbox, new_number_id
from sandbox.call import BASIC, FACEBOOK_GRAPH, PUBLISH, Call
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.fetching import MEGABYTE, Fetched, check_image, check_video
from sandbox.fields import parse_fields, project
from sandbox.messages import DAY_MS
from sandbox.posted_state import Container

CAPTION_CHARACTERS, HASHTAGS, MENTIONS, TAGS, COLLABORATORS = 2200, 30, 20, 20, 3
ALT_CHARACTERS = 1000
IMAGE_BYTES = 8 * MEGABYTE
TYPES = ("IMAGE", "VIDEO", "REELS", "STORIES", "CAROUSEL")
SHOWN = {"IMAGE": "IMAGE", "REELS": "VIDEO", "CAROUSEL": "CAROUSEL_ALBUM"}
"""What a published media says it is, by what its container was."""


def create_container(call: Call, node: str) -> dict[str, Any]:
    """Take something to be published, of which the files have been fetched."""
    account = call.own(node)
    call.need(BASIC, PUBLISH)
    box, now = call.box, call.box.now_ms()
    recent = [c for c in box.world.posted.containers.values() if c.account_id == account.id]
    if sum(now - c.created_ms < DAY_MS for c in recent) >= box.world.posted.rules.containers_total:
        raise GraphError(9, "(#9) The limit of containers a day is reached", 2207042)
    media_type = call.text("media_type") or "IMAGE"
    if media_type not in TYPES:
        raise GraphError(100, "(#100) Unknown media type", 2207023)
    is_item = call.text("is_carousel_item").lower() == "true"
    _check_words(call, media_type, is_item=is_item)
    children = _children(call) if media_type == "CAROUSEL" else []
    files: dict[str, Fetched] = call.params.get("sandbox.files") or {}
    if media_type != "CAROUSEL":
        _check_files(files, media_type)
    is_video = "video_url" in files
    details: dict[str, Any] = {
        "container_id": new_number_id("178"),
        "account_id": account.id,
        "media_type": media_type,
        "is_video": is_video,
        "is_item": is_item,
        "caption": call.text("caption"),
        "alt_text": call.text("alt_text"),
        "children": children,
        "files": [file.sha256 for file in files.values()],
    }
    box.record("container_created", **details, **behaviour(box, is_video=is_video, counts=not is_item))
    return {"id": details["container_id"]}


def show_container(call: Call, container: Container) -> dict[str, Any]:
    """How far a container is."""
    call.need(BASIC)
    status = container.status(call.box.now_ms())
    said = {"ERROR": "Error: Media upload has failed with error code 2207053", "FINISHED": "Finished: Media is ready."}
    node = {"id": container.id, "status_code": status, "status": said.get(status, status.capitalize())}
    return project(node, parse_fields(call.text("fields") or "id"), "IGContainer")


def publish(call: Call, node: str) -> dict[str, Any]:
    """Publish a container. One that is published already is refused, as any that is not ready."""
    account = call.own(node)
    call.need(BASIC, PUBLISH)
    box = call.box
    container = box.world.posted.containers.get(call.text("creation_id"))
    if container is None or container.account_id != account.id or container.is_item:
        raise GraphError(24, "(#24) The requested resource does not exist", 2207006)
    status = container.status(box.now_ms())
    if status == "EXPIRED":
        raise GraphError(24, "(#24) The media was not found, or has expired", 2207008)
    if status != "FINISHED":
        raise GraphError(9007, "The media is not ready to be published", 2207027)
    if usage(box, account.id) >= box.world.posted.rules.quota_total:
        raise GraphError(9, "(#9) The number of posts a day is reached", 2207042)
    media_id = new_number_id("180")
    product = {"REELS": "REELS", "STORIES": "STORY"}.get(container.media_type, "FEED")
    shown = SHOWN.get(container.media_type, "VIDEO" if container.is_video else "IMAGE")
    told = {"media_id": media_id, "container_id": container.id, "caption": container.caption}
    box.record("media_published", account_id=account.id, **told, product_type=product, media_type=shown)
    return {"id": media_id}


def publishing_limit(call: Call, node: str) -> dict[str, Any]:
    """How much of the publishing quota is used."""
    account = call.own(node)
    call.need(BASIC, PUBLISH)
    config = {"quota_total": call.box.world.posted.rules.quota_total, "quota_duration": 86_400}
    known: dict[str, Any] = {"quota_usage": usage(call.box, account.id), "config": config}
    names = [field.name for field in parse_fields(call.text("fields"))] or ["quota_usage"]
    for name in names:
        if name not in known:
            raise bad_parameter(f"Tried accessing nonexisting field ({name})")
    return {"data": [{name: known[name] for name in names}]}


def delete_media(call: Call, media_id: str) -> dict[str, Any]:
    """Delete a media: Facebook Login alone has this."""
    if call.token.host != FACEBOOK_GRAPH:
        raise unsupported(call.method, media_id)
    if "instagram_manage_contents" not in call.token.scopes:
        raise GraphError(10, "(#10) Application does not have permission for this action")
    call.box.record("media_deleted", account_id=call.account.id, media_id=media_id)
    return {"success": True}


def usage(box: Sandbox, account_id: str) -> int:
    """How many posts of the last 24 hours count: deleted ones too."""
    since = box.now_ms() - DAY_MS
    return sum(m.account_id == account_id and m.posted_ms > since for m in box.world.posted.media.values())


def behaviour(box: Sandbox, *, is_video: bool, counts: bool) -> dict[str, Any]:
    """How a new container behaves: as usual, or as was ordered for the next that `counts`."""
    now, rules, orders = box.now_ms(), box.world.posted.rules, box.world.posted.orders
    usual = {"created_ms": now, "ready_ms": now + int((rules.video_s if is_video else rules.image_s) * 1000)}
    if not orders or not counts:
        return usual
    match orders[0]["behaviour"]:
        case "error":
            usual["failed"] = True
        case "never":
            usual["ready_ms"] = 0
        case "expired":
            usual["expired"] = True
        case "slow":
            usual["ready_ms"] = now + int(orders[0]["seconds"] * 1000)
    return usual | {"by_order": True}


def _check_words(call: Call, media_type: str, *, is_item: bool) -> None:
    caption = call.text("caption")
    if len(caption) > CAPTION_CHARACTERS or caption.count("#") > HASHTAGS or caption.count("@") > MENTIONS:
        raise GraphError(36004, "The caption is too long", 2207010)
    if len(call.text("alt_text")) > ALT_CHARACTERS:
        raise bad_parameter("Param alt_text is too long")
    if call.text("alt_text") and media_type in ("REELS", "STORIES"):
        raise bad_parameter("alt_text is not supported for this media type")
    if len(_list(call, "user_tags")) > TAGS:
        raise GraphError(100, "(#100) Too many user tags", 2207040)
    if len(_list(call, "collaborators")) > COLLABORATORS or (media_type == "STORIES" and _list(call, "collaborators")):
        raise bad_parameter("Param collaborators is not acceptable")
    if is_item and media_type not in ("IMAGE", "VIDEO"):
        raise bad_parameter("This media type cannot be an item of a carousel")


def _children(call: Call) -> list[str]:
    named = call.text("children")
    ids = [str(one) for one in _list(call, "children")] if named.startswith("[") else named.split(",")
    containers, now = call.box.world.posted.containers, call.box.now_ms()
    if not 2 <= len(ids) <= 10:
        raise GraphError(100, "(#100) A carousel needs 2 to 10 items", 2207028)
    for one in ids:
        child = containers.get(one)
        if child is None or child.account_id != call.account.id or not child.is_item:
            raise GraphError(24, "(#24) The requested resource does not exist", 2207006)
        if child.status(now) == "EXPIRED":
            raise GraphError(-2, "The media has expired", 2207020)
        if child.status(now) != "FINISHED":
            raise GraphError(9007, "The media is not ready", 2207027)
    return ids


def _check_files(files: dict[str, Fetched], media_type: str) -> None:
    image, video = files.get("image_url"), files.get("video_url")
    if (image is None) == (video is None):
        raise bad_parameter("Exactly one of image_url and video_url is required")
    if image:
        if media_type in ("REELS", "VIDEO"):
            raise GraphError(100, "(#100) Unknown media type", 2207023)
        check_image(image, most_bytes=IMAGE_BYTES, any_ratio=media_type == "STORIES")
    if video:
        if media_type == "IMAGE":
            raise GraphError(100, "(#100) Unknown media type", 2207023)
        check_video(video)
    if "cover_url" in files:
        check_image(files["cover_url"], most_bytes=IMAGE_BYTES, any_ratio=True)


def _list(call: Call, name: str) -> list[Any]:
    value = call.params.get(name) or []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise bad_parameter(f"Param {name} must be an array") from None
    if not isinstance(value, list):
        raise bad_parameter(f"Param {name} must be an array")
    return value
