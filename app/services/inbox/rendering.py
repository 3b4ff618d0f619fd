"""What comes of a saved reply for a conversation: its variables filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc
from app.models.saved_replies import PLACE, RenderedReply
from app.services.audit import By
from app.services.connections import store
from app.services.inbox import saved_replies
from app.services.inbox.conversations import need_conversation
from app.services.inbox.outgoing import INSTAGRAM_BYTES


@dataclass(frozen=True)
class Rendered:
    """A text with its variables filled in."""

    text: str
    missing: list[str]
    """Variables without a value and without a fallback."""


async def render_for(
    db: Database, label_id: str, reply_id: str, conversation_id: str, *, by: By, now: datetime
) -> RenderedReply:
    """The saved reply as this caller would send it there. Raises `NotFound`."""
    reply = await saved_replies.need(db, label_id, reply_id)
    conversation = await need_conversation(db, label_id, conversation_id, now=now)
    rendered = render(reply["text"], await values_for(db, conversation, by=by))
    size = len(rendered.text.encode())
    fits = 0 < size <= INSTAGRAM_BYTES
    return RenderedReply.model_validate(
        {
            "text": rendered.text,
            "size_bytes": size,
            "limit_bytes": INSTAGRAM_BYTES,
            "fits": fits,
            "missing": rendered.missing,
        }
    )


async def values_for(db: Database, conversation: Doc, *, by: By) -> dict[str, str | None]:
    """What the variables stand for in this conversation, when it is answered by whom. Raises `NotFound`."""
    connection = await store.need(db, conversation["label_id"], conversation["connection_id"])
    agent = await db.open("users").find_one({"_id": by.id}, {"name": 1}) if by.kind == "person" else None
    account = connection["account"] or {}
    return {
        "fan.name": conversation["participant"]["name"],
        "fan.username": conversation["participant"]["username"],
        "account.name": account.get("name") or account.get("username"),
        "agent.name": agent["name"] if agent else None,
    }


def render(text: str, values: Mapping[str, str | None]) -> Rendered:
    """The text with each variable's value, else its fallback, else nothing. A value is never read as a variable."""
    parts: list[str] = []
    missing: dict[str, None] = {}
    end = 0
    for place in PLACE.finditer(text):
        value = values.get(place["name"]) or place["fallback"]
        if value is None:
            missing[place["name"]] = None
        parts += [text[end : place.start()], (value or "").strip()]
        end = place.end()
    return Rendered("".join([*parts, text[end:]]), list(missing))
