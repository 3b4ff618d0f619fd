"""Slots, the calendar, release plans and imports over HTTP."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import Doc
from app.models.base import rfc3339
from tests.api.publishing_harness import Desk, open_desk
from tests.house import House


@pytest.fixture
async def desk(house: House) -> Desk:
    """A label of Oslo that publishes."""
    desk = await open_desk(house)
    await desk.owner.patch(f"/v1/labels/{desk.label_id}", json={"timezone": "Europe/Oslo"})
    return desk


async def later(desk: Desk, days: int, hour: int = 12) -> str:
    """An instant some days ahead, on the hour."""
    found = (desk.house.clock() + timedelta(days=days)).replace(hour=hour, minute=0, second=0, microsecond=0)
    return rfc3339(found)


async def slot(desk: Desk, **changes: Any) -> Doc:
    """Every day at 18:30 in Oslo, on the Page."""
    every = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    body: Doc = {"name": "Evening", "connection_ids": [desk.page], "days": every, "time": "18:30"}
    answer = await desk.owner.post(f"/v1/labels/{desk.label_id}/slots", json=body | changes)
    assert answer.status_code == 201, answer.text
    found: Doc = answer.json()
    return found


async def test_ten_want_the_next_slots(desk: Desk) -> None:
    """At once: each gets one of its own, the next ten, none is left free between them."""
    await slot(desk)
    drafts = [await desk.draft(scheduled_at=None) for _ in range(10)]
    answers = await asyncio.gather(*(desk.step(draft, "schedule", {"next_free_slot": True}) for draft in drafts))
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    instants = sorted(datetime.fromisoformat(answer.json()["scheduled_at"]) for answer in answers)
    assert [after.date() - before.date() for before, after in pairwise(instants)] == [timedelta(days=1)] * 9
    assert {answer.json()["local_time"][11:] for answer in answers} == {"18:30"}


async def test_a_place_is_free_again(desk: Desk) -> None:
    """When what had it is cancelled, changed or scheduled for another time."""
    await slot(desk)
    first, second = [await desk.draft(scheduled_at=None) for _ in range(2)]
    taken = (await desk.step(first, "schedule", {"next_free_slot": True})).json()
    for give_back in ("cancel", "schedule", "publish-now"):
        other = (await desk.step(second, "schedule", {"next_free_slot": True})).json()
        assert other["scheduled_at"] > taken["scheduled_at"]
        order = {"scheduled_at": await later(desk, 200)} if give_back == "schedule" else None
        (await desk.step(first, give_back, order)).raise_for_status()
        again = (await desk.step(second, "schedule", {"next_free_slot": True})).json()
        assert again["scheduled_at"] == taken["scheduled_at"]
        await desk.step(second, "cancel")
        if give_back != "publish-now":
            assert (await desk.step(first, "schedule", {"next_free_slot": True})).status_code == 202


async def test_no_slot_fits(desk: Desk) -> None:
    """A slot of other accounts is none."""
    draft = await desk.draft(scheduled_at=None)
    none = await desk.step(draft, "schedule", {"next_free_slot": True})
    assert (none.status_code, none.json()["code"]) == (409, "no_free_slot")
    other = await slot(desk, connection_ids=[desk.account])
    named = await desk.step(draft, "schedule", {"next_free_slot": True, "slot_id": other["id"]})
    assert named.json()["code"] == "no_free_slot"
    unknown = await desk.step(draft, "schedule", {"next_free_slot": True, "slot_id": "slt_unknown"})
    assert unknown.status_code == 404


async def test_slots_are_changed_and_deleted(desk: Desk) -> None:
    """By who may write; with the version that they have seen; accounts of others are refused."""
    made = await slot(desk)
    path = f"/v1/labels/{desk.label_id}/slots/{made['id']}"
    stale = await desk.owner.patch(path, json={"time": "19:00"}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    changed = await desk.editor.patch(path, json={"time": "19:00"}, headers={"If-Match": '"1"'})
    assert (changed.json()["time"], changed.headers["ETag"], changed.json()["timezone"]) == (
        "19:00",
        '"2"',
        "Europe/Oslo",
    )
    wrong = await desk.owner.patch(path, json={"connection_ids": ["con_unknown"]})
    assert wrong.json()["errors"][0]["pointer"] == "/connection_ids/0"
    assert (await desk.owner.get(f"/v1/labels/{desk.label_id}/slots")).json()["data"][0]["id"] == made["id"]
    assert (await desk.owner.delete(path)).status_code == 204
    assert (await desk.owner.get(path)).status_code == 404


async def test_the_calendar(desk: Desk) -> None:
    """What is planned and what is free, in order, in pages, by days of the label's zone."""
    await slot(desk)
    draft = await desk.draft(scheduled_at=await later(desk, 2))
    in_slot = await desk.draft(scheduled_at=None)
    taken = (await desk.step(in_slot, "schedule", {"next_free_slot": True})).json()
    cancelled = await desk.draft(scheduled_at=await later(desk, 1))
    await desk.step(cancelled, "cancel")
    today = desk.house.clock().date()
    ask: Doc = {"from": today.isoformat(), "to": (today + timedelta(days=5)).isoformat()}
    path = f"/v1/labels/{desk.label_id}/calendar"
    whole = (await desk.owner.get(path, params=ask)).raise_for_status().json()["data"]
    assert [one["at"] for one in whole] == sorted(one["at"] for one in whole)
    assert {one["publication_id"] for one in whole} == {draft["id"], in_slot["id"], None}
    assert {one["local_time"][11:] for one in whole if one["what"] == "free_slot"} == {"18:30"}
    assert taken["scheduled_at"] not in {one["at"] for one in whole if one["what"] == "free_slot"}
    walked: list[Doc] = []
    more: Doc = {"limit": 1}
    while True:
        page = (await desk.owner.get(path, params=ask | more)).raise_for_status().json()
        walked += page["data"]
        if page["next_cursor"] is None:
            break
        more["cursor"] = page["next_cursor"]
    assert walked == whole
    for bad in (
        {"from": "2027-03-01", "to": "2027-03-01"},
        {"from": "2027-03-01", "to": "2027-09-01"},
        {"from": "1000-01-01"},
        {"from": "bad"},
        {"from": "1798700000"},
    ):
        answer = await desk.owner.get(path, params=bad)
        assert (answer.status_code, {one["pointer"] for one in answer.json()["errors"]}) == (422, {"/query/from"}), bad


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


HEAD = "kind,targets,caption,link,local_time\n"


async def imported(desk: Desk, csv: str, **more: Any) -> Any:
    """What an import answers."""
    return await desk.editor.post(f"{desk.path}/import", json={"csv": csv} | more)


async def test_an_import(desk: Desk) -> None:
    """Good rows become drafts, bad ones are told with their column, and nothing of them is stored."""
    table = (
        "\ufeff" + HEAD + 'page_post,@nightjar.page,"Out, on ""Friday""\nat last",,2027-03-28T02:30\r\n'
        f"page_post,{desk.page},=HYPERLINK(1),https://example.com/a,\n"
        "poster,nightjar.page,No kind,,\n"
        "page_post,nobody,No account,,\n"
        "page_post,nightjar.page,No day,,2027-02-30T10:00\n"
        "page_post,nightjar.page,Too few\n"
        "\n"
        "image,nightjar,No picture,,\n"
    )
    dry = (await imported(desk, table, dry_run=True)).raise_for_status().json()
    assert ((dry["made"], dry["refused"]), await _stored(desk)) == ((0, 4), [])
    found = (await imported(desk, table)).raise_for_status().json()
    outcomes = [(row["outcome"], [error["column"] for error in row["errors"]]) for row in found["rows"]]
    refused = [("refused", [column]) for column in ("kind", "targets", "local_time", "")]
    assert outcomes == [("made", []), ("made", []), *refused, ("made", [])]
    assert [problem["code"] for problem in found["rows"][6]["problems"]] == ["wrong_asset_count"]
    newest, second, first = await _stored(desk)
    assert first["caption"] == 'Out, on "Friday"\nat last' and second["caption"] == "=HYPERLINK(1)"
    assert (first["time_rule"], first["timezone"], first["state"]) == ("moved_forward", "Europe/Oslo", "draft")
    assert newest["kind"] == "image"
    assert "No day" not in str(found) and "nobody" not in str(found)


async def _stored(desk: Desk) -> list[Doc]:
    found: list[Doc] = (await desk.owner.get(desk.path)).json()["data"]
    return found


@pytest.mark.parametrize(
    ("csv", "told"),
    [
        ("caption\nHello\n", "can: kind is missing; targets is missing. kind, targets are needed, and there may be"),
        ("kind,targets,colour\nimage,nightjar,red\n", "column 3 is none of ours. kind, targets are needed"),
        ("kind,targets,kind\nimage,nightjar,reel\n", "column 3 is kind again"),
        ('kind,targets,caption\nimage,nightjar,"open\n', "a quote is not closed"),
        ("\n", "kind is missing"),
        ("kind,targets\n" + "image,nightjar\n" * 501, "at most 500 rows"),
        ('kind,targets,caption\nimage,nightjar,"' + "x" * 140_000 + '"\n', "a cell is too long"),
    ],
)
async def test_what_is_no_table(desk: Desk, csv: str, told: str) -> None:
    """Is refused whole; a column at fault is told by its place."""
    answer = await imported(desk, csv)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/csv"), answer.text
    assert told in answer.json()["errors"][0]["detail"]
    assert await _stored(desk) == []


async def test_an_import_twice(desk: Desk) -> None:
    """The same key is the same import."""
    table, key = HEAD + f"page_post,{desk.page},Hello,,\n" * 200, {"Idempotency-Key": "import-1"}
    first = await desk.editor.post(f"{desk.path}/import", json={"csv": table}, headers=key)
    again = await desk.editor.post(f"{desk.path}/import", json={"csv": table}, headers=key)
    assert first.json()["made"] == 200 and again.json() == first.json()
    assert await desk.house.db.open("publications").count_documents({"label_id": desk.label_id}) == 200


@given(st.text(max_size=300), st.lists(st.lists(st.text(max_size=30), max_size=7), max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_nonsense_is_answered(desk: Desk, text: str, rows: list[list[str]]) -> None:
    """Whatever is sent as a table: refused, or a result for each row; never a trouble of ours."""
    table = HEAD + "\n".join(",".join(cells) for cells in rows)
    for csv in (text or "x", table):
        answer = await imported(desk, csv)
        assert answer.status_code in (200, 400, 422), answer.text
        if answer.status_code == 200:
            assert all(row["outcome"] == "refused" for row in answer.json()["rows"])
