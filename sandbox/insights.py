"""An Instagram account's figures, on both hosts. Source: section 6.1."""

from collections.abc import Sequence
from typing import Any

from sandbox.call import BASIC, INSIGHTS, Call
from sandbox.errors import bad_parameter
from sandbox.fields import time_text
from sandbox.messages import DAY_MS

METRICS = (
    "reach",
    "views",
    "accounts_engaged",
    "total_interactions",
    "likes",
    "comments",
    "saves",
    "shares",
    "replies",
    "reposts",
    "follows_and_unfollows",
    "profile_links_taps",
    "follower_demographics",
    "engaged_audience_demographics",
    "follower_count",
    "online_followers",
)


def account_insights(call: Call, node: str) -> dict[str, Any]:
    """The figures of an account: totals, or the last two days as a series."""
    account = call.own(node)
    call.need(BASIC, INSIGHTS)
    names = asked_metrics(call.text("metric"), METRICS)
    series = call.params.get("metric_type") != "total_value"
    data = [metric(account.id, name, call.box.now_ms(), series=series) for name in names]
    return {"data": data, "paging": {}}


def asked_metrics(text: str, known: Sequence[str]) -> list[str]:
    """The metrics a call names. Raises code 100 for none, and for one that is not known."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise bad_parameter("The parameter metric is required")
    for n, name in enumerate(names):
        if name not in known:
            raise bad_parameter(f"metric[{n}] must be one of the following values: {', '.join(known)}")
    return names


def metric(node_id: str, name: str, now_ms: int, *, series: bool) -> dict[str, Any]:
    """One metric with made-up figures, the same at every call."""
    figure = 20 + sum(name.encode()) % 180
    days = [{"value": figure + n, "end_time": time_text(now_ms - (1 - n) * DAY_MS)} for n in range(2)]
    shown: dict[str, Any] = {"values": days} if series else {"total_value": {"value": figure}}
    title = name.replace("_", " ").capitalize()
    named = {"name": name, "period": "day", "title": title, "description": f"{title} (sandbox)."}
    return named | shown | {"id": f"{node_id}/insights/{name}/day"}
