"""What fans do on Pages: write on Messenger, and comment. Source: section 2.7."""

from typing import Any

from sandbox.apply import thread_id
from sandbox.box import Sandbox, new_mid, new_number_id
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


def comment_on_page(box: Sandbox, page: Page, fan: Fan, *, text: str, at: int) -> dict[str, Any]:
    """A fan comments under the Page's post; the Page itself keeps no comments here."""
    post_id = next(key for key, owner in POSTS.items() if owner == page)
    comment_id = f"{post_id.partition('_')[2]}_{new_number_id('777')}"
    value = {
        "item": "comment",
        "verb": "add",
        "comment_id": comment_id,
        "post_id": post_id,
        "parent_id": post_id,
        "from": {"id": page_scoped_id(fan, page), "name": fan.name},
        "message": text,
        "created_time": at // 1000,
        "post": {"id": post_id, "status_type": "mobile_status_update", "is_published": True},
    }
    webhooks = box.owed(page.id, "feed", "changes", value)
    box.record("fan_commented_on_page", account_id=page.id, comment_id=comment_id, webhooks=webhooks)
    ids = {"comment_id": comment_id, "post_id": post_id, "account_id": page.id, "psid": page_scoped_id(fan, page)}
    return ids | {"webhook": bool(webhooks)}
