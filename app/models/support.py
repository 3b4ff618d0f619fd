"""Our support's access to a label, as the API shows and takes it."""

from typing import Annotated

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page

SHORTEST_REASON = 10


def _words(reason: str) -> str:
    text = reason.strip()
    if len(text) < SHORTEST_REASON or any(ord(letter) < 32 for letter in text):
        raise ValueError("must be 10 characters or more of visible text on one line")
    return text


class SupportAccessCreate(ApiModel):
    """Why our support looks into the label, and for how long."""

    reason: Annotated[
        str,
        Field(min_length=SHORTEST_REASON, max_length=500, examples=["Case 4711: an account does not connect"]),
        AfterValidator(_words),
    ]
    """Our own words about the case; the label reads them. Nothing that a fan wrote."""
    minutes: Annotated[int, Field(ge=5, le=60, examples=[30])]


class SupportAccessOut(ApiModel):
    """A time in which a person of our support may look into the label."""

    id: Annotated[str, Field(examples=["sup_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    label_id: str
    user_id: str
    """The person of our support; the audit log names the same id."""
    reason: str
    created_at: Instant
    ends_at: Instant
    """When it ends by itself, or when it was ended."""
    ended_by: str | None
    """Who ended it before its time: an owner, the person themselves, or `soundops`."""

    @classmethod
    def of(cls, grant: Doc) -> "SupportAccessOut":
        """The access of this document."""
        return cls(
            id=grant["_id"],
            label_id=grant["label_id"],
            user_id=grant["user_id"],
            reason=grant["reason"],
            created_at=grant["created_at"],
            ends_at=grant["ends_at"],
            ended_by=grant["ended_by"],
        )


class SupportAccessPage(Page[SupportAccessOut]):
    """Support's access to the label, newest first."""
