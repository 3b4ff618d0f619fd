"""Comments, as the API shows and takes them."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page

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
    status: CommentStatus
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
