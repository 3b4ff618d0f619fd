"""Comments below a Page's posts: list, answer, hide, delete, answer in private. Source: meta-platform.md, sections 2.7
and 4."""

from collections.abc import Sequence
from typing import Any

from sandbox.box import Sandbox, new_mid, new_number_id
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.facebook_call import FacebookCall
from sandbox.facebook_seed import PAGE_BY_ID, POSTS, Page
from sandbox.fields import page, parse_fields, project, time_text
from sandbox.messages import DAY_MS, TEXT_BYTES, messaging_item
from sandbox.state import Comment

COMMENT_CHARACTERS = 8000
DEFAULT = "created_time,from,message,id"


def comment_of_page(box: Sandbox, node: str) -> Comment | None:
    """The comment of this id, if it stands below a Page's post."""
    comment = box.world.comments.get(node)
    return comment if comment and comment.account_id in PAGE_BY_ID else None


def page_of_post(box: Sandbox, node: str) -> Page | None:
    """The Page whose post this is: the seed's, or one that was published here."""
    if node in POSTS:
        return None if node in box.world.posted.gone else POSTS[node]
    owner = box.world.posted.page_of_post(node)
    return PAGE_BY_ID[owner] if owner else None


def answer_node(call: FacebookCall, comment: Comment) -> dict[str, Any]:
    """Show a comment, hide it, or delete it."""
    owner = _need(call, comment.account_id)
    if call.method == "GET":
        return project(comment_node(call.box, comment), parse_fields(call.text("fields") or DEFAULT), "Comment")
    call.need("pages_manage_engagement")
    box = call.box
    if call.method == "DELETE":
        told = change_of(box, comment, "remove", {"id": owner.id, "name": owner.name})
        box.record("comment_deleted", account_id=owner.id, media_id=comment.media_id, comment_id=comment.id, **told)
        return {"success": True}
    if "is_hidden" not in call.params:
        raise bad_parameter("Param is_hidden must be a boolean")
    hide = call.text("is_hidden").lower() in ("true", "1")
    if hide and comment.author_id == owner.id:
        raise GraphError(200, "(#200) The Page's own comments cannot be hidden")
    if hide != comment.hidden:
        told = change_of(box, comment, "hide" if hide else "unhide", {"id": owner.id, "name": owner.name})
        kind = "comment_hidden" if hide else "comment_unhidden"
        box.record(kind, account_id=owner.id, media_id=comment.media_id, comment_id=comment.id, **told)
    return {"success": True}


def list_below(call: FacebookCall, node: str) -> dict[str, Any]:
    """The comments of a post, or the replies to a comment."""
    post, comment = page_of_post(call.box, node), comment_of_page(call.box, node)
    owner_id = comment.account_id if comment else post.id if post else None
    if owner_id is None:
        raise unsupported(call.method, node)
    _need(call, owner_id)
    world = call.box.world
    if comment:
        ids = [key for key in world.comments_of.get(comment.media_id, ()) if world.comments[key].parent_id == node]
    else:
        all_of_it = call.text("filter") == "stream"
        ids = [k for k in world.comments_of.get(node, ()) if all_of_it or world.comments[k].parent_id is None]
    if call.text("order") == "reverse_chronological":
        ids = ids[::-1]
    return _page(call, ids)


def write(call: FacebookCall, node: str) -> dict[str, Any]:
    """Comment as the Page: below its post, or below a comment."""
    post, comment = page_of_post(call.box, node), comment_of_page(call.box, node)
    owner_id = comment.account_id if comment else post.id if post else None
    if owner_id is None:
        raise unsupported(call.method, node)
    owner = _need(call, owner_id)
    call.need("pages_manage_engagement")
    text = call.text("message")
    if not text.strip() or len(text) > COMMENT_CHARACTERS:
        raise bad_parameter("The parameter message is required")
    parent_id = (comment.parent_id or comment.id) if comment else None
    told = new_comment(
        call.box,
        owner,
        comment.media_id if comment else node,
        parent_id=parent_id,
        author={"id": owner.id, "name": owner.name},
        text=text,
        at=call.box.now_ms(),
    )
    call.box.record("comment_replied", **told)
    return {"id": told["comment_id"]}


def private_reply(call: FacebookCall, owner: Page, comment: Comment) -> dict[str, Any]:
    """Write to who commented, once."""
    call.need("pages_messaging")
    message = call.params.get("message")
    text = message.get("text") if isinstance(message, dict) else None
    if not isinstance(text, str) or not text.strip() or len(text.encode()) > TEXT_BYTES:
        raise bad_parameter("Param message[text] must be a non-empty string")
    box, now = call.box, call.box.now_ms()
    late = now - comment.created_ms > 7 * DAY_MS
    if comment.account_id != owner.id or comment.author_id == owner.id or comment.answered_privately or late:
        raise GraphError(100, "(#100) The comment cannot have a private reply", 2534025)
    mid, fan_id = new_mid("m_"), comment.author_id
    echo = messaging_item(owner.id, fan_id, now, {"message": {"mid": mid, "text": text, "is_echo": True}})
    sent: dict[str, Any] = {"text": text, "attachments": [], "reply_to": None, "sent_ms": now, "comment_id": comment.id}
    webhooks = box.owed(owner.id, "message_echoes", "messaging", echo)
    box.record("message_sent", message_id=mid, account_id=owner.id, recipient_id=fan_id, **sent, webhooks=webhooks)
    return {"recipient_id": fan_id, "message_id": mid}


def new_comment(
    box: Sandbox, owner: Page, post_id: str, *, parent_id: str | None, author: dict[str, str], text: str, at: int
) -> dict[str, Any]:
    """The row of a new comment, with what it owes to the outside."""
    comment_id = f"{post_id.partition('_')[2]}_{new_number_id('777')}"
    values = {
        "comment_id": comment_id,
        "account_id": owner.id,
        "media_id": post_id,
        "parent_id": parent_id,
        "author_id": author["id"],
        "username": author["name"],
        "text": text,
        "created_ms": at,
    }
    value = {
        "item": "comment",
        "verb": "add",
        "comment_id": comment_id,
        "post_id": post_id,
        "parent_id": parent_id or post_id,
        "from": author,
        "message": text,
        "created_time": at // 1000,
        "post": {"id": post_id, "status_type": "mobile_status_update", "is_published": True},
    }
    return values | {"webhooks": box.owed(owner.id, "feed", "changes", value)}


def change_of(box: Sandbox, comment: Comment, verb: str, by: dict[str, str], **more: Any) -> dict[str, Any]:
    """What a change of a comment owes to the outside. A removal's `created_time` is its own."""
    at = comment.created_ms if verb == "edited" else box.now_ms()
    value = {
        "item": "comment",
        "verb": verb,
        "comment_id": comment.id,
        "post_id": comment.media_id,
        "parent_id": comment.parent_id or comment.media_id,
        "from": by,
        "created_time": at // 1000,
    }
    return {"webhooks": box.owed(comment.account_id, "feed", "changes", value | more)}


def comment_node(box: Sandbox, comment: Comment) -> dict[str, Any]:
    """What a comment can show."""
    parent = box.world.comments.get(comment.parent_id) if comment.parent_id else None
    own = comment.author_id == comment.account_id
    return {
        "id": comment.id,
        "message": comment.text,
        "created_time": time_text(comment.created_ms),
        "from": {"id": comment.author_id, "name": comment.username},
        "is_hidden": comment.hidden,
        "can_hide": not own,
        "like_count": 0,
        "parent": comment_node(box, parent) if parent else None,
    }


def _need(call: FacebookCall, page_id: str) -> Page:
    owner = PAGE_BY_ID[page_id]
    call.need_page_token(owner)
    call.need("pages_read_user_content" if call.method == "GET" else "pages_manage_engagement")
    call.need_task(owner, "MODERATE")
    return owner


def _page(call: FacebookCall, ids: Sequence[str]) -> dict[str, Any]:
    shown, paging = page(ids, call.paging_params(), call.url, 50)
    wanted, world = parse_fields(call.text("fields") or DEFAULT), call.box.world
    data = [project(comment_node(call.box, world.comments[key]), wanted, "Comment") for key in shown]
    return {"data": data} | ({"paging": paging} if paging else {})
