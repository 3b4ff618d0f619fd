"""Slots, as the API shows and takes them."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.labels import TimeZone
from app.models.publications import ClockTime, ConnectionId, each_once

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)


def _in_order(days: list[Weekday]) -> list[Weekday]:
    return sorted(set(days), key=WEEKDAYS.index)


Name = Annotated[str, Field(min_length=1, max_length=100, examples=["Friday night"])]
Days = Annotated[list[Weekday], Field(min_length=1, max_length=7, examples=[["fri"]]), AfterValidator(_in_order)]
ConnectionIds = Annotated[list[ConnectionId], Field(min_length=1, max_length=20), AfterValidator(each_once)]


class SlotCreate(ApiModel):
    """A time of the week at which one publication goes out."""

    name: Name
    connection_ids: ConnectionIds
    """The accounts that it serves: what goes only to some of them may take it too."""
    days: Days
    time: ClockTime
    timezone: TimeZone | None = None
    """Left out, the label's."""


class SlotChange(ApiModel):
    """What to change; what is left out stays."""

    name: Name = Field(default_factory=left_out)
    connection_ids: ConnectionIds = Field(default_factory=left_out)
    days: Days = Field(default_factory=left_out)
    time: ClockTime = Field(default_factory=left_out)
    timezone: TimeZone = Field(default_factory=left_out)


class SlotOut(ApiModel):
    """A time of the week at which one publication goes out."""

    id: Annotated[str, Field(examples=["slt_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    connection_ids: list[str]
    days: list[Weekday]
    time: str
    timezone: str
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, slot: Doc) -> "SlotOut":
        """The slot of this document."""
        copied = ("name", "connection_ids", "days", "time", "timezone", "created_at", "updated_at")
        return cls(id=slot["_id"], **{name: slot[name] for name in copied})


class SlotPage(Page[SlotOut]):
    """A label's slots, oldest first."""


class CalendarItem(ApiModel):
    """Something of a calendar: a publication, or a time of a slot that is free."""

    at: Instant
    local_time: str
    """The same on the clocks of `timezone`."""
    timezone: str
    what: Literal["publication", "reminder", "free_slot"]
    """`reminder`: somebody publishes it by hand."""
    publication_id: str | None
    state: str | None
    """The publication's; one that is not scheduled yet is only meant for this time."""
    kind: str | None
    caption: str | None
    """Its first 120 characters."""
    targets: list[str]
    slot_id: str | None
    """The slot whose time it is, or was taken."""


class CalendarPage(Page[CalendarItem]):
    """What a label publishes in a time, in order."""
