"""Conversations, as the API shows and takes them."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Flag, Instant, Page, left_out
from app.models.reply_window import human_agent_until, window_closes_at

ConversationStatus = Literal["open", "snoozed", "closed"]
TAGS = 20


def normal_tag(text: str) -> str:
    """A tag as it is kept: small letters, single spaces. Raises `ValueError` for one of no letters, or too long."""
    tag = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    if not 1 <= len(tag) <= 40:
        raise ValueError("must have 1 to 40 characters")
    return tag


def _each_once(tags: list[str]) -> list[str]:
    found = list(dict.fromkeys(tags))
    if len(found) > TAGS:
        raise ValueError(f"must be at most {TAGS} different ones")
    return found


Tag = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(normal_tag)]


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
    network: Literal["instagram", "facebook"]
    """Where they write: on Instagram, or on Messenger to a Page."""
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
    fan_read_at: Instant | None
    """Up to when the fan has read."""

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
            network=conversation["network"],
            participant=ParticipantOut(**conversation["participant"]),
            status=conversation["status"],
            assignee=conversation["assignee"],
            tags=conversation["tags"],
            snoozed_until=conversation["snoozed_until"],
            unread_count=conversation["unread_count"],
            last_message_at=conversation.get("last_message_at"),
            reply_window=window,
            expires_at=conversation["expires_at"],
            fan_read_at=conversation.get("fan_read_at"),
        )


class ConversationPage(Page[ConversationOut]):
    """Conversations, the one with the newest message first."""


class ConversationChange(ApiModel):
    """What to change; what is left out stays."""

    status: ConversationStatus = Field(default_factory=left_out)
    assignee: Annotated[str, Field(max_length=40, pattern=r"^usr_")] | None = None
    """Somebody who works for the label; null for nobody."""
    tags: Annotated[list[Tag], Field(max_length=100), AfterValidator(_each_once)] = Field(default_factory=left_out)
    """All of them. Kept in small letters, each once, at most 20."""
    snoozed_until: Instant | None = None
    """When a snoozed one opens by itself: needed with `snoozed`, and for nothing else."""


class ReadCreate(ApiModel):
    """What else is to happen when the team has read."""

    receipt: Flag = False
    """Whether the fan is to see it too, where Meta shows that. It is tried once."""
