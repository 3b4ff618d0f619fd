"""Where others name an account: in comments on media that are not its own, and in captions (sections 2.6 and 4)."""

import re
from typing import Any

from pydantic import Field as Given

from sandbox.box import Sandbox, new_number_id
from sandbox.call import COMMENTS, Call
from sandbox.errors import bad_parameter, unsupported
from sandbox.fields import time_text
from sandbox.seed import Account, Fan
from sandbox.state import ControlModel, Mention

_ASKED = re.compile(r"^mentioned_(?:comment\.comment_id|media\.media_id)\((\d+)\)\{[a-z_,{}]*\}$")


class Mentioned(ControlModel):
    """A fan names an account below somebody else's media, or in the caption of their own."""

    fan: str
    account: str
    text: str = Given(min_length=1)
    caption: bool = False


def mention(box: Sandbox, fan: Fan, account: Account, order: Mentioned) -> dict[str, Any]:
    """A fan names the account; the webhook has ids only."""
    media_id = new_number_id("180")
    ids = {"media_id": media_id} | ({} if order.caption else {"comment_id": new_number_id("179")})
    webhooks = box.owed(account.id, "mentions", "changes", ids)
    told = {"text": order.text, "username": fan.username, "created_ms": box.now_ms(), "account_id": account.id}
    box.record("fan_mentioned", **told, mention_id=ids.get("comment_id", media_id), **ids, webhooks=webhooks)
    return ids | {"account_id": account.id, "webhook": bool(webhooks)}


def is_asked(call: Call) -> bool:
    """Whether the call asks an account for a mention of it."""
    return call.text("fields").startswith("mentioned_")


def show(call: Call) -> dict[str, Any]:
    """The comment or caption that names the account."""
    call.need(COMMENTS)
    asked = _ASKED.match(call.text("fields"))
    if asked is None:
        raise bad_parameter("Syntax error in fields")
    found = _need(call, asked[1])
    common = {"id": asked[1], "timestamp": time_text(found.created_ms)}
    if call.text("fields").startswith("mentioned_media"):
        shown = common | {"caption": found.text, "username": found.username}
        return {"mentioned_media": shown, "id": call.account.id}
    return {"mentioned_comment": common | {"text": found.text, "media": {"id": found.media_id}}, "id": call.account.id}


def reply(call: Call, node: str) -> dict[str, Any]:
    """Answer where the account was named."""
    call.need(COMMENTS)
    call.own(node)
    if not call.text("message").strip():
        raise bad_parameter("The parameter message is required")
    found = _need(call, call.text("comment_id") or call.text("media_id"))
    reply_id = new_number_id("179")
    told = {"text": call.text("message"), "comment_id": reply_id, "media_id": found.media_id}
    call.box.record("mention_answered", account_id=call.account.id, **told)
    return {"id": reply_id}


def _need(call: Call, mention_id: str) -> Mention:
    found = call.box.world.mentions.get(mention_id)
    if found is None or found.account_id != call.account.id:
        raise unsupported(call.method, mention_id)
    return found
