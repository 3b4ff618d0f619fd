"""Insights from the sandbox to the API: days and media are read, kept once, filled in later, and shown as they are."""


import pytest

from tests.flows.flows_harness import Desk, Meta
from tests.flows.insights_harness import (
    DAY,
    figure,
    look,
    series,
    sit_at_figures,
    yesterday,
)
from tests.house import House


@pytest.fixture
async def figures_desk(live_house: House, meta: Meta) -> Desk:
    """The owner of a label whose account is connected for its insights."""
    return await sit_at_figures(live_house)


async def test_days_are_read_and_shown(figures_desk: Desk, meta: Meta) -> None:
    """The first look reads 30 days back: each figure is Meta's own, with its source; the last two days may change."""
    operation = await look(figures_desk)
    assert operation["state"] == "succeeded", operation
    last = yesterday(figures_desk)
    found = await series(figures_desk, "reach", **{"from": last - 5 * DAY, "to": last})
    assert [point["day"] for point in found["points"]] == [str(last - n * DAY) for n in range(5, -1, -1)]
    for point in found["points"]:
        day = last.fromisoformat(point["day"])
        assert point["value"] == await figure(meta, "reach", day), point
        assert (point["source"], point["api_version"]) == ("instagram_account_insights", "v26.0")
    assert [point["status"] for point in found["points"]][:3] == ["ok"] * 3
    assert found["points"][-1]["status"] == "partial" and found["points"][-1]["reason"] == "may_still_change"
    assert (found["kind"], found["total"]["value"], found["total"]["reason"]) == ("people", None, "not_additive")
    views = await series(figures_desk, "views", **{"from": last - 5 * DAY, "to": last})
    assert views["total"]["value"] == sum([await figure(meta, "views", last - n * DAY) for n in range(6)])
    before = await figures_desk.stored("account_days")
    assert len(before) == 30
    again = await look(figures_desk)
    assert again["_id"] == operation["_id"] and await figures_desk.stored("account_days") == before
