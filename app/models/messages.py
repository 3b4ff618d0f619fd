"""Messages, as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.models.base import ApiModel, Doc, Flag, Instant, Page
from app.models.public_address import LONGEST, public_https

LONGEST_TEXT = 2000
MOST_QUICK_REPLIES = 13
MessageState = Literal["queued", "sent", "failed", "unknown"]
SenderKind = Literal["person", "client", "rule", "support", "system"]


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


class AttachmentCreate(ApiModel):
    """A file for the fan. Meta fetches it, so its address must be public."""

    type: Literal["image", "video", "audio", "file"]
    """Images up to 8 MB, everything else up to 25 MB (Meta's limits)."""
    url: Annotated[
        str, AfterValidator(public_https), Field(max_length=LONGEST, examples=["https://cdn.example.com/sleeve.jpg"])
    ]
    """An `https` address that needs no login."""


class QuickReply(ApiModel):
    """A button under a text."""

    title: Annotated[str, AfterValidator(_says_something), Field(min_length=1, max_length=20, examples=["Tour dates"])]
    payload: Annotated[str, Field(min_length=1, max_length=1000, examples=["TOUR_DATES"])]
    """Comes back as `quick_reply` of the message that a tap sends."""


class MessageCreate(ApiModel):
    """A reply to a fan: exactly one of `text`, `attachment`, `asset_id`, `media_id` and `sticker`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "It ships on Friday."}]})

    text: (
        Annotated[
            str, AfterValidator(_says_something), Field(min_length=1, max_length=LONGEST_TEXT, examples=["On Friday."])
        ]
        | None
    ) = None
    """At most 1000 bytes of UTF-8 on Instagram, 2000 characters on Messenger."""
    attachment: AttachmentCreate | None = None
    asset_id: Annotated[str, Field(max_length=64)] | None = None
    """An image or a video of the label's own; at most 8 or 25 MB (Meta's limits)."""
    media_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """A post of the account's own, by the provider's id; on Instagram only."""
    sticker: Literal["like_heart"] | None = None
    """On Instagram only."""
    quick_replies: Annotated[list[QuickReply], Field(default_factory=list, max_length=MOST_QUICK_REPLIES)]
    """Buttons under a text."""
    reply_to: Annotated[str, Field(max_length=300)] | None = None
    """The provider's id (`provider_id`) of the message that this one answers."""
    human_agent: Flag = False
    """A person answers between 24 hours and 7 days after the fan wrote. Refused of API clients."""

    @model_validator(mode="after")
    def _is_one_message(self) -> Self:
        given = (self.text, self.attachment, self.asset_id, self.media_id, self.sticker)
        if sum(one is not None for one in given) != 1:
            raise ValueError("must have exactly one of text, attachment, asset_id, media_id and sticker")
        if self.quick_replies and self.text is None:
            raise ValueError("quick_replies go with a text")
        return self


class ReactionCreate(ApiModel):
    """A reaction to a message."""

    emoji: Annotated[str, Field(min_length=1, max_length=32, examples=["❤️"])]
    """One emoji. Through a Facebook log-in Meta takes the heart alone."""


class TypingCreate(ApiModel):
    """Whether somebody types."""

    typing: Literal["on", "off"]


class SenderOut(ApiModel):
    """Who had a message sent: a person, a rule, an API client."""

    kind: SenderKind
    id: str


class AttachmentOut(ApiModel):
    """Something attached. `url` is the provider's own address and expires."""

    type: str
    url: str | None = None
    title: str | None = None
    provider_id: str | None = None
    asset_id: str | None = None
    """The label's own file that was sent; then without `url`."""


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
    quick_replies: list[QuickReply]
    """The buttons that we sent with it."""
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
    sent_by: SenderOut | None
    """Who had it sent; null for what was not sent here."""
    human_agent: bool
    """Whether a person stands for it, so that Meta takes it for 7 days."""

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
            quick_replies=[QuickReply(**one) for one in original.get("quick_replies", [])],
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
            sent_by=SenderOut(**message["sent_by"]) if "sent_by" in message else None,
            human_agent=message.get("human_agent", False),
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
