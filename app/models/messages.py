"""Messages, as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page

TEXT_BYTES = 1000
MessageState = Literal["queued", "sent", "failed", "unknown"]


def _fits(text: str) -> str:
    if len(text.encode()) > TEXT_BYTES:
        raise ValueError(f"must be at most {TEXT_BYTES} bytes of UTF-8 (Meta's limit)")
    if not text.strip():
        raise ValueError("must not be empty")
    return text


class MessageCreate(ApiModel):
    """A reply to a fan."""

    text: Annotated[
        str, AfterValidator(_fits), Field(min_length=1, max_length=TEXT_BYTES, examples=["It ships on Friday."])
    ]
    """At most 1000 bytes of UTF-8."""
    reply_to: Annotated[str, Field(max_length=300)] | None = None
    """The provider's id (`provider_id`) of the message that this one answers."""
    human_agent: bool = False
    """A person answers between 24 hours and 7 days after the fan wrote."""


class AttachmentOut(ApiModel):
    """Something attached. `url` is the provider's own address and expires."""

    type: str
    url: str | None = None
    title: str | None = None
    provider_id: str | None = None


class StoryOut(ApiModel):
    """A story of the account that a fan answered."""

    provider_id: str | None = None
    url: str | None = None
    link: str | None = None


class ReplyToOut(ApiModel):
    """What a message answers: another message, or a story."""

    provider_id: str | None = None
    story: StoryOut | None = None


class ReactionOut(ApiModel):
    """A reaction to a message."""

    by: Literal["fan", "account"]
    emoji: str | None
    name: str | None


class MessageOut(ApiModel):
    """A message. One that was unsent has no content."""

    id: Annotated[str, Field(examples=["msg_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    conversation_id: str
    connection_id: str
    provider: str
    provider_id: str | None
    direction: Literal["in", "out"]
    kind: str
    """`message` or `postback` (a button was pressed); null-safe for kinds to come."""
    text: str | None
    attachments: list[AttachmentOut]
    reply_to: ReplyToOut | None
    reactions: list[ReactionOut]
    quick_reply: str | None
    postback: str | None
    referral: dict[str, str] | None
    unsupported: bool
    standby: bool
    """Another app has the conversation: answering it may be refused."""
    sent_at: Instant | None
    """The provider's time; null until it is sent."""
    edited_at: Instant | None
    read_at: Instant | None
    deleted_at: Instant | None
    expires_at: Instant
    """When it is deleted everywhere: 30 days after the provider's own time."""
    state: MessageState | None
    """Of messages that we send."""
    operation_id: str | None
    problem: str | None
    """Why it was not sent, as a stable code."""

    @classmethod
    def of(cls, message: Doc, *, fan_read_at: datetime | None = None) -> "MessageOut":
        """The message of this document; `fan_read_at` is up to when the fan has read."""
        content = message.get("content", {})
        original: dict[str, Any] = content.get("original", {})
        edit = content.get("edit")
        sent_at, read_at = message.get("sent_at"), message.get("read_at")
        out = message.get("direction") == "out"
        if out and read_at is None and fan_read_at and sent_at and sent_at <= fan_read_at:
            read_at = fan_read_at
        return cls(
            id=message["_id"],
            conversation_id=message["conversation_id"],
            connection_id=message["connection_id"],
            provider=message["provider"],
            provider_id=message.get("provider_id"),
            direction="out" if out else "in",
            kind=original.get("kind", "message"),
            text=edit["text"] if edit else original.get("text"),
            attachments=[AttachmentOut(**item) for item in original.get("attachments", [])],
            reply_to=ReplyToOut(**original["reply_to"]) if "reply_to" in original else None,
            reactions=_reactions(content.get("reactions", {})),
            quick_reply=original.get("quick_reply"),
            postback=original.get("postback"),
            referral=original.get("referral"),
            unsupported=original.get("unsupported", False),
            standby=original.get("standby", False),
            sent_at=sent_at,
            edited_at=edit["at"] if edit else None,
            read_at=read_at,
            deleted_at=message.get("deleted_at"),
            expires_at=message["expires_at"],
            state=message.get("state"),
            operation_id=message.get("operation_id"),
            problem=message.get("problem"),
        )


class MessagePage(Page[MessageOut]):
    """A conversation's messages, newest first."""


def _reactions(stored: dict[str, Any]) -> list[ReactionOut]:
    given: list[ReactionOut] = []
    for by in ("account", "fan"):
        reaction = stored.get(by)
        if reaction and (reaction["emoji"] or reaction["name"]):
            given.append(ReactionOut(by=by, emoji=reaction["emoji"], name=reaction["name"]))
    return given
