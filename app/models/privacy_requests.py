"""Requests about one's own data, as they are kept and as the API shows them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page

RequestKind = Literal[
    "access",
    "portability",
    "erasure",
    "restriction",
    "objection",
    "correction",
    "fan_erasure",
    "label_export",
    "label_deletion",
]
RequestState = Literal["received", "in_progress", "waiting", "done", "refused", "cancelled"]
"""`waiting`: for somebody else than us, or for the end of a time of grace."""
ObjectionPurpose = Literal["analytics", "marketing_mail", "notices"]
"""What one can object to: figures of use, advertising, and word that nobody needs."""


class SignedReceipt(ApiModel):
    """What was done, and a signature over it."""

    receipt: dict[str, Any]
    """What went, what stays, why and until when. It holds no personal data."""
    jws: str
    """The receipt, signed: a compact JWS of `typ` `soundops-receipt+jws`, by a key of `/.well-known/jwks.json`.
    `python -m app.receipts verify` checks it."""


class RequestOut(ApiModel):
    """A request about one's own data."""

    id: Annotated[str, Field(examples=["prq_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    kind: RequestKind
    state: RequestState
    label_id: str | None
    """The label that it is about; null for what is the person's alone."""
    received_at: Instant
    due_at: Instant
    """One month after it was received: by then it is met."""
    closed_at: Instant | None
    operation_id: str | None
    evidence: list[str]
    """Codes and ids: what it is about, and what was done."""
    receipt: SignedReceipt | None

    @classmethod
    def of(cls, request: Doc, receipt: SignedReceipt | None) -> "RequestOut":
        """The request of this document."""
        names = ("kind", "state", "label_id", "received_at", "due_at", "closed_at", "operation_id", "evidence")
        return cls(id=request["_id"], receipt=receipt, **{name: request[name] for name in names})


class RequestPage(Page[RequestOut]):
    """A person's requests, the newest first."""


class StandingOut(ApiModel):
    """How a person stands."""

    restricted_at: Instant | None
    """Since when their data are stored and exportable, and nothing else is done with them; null while they are used."""
    objections: dict[ObjectionPurpose, Instant]
    """To what they object, and since when."""


class ObjectionCreate(ApiModel):
    """Object to a purpose."""

    purpose: ObjectionPurpose


class ErasureStatus(ApiModel):
    """How far an erasure is. It names nobody."""

    kind: RequestKind
    state: RequestState
    received_at: Instant
    erases_at: Instant | None
    """When everything goes: until then the link in the mail keeps the account. Null once it has begun or was called
    off."""
    due_at: Instant
    closed_at: Instant | None
    receipt: SignedReceipt | None
