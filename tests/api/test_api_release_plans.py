"""Release plans over HTTP: what hangs on one moves with it, and is embargoed by it."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.db import Doc
from app.models.base import rfc3339
from tests.api.publishing_harness import Desk, open_desk
from tests.api.test_api_planning import later, slot
from tests.house import House


@pytest.fixture
async def desk(house: House) -> Desk:
    """A label of Oslo that publishes."""
    desk = await open_desk(house)
    await desk.owner.patch(f"/v1/labels/{desk.label_id}", json={"timezone": "Europe/Oslo"})
    return desk


async def a_plan(desk: Desk, day: date, **changes: Any) -> Doc:
    """A release plan."""
    body: Doc = {"title": "Night Swim", "release_date": day.isoformat()}
    answer = await desk.owner.post(f"/v1/labels/{desk.label_id}/release-plans", json=body | changes)
    assert answer.status_code == 201, answer.text
    found: Doc = answer.json()
    return found


def on(plan: Doc, days: int, clock: str = "12:00", **changes: Any) -> Doc:
    """What hangs on a plan so many days after it."""
    return {"plan_id": plan["id"], "offset": {"days": days, "time": clock}, "scheduled_at": None} | changes


async def test_a_release_moves(desk: Desk) -> None:
    """The diff first, and nothing is written; then all that has not begun moves, and keeps its approval."""
    today = desk.house.clock().date()
    plan = await a_plan(desk, today + timedelta(days=40))
    teaser, party = await desk.draft(**on(plan, -7)), await desk.draft(**on(plan, 1, reveals_release=True))
    fixed = await desk.draft(plan_id=plan["id"])
    begun = await desk.draft(**on(plan, -30))
    for one in (teaser, party, fixed, begun):
        assert (await desk.step(one, "schedule")).status_code == 202
    of_it = {"label_id": desk.label_id, "publication_id": begun["id"]}
    await desk.house.db.open("publication_targets").update_one(of_it, {"$set": {"state": "publishing"}})
    path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}/move"
    order = {"release_date": (today + timedelta(days=50)).isoformat()}
    before = [await desk.get(one) for one in (teaser, party, fixed, begun)]
    dry = (await desk.owner.post(path, params={"dry_run": True}, json=order)).raise_for_status().json()
    assert [(one["outcome"], one["reason"]) for one in dry["publications"]] == [
        ("moves", None),
        ("moves", None),
        ("stays", "has_its_own_time"),
        ("moves", None),
    ]
    assert [await desk.get(one) for one in (teaser, party, fixed, begun)] == before
    moved = (await desk.owner.post(path, json=order)).raise_for_status().json()
    assert moved["publications"][3] | {"state": "", "before": "", "after": ""} == {
        "publication_id": begun["id"],
        "state": "",
        "outcome": "stays",
        "reason": "has_begun",
        "before": "",
        "after": "",
    }
    assert moved["publications"][:3] == dry["publications"][:3]
    after = [await desk.get(one) for one in (teaser, party, fixed, begun)]
    for old, new in zip(before[:2], after[:2], strict=True):
        assert (new["state"], new["approved_version"]) == ("scheduled", old["content_version"])
        assert new["local_time"][11:] == old["local_time"][11:]
        days = datetime.fromisoformat(new["local_time"]) - datetime.fromisoformat(old["local_time"])
        assert days == timedelta(days=10)
        assert [one["due_at"] for one in new["deliveries"]] == [new["scheduled_at"]]
    assert after[2:] == before[2:]


async def test_a_release_moves_too_close(desk: Desk) -> None:
    """What would have passed by then is taken back, and so is what would reveal it too early."""
    today = desk.house.clock().date()
    plan = await a_plan(desk, today + timedelta(days=20), timezones=["Europe/Oslo"])
    early = await desk.draft(**on(plan, -10))
    shows = await desk.draft(plan_id=plan["id"], reveals_release=True, scheduled_at=await later(desk, 25))
    for one in (early, shows):
        assert (await desk.step(one, "schedule")).status_code == 202
    path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}/move"
    sooner = {"release_date": (today + timedelta(days=5)).isoformat()}
    found = (await desk.owner.post(path, json=sooner)).raise_for_status().json()["publications"]
    assert [(one["outcome"], one["reason"]) for one in found] == [
        ("is_unscheduled", "has_passed"),
        ("stays", "has_its_own_time"),
    ]
    assert ((await desk.get(early))["state"], (await desk.get(shows))["state"]) == ("approved", "scheduled")
    assert [one["state"] for one in (await desk.get(early))["deliveries"]] == ["cancelled"]
    much_later = {"release_date": (today + timedelta(days=60)).isoformat()}
    found = (await desk.owner.post(path, json=much_later)).raise_for_status().json()["publications"]
    assert [(one["outcome"], one["reason"]) for one in found] == [("moves", None), ("is_unscheduled", "embargoed")]
    assert (await desk.get(shows))["state"] == "approved"


async def test_a_release_moves_when_an_account_has_left(desk: Desk) -> None:
    """What one of two accounts cannot publish any more has not begun at the other: it is not left at the old date."""
    on_both: Doc = {"features": ["publishing"], "active_features": ["publishing"]}
    other = await desk.house.connection(desk.label_id, "17841400000000002", **on_both)
    today = desk.house.clock().date()
    plan = await a_plan(desk, today + timedelta(days=30))
    body = await desk.body(targets=[desk.account, other["_id"]], **on(plan, 0))
    draft = await desk.draft(body=body)
    assert (await desk.step(draft, "schedule")).status_code == 202
    (await desk.owner.delete(f"/v1/labels/{desk.label_id}/connections/{other['_id']}")).raise_for_status()
    left = await desk.get(draft)
    assert (left["state"], [one["state"] for one in left["deliveries"]]) == ("scheduled", ["waiting", "failed"])
    path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}/move"
    order = {"release_date": (today + timedelta(days=90)).isoformat()}
    (moved,) = (await desk.owner.post(path, json=order)).raise_for_status().json()["publications"]
    assert (moved["outcome"], moved["reason"]) == ("is_unscheduled", "connection_not_active")
    after = await desk.get(draft)
    assert (after["state"], after["local_time"][:10]) == ("approved", order["release_date"])
    assert after["deliveries"][0]["state"] == "cancelled"


async def test_a_failed_one_is_scheduled_by_its_plan(desk: Desk) -> None:
    """It stays when the plan moves; scheduled again, it is published by the date that the plan has then."""
    today = desk.house.clock().date()
    plan = await a_plan(desk, today + timedelta(days=30))
    draft = await desk.draft(**on(plan, 0))
    (await desk.step(draft, "schedule")).raise_for_status()
    of_it = {"label_id": desk.label_id, "publication_id": draft["id"]}
    await desk.house.db.open("publication_targets").update_one(of_it, {"$set": {"state": "failed"}})
    place = {"label_id": desk.label_id, "_id": draft["id"]}
    await desk.house.db.open("publications").update_one(place, {"$set": {"state": "failed"}})
    path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}/move"
    order = {"release_date": (today + timedelta(days=90)).isoformat()}
    (moved,) = (await desk.owner.post(path, json=order)).raise_for_status().json()["publications"]
    assert (moved["outcome"], moved["reason"]) == ("stays", "has_begun")
    again = (await desk.step(draft, "schedule")).raise_for_status().json()
    assert again["local_time"][:10] == order["release_date"]


async def test_attached_while_the_plan_moves(desk: Desk) -> None:
    """Whoever comes first: what hangs on a plan by an offset has the time of the date that the plan has."""
    today = desk.house.clock().date()
    plan = await a_plan(desk, today + timedelta(days=30))
    loose = [await desk.draft(scheduled_at=None) for _ in range(6)]
    path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}/move"
    hangs = on(plan, 0)
    for days in (60, 90, 120):
        order = {"release_date": (today + timedelta(days=days)).isoformat()}
        bodies = [await desk.post(**hangs) for _ in range(6)]
        made = [desk.owner.post(desk.path, json=body) for body in bodies]
        changed = [desk.owner.patch(f"{desk.path}/{one['id']}", json=hangs) for one in loose]
        move = desk.owner.post(path, json=order)
        answers = await asyncio.gather(*made[:3], *changed[:3], move, *made[3:], *changed[3:])
        assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
        shown = (await desk.owner.get(desk.path, params={"plan_id": plan["id"], "limit": 100})).json()["data"]
        assert {one["local_time"][:10] for one in shown} == {order["release_date"]}
        await asyncio.gather(*(desk.owner.patch(f"{desk.path}/{one['id']}", json=OFF) for one in loose))


OFF: Doc = {"plan_id": None, "offset": None, "scheduled_at": None}
"""Off its plan."""


async def test_a_full_plan(desk: Desk) -> None:
    """Takes no more; what is in it can be changed and restored."""
    plan = await a_plan(desk, desk.house.clock().date() + timedelta(days=30))
    draft = await desk.draft(plan_id=plan["id"])
    place = {"label_id": desk.label_id, "_id": draft["id"]}
    (stored,) = await desk.house.db.open("publications").find(place).to_list()
    others = [stored | {"_id": f"pub_9{n:03}"} for n in range(98)]
    await desk.house.db.open("publications").insert_many(others)
    loose = [await desk.draft() for _ in range(3)]
    both = [desk.owner.patch(f"{desk.path}/{one['id']}", json={"plan_id": plan["id"]}) for one in loose]
    answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422]
    path = f"{desk.path}/{draft['id']}"
    (await desk.owner.patch(path, json={"caption": "Another", "plan_id": plan["id"]})).raise_for_status()
    (await desk.owner.post(f"{path}/versions/1/restore")).raise_for_status()


async def test_an_embargo_holds(desk: Desk) -> None:
    """What reveals a release is not scheduled before its first midnight, in no way there is."""
    day = desk.house.clock().date() + timedelta(days=30)
    plan = await a_plan(desk, day)
    first = datetime.fromisoformat(plan["reveals_from"])
    assert first == datetime(day.year, day.month, day.day, 10, tzinfo=UTC) - timedelta(days=1)
    draft = await desk.draft(plan_id=plan["id"], reveals_release=True)
    await slot(desk)
    for order in ({"scheduled_at": rfc3339(first - timedelta(minutes=1))}, {"next_free_slot": True}):
        answer = await desk.step(draft, "schedule", order)
        assert (answer.status_code, answer.json()["code"]) == (409, "embargoed"), order
    assert (await desk.step(draft, "publish-now")).json()["code"] == "embargoed"
    assert (await desk.step(draft, "schedule", {"scheduled_at": rfc3339(first)})).status_code == 202
    path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}"
    west = await desk.owner.patch(path, json={"timezones": ["America/New_York"]})
    assert (west.status_code, west.json()["code"]) == (409, "embargoed")
    lifted = await desk.owner.patch(path, json={"timezones": ["America/New_York"], "embargo": False})
    assert lifted.status_code == 200
    assert (await desk.owner.patch(path, json={"embargo": True})).json()["code"] == "embargoed"
    assert (await desk.owner.delete(path)).json()["code"] == "conflict"


async def test_what_reveals_a_release_names_its_plan(desk: Desk) -> None:
    """Without one nobody knows until when it may not go out: it does not go out."""
    draft = await desk.draft(reveals_release=True, scheduled_at=await later(desk, 12))
    refused = await desk.step(draft, "schedule")
    assert (refused.status_code, [one["pointer"] for one in refused.json()["errors"]]) == (422, ["/plan_id"])
    assert "plan_missing" in refused.json()["errors"][0]["detail"]


async def test_a_move_and_a_schedule_meet(desk: Desk) -> None:
    """Whoever comes first: what reveals the release is never scheduled before the midnight that the plan then has."""
    today = desk.house.clock().date()
    for _ in range(5):
        plan = await a_plan(desk, today + timedelta(days=10))
        draft = await desk.draft(plan_id=plan["id"], reveals_release=True, scheduled_at=await later(desk, 12))
        path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}"
        move = desk.owner.post(f"{path}/move", json={"release_date": (today + timedelta(days=20)).isoformat()})
        moved, scheduled = await asyncio.gather(move, desk.step(draft, "schedule"))
        assert moved.status_code == 200 and scheduled.status_code in (202, 409)
        assert (await desk.get(draft))["state"] in ("draft", "approved")
