"""Insights from the sandbox to the API: days and media are read, kept once, filled in later, and shown as they are."""

from datetime import timedelta

import pytest

from app.services.connections import tending
from app.services.connections.looks import INSIGHTS, look_soon
from tests.flows.flows_harness import Desk, Meta, places_of
from tests.flows.insights_harness import (
    DAY,
    figure,
    let_pass,
    look,
    look_later,
    post_by_hand,
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


async def test_late_figures_come_in(figures_desk: Desk, meta: Meta) -> None:
    """Meta is two days late: those days have no figure, which is no zero; two days later they have, and stay."""
    last = yesterday(figures_desk)
    await meta.control("PUT", "/insights", missing_days=[str(last), str(last - DAY)])
    await look(figures_desk)
    period = {"from": last - 2 * DAY, "to": last}
    found = await series(figures_desk, "views", **period)
    assert [one["reason"] for one in found["points"]] == [None, "no_data", "no_data"]
    assert (found["total"]["missing"], found["total"]["reason"]) == (2, "days_missing")
    await meta.control("PUT", "/insights", lag_h=40)
    await look_later(figures_desk, timedelta(hours=49))
    found = await series(figures_desk, "views", **period)
    assert [one["status"] for one in found["points"]] == ["ok"] * 3
    assert [one["value"] for one in found["points"]] == [await figure(meta, "views", last - n * DAY) for n in (2, 1, 0)]
    await meta.control("PUT", "/insights", missing_days=[str(last)])
    await look_later(figures_desk, timedelta(hours=25))
    assert (await series(figures_desk, "views", **period)) == found, "what is known is not taken back"


async def test_a_gap_is_filled_later(figures_desk: Desk, meta: Meta) -> None:
    """While nobody read there are days that nobody read, and they say so; the next look fills them."""
    await look(figures_desk)
    last = yesterday(figures_desk)
    key = {"_id": figures_desk.connection_id, "label_id": figures_desk.label_id}
    await figures_desk.house.db.open("connections").update_one(key, {"$set": {"status": "needs_reauth"}})
    await look_later(figures_desk, 10 * DAY)
    period = {"from": last + DAY, "to": last + 10 * DAY}
    found = await series(figures_desk, "reach", **period)
    assert [one["reason"] for one in found["points"]] == ["not_read"] * 10
    await figures_desk.house.db.open("connections").update_one(key, {"$set": {"status": "active"}})
    await look_later(figures_desk, timedelta(hours=7))
    found = await series(figures_desk, "reach", **period)
    assert [one["value"] for one in found["points"]] == [
        await figure(meta, "reach", last + n * DAY) for n in range(1, 11)
    ]


async def test_a_retired_metric_is_marked_and_the_others_stand(figures_desk: Desk, meta: Meta) -> None:
    """Meta takes two metrics away: one call finds out which, and the days have all the others."""
    await meta.control("PUT", "/insights", retired=["views", "saves"], small=["nightjar.records"])
    operation = await look(figures_desk)
    assert operation["state"] == "succeeded", operation
    last = yesterday(figures_desk)
    [account] = (await figures_desk.get("/insights/account", **{"from": last, "to": last}))["data"]
    told = {one["metric"]: one["points"][0] for one in account["series"]}
    assert {name for name, point in told.items() if point["reason"] == "refused"} == {"views", "saves"}
    assert told["new_followers"]["reason"] == "no_data", "too small an account has no followers' figures"
    assert told["reach"]["value"] == await figure(meta, "reach", last)


async def test_media_are_listed_sorted_and_followed(figures_desk: Desk, meta: Meta) -> None:
    """What was posted is listed with its figures, by any of them; day by day it is seen how it came to stand so."""
    now = figures_desk.house.clock()
    ids = [await post_by_hand(meta, now - n * DAY, product="REELS" if n % 2 else "FEED") for n in range(1, 8)]
    await meta.control("PUT", "/insights", few_viewers=[ids[0]], before_professional=[ids[1]])
    await look(figures_desk)
    listed = await figures_desk.all("/insights/media")
    assert len(listed) == 10 and {one["provider_id"] for one in listed} >= set(ids)
    assert [one["posted_at"] for one in listed] == sorted((one["posted_at"] for one in listed), reverse=True)
    by_reach = await figures_desk.all("/insights/media", sort="-reach")
    values = [next(f["value"] for f in one["figures"] if f["metric"] == "reach") for one in by_reach]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True) and values[len(known) :] == [None, None]
    pages = []
    cursor: dict[str, str] = {}
    while True:
        page = await figures_desk.get("/insights/media", sort="reach", limit=3, **cursor)
        pages += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == [one["id"] for one in by_reach][::-1]
    reels = await figures_desk.all("/insights/media", product="REELS", **{"from": (now - 8 * DAY).date()})
    assert {one["provider_id"] for one in reels} == {ids[n] for n in range(0, 7, 2)}
    newest = next(one for one in listed if one["provider_id"] == ids[0])
    assert {one["reason"] for one in newest["figures"] if one["metric"] == "reach"} == {"too_few_viewers"}
    await meta.control("PUT", "/insights")
    await look_later(figures_desk, DAY)
    detail = await figures_desk.get(f"/insights/media/{newest['id']}", metrics="reach")
    [found] = detail["series"]
    assert [one["status"] for one in found["points"]] == ["unavailable", "ok"]
    assert "caption" not in str(await figures_desk.stored("media"))


async def test_each_look_lists_what_is_new(figures_desk: Desk, meta: Meta) -> None:
    """Also one that comes soon after another: because insights were switched on again, or something was published."""
    await look(figures_desk)
    before = len(await figures_desk.all("/insights/media"))
    house, place = figures_desk.house, f"/v1/labels/{figures_desk.label_id}/connections/{figures_desk.connection_id}"
    new = [await post_by_hand(meta, house.clock())]
    for features in ([], ["insights"]):
        (await figures_desk.owner.patch(place, json={"features": features})).raise_for_status()
    await look_later(figures_desk, timedelta(seconds=5))
    new.append(await post_by_hand(meta, house.clock()))
    [connection] = await figures_desk.stored("connections", _id=figures_desk.connection_id)
    await look_soon(house.db, connection, INSIGHTS, now=house.clock())
    await look_later(figures_desk, timedelta(seconds=50))
    assert len(await figures_desk.all("/insights/media")) == before + 1
    await look_later(figures_desk, timedelta(seconds=20))
    listed = await figures_desk.all("/insights/media")
    assert [one["provider_id"] for one in listed[:2]] == new[::-1] and len(listed) == before + 2


async def test_stories_are_read_within_their_day(figures_desk: Desk, meta: Meta) -> None:
    """A story has figures for 24 hours: it is read at each look, and its last figures stay."""
    story = await post_by_hand(meta, figures_desk.house.clock() - timedelta(hours=1), product="STORY")
    for _ in range(5):
        await look_later(figures_desk, timedelta(hours=6))
    [media] = await figures_desk.all("/insights/media", product="STORY")
    assert media["provider_id"] == story
    reach = next(one for one in media["figures"] if one["metric"] == "reach")
    assert reach["status"] == "ok" and reach["value"] > 0
    [stored] = await figures_desk.stored("media", provider_id=story)
    assert "due_at" not in stored and stored["gone_at"] is None
    assert stored["read_at"] > stored["posted_at"] + timedelta(hours=18)


async def test_a_lost_permission_is_no_small_audience(figures_desk: Desk, meta: Meta) -> None:
    """Code 10 of everything is the permission's; the operation says so, and no figure is marked."""
    await meta.fault("error", "/insights", code=10, times=None)
    operation = await look(figures_desk)
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "permission_lost")
    assert await figures_desk.stored("account_days") == []
    house = figures_desk.house
    await tending.tend(house.db, house.api.audit, clock=house.clock)
    await house.work()
    connection = await figures_desk.get(f"/connections/{figures_desk.connection_id}")
    assert (connection["status"], connection["features"], connection["active_features"]) == ("active", ["insights"], [])
    await meta.control("DELETE", "/faults")


async def test_many_media_are_read_in_steps(figures_desk: Desk, meta: Meta) -> None:
    """More than one step's budget: the look goes on where it was, and ends when all is read."""
    now = figures_desk.house.clock()
    for n in range(70):
        await post_by_hand(meta, now - timedelta(days=1, minutes=n))
    operation = await look(figures_desk)
    assert (operation["state"], operation["result"]["outcome"]) == ("succeeded", "done")
    assert operation["attempts"] > 1 and len(await figures_desk.stored("media_days")) == 73
    assert all(one["read_at"] for one in await figures_desk.all("/insights/media"))


@pytest.mark.parametrize(
    ("fault", "more", "problem"),
    [
        ("error", {"code": 4}, "rate_limited"),
        ("http", {"code": 500}, "unavailable"),
        ("html", {}, "unavailable"),
        ("error", {"code": 190, "subcode": 463}, "token_denied"),
    ],
)
async def test_what_fails_is_tried_again(
    figures_desk: Desk, meta: Meta, fault: str, more: dict[str, int], problem: str
) -> None:
    """The limit, an outage, a token that is called dead once: later the look is done, and nothing was made up."""
    await meta.fault(fault, "/(insights|media|stories)", times=80, **more)
    operation = await look(figures_desk)
    assert operation["problem"]["code"] == problem
    assert await figures_desk.stored("account_days") == []
    await meta.control("DELETE", "/faults")
    figures_desk.house.worker.graph._paused_until.clear()
    operation = await look_later(figures_desk, timedelta(hours=2))
    assert operation["state"] == "succeeded" and len(await figures_desk.stored("account_days")) >= 30


async def test_it_is_quiet_when_much_is_used(figures_desk: Desk, meta: Meta) -> None:
    """From 75 percent of the account's limit on the rest is left to the next look, which goes on where it was."""
    await meta.control("PUT", "/usage", app={"call_count": 80, "total_time": 1, "total_cputime": 1})
    operation = await look(figures_desk)
    assert operation["result"]["outcome"] == "left_for_later" and operation["result"]["days"] == 0
    await meta.control("PUT", "/usage")
    figures_desk.house.worker.graph._usage.clear()
    operation = await look_later(figures_desk, timedelta(hours=7))
    assert operation["result"]["outcome"] == "done" and len(await figures_desk.stored("account_days")) >= 30


async def test_only_while_it_is_on(figures_desk: Desk, meta: Meta) -> None:
    """Insights switched off: what waited ends, nothing is read, what was read stays; on again, it is read soon."""
    await look(figures_desk)
    path = f"/v1/labels/{figures_desk.label_id}/connections/{figures_desk.connection_id}"
    (await figures_desk.owner.patch(path, json={"features": []})).raise_for_status()
    before = len(await figures_desk.stored("operations", kind="read_insights"))
    await look_later(figures_desk, 2 * DAY)
    assert len(await figures_desk.stored("operations", kind="read_insights")) == before
    assert len(await figures_desk.stored("account_days")) == 30
    (await figures_desk.owner.patch(path, json={"features": ["insights"]})).raise_for_status()
    await look(figures_desk)
    assert len(await figures_desk.stored("account_days")) == 32


async def test_leaving_erases_it_all(figures_desk: Desk, meta: Meta) -> None:
    """Disconnected: no day, no media and no figure is left, and neither is the account's id in any of them."""
    await post_by_hand(meta, figures_desk.house.clock() - DAY)
    await look(figures_desk)
    for name in ("account_days", "media", "media_days"):
        assert await figures_desk.stored(name), name
    path = f"/v1/labels/{figures_desk.label_id}/connections/{figures_desk.connection_id}"
    assert (await figures_desk.owner.delete(path)).status_code == 202
    for _ in range(4):
        await figures_desk.house.work()
        figures_desk.house.clock.offset += timedelta(minutes=2)
    for name in ("account_days", "media", "media_days"):
        assert await figures_desk.stored(name) == [], name
    assert await places_of(figures_desk.house, b"instagram_account_insights") == set()
    assert (await figures_desk.get("/insights/account"))["data"] == []


async def test_after_24_months_it_is_gone(figures_desk: Desk, meta: Meta) -> None:
    """What is older is neither stored nor shown, and what becomes so expires by itself."""
    old = await post_by_hand(meta, figures_desk.house.clock() - 731 * DAY)
    await post_by_hand(meta, figures_desk.house.clock() - 729 * DAY)
    await look(figures_desk)
    listed = await figures_desk.all("/insights/media")
    assert len(listed) == 4 and old not in {one["provider_id"] for one in listed}
    await let_pass(figures_desk, 2 * DAY)
    assert len(await figures_desk.all("/insights/media")) == 3
