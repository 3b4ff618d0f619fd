"""The sandbox's figures: the same for the same day, refused, late, missing or too few as Meta's are."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.sandbox.facebook_harness import NIGHTJAR, facebook_login
from tests.sandbox.sandbox_harness import Graph, Sandbox, refusal

SCOPE = "instagram_business_basic,instagram_business_manage_insights"
PACIFIC = ZoneInfo("America/Los_Angeles")
ME = "/me/insights"
TOTAL: dict[str, Any] = {"metric_type": "total_value", "period": "day"}


@pytest.fixture
def graph(sandbox: Sandbox) -> Graph:
    """Nightjar's, which may read its figures."""
    return sandbox.login(scope=SCOPE, subscribe="")


def day_before(sandbox: Sandbox, days: int) -> date:
    """The day so many days ago at Meta."""
    now_ms = sandbox.control("GET", "/clock")["now_ms"]
    return datetime.fromtimestamp(now_ms / 1000, PACIFIC).date() - timedelta(days=days)


def span(first: date, last: date) -> dict[str, int]:
    """`since` and `until` of these days."""
    ends = (datetime.combine(day, datetime.min.time(), PACIFIC) for day in (first, last + timedelta(days=1)))
    return dict(zip(("since", "until"), (int(end.timestamp()) for end in ends), strict=True))


def test_a_day_is_the_same_each_way(sandbox: Sandbox, graph: Graph) -> None:
    """As a total, as one of a series, and as the control API tells it; parts add up to it."""
    days = [day_before(sandbox, n) for n in (3, 2, 1)]
    told = [sandbox.control("GET", f"/insights/figure?node=nightjar.records&metric=reach&day={day}") for day in days]
    answer = graph.get(ME, metric="reach", metric_type="time_series", period="day", **span(days[0], days[-1])).json()
    values = [row["value"] for row in answer["data"][0]["values"]]
    assert values == [one["value"] for one in told]
    ends = [datetime.strptime(row["end_time"], "%Y-%m-%dT%H:%M:%S%z") for row in answer["data"][0]["values"]]
    assert [(end - timedelta(hours=12)).astimezone(PACIFIC).date() for end in ends] == days
    assert "access_token=" in answer["paging"]["next"]
    whole = graph.get(ME, metric="reach", breakdown="media_product_type", **TOTAL, **span(days[0], days[-1])).json()
    total = whole["data"][0]["total_value"]
    assert total["value"] == sum(values) == sum(row["value"] for row in total["breakdowns"][0]["results"])


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"metric": ""}, 100),
        ({"metric": "reach,impressions"}, 100),
        ({"metric": "views"}, 100),
        ({"metric": "views", "metric_type": "time_series"}, 100),
        ({"metric": "reach", "period": "week"}, 100),
        ({"metric": "reach,accounts_engaged", "breakdown": "media_product_type", **TOTAL}, 1),
        ({"metric": "follower_demographics", "metric_type": "total_value", "period": "lifetime"}, 100),
        ({"metric": "reach", "since": "1790000000", "until": "1793000000"}, 100),
        ({"metric": "reach", "since": "soon", "until": "later"}, 100),
    ],
)
def test_what_meta_refuses(graph: Graph, params: dict[str, str], code: int) -> None:
    """Unknown metrics, wrong types, periods and ranges; a breakdown that one of them does not have."""
    assert refusal(graph.get(ME, **params))[0] == code


def test_nothing_is_no_zero(sandbox: Sandbox, graph: Graph) -> None:
    """Late and missing days, and what small accounts do not get, are an empty list."""
    yesterday = span(day_before(sandbox, 1), day_before(sandbox, 1))
    for plan, metric in (
        ({"lag_h": 48}, "reach"),
        ({"missing_days": [str(day_before(sandbox, 1))]}, "reach"),
        ({"small": ["nightjar.records"]}, "follower_count"),
    ):
        sandbox.control("PUT", "/insights", plan)
        assert graph.get(ME, metric=metric, period="day", **yesterday).json()["data"] == []
    sandbox.control("PUT", "/insights", {})
    assert graph.get(ME, metric="follower_count", period="day", **yesterday).json()["data"][0]["values"]


def test_a_retired_metric_fails_the_whole_call(sandbox: Sandbox, graph: Graph) -> None:
    sandbox.control("PUT", "/insights", {"retired": ["views"]})
    assert refusal(graph.get(ME, metric="reach,views", **TOTAL))[0] == 100
    assert graph.get(ME, metric="reach", **TOTAL).json()["data"][0]["total_value"]["value"] > 0


def test_media_and_stories(sandbox: Sandbox, graph: Graph) -> None:
    """Each kind has its metrics; figures grow; a story is listed for a day, and elsewhere never."""
    now_ms = sandbox.control("GET", "/clock")["now_ms"]
    posted = {
        kind: sandbox.control("POST", "/media", {"account": "nightjar.records", "product_type": kind, "at": now_ms - 9})
        for kind in ("FEED", "REELS", "STORY")
    }
    ids = {kind: one["media_id"] for kind, one in posted.items()}
    listed = [row["id"] for row in graph.get("/me/media", fields="id").json()["data"]]
    assert {ids["FEED"], ids["REELS"]} <= set(listed[:2]) and ids["STORY"] not in listed
    assert [row["id"] for row in graph.get("/me/stories").json()["data"]] == [ids["STORY"]]
    path = f"/{ids['STORY']}/insights"
    assert refusal(graph.get(path, metric="views,saved"))[0] == 100
    sandbox.control("PUT", "/insights", {"few_viewers": [ids["STORY"]], "before_professional": [ids["FEED"]]})
    assert refusal(graph.get(path, metric="views"))[0] == 10
    assert refusal(graph.get(f"/{ids['FEED']}/insights", metric="views")) == (100, 2108006)
    sandbox.control("PUT", "/insights", {})
    before = graph.get(path, metric="views").json()["data"][0]["values"][0]["value"]
    sandbox.control("PUT", "/clock", {"offset_s": 20 * 3600})
    assert graph.get(path, metric="views").json()["data"][0]["values"][0]["value"] > before
    sandbox.control("PUT", "/clock", {"offset_s": 25 * 3600})
    assert graph.get("/me/stories").json()["data"] == []
    reel = f"/{ids['REELS']}/insights"
    assert refusal(graph.get(reel, metric="facebook_views"))[0] == 100
    sandbox.control("PUT", "/insights", {"on_facebook": [ids["REELS"]]})
    assert graph.get(reel, metric="facebook_views,crossposted_views").status_code == 200


def test_a_page_and_its_post(sandbox: Sandbox) -> None:
    """A series of a Page's days; a post's reactions are an object; posts are listed."""
    page = facebook_login(sandbox).page(NIGHTJAR)
    days = span(day_before(sandbox, 4), day_before(sandbox, 1))
    [row] = page.get(ME, metric="page_daily_follows", period="day", **days).json()["data"]
    assert len(row["values"]) == 4
    [post] = page.get("/me/posts", fields="id,created_time").json()["data"]
    names = "post_media_view,post_reactions_by_type_total"
    views, reactions = page.get(f"/{post['id']}/insights", metric=names).json()["data"]
    assert views["values"][0]["value"] > 0 and set(reactions["values"][0]["value"]) == {"like", "love"}


def test_the_plan_survives_the_end_of_the_process(own_sandbox: Sandbox) -> None:
    """What was set and posted is in the journal."""
    own_sandbox.control("PUT", "/insights", {"retired": ["views"], "lag_h": 3})
    made = own_sandbox.control("POST", "/media", {"account": "nightjar.records", "product_type": "REELS"})
    own_sandbox.stop()
    own_sandbox.start()
    assert own_sandbox.control("GET", "/insights")["retired"] == ["views"]
    graph = own_sandbox.login(scope=SCOPE, subscribe="")
    assert made["media_id"] in {row["id"] for row in graph.get("/me/media").json()["data"]}
