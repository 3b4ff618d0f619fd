"""An Instagram account's figures and those of its media, on both hosts. Source: sections 6.1 and 6.2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sandbox import figures
from sandbox.call import BASIC, INSIGHTS, Call
from sandbox.comments import media_node, need_media
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.fields import page, parse_fields, project, time_text
from sandbox.seed import Account, Media

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
MOST_DAYS = 30
PARTS: Mapping[str, Sequence[str]] = {
    "media_product_type": ("POST", "REELS", "STORY"),
    "follow_type": ("FOLLOWER", "NON_FOLLOWER"),
    "contact_button_type": ("BOOK_NOW", "EMAIL"),
    "age": ("18-24", "25-34", "35-44"),
    "city": ("Berlin, Berlin", "Leeds, England"),
    "country": ("DE", "GB"),
    "gender": ("F", "M", "U"),
    "action_type": ("bio_link_clicked", "email"),
    "story_navigation_action_type": ("tap_forward", "tap_back", "tap_exit"),
}
"""What a figure is told apart by. Meta says `POST` where its list says `FEED`."""


@dataclass(frozen=True)
class Known:
    """A metric as Meta knows it: how it may be asked for."""

    period: str = "day"
    types: tuple[str, ...] = ("total_value",)
    breakdowns: tuple[str, ...] = ()
    followers: bool = False
    """Only of accounts with 100 followers, or engagements."""


_BY_PRODUCT = Known(breakdowns=("media_product_type",))
_AUDIENCE = Known("lifetime", breakdowns=("age", "city", "country", "gender"), followers=True)
METRICS: dict[str, Known] = {
    "reach": Known(types=("total_value", "time_series"), breakdowns=("media_product_type", "follow_type")),
    "views": Known(breakdowns=("media_product_type", "follow_type")),
    **dict.fromkeys(("total_interactions", "likes", "comments", "saves", "shares"), _BY_PRODUCT),
    **dict.fromkeys(("accounts_engaged", "replies", "reposts"), Known()),
    "follows_and_unfollows": Known(breakdowns=("follow_type",)),
    "profile_links_taps": Known(breakdowns=("contact_button_type",)),
    **dict.fromkeys(("follower_demographics", "engaged_audience_demographics"), _AUDIENCE),
    "follower_count": Known(types=("time_series",), followers=True),
    "online_followers": Known("lifetime", types=(), followers=True),
}
OF_FACEBOOK = ("facebook_views", "crossposted_views")
_OF_MEDIA = ("views", "reach", "total_interactions", "likes", "comments", "saved", "shares", "reposts")
MEDIA_METRICS: dict[str, tuple[str, ...]] = {
    "FEED": (*_OF_MEDIA, "follows", "profile_visits", "profile_activity", "facebook_views"),
    "REELS": (
        *(*_OF_MEDIA, "ig_reels_avg_watch_time", "ig_reels_video_view_total_time", "reels_skip_rate"),
        *OF_FACEBOOK,
    ),
    "STORY": (
        *("views", "reach", "replies", "navigation", "shares", "total_interactions", "reposts", "follows"),
        *("profile_visits", "profile_activity", "facebook_views"),
    ),
}
MEDIA_PARTS = {"profile_activity": "action_type", "navigation": "story_navigation_action_type"}


def account_insights(call: Call, node: str) -> dict[str, Any]:
    """The figures of an account, or of one of its media: totals of some days, or a series of them."""
    if node not in ("me", call.account.id, call.account.scoped_id):
        return media_insights(call, node)
    account = call.own(node)
    call.need(BASIC, INSIGHTS)
    names = asked_metrics(call, list(METRICS))
    for name in names:
        _check(call, name)
    days = asked_days(call)
    rows = [row for name in names if (row := _account_row(call, account, name, days))]
    return {"data": rows, "paging": paging_of(call, days)}


def asked_metrics(call: Any, known: Sequence[str]) -> list[str]:
    """The metrics a call names. Raises code 100 for none, and for one that is not known, or not any more."""
    names = [name.strip() for name in call.text("metric").split(",") if name.strip()]
    if not names:
        raise bad_parameter("The parameter metric is required")
    still = [name for name in known if name not in call.box.world.insights.retired]
    for n, name in enumerate(names):
        if name not in still:
            raise bad_parameter(f"metric[{n}] must be one of the following values: {', '.join(still)}")
    return names


def asked_days(call: Any) -> list[date]:
    """The days from `since` to `until`, or yesterday. Raises code 100 for more than 30."""
    now_ms: int = call.box.now_ms()
    if not call.text("since"):
        return [figures.today(now_ms) - figures.DAY]
    try:
        since_ms, until_ms = (int(call.text(name)) * 1000 for name in ("since", "until"))
    except ValueError:
        raise bad_parameter("since and until must be timestamps") from None
    if not 0 <= until_ms - since_ms <= MOST_DAYS * DAY_MS + HOUR_MS:
        raise bad_parameter("There cannot be more than 30 days (2592000 s) between since and until")
    return [day for day in figures.days_between(since_ms, until_ms) if figures.begin_ms(day) <= now_ms]


def told_days(call: Any, node: str, days: Sequence[date]) -> list[date]:
    """Those of the days of which Meta has figures by now."""
    plan, now_ms = call.box.world.insights, call.box.now_ms()
    ready = [day for day in days if now_ms >= figures.begin_ms(day + figures.DAY) + plan.lag_h * HOUR_MS]
    return [day for day in ready if day.isoformat() not in plan.missing_days]


def paging_of(call: Any, days: Sequence[date]) -> dict[str, Any]:
    """The days before and after, as addresses that hold the token, as the real ones do."""
    if not call.text("since") or not days:
        return {}
    since, until = (int(call.text(name)) for name in ("since", "until"))
    kept = call.paging_params()
    span = until - since
    links = {"previous": (since - span, since), "next": (until, until + span)}
    address = "&".join(f"{name}={value}" for name, value in kept.items() if name not in ("since", "until"))
    return {name: f"{call.url}?{address}&since={begin}&until={end}" for name, (begin, end) in links.items()}


def series(node: str, name: str, days: Sequence[date]) -> list[dict[str, Any]]:
    """A value a day; `end_time` is the end of it."""
    return [
        {"value": figures.of_day(node, name, day), "end_time": time_text(figures.begin_ms(day + figures.DAY))}
        for day in days
    ]


def row_of(node: str, name: str, period: str, **shown: Any) -> dict[str, Any]:
    """One metric as an answer has it."""
    title = name.replace("_", " ").capitalize()
    named = {"name": name, "period": period, "title": title, "description": f"{title} (sandbox)."}
    return named | shown | {"id": f"{node}/insights/{name}/{period}"}


def _check(call: Call, name: str) -> None:
    """Raise as Meta does: 100 for a wrong type or period, 1 for a breakdown that this metric does not have."""
    known, breakdown = METRICS[name], call.text("breakdown")
    period, kind = call.text("period"), call.text("metric_type")
    if period and period != known.period:
        raise bad_parameter(f"The period {period} is not supported for {name}")
    if kind and kind not in known.types:
        raise bad_parameter(f"The metric_type {kind} is not supported for {name}")
    if not kind and known.types == ("total_value",):
        raise bad_parameter(f"The metric {name} should be specified with parameter metric_type=total_value")
    if breakdown and breakdown not in known.breakdowns:
        raise GraphError(1, "An unknown error has occurred.")
    if known == _AUDIENCE and not (breakdown and call.text("timeframe")):
        raise bad_parameter(f"{name} needs a breakdown and a timeframe")


def _account_row(call: Call, account: Account, name: str, days: Sequence[date]) -> dict[str, Any] | None:
    """The metric; none where Meta has no data, which is an empty list and no zero."""
    known, plan = METRICS[name], call.box.world.insights
    if known.followers and account.username in plan.small:
        return None
    if name == "online_followers":
        hours = {str(hour): figures.of_day(account.id, f"online_{hour}", date.min) for hour in range(24)}
        return row_of(account.id, name, "lifetime", values=[{"value": hours, "end_time": time_text(call.box.now_ms())}])
    told = told_days(call, account.id, days)
    if known == _AUDIENCE:
        told = [date.min]
    if not told:
        return None
    if call.text("metric_type") != "total_value":
        return row_of(account.id, name, known.period, values=series(account.id, name, told))
    total = sum(figures.of_day(account.id, name, day) for day in told)
    shown = total_of(total, call.text("breakdown"), known == _AUDIENCE)
    return row_of(account.id, name, known.period, total_value=shown)


def total_of(total: int, breakdown: str, parts_alone: bool = False) -> dict[str, Any]:
    """A total, with its parts."""
    shown: dict[str, Any] = {} if parts_alone else {"value": total}
    if breakdown:
        parts = figures.split(total, PARTS[breakdown])
        results = [{"dimension_values": [name], "value": value} for name, value in parts.items()]
        shown |= {"breakdowns": [{"dimension_keys": [breakdown], "results": results}]}
    return shown


def media_insights(call: Call, node: str) -> dict[str, Any]:
    """How a media stands. Raises code 100 for a metric of another kind, 10 for too few viewers."""
    media = need_media(call, node)
    call.need(BASIC, INSIGHTS)
    plan, now_ms = call.box.world.insights, call.box.now_ms()
    if media.id in plan.before_professional:
        raise GraphError(100, "(#100) The media was posted before the account became professional", 2108006)
    names = asked_metrics(call, MEDIA_METRICS.get(media.product_type, ()))
    if media.product_type == "STORY" and now_ms - media.posted_ms >= DAY_MS:
        raise unsupported(call.method, node)
    if media.id in plan.few_viewers:
        raise GraphError(10, "(#10) Not enough viewers for the media to show insights")
    if any(name in OF_FACEBOOK for name in names) and media.id not in plan.on_facebook:
        raise bad_parameter("The media was not shared to Facebook")
    return {"data": [_media_row(call, media, name) for name in names]}


def _media_row(call: Call, media: Media, name: str) -> dict[str, Any]:
    value = figures.of_age(media.id, name, call.box.now_ms() - media.posted_ms)
    if name == "reels_skip_rate":
        return row_of(media.id, name, "lifetime", values=[{"value": value % 1000 / 10}])
    breakdown = call.text("breakdown")
    if breakdown and MEDIA_PARTS.get(name) != breakdown:
        raise GraphError(1, "An unknown error has occurred.")
    if breakdown:
        return row_of(media.id, name, "lifetime", total_value=total_of(value, breakdown))
    return row_of(media.id, name, "lifetime", values=[{"value": value}])


def list_stories(call: Call, node: str) -> dict[str, Any]:
    """The stories of the last 24 hours, the newest first."""
    account, now_ms = call.own(node), call.box.now_ms()
    call.need(BASIC)
    live = [one for one in call.box.world.posted.media_of(account) if one.product_type == "STORY"]
    ids = [one.id for one in reversed(live) if 0 <= now_ms - one.posted_ms < DAY_MS]
    shown, paging = page(ids, call.paging_params(), call.url, 100)
    wanted = parse_fields(call.text("fields") or "id")
    data = [project(media_node(call, need_media(call, key)), wanted, "IGMedia") for key in shown]
    return {"data": data} | ({"paging": paging} if paging else {})
