"""What is said and checked about publications, as the API shows and takes it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from app.models.base import ActorOut, ApiModel, Doc, Flag, Instant, Page
from app.models.labels import TimeZone
from app.models.publications import LocalTime, Network, PublicationOut, Text, not_blank

SlotId = Annotated[str, Field(min_length=1, max_length=64, examples=["slt_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
CommentText = Annotated[
    str, AfterValidator(not_blank), Field(min_length=1, max_length=4000, examples=["The date is wrong."])
]


class ProblemOut(ApiModel):
    """Something that would be refused."""

    pointer: str
    """Where in the publication."""
    code: str
    detail: str
    limit: int | float | str | list[int | float | str] | None
    """What is taken: the most, both ends of a range, or the words; null where there is nothing to count."""
    source: str
    """Where the limit is from."""
    version: str
    """The version of the Graph API that it was read for."""


class WarningOut(ApiModel):
    """Something that is not refused, and may not be meant."""

    pointer: str
    code: str
    detail: str
    publication_id: str | None
    """The other publication, where it is about one."""


class TargetCheckOut(ApiModel):
    """What is wrong or odd at one target."""

    connection_id: str
    network: Network | None
    valid: bool
    problems: list[ProblemOut]
    warnings: list[WarningOut]


class CountsOut(ApiModel):
    """What Meta counts in a caption."""

    characters: int
    hashtags: int
    mentions: int


class ValidationOut(ApiModel):
    """Whether a publication could go out as it is."""

    valid: bool
    targets: list[TargetCheckOut]
    counts: CountsOut
    scheduled_at: Instant | None
    """The instant of the time that was asked for."""
    time_rule: Literal["moved_forward", "first_of_two"] | None
    """Which rule found it, where the clocks do not show the local time once."""


class PublicationScheduled(PublicationOut):
    """A publication that was scheduled, and what is odd about it."""

    warnings: list[WarningOut]


class ScheduleOrder(ApiModel):
    """When; left out, at the time that the publication has."""

    scheduled_at: Instant | None = None
    local_time: LocalTime | None = None
    timezone: TimeZone | None = None
    """Of `local_time`; left out, the publication's, or the label's."""
    next_free_slot: Flag = False
    """At the next free time of a slot that serves all its accounts."""
    slot_id: SlotId | None = None
    """Only of this slot."""

    @model_validator(mode="after")
    def _is_one_time(self) -> "ScheduleOrder":
        given = [self.scheduled_at is not None, self.local_time is not None, self.next_free_slot]
        if sum(given) > 1:
            raise ValueError("needs one of scheduled_at, local_time and next_free_slot")
        if self.slot_id is not None and not self.next_free_slot:
            raise ValueError("needs next_free_slot where it names a slot")
        return self


class ApprovalOrder(ApiModel):
    """What is said with it."""

    comment: CommentText | None = None


class RejectionOrder(ApiModel):
    """Why not."""

    comment: CommentText


class PublicationCommentCreate(ApiModel):
    """Something for the team."""

    text: CommentText


class PublicationCommentOut(ApiModel):
    """What somebody of the team wrote, or decided."""

    id: Annotated[str, Field(examples=["pbc_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    publication_id: str
    about: Literal["comment", "approved", "rejected"]
    version: int
    """The `content_version` that it is about."""
    text: str
    author: ActorOut
    created_at: Instant

    @classmethod
    def of(cls, comment: Doc) -> "PublicationCommentOut":
        """The comment of this document."""
        copied = ("publication_id", "about", "version", "text", "author", "created_at")
        return cls(id=comment["_id"], **{name: comment[name] for name in copied})


class PublicationCommentPage(Page[PublicationCommentOut]):
    """A publication's comments, newest first."""


class VersionOut(ApiModel):
    """A publication as it was from this version on."""

    version: int
    by: ActorOut
    at: Instant
    caption: Text
    targets: list[str]
    assets: list[str]
    scheduled_at: Instant | None
    changed: list[str]
    """The fields that differ from the version before; empty of the first one."""


class VersionPage(Page[VersionOut]):
    """A publication's versions, newest first."""
