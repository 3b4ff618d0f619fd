"""Conversations, as the API shows and takes them."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.reply_window import human_agent_until, window_closes_at

ConversationStatus = Literal["open", "snoozed", "closed"]


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


class ReadCreate(ApiModel):
    """What else is to happen when the team has read."""

    receipt: bool = False
    """Whether the fan is to see it too, where Meta shows that. It is tried once."""
