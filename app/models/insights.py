"""Insights, as the API shows them."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page
from app.models.insight_metrics import MEDIA_METRICS, Kind
from app.models.slots import Weekday

Product = Literal["FEED", "REELS", "STORY", "AD", "POST"]
RankedBy = Literal["reach", "views", "total_interactions"]
MediaOrder = Literal[
    "-posted_at",
    "posted_at",
    "-reach",
    "reach",
    "-views",
    "views",
    "-total_interactions",
    "total_interactions",
]
FigureStatus = Literal["ok", "partial", "unavailable"]
MediaId = Annotated[str, Field(examples=["med_01k9zv3t5w8x2m4c6d7f9g1h3j"])]


class PartOut(ApiModel):
    """A figure of one value of a dimension."""

    dimension: Annotated[str, Field(examples=["media_product_type"])]
    part: Annotated[str, Field(examples=["REELS"])]
    """As Meta calls it, which is not always as documented."""
    value: float | int


class FigureOut(ApiModel):
    """A figure, with where it comes from; or that there is none, and why."""

    value: float | int | None
    """Never a zero for what is not known. Null of what is told in parts alone."""
    parts: list[PartOut]
    status: FigureStatus
    """`partial`: it may still change, for Meta's figures come up to 48 hours late."""
    reason: Annotated[str | None, Field(examples=["no_data"])]
    """Why it is not `ok`: `may_still_change`, `not_over`, `not_read`, `no_data`, `refused` (Meta does not take this
    metric, or not any more), `too_few_viewers`, `before_professional`, `malformed`, `provider_error`."""
    as_of: Instant | None
    """When Meta said so."""
    source: Annotated[str | None, Field(examples=["instagram_account_insights"])]
    api_version: Annotated[str | None, Field(examples=["v26.0"])]


def figure_of(told: Doc) -> Doc:
    """The fields of a figure that is stored."""
    parts = [PartOut(dimension=one["dimension"], part=one["value"], value=one["figure"]) for one in told["parts"]]
    names = ("value", "status", "reason", "as_of", "source", "api_version")
    return {name: told[name] for name in names} | {"parts": parts}


class PointOut(FigureOut):
    """A figure of one day."""

    day: date
    """Meta's days are those of US Pacific time."""


class TotalOut(ApiModel):
    """What a period comes to."""

    value: float | int | None
    """A sum of what adds up, the last one of a level. Null of people: those of two days may be the same."""
    days: int
    """Of how many days there is a figure."""
    missing: int
    partial: bool
    """Whether some of it may still change."""
    reason: Literal["not_additive", "no_days", "days_missing"] | None


class ComparisonOut(ApiModel):
    """The period of the same length before."""

    since: Annotated[date, Field(serialization_alias="from")]
    until: Annotated[date, Field(serialization_alias="to")]
    total: TotalOut
    difference: float | int | None
    ratio: float | None
    """What the period is of the one before: 1.25 is a quarter more. Null where that cannot be said: see `reason`."""
    reason: Literal["not_additive", "days_missing", "base_days_missing", "base_zero"] | None


class SeriesOut(ApiModel):
    """One metric, day by day, without a gap in its days."""

    metric: Annotated[str, Field(examples=["reach"])]
    kind: Kind
    """`count` adds up over days; `people` does not; `level` is how it stands; `other` is an average, or parts."""
    points: list[PointOut]
    total: TotalOut
    comparison: ComparisonOut | None


class AccountInsightsOut(ApiModel):
    """The figures of one account."""

    connection_id: str
    provider: Literal["instagram", "facebook"]
    """The network that the account is on."""
    provider_id: str
    name: str | None
    series: list[SeriesOut]


class AccountInsights(ApiModel):
    """The figures of the label's accounts in a period."""

    since: Annotated[date, Field(serialization_alias="from")]
    until: Annotated[date, Field(serialization_alias="to")]
    """The last day, which is in it."""
    timezone: Annotated[str, Field(examples=["America/Los_Angeles"])]
    """Whose days they are: Meta's."""
    data: list[AccountInsightsOut]


class MediaFigureOut(FigureOut):
    """A figure of a media, as it stands."""

    metric: Annotated[str, Field(examples=["reach"])]
    kind: Kind


class InsightMediaOut(ApiModel):
    """Something that an account has posted, and how it stands."""

    id: MediaId
    connection_id: str
    provider: Literal["instagram", "facebook"]
    provider_id: str
    product: Annotated[str, Field(examples=["REELS"])]
    """`FEED`, `REELS`, `STORY`, `AD`; `POST` is a Page's."""
    media_type: str | None
    permalink: str | None
    posted_at: Instant
    read_at: Instant | None
    """When its figures were last read; null before the first time."""
    gone_at: Instant | None
    """Since when Meta does not have it any more."""
    figures: list[MediaFigureOut]

    @classmethod
    def of(cls, media: Doc) -> "InsightMediaOut":
        """The media of this document."""
        figures = [
            MediaFigureOut(metric=name, kind=MEDIA_METRICS[name].kind, **figure_of(told))
            for name, told in sorted(media["latest"].items())
            if name in MEDIA_METRICS
        ]
        same = ("connection_id", "provider_id", "product", "media_type", "permalink", "posted_at", "read_at", "gone_at")
        own = {name: media[name] for name in same}
        return cls(id=media["_id"], provider=media["network"], figures=figures, **own)


class InsightMediaPage(Page[InsightMediaOut]):
    """What the label's accounts have posted."""


class MediaSeriesOut(ApiModel):
    """How one figure of a media stood, on each day on which it was read."""

    metric: str
    kind: Kind
    points: list[PointOut]


class InsightMediaDetail(ApiModel):
    """A media, and how it came to stand so."""

    media: InsightMediaOut
    series: list[MediaSeriesOut]


class BestTimeOut(ApiModel):
    """A time of the week whose posts did better than others."""

    weekday: Annotated[Weekday, Field(examples=["fri"])]
    """As slots have it."""
    from_hour: Annotated[int, Field(examples=[18])]
    to_hour: Annotated[int, Field(examples=[21])]
    posts: list[MediaId]
    """The evidence."""
    median: float
    better: Annotated[float, Field(examples=[0.81])]
    """In which share of all pairs of one of its posts and another its own did better; by chance 0.5."""
    chance: Annotated[float, Field(examples=[0.002])]
    """How probable that is if the time made no difference (Mann-Whitney, one-sided)."""
    sure: Literal["likely", "hint"]
    """`likely`: below one in twenty even though so many slots were looked at."""


class BestTimesOut(ApiModel):
    """When posts did best; or that it cannot be said."""

    status: Literal["found", "nothing_stands_out", "not_enough_data"]
    metric: RankedBy
    timezone: Annotated[str, Field(examples=["Europe/Berlin"])]
    """The label's, in which the hours are."""
    since: Instant
    posts: int
    """How many posts were compared: those whose figures have settled."""
    posts_needed: int
    left_out: int
    """Posts of the last 7 days, and those without this figure."""
    slots_compared: int
    """How many times of the week had posts enough to be looked at."""
    slots: list[BestTimeOut]
    """The surest first."""


class CampaignTargetOut(ApiModel):
    """Where a publication went out, and what came of it there."""

    publication_id: Annotated[str, Field(examples=["pub_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    connection_id: str
    provider_id: str | None
    """The provider's id of what was published; null until it is."""
    state: Annotated[str, Field(examples=["published"])]
    media: InsightMediaOut | None
    reason: Literal["not_published", "not_seen_yet", "id_unknown"] | None
    """Why there are no figures: it is not out, no look at the account's media has found it, or nobody knows which of
    them it is."""


class CampaignTotalOut(ApiModel):
    """What a metric comes to over all that went out."""

    metric: str
    value: float | int | None
    """Null of people: those whom two posts reached may be the same."""
    media: int
    """Of how many there is a figure."""
    missing: int
    reason: Literal["not_additive", "media_missing"] | None


class CampaignInsights(ApiModel):
    """What came of all that hangs on a release plan."""

    plan_id: Annotated[str, Field(examples=["rpl_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    publications: int
    targets: list[CampaignTargetOut]
    totals: list[CampaignTotalOut]
    """Of what is published, as it stands."""
