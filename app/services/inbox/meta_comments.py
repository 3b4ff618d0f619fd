"""What a change of Meta's about comments means: Instagram's comments and mentions, and those of Pages.

A comment of Instagram's comes without a time, so that Meta's time of the delivery stands for it until it is read back;
a Page's says in `created_time`, in seconds, when it was written. Source: meta-platform.md, sections 2.6 and 2.7.
"""

from datetime import datetime
from typing import Any, Literal, get_args

from app.clock import from_ms, to_ms
from app.db import Doc
from app.services.inbox.meta import CommentKind, Incoming, NotForUs

Channel = Literal["comments", "live_comments", "mentions", "feed", "mention"]
CHANNELS: frozenset[str] = frozenset(get_args(Channel))
VERBS: dict[str, CommentKind] = {
    "add": "comment",
    "edited": "comment_edited",
    "edit": "comment_edited",
    "remove": "comment_removed",
    "delete": "comment_removed",
    "hide": "comment_hidden",
    "unhide": "comment_unhidden",
}
"""What happened to a Page's comment. `edit` and `delete` are in Meta's list of verbs, and rarely seen."""


def understand(channel: str, item: Any, *, account_ids: set[str], at: datetime) -> Incoming | NotForUs:
    """What the change means to the account of these ids. Never raises, whatever Meta sends."""
    if not isinstance(item, dict):
        return NotForUs("no_value", parked=False)
    try:
        if channel == "feed":
            return _feed(item, account_ids, at)
        if channel == "mention":
            return _page_mention(item, account_ids, at)
        if channel == "mentions":
            return _mention(item, at)
        return _comment(item, account_ids, at, live=channel == "live_comments")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError):
        return NotForUs("malformed", parked=True)


def _comment(item: Doc, account_ids: set[str], at: datetime, *, live: bool) -> Incoming:
    author, media = item.get("from") or {}, item.get("media") or {}
    author_id = _text(author.get("id"))
    content = {
        "text": _text(item.get("text")),
        "rank": to_ms(at),
        "parent_provider_id": _text(item.get("parent_id")),
        "username": _text(author.get("username")),
        "media": {
            "provider_id": _text(media.get("id")),
            "product_type": _text(media.get("media_product_type")),
            "ad_id": _text(media.get("ad_id")),
            "original_media_id": _text(media.get("original_media_id")),
        },
        "live": live,
    }
    comment_id = _text(item.get("id")) or _need(item, "comment_id")
    return Incoming("comment", at, author_id, comment_id, outgoing=author_id in account_ids, content=content)


def _mention(item: Doc, at: datetime) -> Incoming:
    """Ids only: of the comment that names us, or of the media whose caption does. The words are read afterwards."""
    media_id = _need(item, "media_id")
    content: Doc = {"text": None, "rank": 0, "parent_provider_id": None, "username": None, "live": False}
    content["media"] = _media(media_id)
    return Incoming("mention", at, None, _text(item.get("comment_id")) or media_id, outgoing=False, content=content)


def _feed(item: Doc, account_ids: set[str], at: datetime) -> Incoming | NotForUs:
    """A Page's own news, of which only comments concern us: posts, reactions and shares come the same way."""
    kind = VERBS.get(str(item.get("verb")))
    if item.get("item") != "comment":
        return NotForUs("not_a_comment", parked=False)
    if kind is None:
        return NotForUs("unknown_verb", parked=True)
    comment_id, at = _need(item, "comment_id"), _time_of(item, at)
    if kind in ("comment_removed", "comment_hidden", "comment_unhidden"):  # `from` may be the Page, who did it
        return Incoming(kind, at, provider_id=comment_id, content={"rank": to_ms(at)})
    return _of_page(kind, item, comment_id, account_ids, at)


def _page_mention(item: Doc, account_ids: set[str], at: datetime) -> Incoming | NotForUs:
    if item.get("verb") not in ("add", "edited", "edit"):
        return NotForUs("not_a_mention", parked=False)
    mentioned = _text(item.get("comment_id")) or _need(item, "post_id")
    return _of_page("mention", item, mentioned, account_ids, _time_of(item, at))


def _of_page(kind: CommentKind, item: Doc, comment_id: str, account_ids: set[str], at: datetime) -> Incoming:
    author = item.get("from") or {}
    author_id = _text(author.get("id")) or _text(item.get("sender_id"))
    parent_id, post_id = _text(item.get("parent_id")), _text(item.get("post_id"))
    edited_s = item.get("edited_time")
    content = {
        "text": _text(item.get("message")),
        "rank": int(edited_s) * 1000 if edited_s else to_ms(at) + (kind == "comment_edited"),
        "parent_provider_id": None if parent_id == post_id else parent_id,
        "username": _text(author.get("name")) or _text(item.get("sender_name")),
        "media": _media(post_id),
        "live": False,
    }
    return Incoming(kind, at, author_id, comment_id, outgoing=author_id in account_ids, content=content)


def _media(provider_id: str | None) -> Doc:
    return {"provider_id": provider_id} | dict.fromkeys(("product_type", "ad_id", "original_media_id"))


def _time_of(item: Doc, at: datetime) -> datetime:
    """When it happened, in Meta's time, never later than it was told."""
    created_s = item.get("created_time")
    return min(at, from_ms(int(created_s) * 1000)) if created_s else at


def _need(part: Doc, name: str) -> str:
    value = _text(part[name])
    if not value:
        raise ValueError(name)
    return value


def _text(value: Any) -> str | None:
    """Text as it may be stored; Meta sends some ids as numbers."""
    return None if value is None else str(value)
