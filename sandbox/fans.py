"""What fans do: write, comment, unsend, edit, react, read, press and follow links. Source: sections 2.5 and 2.6."""

from typing import Any, Literal

from pydantic import Field

from sandbox import mentions
from sandbox.apply import thread_id
from sandbox.box import Sandbox, new_mid, new_number_id
from sandbox.comments import comment_webhook
from sandbox.errors import ControlError
from sandbox.facebook_comments import change_of, comment_of_page
from sandbox.facebook_fans import comment_on_page, write_to_page
from sandbox.facebook_seed import find_page
from sandbox.mentions import Mentioned
from sandbox.messages import messaging_item
from sandbox.seed import Account, Fan, find_account, find_fan, media_of
from sandbox.state import Comment, ControlModel, Message, Millis

CDN = "https://lookaside.fbsbx.com/ig_messaging_cdn/"
EMOJI_NAMES = {"❤️": "love", "❤": "love", "😆": "smile", "😡": "angry", "😢": "sad", "😮": "wow", "👍": "like"}


class Write(ControlModel):
    """A fan writes to an account, or to a Page: only `text`, `attachments` and `at` count there."""

    fan: str
    """Handle (`mara`, `fan137`), username, or scoped id."""
    account: str
    """Username or id; of a Page its name or id."""
    text: str | None = None
    attachments: list[dict[str, Any]] = Field(default_factory=list)
    """`[{"type": "image"}]`; a missing payload is made up."""
    reply_to: str | None = None
    """The `mid` answered to."""
    story_reply: bool | dict[str, Any] = False
    story_mention: bool | dict[str, Any] = False
    quick_reply: str | None = None
    """The payload of the tapped quick reply."""
    referral: dict[str, Any] | None = None
    unsupported: bool = False
    standby: bool = False
    """Delivered under `standby`, as when another app owns the thread."""
    at: Millis | None = None
    """Milliseconds; now when left out."""


class Commented(ControlModel):
    """A fan comments on a media."""

    fan: str
    account: str
    text: str
    media: str | None = None
    parent: str | None = None
    live: bool = False
    at: Millis | None = None


class CommentEdited(ControlModel):
    """A fan edits a comment."""

    text: str = Field(min_length=1)


class Restricted(ControlModel):
    """An account restricts a fan, or does so no more."""

    fan: str
    account: str
    active: bool = True


class Pressed(ControlModel):
    """A fan presses a button or an ice breaker."""

    fan: str
    account: str
    title: str = "Where can I buy merch?"
    payload: str = "MERCH"
    at: Millis | None = None


class Referred(ControlModel):
    """A fan follows an ig.me link into a thread."""

    fan: str
    account: str
    ref: str = "flyer-23"
    source: Literal["IGME-SOURCE-LINK", "ADS", "SHORTLINK"] = "IGME-SOURCE-LINK"
    at: Millis | None = None


class OnMessage(ControlModel):
    """Something about one message."""

    mid: str
    at: Millis | None = None


class Edited(OnMessage):
    """A fan edits a message."""

    text: str = Field(min_length=1)


class Reacted(OnMessage):
    """A fan reacts to a message; without an emoji, takes the reaction back."""

    emoji: str | None = None


def write(box: Sandbox, order: Write) -> dict[str, Any]:
    """A fan writes; says the ids made, and whether a webhook is on its way."""
    fan, at, attachments = need_fan(order.fan), order.at or box.now_ms(), _attachments(order)
    if order.text is None and not attachments and not order.unsupported:
        raise ControlError("A message needs text, attachments, story_mention or unsupported.")
    page = find_page(order.account)
    if page:
        return write_to_page(box, page, fan, text=order.text, attachments=attachments, at=at)
    account = need_account(order.account)
    mid, igsid = new_mid(), fan.scoped_id(account)
    reply_to = _reply_to(box, order)
    content: dict[str, Any] = {"mid": mid}
    shown = {"text": order.text, "attachments": attachments, "reply_to": reply_to, "referral": order.referral}
    content |= {key: value for key, value in shown.items() if value}
    if order.quick_reply:
        content["quick_reply"] = {"payload": order.quick_reply}
    if order.unsupported:
        content["is_unsupported"] = True
    form = "standby" if order.standby else "messaging"
    item = messaging_item(igsid, account.id, at, {"message": content})
    webhooks = box.owed(account.id, "standby" if order.standby else "messages", form, item)
    message = {
        "mid": mid,
        "account_id": account.id,
        "fan_id": igsid,
        "from_fan": True,
        "sent_ms": at,
        "text": order.text,
        "attachments": attachments,
        "reply_to": reply_to,
        "unsupported": order.unsupported,
    }
    box.record("fan_wrote", message=message, standby=order.standby, webhooks=webhooks)
    ids = {"mid": mid, "account_id": account.id, "igsid": igsid, "conversation_id": thread_id(account.id, igsid)}
    return ids | {"timestamp": at, "webhook": bool(webhooks)}


def comment(box: Sandbox, order: Commented) -> dict[str, Any]:
    """A fan comments; says the ids made."""
    fan, page = need_fan(order.fan), find_page(order.account)
    if page:
        return comment_on_page(box, page, fan, text=order.text, at=order.at or box.now_ms(), parent=order.parent)
    account = need_account(order.account)
    parent = box.world.comments.get(order.parent) if order.parent else None
    if order.parent and (parent is None or parent.account_id != account.id):
        raise ControlError("There is no such parent comment on this account's media.", 404)
    media_id = parent.media_id if parent else order.media or media_of(account)[0].id
    media = box.world.posted.find_media(media_id)
    if media is None or media.account_id != account.id:
        raise ControlError("There is no such media of this account.", 404)
    if media_id in box.world.comments_off:
        raise ControlError("Comments are turned off for this media.", 409)
    values: dict[str, Any] = {
        "comment_id": new_number_id("179"),
        "account_id": account.id,
        "media_id": media_id,
        "parent_id": (parent.parent_id or parent.id) if parent else None,
        "author_id": fan.scoped_id(account),
        "username": fan.username,
        "text": order.text,
        "created_ms": order.at or box.now_ms(),
    }
    sender = {"id": values["author_id"], "username": fan.username}
    value = comment_webhook(box.world, values, sender)
    webhooks = box.owed(account.id, "live_comments" if order.live else "comments", "changes", value)
    box.record("fan_commented", **values, webhooks=webhooks)
    return {key: values[key] for key in ("comment_id", "media_id", "parent_id", "account_id")} | {
        "igsid": values["author_id"],
        "webhook": bool(webhooks),
    }


def delete_comment(box: Sandbox, comment_id: str) -> dict[str, Any]:
    """A fan deletes a comment. Of a Page's, Meta tells; of Instagram's, it does not."""
    found = need_comment(box, comment_id)
    author = {"id": found.author_id, "name": found.username}
    told = change_of(box, found, "remove", author) if comment_of_page(box, comment_id) else {"webhooks": []}
    box.record("fan_deleted_comment", account_id=found.account_id, comment_id=comment_id, **told)
    return {"comment_id": comment_id, "webhook": bool(told["webhooks"])}


def edit_comment(box: Sandbox, comment_id: str, text: str) -> dict[str, Any]:
    """A fan edits a comment. As for a deletion."""
    found = need_comment(box, comment_id)
    told: dict[str, Any] = {"webhooks": []}
    if comment_of_page(box, comment_id):
        author = {"id": found.author_id, "name": found.username}
        told = change_of(box, found, "edited", author, message=text, edited_time=box.now_ms() // 1000)
    box.record("fan_edited_comment", account_id=found.account_id, comment_id=comment_id, text=text, **told)
    return {"comment_id": comment_id, "webhook": bool(told["webhooks"])}


def restrict(box: Sandbox, order: Restricted) -> dict[str, Any]:
    """The account restricts a fan: comments of theirs are in no list any more."""
    account, fan = need_account(order.account), need_fan(order.fan)
    author_id = fan.scoped_id(account)
    box.record("fan_restricted", account_id=account.id, author_id=author_id, active=order.active)
    return {"igsid": author_id, "active": order.active}


def mention(box: Sandbox, order: Mentioned) -> dict[str, Any]:
    """A fan names an account elsewhere."""
    return mentions.mention(box, need_fan(order.fan), need_account(order.account), order)


def unsend(box: Sandbox, order: OnMessage) -> dict[str, Any]:
    """A fan unsends a message of theirs."""
    message = need_message(box, order.mid, from_fan=True)
    content = {"message": {"mid": message.mid, "is_deleted": True}}
    return _on_message(box, "fan_unsent", "messages", message, order, content)


def edit(box: Sandbox, order: Edited) -> dict[str, Any]:
    """A fan edits a message of theirs."""
    message = need_message(box, order.mid, from_fan=True)
    num_edit = message.num_edit + 1
    content = {"message_edit": {"mid": message.mid, "text": order.text, "num_edit": num_edit}}
    return _on_message(box, "fan_edited", "message_edit", message, order, content, text=order.text, num_edit=num_edit)


def react(box: Sandbox, order: Reacted) -> dict[str, Any]:
    """A fan reacts to a message, or takes it back."""
    message = need_message(box, order.mid)
    name = EMOJI_NAMES.get(order.emoji, "other") if order.emoji else None
    reaction: dict[str, Any] = {"mid": message.mid, "action": "react" if order.emoji else "unreact"}
    if order.emoji:
        reaction |= {"reaction": name, "emoji": order.emoji}
    content, sender = {"reaction": reaction}, message.fan_id
    return _on_message(
        box, "fan_reacted", "message_reactions", message, order, content, reaction=name, sender_id=sender
    )


def read(box: Sandbox, order: OnMessage) -> dict[str, Any]:
    """A fan has seen a message of the account's."""
    message = need_message(box, order.mid, from_fan=False)
    return _on_message(box, "fan_read", "messaging_seen", message, order, {"read": {"mid": message.mid}})


def postback(box: Sandbox, order: Pressed) -> dict[str, Any]:
    """A fan presses a button; this opens the reply window like a message."""
    account, fan = need_account(order.account), need_fan(order.fan)
    mid, igsid, at = new_mid(), fan.scoped_id(account), order.at or box.now_ms()
    content = {"postback": {"mid": mid, "title": order.title, "payload": order.payload}}
    webhooks = box.owed(account.id, "messaging_postbacks", "messaging", messaging_item(igsid, account.id, at, content))
    box.record("fan_pressed", account_id=account.id, fan_id=igsid, sent_ms=at, mid=mid, webhooks=webhooks)
    return {"mid": mid, "account_id": account.id, "igsid": igsid, "timestamp": at, "webhook": bool(webhooks)}


def referral(box: Sandbox, order: Referred) -> dict[str, Any]:
    """A fan follows a link into a thread; this opens no window."""
    account, fan = need_account(order.account), need_fan(order.fan)
    igsid, at = fan.scoped_id(account), order.at or box.now_ms()
    content = {"referral": {"ref": order.ref, "source": order.source, "type": "OPEN_THREAD"}}
    webhooks = box.owed(account.id, "messaging_referral", "messaging", messaging_item(igsid, account.id, at, content))
    box.record("fan_referred", account_id=account.id, fan_id=igsid, webhooks=webhooks)
    return {"account_id": account.id, "igsid": igsid, "timestamp": at, "webhook": bool(webhooks)}


def need_account(name: str) -> Account:
    """The account of this name. Raises 404."""
    account = find_account(name)
    if account is None:
        raise ControlError(f"There is no account {name!r}.", 404)
    return account


def need_fan(name: str) -> Fan:
    """The fan of this name. Raises 404."""
    fan = find_fan(name)
    if fan is None:
        raise ControlError(f"There is no fan {name!r}.", 404)
    return fan


def need_comment(box: Sandbox, comment_id: str) -> Comment:
    """A comment that is there. Raises 404."""
    comment = box.world.comments.get(comment_id)
    if comment is None:
        raise ControlError("There is no such comment.", 404)
    return comment


def need_message(box: Sandbox, mid: str, *, from_fan: bool | None = None) -> Message:
    """A message that is still there, and was written by the side asked for. Raises 404 or 409."""
    message = box.world.messages.get(mid)
    if message is None or message.deleted:
        raise ControlError("There is no such message.", 404)
    if from_fan is not None and message.from_fan is not from_fan:
        raise ControlError("That message was written by the other side.", 409)
    return message


def _on_message(
    box: Sandbox, kind: str, field: str, message: Message, order: OnMessage, content: dict[str, Any], **details: Any
) -> dict[str, Any]:
    at = order.at or box.now_ms()
    item = messaging_item(message.fan_id, message.account_id, at, content)
    webhooks = box.owed(message.account_id, field, "messaging", item)
    box.record(kind, account_id=message.account_id, mid=message.mid, **details, webhooks=webhooks)
    return {"mid": message.mid, "timestamp": at, "webhook": bool(webhooks)}


def _attachments(order: Write) -> list[dict[str, Any]]:
    made = [a if "payload" in a else a | {"payload": {"url": _cdn_url()}} for a in order.attachments]
    if any(not isinstance(a.get("type"), str) for a in made):
        raise ControlError("Every attachment needs a type.")
    if order.story_mention:
        given = order.story_mention if isinstance(order.story_mention, dict) else {}
        made.append({"type": "story_mention", "payload": {"url": _cdn_url()} | given})
    return made


def _reply_to(box: Sandbox, order: Write) -> dict[str, Any] | None:
    if order.reply_to:
        if order.reply_to not in box.world.messages:
            raise ControlError("There is no message to reply to.", 404)
        return {"mid": order.reply_to}
    if order.story_reply:
        given = order.story_reply if isinstance(order.story_reply, dict) else {}
        return {"story": {"id": new_number_id("181"), "url": _cdn_url()} | given}
    return None


def _cdn_url() -> str:
    return f"{CDN}?asset_id={new_number_id('18')}&signature=AbX{new_number_id('0')}"
