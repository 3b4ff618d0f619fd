"""What a change of Meta's means: pure functions from its JSON to one `Incoming`.

Source of every form: meta-platform.md, sections 2.5 to 2.7. Messenger's items are Instagram's, with a few of their own.
What concerns comments is in `meta_comments.py`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from app.clock import from_ms
from app.db import Doc

CommentKind = Literal["comment", "comment_edited", "comment_removed", "comment_hidden", "comment_unhidden", "mention"]
Kind = Literal["message", "unsend", "edit", "reaction", "postback", "read", "referral", "handover", CommentKind]
OF_COMMENTS = frozenset(get_args(CommentKind))
HANDOVERS = ("pass_thread_control", "take_thread_control", "request_thread_control")
IGNORED = ("delivery", "policy-enforcement", "policy_enforcement")
"""What Messenger tells beside: nothing of it is shown."""


@dataclass(frozen=True)
class Incoming:
    """One change, understood."""

    kind: Kind
    at: datetime
    fan_id: str | None = None
    """Whom the conversation is with, or who commented; none where Meta does not say."""
    provider_id: str | None = None
    """The message's `mid`, or the comment's id."""
    outgoing: bool | None = None
    """Whether the account itself did it; none where Meta does not say."""
    content: Doc = field(default_factory=dict)

    @property
    def feature(self) -> str:
        """The connection's feature that it belongs to."""
        return "comments" if self.kind in OF_COMMENTS else "messages"


@dataclass(frozen=True)
class NotForUs:
    """A change that leads to nothing; parked when an engineer should look at it."""

    reason: str
    parked: bool


def understand(channel: str, item: Any, *, account_ids: set[str], at: datetime) -> Incoming | NotForUs:
    """What the change means to the account of these ids. Never raises, whatever Meta sends."""
    if not isinstance(item, dict):
        return NotForUs("no_value", parked=False)
    try:
        if channel in ("messaging", "standby", "messages"):
            found = _messaging(item, account_ids, at, standby=channel == "standby")
            return found if _has_its_place(found) else NotForUs("malformed", parked=True)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return NotForUs("malformed", parked=True)
    return NotForUs("unknown_field", parked=True)


def _has_its_place(found: Incoming | NotForUs) -> bool:
    """A message that is in nobody's conversation could never be shown."""
    return isinstance(found, NotForUs) or found.kind not in ("message", "postback") or bool(found.fan_id)


def _messaging(item: Doc, account_ids: set[str], at: datetime, *, standby: bool) -> Incoming | NotForUs:
    sender, recipient = _id(item.get("sender")), _id(item.get("recipient"))
    outgoing = sender in account_ids if sender else None
    fan_id = recipient if outgoing else sender
    who: Doc = {"at": at, "fan_id": fan_id, "outgoing": outgoing}
    if "message" in item:
        return _message(item["message"], who, sender=sender, recipient=recipient, standby=standby)
    if "reaction" in item:
        part = item["reaction"]
        off = part.get("action") == "unreact"
        content = {
            "emoji": None if off else _text(part.get("emoji")),
            "name": None if off else _text(part.get("reaction")),
        }
        return Incoming("reaction", provider_id=_need(part, "mid"), content=content, **who)
    if "postback" in item:
        return _postback(item["postback"], who)
    if "read" in item:
        return _seen(item["read"], who)
    if "message_edit" in item:
        return _edit(item["message_edit"], who)
    if "referral" in item:
        return Incoming("referral", content=_referral(item["referral"]) or {}, **who)
    for name in HANDOVERS:
        if name in item:
            owner = item[name].get("new_owner_app_id")
            return Incoming("handover", content={"action": name, "owner_app_id": _text(owner)}, **who)
    return NotForUs("unknown_kind", parked=not any(name in item for name in IGNORED))


def _message(part: Doc, who: Doc, *, sender: str | None, recipient: str | None, standby: bool) -> Incoming:
    mid = _need(part, "mid")
    if part.get("is_deleted"):
        return Incoming("unsend", provider_id=mid, **who)
    if part.get("is_echo"):
        who = who | {"outgoing": True, "fan_id": recipient}
    content: Doc = {
        "text": _text(part.get("text")),
        "attachments": _attachments(part.get("attachments") or []),
        "reply_to": _reply_to(part.get("reply_to")),
        "quick_reply": _text((part.get("quick_reply") or {}).get("payload")),
        "referral": _referral(part.get("referral")),
        "unsupported": bool(part.get("is_unsupported")),
        "standby": standby,
        "own": bool(part.get("is_self")),
        "app_id": _text(part.get("app_id")),
        "metadata": _text(part.get("metadata")),
    }
    return Incoming("message", provider_id=mid, content=_filled(content), **who)


def _postback(part: Doc, who: Doc) -> Incoming:
    content: Doc = {
        "text": _text(part.get("title")),
        "postback": _text(part.get("payload")),
        "referral": _referral(part.get("referral")),
    }
    return Incoming("postback", provider_id=_need(part, "mid"), content=_filled(content), **who)


def _seen(part: Doc, who: Doc) -> Incoming:
    """Instagram names the message; Messenger the time up to which everything has been seen."""
    if part.get("watermark") is not None:
        who = who | {"at": min(who["at"], from_ms(int(part["watermark"])))}
    return Incoming("read", provider_id=_text(part.get("mid")), **who)


def _edit(part: Doc, who: Doc) -> Incoming | NotForUs:
    """A new text. Meta also announces new messages as edits number 0 without one: the message itself follows."""
    text = _text(part.get("text"))
    if text is None:
        return NotForUs("edit_without_text", parked=False)
    return Incoming(
        "edit", provider_id=_need(part, "mid"), content={"text": text, "number": int(part.get("num_edit") or 0)}, **who
    )


def _attachments(items: list[Doc]) -> list[Doc]:
    """A sticker came as an image too, until 2026-08-30: it is one thing."""
    found = [_attachment(item) for item in items]
    stickers = {item["provider_id"] for item in found if item["type"] == "sticker" and "provider_id" in item}
    return [item for item in found if item["type"] != "image" or item.get("provider_id") not in stickers]


def _attachment(item: Doc) -> Doc:
    payload = item.get("payload") or {}
    ids = ("ig_post_media_id", "reel_video_id", "sticker_id")
    found = {
        "type": _text(item.get("type")) or "unknown",
        "url": _text(payload.get("url") or item.get("url")),
        "title": _text(payload.get("title") or item.get("title")),
        "provider_id": _text(next((payload[name] for name in ids if payload.get(name)), None)),
    }
    return _filled(found)


def _reply_to(part: Doc | None) -> Doc | None:
    if not part:
        return None
    story = part.get("story")
    if not story:
        return {"provider_id": _need(part, "mid")}
    found = {"provider_id": story.get("id"), "url": story.get("url"), "link": story.get("link_sticker_url")}
    return {"story": _filled({name: _text(value) for name, value in found.items()})}


def _referral(part: Doc | None) -> Doc | None:
    if not part:
        return None
    return _filled({name: _text(part.get(name)) for name in ("ref", "ad_id", "source", "type")})


def _filled(content: Doc) -> Doc:
    return {name: value for name, value in content.items() if value not in (None, [], False)}


def _id(person: Any) -> str | None:
    return _text(person.get("id")) if isinstance(person, dict) else None


def _need(part: Doc, name: str) -> str:
    value = _text(part[name])
    if not value:
        raise ValueError(name)
    return value


def _text(value: Any) -> str | None:
    """Text as it may be stored; Meta sends some ids as numbers."""
    return None if value is None else str(value)
