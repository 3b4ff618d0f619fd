"""Sending: `POST /{me|ig-id}/messages`, and what Meta refuses. Source: meta-platform.md, section 3."""

import json
from typing import Any

from sandbox.apply import find_thread
from sandbox.box import new_mid, new_number_id
from sandbox.call import COMMENTS, FACEBOOK_GRAPH, MESSAGES, Call
from sandbox.errors import GraphError, bad_parameter, no_permission
from sandbox.facebook_seed import PAGE_BY_ID, fan_of_page
from sandbox.seed import fan_of_scoped_id
from sandbox.state import Comment, Thread

DAY_MS = 86_400_000
TEXT_BYTES = 1000
MESSENGER_CHARACTERS = 2000
QUICK_REPLY_CHARACTERS = 20
MESSAGING_TYPES = ("RESPONSE", "UPDATE", "MESSAGE_TAG", "UTILITY")
ON_INSTAGRAM_ONLY = frozenset(("MEDIA_SHARE", "like_heart"))
NO_PART_OF_AN_ACTION = frozenset(("access_token", "appsecret_proof", "appsecret_time"))
ATTACHMENTS = frozenset(("image", "video", "audio", "file", "MEDIA_SHARE", "like_heart", "template"))
PLAIN_ACTIONS = frozenset(("typing_on", "typing_off", "mark_seen"))
PARTS = frozenset(("text", "attachment", "attachments", "quick_replies", "metadata"))


def send(call: Call, node: str) -> dict[str, Any]:
    """Do what a Send API body says: a message, a private reply, a reaction or a sender action."""
    call.own(node)
    recipient = _document(call, "recipient")
    if "comment_id" in recipient:
        return _private_reply(call, str(recipient["comment_id"]))
    call.need(MESSAGES)
    fan_id = str(recipient.get("id", ""))
    if not fan_id:
        raise bad_parameter("param recipient must be non-empty.")
    need_recipient(call, fan_id)
    if call.params.get("sender_action"):
        return _sender_action(call, fan_id)
    message = checked_message(call)
    check_window(call, fan_id)
    return _record_message(call, fan_id, message)


def is_messenger(call: Call) -> bool:
    """Whether it is the Page's own Messenger, and not an Instagram account."""
    return call.account.id in PAGE_BY_ID


def need_recipient(call: Call, fan_id: str) -> Thread:
    """The thread with this fan. Raises unless they are known and can be reached, and no other app has the thread."""
    known = fan_of_page(fan_id) if is_messenger(call) else fan_of_scoped_id(fan_id)
    if known is None or known[1].id != call.account.id:
        raise GraphError(100, "(#100) No matching user found", 2018001)
    world = call.box.world
    thread = find_thread(world, call.account.id, fan_id)
    if thread is None:
        raise GraphError(100, "(#100) The requested user cannot be found.", 2534014)
    if world.options.sending_barred:
        raise GraphError(10, "(#10) This Page is temporarily restricted from sending messages.", 1893063)
    if thread.blocked:
        raise GraphError(551, "(#551) This person isn't available right now.", 1545041)
    if thread.elsewhere:
        raise GraphError(100, "(#100) Another app is controlling this thread now.", 2534037)
    return thread


def check_window(call: Call, fan_id: str) -> None:
    """Raise 10/2534022 outside the window: 24 hours after the fan's last message, 7 days for a human agent."""
    window_ms = DAY_MS
    tag = call.params.get("tag")
    if call.params.get("messaging_type", "RESPONSE") not in MESSAGING_TYPES:
        raise bad_parameter(f"Param messaging_type must be one of {{{', '.join(MESSAGING_TYPES)}}}")
    if tag is not None or call.params.get("messaging_type") == "MESSAGE_TAG":
        if tag != "HUMAN_AGENT":
            raise bad_parameter("Param tag must be one of {HUMAN_AGENT}")
        if not call.box.world.options.human_agent:
            raise no_permission()
        window_ms = 7 * DAY_MS
    thread = find_thread(call.box.world, call.account.id, fan_id)
    last_ms = thread.last_inbound_ms if thread else None
    if last_ms is None or call.box.now_ms() - last_ms > window_ms:
        subcode = 2018278 if is_messenger(call) else 2534022
        raise GraphError(10, "(#10) This message is sent outside of allowed window.", subcode)


def checked_message(call: Call) -> dict[str, Any]:
    """The `message` of the body. Raises code 100 for one Meta would not take."""
    message = _document(call, "message")
    if not set(message) <= PARTS:
        raise bad_parameter(f"Invalid keys in param message: {', '.join(sorted(set(message) - PARTS))}")
    text, attachments = message.get("text"), attachments_of(message)
    if text is None and not attachments:
        raise bad_parameter("Message cannot be empty, must provide valid attachment or text")
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise bad_parameter("Param message[text] must be a non-empty string")
    length, most = (len(text or ""), MESSENGER_CHARACTERS) if is_messenger(call) else (_bytes(text), TEXT_BYTES)
    if length > most:
        raise bad_parameter(f"Length of param message[text] must be less than or equal to {most}")
    _check_quick_replies(message.get("quick_replies", []))
    for attachment in attachments:
        _check_attachment(call, attachment, alone=len(attachments) == 1)
    return message


def _bytes(text: Any) -> int:
    return len(text.encode()) if isinstance(text, str) else 0


def _check_quick_replies(found: Any) -> None:
    if not isinstance(found, list) or len(found) > 13:
        raise bad_parameter("Param message[quick_replies] must be a list of at most 13")
    for one in found:
        title = one.get("title") if isinstance(one, dict) else None
        if not isinstance(title, str) or not 0 < len(title) <= QUICK_REPLY_CHARACTERS or not one.get("payload"):
            raise bad_parameter("Each quick reply must have a title of at most 20 characters, and a payload")


def attachments_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The attachments of a message, which the documentation spells in three ways."""
    found = message.get("attachments", message.get("attachment", []))
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list) or len(found) > 10 or not all(isinstance(one, dict) for one in found):
        raise bad_parameter("Param message[attachments] must be 1 to 10 attachments")
    return found


def _check_attachment(call: Call, attachment: dict[str, Any], *, alone: bool) -> None:
    kind, payload = attachment.get("type"), attachment.get("payload") or {}
    if not isinstance(kind, str) or kind not in ATTACHMENTS:
        raise bad_parameter(f"Param message[attachment][type] must be one of {{{', '.join(sorted(ATTACHMENTS))}}}")
    if not alone and kind != "image":
        raise bad_parameter("Only images can be sent several at once")
    if not isinstance(payload, dict):
        raise bad_parameter("Param message[attachment][payload] must be an object")
    if kind in ON_INSTAGRAM_ONLY and is_messenger(call):
        raise bad_parameter("This attachment is not supported on Messenger")
    if kind == "MEDIA_SHARE":
        media = call.box.world.posted.find_media(str(payload.get("id", "")))
        if media is None or media.account_id != call.account.id:
            raise bad_parameter("The shared media must be owned by the account")
    elif kind in ("image", "video", "audio", "file"):
        url = str(payload.get("url", ""))
        if not payload.get("attachment_id") and not url.startswith(("https://", "http://")):
            raise GraphError(100, "(#100) Upload attachment failure.", 2018047)


def _private_reply(call: Call, comment_id: str) -> dict[str, Any]:
    call.need(COMMENTS)
    comment = call.box.world.comments.get(comment_id)
    if comment is None or comment.account_id != call.account.id or comment.author_id == call.account.id:
        raise GraphError(100, "(#100) The comment is invalid for a private reply", 2534025)
    if comment.answered_privately:
        raise GraphError(100, "(#100) A private reply was already sent to this comment", 2534025)
    if call.box.now_ms() - comment.created_ms > 7 * DAY_MS:
        raise GraphError(100, "(#100) The comment is too old for a private reply", 2534025)
    return _record_message(call, comment.author_id, checked_message(call), comment=comment)


def _record_message(
    call: Call, fan_id: str, message: dict[str, Any], *, comment: Comment | None = None
) -> dict[str, Any]:
    box, account, now = call.box, call.account, call.box.now_ms()
    mid = new_mid("m_") if is_messenger(call) else new_mid()
    reply_to = _reply_to(call, fan_id)
    content: dict[str, Any] = {"mid": mid}
    if message.get("text") is not None:
        content["text"] = message["text"]
    attachments = attachments_of(message)
    if attachments:
        content["attachments"] = [_as_echoed(one) for one in attachments]
    if reply_to:
        content["reply_to"] = reply_to
    field = "message_echoes" if is_messenger(call) else "messages"
    if is_messenger(call):  # whose message it was, and what they wrote beside it
        content["app_id"] = int(box.settings.meta_app_id)
        content |= {"metadata": message["metadata"]} if message.get("metadata") else {}
    echo = messaging_item(account.id, fan_id, now, {"message": content | {"is_echo": True}})
    box.record(
        "message_sent",
        message_id=mid,
        account_id=account.id,
        recipient_id=fan_id,
        text=message.get("text"),
        attachments=attachments,
        reply_to=reply_to,
        comment_id=comment.id if comment else None,
        sent_ms=now,
        body=_without_token(call),
        webhooks=box.owed(account.id, field, "messaging", echo),
    )
    return {"recipient_id": fan_id, "message_id": mid}


def _as_echoed(attachment: dict[str, Any]) -> dict[str, Any]:
    """What Meta makes of an attachment: its own copy, at its own address."""
    kind, payload = attachment["type"], attachment.get("payload") or {}
    url = f"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id={new_number_id('18')}&signature=AbZ"
    if kind == "MEDIA_SHARE":
        return {"type": "ig_post", "payload": {"ig_post_media_id": str(payload["id"]), "url": url}}
    return attachment if kind == "template" else {"type": kind, "payload": {"url": url}}


def _reply_to(call: Call, fan_id: str) -> dict[str, Any] | None:
    if "reply_to" not in call.params:
        return None
    mid = str(_document(call, "reply_to").get("mid", ""))
    original = call.box.world.messages.get(mid)
    if original is None or (original.account_id, original.fan_id) != (call.account.id, fan_id):
        raise bad_parameter("Param reply_to[mid] is not a message of this conversation")
    return {"mid": mid}


def _sender_action(call: Call, fan_id: str) -> dict[str, Any]:
    action = str(call.params["sender_action"])
    if action in ("react", "unreact"):
        return _react(call, fan_id, action)
    if action not in PLAIN_ACTIONS:
        raise bad_parameter("Param sender_action must be one of {typing_on, typing_off, mark_seen, react, unreact}")
    if set(call.params) - NO_PART_OF_AN_ACTION - {"recipient", "sender_action"}:
        raise bad_parameter("A sender_action must be sent with the recipient and nothing else")
    check_window(call, fan_id)
    call.box.record("sender_action", account_id=call.account.id, recipient_id=fan_id, action=action)
    return {"recipient_id": fan_id}


def _react(call: Call, fan_id: str, action: str) -> dict[str, Any]:
    payload = _document(call, "payload")
    mid, reaction = str(payload.get("message_id", "")), payload.get("reaction")
    message = call.box.world.messages.get(mid)
    if message is None or message.deleted or (message.account_id, message.fan_id) != (call.account.id, fan_id):
        raise bad_parameter("Param payload[message_id] is not a message of this conversation")
    if action == "react" and not (isinstance(reaction, str) and reaction):
        raise bad_parameter("Param payload[reaction] must be given")
    if action == "react" and call.token.host == FACEBOOK_GRAPH and reaction != "love":
        raise bad_parameter("Param payload[reaction] must be one of {love}")
    check_window(call, fan_id)
    call.box.record(
        "reaction_sent",
        account_id=call.account.id,
        recipient_id=fan_id,
        sender_id=call.account.id,
        mid=mid,
        reaction=reaction if action == "react" else None,
    )
    return {"recipient_id": fan_id}


def messaging_item(sender: str, recipient: str, at_ms: int, content: dict[str, Any]) -> dict[str, Any]:
    """One item of `entry[].messaging[]`."""
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": at_ms} | content


def _document(call: Call, name: str) -> dict[str, Any]:
    value = call.params.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise bad_parameter(f"The parameter {name} is required")
    return value


def _without_token(call: Call) -> dict[str, Any]:
    return {key: value for key, value in call.params.items() if key != "access_token"}
