"""The end of an account, as the API shows it."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Instant
from app.models.people import MailToken


class ErasedPart(ApiModel):
    """What goes."""

    what: Annotated[str, Field(examples=["sessions"])]
    """The collection of the data map."""
    purpose: str
    """What it is there for."""
    action: Literal["deleted", "unlinked"]
    """`unlinked`: it is the label's, and stays there without your id and your name."""
    documents: int


class KeptPart(ApiModel):
    """What stays."""

    what: Annotated[str, Field(examples=["audit_log"])]
    why: str
    """The ground, and until when, in words."""


class BlockedBy(ApiModel):
    """A label that has no other owner: make somebody else one first, or delete it."""

    label_id: str
    name: str


class ErasurePreview(ApiModel):
    """What an erasure would do now."""

    grace_days: int
    """For so long a link in a mail keeps the account after all. Its access ends at once."""
    blocked_by: list[BlockedBy]
    erases: list[ErasedPart]
    keeps: list[KeptPart]


class ErasureBegun(ApiModel):
    """An erasure that has begun. Every session of the account has ended with it."""

    request_id: Annotated[str, Field(examples=["prq_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    erases_at: Instant
    """When everything goes. Until then the link in the mail keeps the account."""
    confirmation_code: Annotated[str, Field(examples=["K7M2Q9XW4TB6ZD3F5GH7ABCD"])]
    receipt_url: str
    """A page that says how far it is, and has the receipt once it is done. It needs no log-in and names nobody."""
    erases: list[ErasedPart]
    keeps: list[KeptPart]


class ErasureCancel(ApiModel):
    """Keep the account after all."""

    token: MailToken
    """Of the link in the mail."""
