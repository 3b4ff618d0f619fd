"""Insights behind a Facebook log-in: a Page and its posts, and the Instagram account that is linked with it."""

from tests.flows.facebook_harness import NIGHTJAR, NIGHTJAR_IG, log_in
from tests.flows.flows_harness import Desk, Meta
from tests.flows.insights_harness import DAY, figure, look, series, yesterday
from tests.house import House


async def test_a_page_and_its_posts(live_house: House, meta: Meta) -> None:
    """The Page's days come as series, whole; its post stands with reactions in parts; what is withdrawn is marked."""
    await meta.control("PUT", "/insights", retired=["page_follows", "post_clicks"])
    login = await log_in(live_house, features=["insights"])
    results = await login.connect(NIGHTJAR)
    desk = Desk(live_house, login.owner, login.label_id, results[NIGHTJAR]["connection_id"])
    assert (await look(desk))["state"] == "succeeded"
    last = yesterday(desk)
    found = await series(desk, "page_media_view", **{"from": last - 28 * DAY, "to": last})
    values = [await figure(meta, "page_media_view", last - n * DAY, NIGHTJAR) for n in range(28, -1, -1)]
    assert [one["value"] for one in found["points"]] == values
    assert (found["total"]["value"], found["points"][0]["source"]) == (sum(values), "page_insights")
    follows = await series(desk, "page_follows", **{"from": last, "to": last})
    assert [one["reason"] for one in follows["points"]] == ["refused"]
    [post] = await desk.all("/insights/media")
    assert (post["product"], post["provider"]) == ("POST", "facebook")
    told = {one["metric"]: one for one in post["figures"]}
    assert told["post_media_view"]["value"] > 0 and told["post_clicks"]["reason"] == "refused"
    assert {part["part"] for part in told["post_reactions_by_type_total"]["parts"]} == {"like", "love"}


async def test_a_linked_account(live_house: House, meta: Meta) -> None:
    """Its figures are the same as by its own log-in, read at Facebook's host with the Page's token."""
    login = await log_in(live_house, features=["insights"])
    results = await login.connect(NIGHTJAR_IG)
    desk = Desk(live_house, login.owner, login.label_id, results[NIGHTJAR_IG]["connection_id"])
    assert (await look(desk))["state"] == "succeeded"
    last = yesterday(desk)
    found = await series(desk, "reach_by_media_product_type", **{"from": last, "to": last})
    [point] = found["points"]
    assert point["value"] == await figure(meta, "reach", last) == sum(part["value"] for part in point["parts"])
    assert len(await desk.all("/insights/media")) == 3
