"""Erasure of fans, as the API shows and takes it."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.models.base import ApiModel, Doc, Instant, Page
from app.models.privacy_requests import RequestState, SignedReceipt

BEFORE_DUE = timedelta(days=2)
"""So long before it is due, what nobody has decided is done."""


class FanErasureCreate(ApiModel):
    """A fan who is to be erased: by the id that a conversation or a comment shows, or by the handle on Instagram."""

    provider_id: Annotated[str, Field(pattern=r"^[0-9]{5,40}$", examples=["900000000000011"])] | None = None
    handle: Annotated[str, Field(min_length=1, max_length=60, examples=["mara.sings"])] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "FanErasureCreate":
        if (self.provider_id is None) == (self.handle is None):
            raise ValueError("must hold either provider_id or handle")
        return self


class FanErasureRefuse(ApiModel):
    """Refuse a fan's request."""

    reason: Literal["not_the_person", "legal_claim", "legal_duty", "freedom_of_expression"]
    """The grounds that the law knows (GDPR 12.2 and 17.3). It is kept with the request."""


class FanShown(ApiModel):
    """Whom a request is about."""

    provider_ids: list[str]
    handle: str | None


class FanRequestOut(ApiModel):
    """A fan's request, in one label."""

    id: Annotated[str, Field(examples=["prq_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    state: RequestState
    """`received`: somebody of the label decides, by `decide_by`; if nobody does, it is done by itself then."""
    asked_by: Literal["desk", "label"]
    """The fan wrote to us and we asked the label; or the label itself."""
    fan: FanShown | None
    """Null once it is closed: then nobody knows whom it was about."""
    received_at: Instant
    due_at: Instant
    """When the law has it done at the latest."""
    decide_by: Instant
    """Two days before: then it is done by itself, so that it is done in time."""
    closed_at: Instant | None
    operation_id: str | None
    refused_because: str | None
    receipt: SignedReceipt | None

    @classmethod
    def of(cls, request: Doc, receipt: SignedReceipt | None) -> "FanRequestOut":
        """The request of this document."""
        names = ("state", "asked_by", "received_at", "due_at", "closed_at", "operation_id")
        reasons = request["evidence"][1:] if request["state"] == "refused" else []
        return cls(
            id=request["_id"],
            fan=FanShown(**request["fan"]) if request.get("fan") else None,
            refused_because=reasons[0] if reasons else None,
            receipt=receipt,
            decide_by=request["due_at"] - BEFORE_DUE,
            **{name: request[name] for name in names},
        )


class FanRequestPage(Page[FanRequestOut]):
    """A label's requests of fans, the newest first."""
