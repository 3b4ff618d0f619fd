"""A message as the Conversations API shows it, in the words of Meta's webhooks (meta-platform.md, section 3.6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

LISTED = (("image_data", "image"), ("video_data", "video"))


@dataclass(frozen=True)
class RemoteMessage:
    """A message read back. Times are whole seconds; an address of Meta's expires."""

    mid: str
    from_id: str
    to_ids: tuple[str, ...]
    text: str | None
    attachments: tuple[dict[str, str], ...]
    """`{type, url?}`."""
    reactions: tuple[tuple[str, str], ...]
    """Who reacted, and how."""
    reply_to: dict[str, Any] | None
    """As in a webhook: `{mid}` or `{story}`."""
    unsupported: bool
    created_at: datetime

    @property
    def types(self) -> tuple[str, ...]:
        """What is attached."""
        return tuple(one["type"] for one in self.attachments)


def read_message(item: dict[str, Any]) -> RemoteMessage:
    """The message that Meta shows so. Raises `KeyError` or `ValueError` for what is none."""
    story = item.get("story") or {}
    return RemoteMessage(
        mid=str(item["id"]),
        from_id=str(item["from"]["id"]),
        to_ids=tuple(str(one["id"]) for one in _rows(item.get("to")) if one.get("id")),
        text=item.get("message") or None,
        attachments=tuple(_attachments(item, story)),
        reactions=tuple(
            (str(user["id"]), str(row["reaction"]))
            for row in _rows(item.get("reactions"))
            for user in row.get("users") or []
            if row.get("reaction") and user.get("id")
        ),
        reply_to=_reply_to(item.get("reply_to"), story),
        unsupported=bool(item.get("is_unsupported")),
        created_at=datetime.strptime(item["created_time"], "%Y-%m-%dT%H:%M:%S%z"),
    )


def _attachments(item: dict[str, Any], story: dict[str, Any]) -> list[dict[str, str]]:
    found = []
    for row in _rows(item.get("attachments")):
        kind, url = next(
            ((kind, (row[name] or {}).get("url")) for name, kind in LISTED if name in row),
            ("file", row.get("file_url")),
        )
        if kind == "file" and str(row.get("mime_type", "")).startswith("audio/"):
            kind = "audio"
        found.append({"type": kind} | ({"url": str(url)} if url else {}))
    for row in _rows(item.get("shares")):
        found.append({"type": "share"} | ({"url": str(row["link"])} if row.get("link") else {}))
    if mention := story.get("mention"):
        found.append({"type": "story_mention"} | ({"url": str(mention["link"])} if mention.get("link") else {}))
    if item.get("sticker"):
        found.append({"type": "sticker", "url": str(item["sticker"])})
    return found


def _reply_to(part: dict[str, Any] | None, story: dict[str, Any]) -> dict[str, Any] | None:
    answered = story.get("reply_to")
    if answered:
        return {"story": {"id": answered.get("id"), "url": answered.get("link")}}
    mid = (part or {}).get("mid") or (part or {}).get("id")
    return {"mid": str(mid)} if mid else None


def _rows(part: Any) -> list[dict[str, Any]]:
    rows = part.get("data") if isinstance(part, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
