"""Meta's callbacks about people who leave, and what a person is told of their deletion."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Instant

State = Literal["received", "in_progress", "done"]


class SignedForm(ApiModel):
    """What Meta posts: a form of one field."""

    signed_request: Annotated[str, Field(examples=["LS1zaWduYXR1cmU.eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiJ9"])]
    """A signature and what is signed, both base64url, with a dot between; at most 8 KiB."""


class Deauthorized(ApiModel):
    """What Meta is told when a person has removed the app."""

    received: Literal[True]


class DeletionRequested(ApiModel):
    """What Meta shows the person who asked for deletion."""

    url: Annotated[str, Field(examples=["https://api.example.com/data-deletion/K7M2Q9XW4TB6ZD3F5GH7"])]
    """A page that says how far the deletion is. It needs no log-in."""
    confirmation_code: Annotated[str, Field(examples=["K7M2Q9XW4TB6ZD3F5GH7"])]


class DeletionStatus(ApiModel):
    """How far a deletion is. It names nobody."""

    confirmation_code: str
    provider: Literal["instagram", "facebook"]
    state: State
    """`received`, `in_progress`, `done`."""
    found: bool
    """Whether anything of this person was connected with SoundOps when they asked."""
    requested_at: Instant
    completed_at: Instant | None
    deleted: list[str]
    """What is deleted, in words."""
    kept: list[str]
    """What stays, why and for how long, in words."""
