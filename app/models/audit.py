"""The audit log, as the API shows it."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page

ActorId = Annotated[str, Field(max_length=64, examples=["usr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
ActionName = Annotated[str, Field(max_length=64, pattern=r"^[a-z_]+\.[a-z_]+$", examples=["member.removed"])]


class LoggedActorOut(ApiModel):
    """Who did it."""

    kind: Literal["person", "client", "rule", "support", "system"]
    """A person of the label, a partner's API client, a person of our support, or SoundOps by itself."""
    id: ActorId
    """Of an account or an API client; never a name."""


class AuditRowOut(ApiModel):
    """Something that was done. Ids and codes only; nothing in it is ever changed."""

    id: Annotated[str, Field(examples=["aud_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    seq: Annotated[int, Field(examples=[17])]
    """Its place in the log: 1, 2, 3, … without a gap."""
    at: Instant
    actor: LoggedActorOut
    action: Annotated[str, Field(examples=["member.removed"])]
    """`noun.verb`."""
    target: Annotated[str, Field(examples=["usr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    """The id of what it was done to."""
    details: Annotated[dict[str, str], Field(examples=[{"role": "agent"}])]
    network: Annotated[str | None, Field(examples=["203.0.113.0/24"])]
    """From where; null of what SoundOps does by itself."""
    request_id: str | None
    """The `X-Request-Id` of the request that did it."""

    @classmethod
    def of(cls, row: Doc) -> "AuditRowOut":
        """The row of this document."""
        return cls(
            id=row["_id"],
            seq=row["seq"],
            at=row["at"],
            actor=LoggedActorOut(**row["actor"]),
            action=row["action"],
            target=row["target"],
            details=row["details"],
            network=row["network"],
            request_id=row["request_id"],
        )


class AuditPage(Page[AuditRowOut]):
    """A page of the log, newest first."""


class AuditIntegrity(ApiModel):
    """Whether anybody has touched the log."""

    intact: bool
    checked: int
    """How many rows were good; with a trouble, those before it."""
    first_broken_seq: int | None
    """The place of the first trouble: of the row that is not as it was written, or that is not there."""
    problem: Literal["changed", "missing", "inserted", "moved", "cut_off", "head_changed"] | None
    """`changed`: the row is not as it was written. `missing`: it was taken out. `inserted`: it is none of ours.
    `moved`: it was written for another place. `cut_off`: it and all later ones were taken out. `head_changed`: the
    record of where the log ends was changed, or taken away."""
