"""What fans do on Pages: write on Messenger, and comment. Source: section 2.7."""

from typing import Any

from sandbox.apply import thread_id
from sandbox.box import Sandbox, new_mid
from sandbox.errors import ControlError
from sandbox.facebook_comments import new_comment
from sandbox.facebook_seed import POSTS, Page, page_scoped_id
from sandbox.messages import messaging_item
from sandbox.seed import Fan


def write_to_page(
    box: Sandbox, page: Page, fan: Fan, *, text: str | None, attachments: list[dict[str, Any]], at: int
) -> dict[str, Any]:
    """A fan writes to a Page; says the ids made, and whether a webhook is on its way."""
    mid, psid = new_mid("m_"), page_scoped_id(fan, page)
    shown = {"text": text, "attachments": attachments}
    content = {"mid": mid} | {key: value for key, value in shown.items() if value}
    webhooks = box.owed(page.id, "messages", "messaging", messaging_item(psid, page.id, at, {"message": content}))
    message = shown | {"mid": mid, "account_id": page.id, "fan_id": psid, "from_fan": True, "sent_ms": at}
    box.record("fan_wrote", message=message, webhooks=webhooks)
    ids = {"mid": mid, "account_id": page.id, "psid": psid, "conversation_id": thread_id(page.id, psid)}
    return ids | {"timestamp": at, "webhook": bool(webhooks)}


def comment_on_page(
    box: Sandbox, page: Page, fan: Fan, *, text: str, at: int, parent: str | None = None
) -> dict[str, Any]:
    """A fan comments below the Page's post, or below a comment there."""
    found = box.world.comments.get(parent) if parent else None
    if parent and (found is None or found.account_id != page.id):
        raise ControlError("There is no such parent comment on this Page.", 404)
    post_id = found.media_id if found else next(key for key, owner in POSTS.items() if owner == page)
    author = {"id": page_scoped_id(fan, page), "name": fan.name}
    parent_id = (found.parent_id or found.id) if found else None
    told = new_comment(box, page, post_id, parent_id=parent_id, author=author, text=text, at=at)
    box.record("fan_commented_on_page", **told)
    ids = {"comment_id": told["comment_id"], "post_id": post_id, "account_id": page.id, "psid": author["id"]}
    return ids | {"webhook": bool(told["webhooks"])}
