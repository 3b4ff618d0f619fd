"""Reading messages back: conversations, messages, and a fan's profile. Source: sections 3.6 and 3.7."""

from typing import Any

from sandbox.apply import find_thread
from sandbox.call import MESSAGES, Call
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.facebook_seed import fan_of_page
from sandbox.fields import Field, page, page_limit, parse_fields, project, time_text
from sandbox.messages import is_messenger
from sandbox.seed import fan_of_scoped_id
from sandbox.state import Message, Thread

NEWEST = 20
"""Only this many messages of a thread have details."""


def list_conversations(call: Call, node: str) -> dict[str, Any]:
    """The account's threads, the last written first; `user_id` finds one."""
    call.own(node)
    call.need(MESSAGES)
    platform = "messenger" if is_messenger(call) else "instagram"
    if call.params.get("platform", platform) != platform:
        raise bad_parameter(f"Param platform must be one of {{{platform}}}")
    threads = [t for t in call.box.world.threads.values() if t.account_id == call.account.id and t.updated_ms]
    if call.params.get("user_id"):
        threads = [t for t in threads if t.fan_id == str(call.params["user_id"])]
    if call.params.get("updated_after_ms"):
        threads = [t for t in threads if t.updated_ms > int(call.text("updated_after_ms"))]
    threads.sort(key=lambda t: (-t.updated_ms, t.id))
    shown, paging = page([t.id for t in threads], call.paging_params(), call.url, 100)
    wanted = parse_fields(call.text("fields") or "id,updated_time")
    data = [project(thread_node(call, call.box.world.threads[key]), wanted, "Conversation") for key in shown]
    return {"data": data} | ({"paging": paging} if paging else {})


def show_conversation(call: Call, thread: Thread) -> dict[str, Any]:
    """One thread, with the asked-for fields."""
    call.need(MESSAGES)
    return project(thread_node(call, thread), parse_fields(call.text("fields")), "Conversation")


def list_messages(call: Call, node: str) -> dict[str, Any]:
    """The messages edge of a thread, for following its pages."""
    call.need(MESSAGES)
    thread = call.box.world.threads.get(node)
    if thread is None or thread.account_id != call.account.id:
        raise unsupported("GET", node)
    return _messages_page(
        call, thread, Field("messages", None, parse_fields(call.text("fields"))), call.paging_params()
    )


def thread_node(call: Call, thread: Thread) -> dict[str, Any]:
    """What a conversation can show."""
    participants = [_person(call, call.account.id), _person(call, thread.fan_id)]
    if is_messenger(call):
        participants.reverse()
    return {
        "id": thread.id,
        "updated_time": time_text(thread.updated_ms),
        "participants": {"data": participants},
        "messages": lambda field: _messages_page(call, thread, field, {"access_token": call.token.value}),
    }


def show_message(call: Call, message: Message) -> dict[str, Any]:
    """One message. Raises for one that is unsent, or not among the newest of its thread."""
    call.need(MESSAGES)
    thread = find_thread(call.box.world, message.account_id, message.fan_id)
    if message.deleted or thread is None or message.mid not in _live_mids(call, thread)[:NEWEST]:
        raise GraphError(100, "(#100) The requested message was deleted or is no longer available", 9000001)
    return project(message_node(call, message), parse_fields(call.text("fields") or "id,created_time"), "Message")


def message_node(call: Call, message: Message) -> dict[str, Any]:
    """What a message can show."""
    ends = [message.fan_id, message.account_id]
    sender, receiver = ends if message.from_fan else reversed(ends)
    reactions = [
        {"reaction": reaction, "users": [_person(call, sender_id)]} for sender_id, reaction in message.reactions.items()
    ]
    media = [a for a in message.attachments if a["type"] in ("image", "video", "audio", "file")]
    other = [a for a in message.attachments if a["type"] in ("ig_post", "ig_reel", "share", "MEDIA_SHARE")]
    reply_to = message.reply_to or {}
    return {
        "id": message.mid,
        "created_time": time_text(message.sent_ms),
        "from": _person(call, sender),
        "to": {"data": [_person(call, receiver)]},
        "message": message.text or "",
        "attachments": {"data": [_attachment(n, a) for n, a in enumerate(media, 1)]} if media else None,
        "shares": {"data": [{"link": a.get("payload", {}).get("url", "")} for a in other]} if other else None,
        "reactions": {"data": reactions} if reactions else None,
        "story": _story(message),
        "reply_to": {"mid": reply_to["mid"]} if "mid" in reply_to else None,
        "is_unsupported": message.unsupported or None,
    }


def show_fan(call: Call, igsid: str) -> dict[str, Any]:
    """A fan's profile. Raises code 230 until they have written."""
    call.need(MESSAGES)
    known = fan_of_scoped_id(igsid)
    if known is None or known[1] != call.account:
        raise unsupported("GET", igsid)
    thread = find_thread(call.box.world, call.account.id, igsid)
    if thread is None or thread.last_inbound_ms is None:
        raise GraphError(230, "(#230) User consent is required to access user profile")
    fan = known[0]
    profile = {
        "id": igsid,
        "name": fan.name,
        "username": fan.username,
        "profile_pic": f"https://scontent.cdninstagram.com/v/{fan.handle}.jpg?oe=sandbox",
        "follower_count": 100 + 7 * fan.number,
        "is_verified_user": False,
        "is_user_follow_business": fan.number % 2 == 1,
        "is_business_follow_user": False,
    }
    return project(profile, parse_fields(call.text("fields") or "name,username"), "IGBusinessScopedID")


def _messages_page(call: Call, thread: Thread, field: Field, params: dict[str, Any]) -> dict[str, Any]:
    mids = _live_mids(call, thread)
    newest = set(mids[:NEWEST])
    if field.limit is not None:
        params = params | {"limit": page_limit(field.limit, 100)}
    wanted = field.inner or (Field("id"), Field("created_time"))
    params = params | {"fields": ",".join(f.name for f in wanted)}
    shown, paging = page(mids, params, f"{call.base}/{thread.id}/messages", 100)
    data = []
    for mid in shown:
        node = message_node(call, call.box.world.messages[mid])
        kept = wanted if mid in newest else [f for f in wanted if f.name in ("id", "created_time")]
        data.append(project(node, kept, "Message"))
    return {"data": data} | ({"paging": paging} if paging else {})


def _live_mids(call: Call, thread: Thread) -> list[str]:
    messages = call.box.world.messages
    return sorted((mid for mid in thread.mids if not messages[mid].deleted), key=lambda mid: -messages[mid].sent_ms)


def _person(call: Call, person_id: str) -> dict[str, str]:
    if is_messenger(call):
        fan = fan_of_page(person_id)
        return {"id": person_id, "name": fan[0].name if fan else call.account.name}
    if person_id == call.account.id:
        return {"id": person_id, "username": call.account.username}
    known = fan_of_scoped_id(person_id)
    return {"id": person_id, "username": known[0].username if known else "unknown"}


def _attachment(number: int, attachment: dict[str, Any]) -> dict[str, Any]:
    url = (attachment.get("payload") or {}).get("url", "")
    key = {"image": "image_data", "video": "video_data"}.get(attachment["type"], "file_url")
    return {"id": str(number), key: url if key == "file_url" else {"url": url}}


def _story(message: Message) -> dict[str, Any] | None:
    story = (message.reply_to or {}).get("story")
    if story:
        return {"reply_to": {"id": story["id"], "link": story["url"]}}
    mention = next((a for a in message.attachments if a["type"] == "story_mention"), None)
    return {"mention": {"link": mention["payload"]["url"]}} if mention else None
