"""Comments, as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Flag, Instant, Page, left_out
from app.models.comment_actions import CommentAction, possible

CommentKind = Literal["comment", "mention"]
CommentStatus = Literal["visible", "hidden", "deleted"]


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


class CommentChange(ApiModel):
    """What the team notes about a comment; what is left out stays."""

    flagged: Flag = Field(default_factory=left_out)
    """Whether somebody should look at it."""


class CommentOut(ApiModel):
    """A comment on one of the account's media, or a place where others mention the account."""

    id: Annotated[str, Field(examples=["cmt_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    connection_id: str
    provider: str
    provider_id: str
    kind: CommentKind
    """`mention`: somebody named the account in a comment on another account's media, or in its caption."""
    parent_provider_id: str | None
    media: MediaOut
    author: AuthorOut
    own: bool
    """Whether the account itself wrote it."""
    live: bool
    status: CommentStatus
    text: str | None
    """None of a deleted comment, nor of a mention that has not been read yet."""
    flagged: bool
    """Whether a person or a rule wants somebody to look at it."""
    unanswered: bool
    """Whether a fan wrote it, and the account has answered neither below it nor by a private reply."""
    can: list[CommentAction]
    """What can be done to it now, as far as Meta is known to allow it."""
    sent_at: Instant
    edited_at: Instant | None
    deleted_at: Instant | None
    """When it was deleted, or when that was noticed."""
    expires_at: Instant

    @classmethod
    def of(cls, comment: Doc, *, now: datetime) -> "CommentOut":
        """The comment of this document."""
        return cls(
            id=comment["_id"],
            connection_id=comment["connection_id"],
            provider=comment["provider"],
            provider_id=comment["provider_id"],
            kind=comment["kind"],
            parent_provider_id=comment["parent_provider_id"],
            media=MediaOut(**comment["media"]),
            author=AuthorOut(**comment["author"]),
            own=comment["own"],
            live=comment["live"],
            status=comment["status"],
            text=comment.get("content", {}).get("text"),
            flagged=comment.get("flagged", False),
            unanswered=comment.get("unanswered", False),
            can=possible(comment, now=now),
            sent_at=comment["sent_at"],
            edited_at=comment.get("edited_at"),
            deleted_at=comment.get("deleted_at"),
            expires_at=comment["expires_at"],
        )


class CommentPage(Page[CommentOut]):
    """Comments, newest first."""
