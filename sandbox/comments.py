"""Comments on the account's media: list, answer, hide, delete. Source: meta-platform.md, section 4."""

from collections.abc import Sequence
from typing import Any

from sandbox.box import new_number_id
from sandbox.call import COMMENTS, Call
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.fields import Field, page, parse_fields, project, time_text
from sandbox.seed import Media
from sandbox.state import Comment, World

COMMENT_CHARACTERS = 2200


def need_media(call: Call, media_id: str) -> Media:
    """The account's own media of this id. Raises code 100/33."""
    media = call.box.world.posted.find_media(media_id)
    if media is None or media.account_id != call.account.id:
        raise unsupported(call.method, media_id)
    return media


def need_comment(call: Call, comment_id: str) -> Comment:
    """A comment on the account's own media. Raises code 100/33."""
    comment = call.box.world.comments.get(comment_id)
    if comment is None or comment.account_id != call.account.id:
        raise unsupported(call.method, comment_id)
    return comment


def list_media(call: Call, node: str) -> dict[str, Any]:
    """The account's media, newest first."""
    posted = call.box.world.posted.media_of(call.own(node))
    newest = sorted((one for one in posted if one.product_type != "STORY"), key=lambda one: (one.posted_ms, one.id))
    ids = [media.id for media in reversed(newest)]
    shown, paging = page(ids, call.paging_params(), call.url, 100)
    wanted = parse_fields(call.text("fields") or "id")
    data = [project(media_node(call, need_media(call, key)), wanted, "IGMedia") for key in shown]
    return {"data": data} | ({"paging": paging} if paging else {})


def list_comments(call: Call, media_id: str) -> dict[str, Any]:
    """The top-level comments of a media, newest first, at most 50 a page."""
    call.need(COMMENTS)
    media = need_media(call, media_id)
    return _comments_page(call, _top_ids(call, media.id))


def list_replies(call: Call, comment_id: str) -> dict[str, Any]:
    """The replies to a comment, oldest first."""
    call.need(COMMENTS)
    comment = need_comment(call, comment_id)
    return _comments_page(call, reply_ids(call.box.world, comment))


def show_media(call: Call, media: Media) -> dict[str, Any]:
    """One media, with the asked-for fields."""
    return project(media_node(call, media), parse_fields(call.text("fields")), "IGMedia")


def show_comment(call: Call, comment: Comment) -> dict[str, Any]:
    """One comment, with the asked-for fields."""
    call.need(COMMENTS)
    return project(comment_node(call, comment), parse_fields(call.text("fields") or "id,text,timestamp"), "IGComment")


def comment_on_media(call: Call, media_id: str) -> dict[str, Any]:
    """Comment on our own media."""
    call.need(COMMENTS)
    media = need_media(call, media_id)
    if media.id in call.box.world.comments_off:
        raise bad_parameter("Comments are turned off for this media")
    return _write(call, "comment_created", media, None)


def reply_to_comment(call: Call, comment_id: str) -> dict[str, Any]:
    """Answer a comment; an answer to a reply goes under the top comment."""
    call.need(COMMENTS)
    comment = need_comment(call, comment_id)
    if comment.hidden:
        raise bad_parameter("A hidden comment cannot be replied to")
    return _write(call, "comment_replied", need_media(call, comment.media_id), comment.parent_id or comment.id)


def hide_comment(call: Call, comment: Comment) -> dict[str, Any]:
    """Hide or show a comment. The owner's own comments stay visible."""
    call.need(COMMENTS)
    hide = _switch(call, "hide")
    own = comment.author_id == call.account.id
    if hide != comment.hidden and not own:
        kind = "comment_hidden" if hide else "comment_unhidden"
        call.box.record(kind, account_id=call.account.id, media_id=comment.media_id, comment_id=comment.id)
    return {"success": True}


def delete_comment(call: Call, comment: Comment) -> dict[str, Any]:
    """Delete a comment and its replies."""
    call.need(COMMENTS)
    call.box.record("comment_deleted", account_id=call.account.id, media_id=comment.media_id, comment_id=comment.id)
    return {"success": True}


def switch_comments(call: Call, media: Media) -> dict[str, Any]:
    """Turn the comments of a media on or off."""
    call.need(COMMENTS)
    enabled = _switch(call, "comment_enabled")
    call.box.record("comments_switched", account_id=call.account.id, media_id=media.id, enabled=enabled)
    return {"success": True}


def comment_webhook(world: World, comment: dict[str, Any], sender: dict[str, str]) -> dict[str, Any]:
    """The value of a `comments` change."""
    media = world.posted.find_media(comment["media_id"])
    assert media is not None
    value = {world.options.comment_id_key: comment["comment_id"], "text": comment["text"], "from": sender}
    if comment.get("parent_id"):
        value["parent_id"] = comment["parent_id"]
    return value | {"media": {"id": media.id, "media_product_type": media.product_type}}


def comment_node(call: Call, comment: Comment) -> dict[str, Any]:
    """What a comment can show."""
    author = {"id": comment.author_id, "username": comment.username}
    media = need_media(call, comment.media_id)
    return {
        "id": comment.id,
        "text": comment.text,
        "timestamp": time_text(comment.created_ms),
        "username": comment.username,
        "from": author,
        "hidden": comment.hidden,
        "like_count": 0,
        "parent_id": comment.parent_id,
        "media": {"id": comment.media_id, "media_product_type": media.product_type},
        "replies": lambda field: _nested(call, reply_ids(call.box.world, comment), field),
    }


def media_node(call: Call, media: Media) -> dict[str, Any]:
    """What a media can show."""
    return {
        "id": media.id,
        "caption": media.caption,
        "media_type": media.media_type or ("VIDEO" if media.product_type == "REELS" else "IMAGE"),
        "media_product_type": media.product_type,
        "permalink": f"https://www.instagram.com/p/{media.id}/",
        "media_url": f"https://scontent.cdninstagram.com/v/{media.id}.jpg?oe=sandbox",
        "timestamp": time_text(media.posted_ms),
        "username": call.account.username,
        "owner": {"id": call.account.id},
        "comments_count": len(call.box.world.comments_of.get(media.id, ())),
        "like_count": 0,
        "is_comment_enabled": media.id not in call.box.world.comments_off,
        "comments": lambda field: _nested(call, _top_ids(call, media.id), field),
    }


def reply_ids(world: World, comment: Comment) -> list[str]:
    """The replies to a comment, oldest first."""
    return [key for key in world.comments_of.get(comment.media_id, ()) if world.comments[key].parent_id == comment.id]


def _top_ids(call: Call, media_id: str) -> list[str]:
    world = call.box.world
    top = [key for key in reversed(world.comments_of.get(media_id, ())) if world.comments[key].parent_id is None]
    return [key for key in top if world.comments[key].author_id not in world.restricted]


def _comments_page(call: Call, ids: Sequence[str]) -> dict[str, Any]:
    shown, paging = page(ids, call.paging_params(), call.url, 50)
    wanted = parse_fields(call.text("fields") or "timestamp,text,id")
    world = call.box.world
    data = [project(comment_node(call, world.comments[key]), wanted, "IGComment") for key in shown]
    return {"data": data} | ({"paging": paging} if paging else {})


def _nested(call: Call, ids: Sequence[str], field: Field) -> dict[str, Any] | None:
    wanted = field.inner or (Field("timestamp"), Field("text"), Field("id"))
    world = call.box.world
    shown = [world.comments[key] for key in ids[: min(field.limit or 25, 50)]]
    return {"data": [project(comment_node(call, one), wanted, "IGComment") for one in shown]} if shown else None


def _write(call: Call, kind: str, media: Media, parent_id: str | None) -> dict[str, Any]:
    text = call.text("message")
    if not text.strip():
        raise bad_parameter("The parameter message is required")
    if len(text) > COMMENT_CHARACTERS:
        raise GraphError(100, f"(#100) The comment is longer than {COMMENT_CHARACTERS} characters")
    account, box = call.account, call.box
    comment = {
        "comment_id": new_number_id("179"),
        "account_id": account.id,
        "media_id": media.id,
        "parent_id": parent_id,
        "author_id": account.id,
        "username": account.username,
        "text": text,
        "created_ms": box.now_ms(),
    }
    sender = {"id": account.id, "username": account.username, "self_ig_scoped_id": account.self_scoped_id}
    value = comment_webhook(box.world, comment, sender)
    box.record(kind, **comment, webhooks=box.owed(account.id, "comments", "changes", value))
    return {"id": comment["comment_id"]}


def _switch(call: Call, name: str) -> bool:
    value = call.params.get(name)
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise bad_parameter(f"Param {name} must be a boolean")
    return str(value).lower() in ("true", "1")
