"""The figures of a Page and of its posts. Source: section 6.3."""

from typing import Any

from sandbox import figures
from sandbox.errors import bad_parameter, unsupported
from sandbox.facebook_call import FacebookCall
from sandbox.facebook_comments import page_of_post
from sandbox.facebook_seed import Page
from sandbox.insights import asked_days, asked_metrics, paging_of, row_of, series, told_days

POSTED_MS = 1_795_000_000_000
PAGE_METRICS = (
    "page_media_view",
    "page_total_media_view_unique",
    "page_follows",
    "page_daily_follows",
    "page_post_engagements",
)
POST_METRICS = ("post_media_view", "post_total_media_view_unique", "post_clicks", "post_reactions_by_type_total")


def page_insights(call: FacebookCall, page: Page) -> dict[str, Any]:
    """The figures of a Page, as series of days. One retired metric fails the whole call."""
    _need(call, page)
    names = asked_metrics(call, PAGE_METRICS)
    if call.text("period") not in ("", "day"):
        raise bad_parameter("The period is not supported")
    days = asked_days(call)
    told = told_days(call, page.id, days)
    rows = [row_of(page.id, name, "day", values=series(page.id, name, told)) for name in names if told]
    return {"data": rows, "paging": paging_of(call, days)}


def post_insights(call: FacebookCall, post_id: str) -> dict[str, Any]:
    """How a Page's post stands; reactions come as an object of their kinds."""
    page = page_of_post(call.box, post_id)
    if page is None:
        raise unsupported(call.method, post_id)
    _need(call, page)
    names = asked_metrics(call, POST_METRICS)
    item = call.box.world.posted.items.get(post_id)
    age_ms = call.box.now_ms() - (item.created_ms if item else POSTED_MS)
    rows = []
    for name in names:
        value = figures.of_age(post_id, name, age_ms)
        shown = figures.split(value, ("like", "love")) if name == "post_reactions_by_type_total" else value
        rows.append(row_of(post_id, name, "lifetime", values=[{"value": shown}]))
    return {"data": rows, "paging": {}}


def _need(call: FacebookCall, page: Page) -> None:
    call.need_page_token(page)
    call.need("read_insights", "pages_read_engagement")
    call.need_task(page, "ANALYZE")
