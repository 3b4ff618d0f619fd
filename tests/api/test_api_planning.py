"""Slots, the calendar and imports over HTTP."""

import asyncio
from datetime import datetime, timedelta
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


async def test_a_place_of_the_dead_is_free(desk: Desk) -> None:
    """What can be published no more, because its account has left, gives its place to others."""
    await slot(desk, connection_ids=[desk.page, desk.account])
    dead = await desk.draft(body=await desk.body())
    taken = (await desk.step(dead, "schedule", {"next_free_slot": True})).raise_for_status().json()
    (await desk.owner.delete(f"/v1/labels/{desk.label_id}/connections/{desk.account}")).raise_for_status()
    assert ((await desk.get(dead))["state"], (await desk.get(dead))["slot_id"]) == ("failed", None)
    other = await desk.draft(scheduled_at=None)
    found = (await desk.step(other, "schedule", {"next_free_slot": True})).raise_for_status().json()
    assert found["scheduled_at"] == taken["scheduled_at"]


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
