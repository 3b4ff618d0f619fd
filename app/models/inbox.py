"""Conversations, messages and comments, as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.reply_window import human_agent_until, window_closes_at

TEXT_BYTES = 1000
ConversationStatus = Literal["open", "snoozed", "closed"]
MessageState = Literal["queued", "sent", "failed", "unknown"]


def _fits(text: str) -> str:
    if len(text.encode()) > TEXT_BYTES:
        raise ValueError(f"must be at most {TEXT_BYTES} bytes of UTF-8 (Meta's limit)")
    if not text.strip():
        raise ValueError("must not be empty")
    return text


class ParticipantOut(ApiModel):
    """The fan, as the provider knows them to this account."""

    provider_id: str
    username: str | None
    name: str | None
    picture_url: str | None


class ReplyWindowOut(ApiModel):
    """Until when the provider takes an answer; null when the fan has never written."""

    closes_at: Instant | None
    human_agent_until: Instant | None


class ConversationOut(ApiModel):
    """One fan's conversation with one account."""

    id: Annotated[str, Field(examples=["cnv_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    connection_id: str
    provider: str
    participant: ParticipantOut
    status: ConversationStatus
    assignee: str | None
    tags: list[str]
    snoozed_until: Instant | None
    unread_count: int
    last_message_at: Instant | None
    reply_window: ReplyWindowOut
    expires_at: Instant
    """When its newest message is deleted, and it with it."""

    @classmethod
    def of(cls, conversation: Doc) -> "ConversationOut":
        """The conversation of this document."""
        window = ReplyWindowOut(
            closes_at=window_closes_at(conversation), human_agent_until=human_agent_until(conversation)
        )
        return cls(
            id=conversation["_id"],
            connection_id=conversation["connection_id"],
            provider=conversation["provider"],
            participant=ParticipantOut(**conversation["participant"]),
            status=conversation["status"],
            assignee=conversation["assignee"],
            tags=conversation["tags"],
            snoozed_until=conversation["snoozed_until"],
            unread_count=conversation["unread_count"],
            last_message_at=conversation.get("last_message_at"),
            reply_window=window,
            expires_at=conversation["expires_at"],
        )


class ConversationPage(Page[ConversationOut]):
    """Conversations, the one with the newest message first."""


class ConversationChange(ApiModel):
    """What to change; what is left out stays."""

    status: ConversationStatus = Field(default_factory=left_out)
    assignee: Annotated[str, Field(max_length=40, pattern=r"^usr_")] | None = None
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=40)]], Field(max_length=20)] = Field(
        default_factory=left_out
    )
    snoozed_until: Instant | None = None


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


class AuthorOut(ApiModel):
    """Who commented."""

    provider_id: str | None
    username: str | None


class MediaOut(ApiModel):
    """What was commented on."""

    provider_id: str | None
    product_type: str | None
    ad_id: str | None
    original_media_id: str | None


class CommentOut(ApiModel):
    """A comment on one of the account's media."""

    id: Annotated[str, Field(examples=["cmt_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    connection_id: str
    provider: str
    provider_id: str
    parent_provider_id: str | None
    media: MediaOut
    author: AuthorOut
    own: bool
    """Whether the account itself wrote it."""
    live: bool
    status: Literal["visible", "hidden", "deleted"]
    text: str | None
    sent_at: Instant
    expires_at: Instant

    @classmethod
    def of(cls, comment: Doc) -> "CommentOut":
        """The comment of this document."""
        return cls(
            id=comment["_id"],
            connection_id=comment["connection_id"],
            provider=comment["provider"],
            provider_id=comment["provider_id"],
            parent_provider_id=comment["parent_provider_id"],
            media=MediaOut(**comment["media"]),
            author=AuthorOut(**comment["author"]),
            own=comment["own"],
            live=comment["live"],
            status=comment["status"],
            text=comment["content"].get("text"),
            sent_at=comment["sent_at"],
            expires_at=comment["expires_at"],
        )


class CommentPage(Page[CommentOut]):
    """Comments, newest first."""


def _reactions(stored: dict[str, Any]) -> list[ReactionOut]:
    given: list[ReactionOut] = []
    for by in ("account", "fan"):
        reaction = stored.get(by)
        if reaction and (reaction["emoji"] or reaction["name"]):
            given.append(ReactionOut(by=by, emoji=reaction["emoji"], name=reaction["name"]))
    return given
