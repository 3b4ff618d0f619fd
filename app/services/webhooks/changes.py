"""From a webhook's body to its changes, each with a key by which a repeat is recognised, however it is batched.

Only what intake needs is read here; what a change means is the drain's business (`inbox/meta.py`).
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.clock import from_ms
from app.models.data_map import CONTENT_LIFE

LATEST_MS = 4_102_444_800_000  # 2100
SECONDS_BELOW = 100_000_000_000


class NotAWebhook(Exception):
    """The body is not JSON, or not of a webhook's form."""


@dataclass(frozen=True)
class Change:
    """One thing that happened at Meta."""

    key: str
    object: str
    account_id: str
    channel: str
    """`messaging`, `standby`, or the field of a `changes` item."""
    raw: bytes
    """The change itself, as JSON."""
    at: datetime
    """Meta's time of it; never later than when it came."""

    @property
    def expires_at(self) -> datetime:
        """When its content must be gone."""
        return self.at + CONTENT_LIFE


def changes_of(body: bytes, *, dedupe_key: bytes, now: datetime) -> list[Change]:
    """Every change in a body that is not older than we may keep it, whatever else is in it. Raises `NotAWebhook`."""
    try:
        found = list(_changes(body, dedupe_key=dedupe_key, now=now))
    except RecursionError as exc:
        raise NotAWebhook from exc
    return [change for change in found if change.expires_at > now]


def _changes(body: bytes, *, dedupe_key: bytes, now: datetime) -> Iterator[Change]:
    envelope = _parse(body)
    entries = envelope.get("entry") if isinstance(envelope, dict) else None
    if not isinstance(entries, list):
        raise NotAWebhook
    name = str(envelope.get("object", ""))[:64]
    for entry in entries:
        if isinstance(entry, dict):
            for channel, item in _items(entry):
                yield _change(name, entry, channel, item, dedupe_key=dedupe_key, now=now)


def parse_raw(raw: bytes) -> Any:
    """A stored change. Raises `NotAWebhook`."""
    return _parse(raw)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:  # orjson refuses lone surrogates; a cut emoji in one change must not cost the others of its batch
        return orjson.loads(json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        raise NotAWebhook from exc


def _items(entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for channel in ("messaging", "standby"):
        items = entry.get(channel)
        if isinstance(items, list):
            yield from ((channel, item) for item in items)
    changes = entry.get("changes")
    flat = [entry] if "field" in entry else []
    for change in [*(changes if isinstance(changes, list) else []), *flat]:
        if isinstance(change, dict):
            yield str(change.get("field", ""))[:64], change.get("value")


def _change(name: str, entry: dict[str, Any], channel: str, item: Any, *, dedupe_key: bytes, now: datetime) -> Change:
    account_id = str(entry.get("id", ""))[:64]
    at = _time_of(entry, item, now)
    identity = [name, account_id, *_identity(channel, item, entry.get("time"))]
    return Change(_key(identity, dedupe_key), name, account_id, channel, _canonical(item), at)


def message_key(account_id: str, mid: str, *, network: str, key: bytes, unsent: bool = False) -> str:
    """The key that the webhook of this message, or of its unsend, has."""
    name = "page" if network == "facebook" else "instagram"
    return _key([name, account_id, "deleted" if unsent else "message", mid], key)


def _key(identity: list[Any], dedupe_key: bytes) -> str:
    return hmac.new(dedupe_key, _canonical(identity), hashlib.sha256).hexdigest()[:40]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _identity(channel: str, item: Any, entry_time: Any) -> list[Any]:
    """What makes a change this one and no other (meta-platform.md, section 2.4)."""
    if not isinstance(item, dict):
        return ["other", channel, entry_time, item]
    if channel in ("messaging", "standby"):
        return _messaging_identity(item)
    comment_id = item.get("id") or item.get("comment_id")
    if channel in ("comments", "live_comments") and comment_id:
        return ["comment", str(comment_id)]
    if channel == "feed" and comment_id and item.get("item") == "comment":
        times = [str(item.get(name)) for name in ("created_time", "edited_time")]
        return ["feed", str(comment_id), str(item.get("verb")), *times]
    if channel == "mentions" and item.get("media_id"):
        return ["mention", str(item["media_id"]), str(comment_id)]
    return ["other", channel, entry_time, item]


def _messaging_identity(item: dict[str, Any]) -> list[Any]:
    sender, at = _id_of(item.get("sender")), item.get("timestamp")
    for kind in ("message", "reaction", "postback", "read", "message_edit"):
        part = item.get(kind)
        if not isinstance(part, dict):
            continue
        mid = str(part.get("mid", ""))
        if kind == "message" and mid:
            return ["deleted" if part.get("is_deleted") else "message", mid]
        if kind == "reaction" and mid:
            return ["reaction", mid, sender, part.get("action"), at]
        if kind == "postback" and mid:
            return ["postback", mid]
        if kind == "read":
            return ["read", sender, mid or part.get("watermark")]
        if kind == "message_edit" and mid:
            return ["edit", mid, str(part.get("num_edit"))]
    return ["other", "messaging", item]


def _id_of(person: Any) -> str:
    return str(person.get("id", "")) if isinstance(person, dict) else ""


def _time_of(entry: dict[str, Any], item: Any, now: datetime) -> datetime:
    """Meta's time of the event, else of the delivery, else ours; milliseconds or seconds, told apart by size."""
    told = [item.get(name) for name in ("timestamp", "created_time")] if isinstance(item, dict) else []
    for value in (*told, entry.get("time")):
        try:
            number = int(str(value))  # the dashboard's test button sends text
        except ValueError:
            continue
        ms = number * 1000 if 0 < number < SECONDS_BELOW else number
        if 0 < ms < LATEST_MS:
            return min(from_ms(ms), now)
    return now
