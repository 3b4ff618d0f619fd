"""What became of a connection that was ended: its steps, and the receipt that tells of them."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Instant
from app.models.features import Provider

Reason = Literal["disconnected", "deauthorized", "data_deletion", "label_deleted"]
Step = Literal["refuse_use", "unsubscribe", "revoke", "destroy_tokens", "erase", "verify"]
Result = Literal[
    "done",
    "kept_for_others",
    "already_revoked",
    "asked_undocumented",
    "not_offered",
    "not_needed",
    "token_dead",
    "token_unreadable",
    "refused",
    "gave_up",
]


class ReceiptStep(ApiModel):
    """One step of the end of a connection."""

    name: Step
    result: Result
    """`done`; `not_needed`: there was nothing to do; `not_offered`: the provider has no such call; `gave_up`: it could
    not be reached for 72 hours."""
    at: Instant
    detail: str


class ReceiptBody(ApiModel):
    """What the receipt's signature covers."""

    connection_id: Annotated[str, Field(examples=["con_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    provider: Provider
    provider_id: str | None
    """The account at the provider; null when the log-in had not come so far."""
    reason: Reason
    begun_at: Instant
    completed_at: Instant
    steps: list[ReceiptStep]
    advice: list[str]
    """What the account's owner can do beside it, in sentences."""


class ReceiptOut(ReceiptBody):
    """The receipt of a disconnect."""

    jws: str
    """The other fields, signed: a compact JWS (RFC 7515) of `typ` `soundops-receipt+jws`, by a key of
    `/.well-known/jwks.json`. `python -m app.receipts verify` checks it."""
