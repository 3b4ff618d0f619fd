"""Release plans, as the API shows and takes them."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Flag, Instant, Page, left_out
from app.models.labels import TimeZone

Title = Annotated[str, Field(min_length=1, max_length=200, examples=["Night Swim (album)"])]


def _in_the_calendar(day: date) -> date:
    if not 2001 <= day.year <= 2098:
        raise ValueError("must be a day of this century")
    return day


ReleaseDate = Annotated[date, Field(examples=["2027-02-26"]), AfterValidator(_in_the_calendar)]
TimeZones = Annotated[list[TimeZone], Field(max_length=50, examples=[["Europe/Oslo"]])]


class ReleasePlanCreate(ApiModel):
    """A release that publications hang on."""

    title: Title
    release_date: ReleaseDate
    timezones: TimeZones = Field(default_factory=list)
    """The zones of the territories where it comes out: the first midnight among them counts. None: UTC+14, where a day
    begins first."""
    embargo: Flag = True
    """Whether what is marked as revealing it must wait for the first midnight."""


class ReleasePlanChange(ApiModel):
    """What to change; what is left out stays. `POST …/move` moves the date."""

    elsewhere: ClassVar[dict[str, str]] = {
        "release_date": "release_date is changed by POST …/move, with what hangs on it"
    }

    title: Title = Field(default_factory=left_out)
    timezones: TimeZones = Field(default_factory=left_out)
    embargo: Flag = Field(default_factory=left_out)


class ReleasePlanMove(ApiModel):
    """The new date."""

    release_date: ReleaseDate


class ReleasePlanOut(ApiModel):
    """A release that publications hang on."""

    id: Annotated[str, Field(examples=["rpl_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    title: str
    release_date: date
    timezones: list[str]
    embargo: bool
    reveals_from: Instant
    """The first midnight of its day: from then on it may be revealed."""
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, plan: Doc, reveals_from: Instant) -> "ReleasePlanOut":
        """The plan of this document."""
        copied = ("title", "timezones", "embargo", "created_at", "updated_at")
        day = date.fromisoformat(plan["release_date"])
        return cls(id=plan["_id"], release_date=day, reveals_from=reveals_from, **{name: plan[name] for name in copied})


class ReleasePlanPage(Page[ReleasePlanOut]):
    """A label's release plans, newest first."""


class MovedOut(ApiModel):
    """What becomes of one publication when the date moves."""

    publication_id: str
    state: str
    """As it was before."""
    outcome: Literal["moves", "stays", "is_unscheduled"]
    """`is_unscheduled`: it is taken back, and must be scheduled anew."""
    reason: (
        Literal["has_begun", "has_its_own_time", "has_passed", "too_far_ahead", "embargoed", "connection_not_active"]
        | None
    )
    """Why it does not simply move."""
    before: Instant | None
    after: Instant | None


class ReleasePlanMoved(ApiModel):
    """The plan as it is then, and what becomes of each publication."""

    plan: ReleasePlanOut
    dry_run: bool
    publications: list[MovedOut]
