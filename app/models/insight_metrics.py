"""Which figures Meta has of an account, a Page, a media and a post, and how each is asked for.

Source: Meta, Instagram insights and Page insights, 2026-02 (meta-platform.md, section 6). What Meta retires is taken
out here; until then it is marked, and the others stand.
"""

from dataclasses import dataclass, field
from typing import Literal

Subject = Literal["instagram_account", "page", "feed", "reels", "story", "page_post"]
"""What has figures: each has a table of its own, because a metric that is wrong for it fails the whole call."""
Kind = Literal["count", "people", "level", "other"]
"""`count`: what happened that day, which adds up over days. `people`: how many different ones, which adds up over
nothing. `level`: how it stands; of media, it adds up over media. `other`: an average, or parts alone."""


@dataclass(frozen=True)
class Metric:
    """One figure: what we call it, and Meta's name and parameters of it."""

    name: str
    asked: str
    """Meta's name: one that is told apart by a breakdown has several of ours."""
    kind: Kind
    period: Literal["day", "lifetime"] = "day"
    metric_type: Literal["total_value"] | None = None
    breakdown: str | None = None
    timeframe: str | None = None
    alone: bool = False
    """Whether Meta refuses it of some media and not of others: it is asked for by itself, and not taken for retired."""

    @property
    def call(self) -> tuple[str, ...]:
        """What must be the same of all that are asked for in one call: a breakdown is not mixed with others."""
        told = (self.period, self.metric_type, self.breakdown, self.timeframe, self.name if self.alone else None)
        return tuple(one or "" for one in told)


@dataclass(frozen=True)
class Table:
    """The metrics of a subject. `source` is where a value says that it came from."""

    subject: Subject
    source: str
    metrics: tuple[Metric, ...] = field(repr=False)

    def named(self, name: str) -> Metric | None:
        """The metric that we call so."""
        return next((one for one in self.metrics if one.name == name), None)


def _total(name: str, kind: Kind, *, by: str | None = None) -> Metric:
    """A total of one day, or of the parts of it."""
    return Metric(f"{name}_by_{by}" if by else name, name, kind, metric_type="total_value", breakdown=by)


def _counts(*names: str) -> tuple[Metric, ...]:
    return tuple(_total(name, "count") for name in names)


def _lifetime(*names: str, kind: Kind = "level") -> tuple[Metric, ...]:
    kinds: dict[str, Kind] = {"reach": "people", "post_total_media_view_unique": "people"}
    return tuple(Metric(name, name, kinds.get(name, kind), "lifetime") for name in names)


def _shared(*names: str) -> tuple[Metric, ...]:
    """What there is only of media that were shared to Facebook too."""
    return tuple(Metric(name, name, "level", "lifetime", alone=True) for name in names)


def _parts(name: str, by: str) -> Metric:
    """A media's figure that Meta tells in parts."""
    return Metric(f"{name}_by_{by}", name, "level", "lifetime", None, by)


def _audience(name: str) -> tuple[Metric, ...]:
    """Who they are, in the parts of one dimension at a time: at most the 45 largest (Meta)."""
    dimensions = ("age", "city", "country", "gender")
    return tuple(
        Metric(f"{name}_by_{by}", name, "other", "lifetime", "total_value", by, "this_month") for by in dimensions
    )


_OF_MEDIA = ("views", "reach", "total_interactions", "likes", "comments", "saved", "shares", "reposts")

INSTAGRAM_ACCOUNT = Table(
    "instagram_account",
    "instagram_account_insights",
    (
        _total("reach", "people"),
        _total("accounts_engaged", "people"),
        *_counts("views", "total_interactions", "likes", "comments", "saves", "shares", "replies", "reposts"),
        _total("reach", "people", by="media_product_type"),
        *(_total(name, "count", by="media_product_type") for name in ("views", "total_interactions")),
        _total("reach", "people", by="follow_type"),
        _total("follows_and_unfollows", "count", by="follow_type"),
        _total("profile_links_taps", "count", by="contact_button_type"),
    ),
)
"""Read for each day by itself."""
INSTAGRAM_SERIES = Table(
    "instagram_account", "instagram_account_insights", (Metric("new_followers", "follower_count", "count"),)
)
"""Told as a series of days: of the last 30 days, and only of accounts with 100 followers."""
INSTAGRAM_NOW = Table(
    "instagram_account",
    "instagram_account_insights",
    (
        *_audience("follower_demographics"),
        *_audience("engaged_audience_demographics"),
        Metric("online_followers", "online_followers", "other", "lifetime"),
    ),
)
"""How it stands now, once a week; only of accounts with 100 followers, or engagements."""
PAGE = Table(
    "page",
    "page_insights",
    (
        Metric("page_media_view", "page_media_view", "count"),
        Metric("page_total_media_view_unique", "page_total_media_view_unique", "people"),
        Metric("page_follows", "page_follows", "level"),
        Metric("page_daily_follows", "page_daily_follows", "count"),
        Metric("page_post_engagements", "page_post_engagements", "count"),
    ),
)
MEDIA: dict[str, Table] = {
    "FEED": Table(
        "feed",
        "instagram_media_insights",
        (
            *_lifetime(*_OF_MEDIA, "follows", "profile_visits"),
            *_shared("facebook_views"),
            _parts("profile_activity", "action_type"),
        ),
    ),
    "REELS": Table(
        "reels",
        "instagram_media_insights",
        (
            *_lifetime(*_OF_MEDIA, "ig_reels_video_view_total_time"),
            *_lifetime("ig_reels_avg_watch_time", "reels_skip_rate", kind="other"),
            *_shared("crossposted_views", "facebook_views"),
        ),
    ),
    "STORY": Table(
        "story",
        "instagram_media_insights",
        (
            *_lifetime("views", "reach", "replies", "shares", "total_interactions", "reposts", "follows"),
            *_lifetime("profile_visits"),
            *_shared("facebook_views"),
            _parts("navigation", "story_navigation_action_type"),
            _parts("profile_activity", "action_type"),
        ),
    ),
    "POST": Table(
        "page_post",
        "page_post_insights",
        (
            *_lifetime("post_media_view", "post_total_media_view_unique", "post_clicks"),
            *_lifetime("post_reactions_by_type_total"),
        ),
    ),
}
"""By `media_product_type`; `POST` is a Page's. An ad has none here."""
DAILY: dict[str, tuple[Table, ...]] = {
    "instagram": (INSTAGRAM_ACCOUNT, INSTAGRAM_SERIES, INSTAGRAM_NOW),
    "facebook": (PAGE,),
}
"""What there is of an account's days, by its network."""
ACCOUNT_METRICS: dict[str, Metric] = {
    one.name: one for found in DAILY.values() for table in found for one in table.metrics
}
MEDIA_METRICS: dict[str, Metric] = {one.name: one for table in MEDIA.values() for one in table.metrics}
