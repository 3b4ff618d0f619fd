"""What came of publications at each account, as the API shows it."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant
from app.models.publications import DeliveryProblem, Network

TargetState = Literal[
    "waiting",
    "containers",
    "processing",
    "ready",
    "publishing",
    "published",
    "failed",
    "unknown",
    "needs_decision",
    "to_do",
    "cancelled",
]
CommentState = Literal["none", "waiting", "calling", "done", "failed", "unknown"]
Permalink = Annotated[
    str, Field(max_length=2_000, pattern=r"^https://[^\s]+$", examples=["https://www.instagram.com/p/C1a2b3/"])
]


class StepOut(ApiModel):
    """Something that was done, or tried."""

    step: str
    at: Instant
    outcome: str
    """`done`, or a code that says what came of it."""
    attempt: int


class AttemptOut(ApiModel):
    """One publication at one account: how far it is, and each step there."""

    id: Annotated[str, Field(examples=["pbt_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    publication_id: str
    publication_version: int
    connection_id: str
    network: Network
    state: TargetState
    """`unknown`: it may be published, and somebody decides once it is not asked any more. `needs_decision`: it was too
    late, or must not go out yet. `to_do`: somebody publishes it by hand."""
    attempt: int
    due_at: Instant
    started_at: Instant | None
    published_at: Instant | None
    late_at: Instant | None
    """When it was noticed that it had not begun in time."""
    deleted_at: Instant | None
    provider_id: str | None
    """The post's id at the network; none where it is there and its id could not be told."""
    permalink: str | None
    first_comment: CommentState
    problem: DeliveryProblem | None
    operation_id: str
    steps: list[StepOut]

    @classmethod
    def of(cls, target: Doc) -> "AttemptOut":
        """The target of this document."""
        same = ("publication_id", "publication_version", "connection_id", "network", "state", "attempt", "due_at")
        later = ("started_at", "published_at", "late_at", "deleted_at", "provider_id", "permalink", "operation_id")
        steps = [StepOut(**({"attempt": 1} | step)) for step in target["steps"]]
        problem = DeliveryProblem(**target["problem"]) if target["problem"] else None
        told = {name: target[name] for name in same} | {name: target.get(name) for name in later}
        comment = target["first_comment"]["state"]
        return cls(id=target["_id"], **told, first_comment=comment, problem=problem, steps=steps)


class AttemptsOut(ApiModel):
    """What came of a publication, at each account; the newest first."""

    data: list[AttemptOut]


class Decision(ApiModel):
    """What somebody has seen on the account."""

    outcome: Literal["published", "not_published"]
    permalink: Permalink | None = None
    """Where it is, if it is there."""


class Done(ApiModel):
    """That a post is there which somebody has published by hand."""

    permalink: Permalink | None = None


class QuotaOut(ApiModel):
    """How many posts Meta counts on an account, and how many it lets through."""

    connection_id: str
    network: Network
    used: int | None
    """None before Meta was asked, and of Pages, of which it names no number."""
    total: int | None
    window_s: int | None
    """The moving time in which they count, in seconds."""
    as_of: Instant | None

    @classmethod
    def of(cls, connection: Doc) -> "QuotaOut":
        """What Meta said of this connection's account."""
        said = connection.get("publishing_quota") or dict.fromkeys(("used", "total", "window_s", "as_of"))
        return cls(connection_id=connection["_id"], network=connection["network"], **said)


class QuotasOut(ApiModel):
    """The publishing quota of each account that can publish."""

    data: list[QuotaOut]
