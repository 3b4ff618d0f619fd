"""The team's numbers, from what happened: who answered whom after how long, what was closed, and what waits."""

from datetime import timedelta
from typing import Any

from app.db import Doc
from app.models.base import rfc3339
from tests.api.people import join
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.flows.test_flows_answering import after_work, answer, fan_writes
from tests.house import PASSWORD

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOTHING = {"count": 0, "median_s": None, "p90_s": None}


async def numbers(desk: Desk, **params: Any) -> Doc:
    """As they stand."""
    found: Doc = await desk.get("/team-numbers", **params)
    return found


async def later(desk: Desk, time: timedelta) -> None:
    """So much later, the owner has logged in again."""
    pass_by(desk.house, time)
    login = {"email": "owner@example.com", "password": PASSWORD}
    token = (await desk.house.http.post("/v1/sessions", json=login)).json()["access_token"]
    desk.owner.headers["Authorization"] = f"Bearer {token}"


async def close(desk: Desk, path: str, status: str = "closed") -> None:
    """Say that a conversation is done with."""
    where = f"/v1/labels/{desk.label_id}{path.removesuffix('/messages')}"
    (await desk.owner.patch(where, json={"status": status})).raise_for_status()


async def sent(desk: Desk, path: str, text: str) -> Doc:
    """Answer, and have it go out."""
    message, _ = await after_work(desk, await answer(desk, path, text))
    assert message["state"] == "sent"
    return message


def about(span: Doc, count: int, wanted: timedelta) -> bool:
    """Whether there are so many, of about this length."""
    return bool(span["count"] == count and abs(span["median_s"] - wanted.total_seconds()) < 30)


async def test_nothing_has_no_figures(live_desk: Desk) -> None:
    """Nulls, not zeros; and for nobody."""
    found = await numbers(live_desk)
    assert found["first_response"] == found["resolution"] == NOTHING
    assert found["open"]["count"] == 0 and found["people"] == found["accounts"] == []


async def test_a_wait_ends_with_the_first_answer(live_desk: Desk, meta: Meta) -> None:
    """It began with the first message of several; a second answer adds nothing, doing the work again neither."""
    path = await fan_writes(live_desk, ago=50 * MINUTE)
    await fan_writes(live_desk, "Hello??", ago=20 * MINUTE)
    await sent(live_desk, path, "Here we are")
    message = await sent(live_desk, path, "And more")
    assert about((await numbers(live_desk))["first_response"], 1, 50 * MINUTE)
    await live_desk.house.db.open("operations").update_many(
        {"label_id": live_desk.label_id, "target": message["id"]},
        {"$set": {"state": "queued", "due_at": live_desk.house.clock()}},
    )
    await live_desk.house.work()
    await later(live_desk, 2 * HOUR)
    await fan_writes(live_desk, "One more thing", ago=10 * MINUTE)
    await sent(live_desk, path, "Yes?")
    found = await numbers(live_desk)
    assert found["first_response"]["count"] == 2
    assert abs(found["first_response"]["median_s"] - 30 * 60) < 30
    assert abs(found["first_response"]["p90_s"] - 46 * 60) < 30
    [account] = found["accounts"]
    assert (account["connection_id"], account["name"]) == (live_desk.connection_id, "nightjar.records")
    assert account["first_response"] == found["first_response"]


async def test_a_rule_answers_nobody(live_desk: Desk, meta: Meta) -> None:
    """Its reply ends no wait; the person's after it does, and has that person's name."""
    path = await fan_writes(live_desk, ago=40 * MINUTE)
    messages = live_desk.house.db.open("messages")
    queued = await answer(live_desk, path, "We are closed now")
    mine = {"_id": queued["id"], "label_id": live_desk.label_id}
    await messages.update_one(mine, {"$set": {"sent_by": {"kind": "rule", "id": "rul_1"}}})
    await after_work(live_desk, queued)
    assert (await numbers(live_desk))["first_response"] == NOTHING
    me = (await live_desk.owner.get("/v1/me")).json()
    queued = await answer(live_desk, path, "Good morning")
    mine = {"_id": queued["id"], "label_id": live_desk.label_id}
    await messages.update_one(mine, {"$set": {"sent_by": {"kind": "person", "id": me["id"]}}})
    await after_work(live_desk, queued)
    found = await numbers(live_desk)
    [person] = found["people"]
    assert (person["person_id"], person["name"]) == (me["id"], me["name"])
    assert about(person["first_response"], 1, 40 * MINUTE) and person["open"]["count"] == 0
    assert (await numbers(live_desk, assignee="usr_other"))["first_response"] == NOTHING
    assert about((await numbers(live_desk, assignee=me["id"]))["first_response"], 1, 40 * MINUTE)


async def test_what_is_closed_and_what_is_open(live_desk: Desk, meta: Meta) -> None:
    """From the first message since the last end; closing again what nobody wrote in adds nothing. Open ones by age."""
    path = await fan_writes(live_desk, ago=3 * HOUR)
    await fan_writes(live_desk, fan="jonas", ago=30 * HOUR)
    found = (await numbers(live_desk))["open"]
    assert (found["count"], found["under_4_hours"], found["under_3_days"]) == (2, 1, 1)
    await close(live_desk, path)
    await close(live_desk, path)
    await close(live_desk, path, "open")
    await close(live_desk, path)
    found = await numbers(live_desk)
    assert about(found["resolution"], 1, 3 * HOUR) and found["open"]["count"] == 1
    me = (await live_desk.owner.get("/v1/me")).json()["id"]
    assert [one["person_id"] for one in found["people"]] == [me]
    await later(live_desk, HOUR)
    await fan_writes(live_desk, "Again", ago=20 * MINUTE)
    await close(live_desk, path)
    found = await numbers(live_desk)
    assert found["resolution"]["count"] == 2 and abs(found["resolution"]["median_s"] - 100 * 60) < 30
    assert (await numbers(live_desk, connection_id="con_other"))["accounts"] == []


async def test_a_period(live_desk: Desk, meta: Meta) -> None:
    """What ended in it. Facts stay when the messages are gone, for a year, and without a word or the fan."""
    await sent(live_desk, await fan_writes(live_desk, "Canary", ago=5 * MINUTE), "Canary")
    [fact] = await live_desk.stored("response_facts")
    told = {"_id", "label_id", "kind", "connection_id", "person_id", "began_at", "ended_at", "expires_at"}
    assert set(fact) == told and fact["expires_at"] - fact["ended_at"] == timedelta(days=365)
    await later(live_desk, timedelta(days=40))
    assert (await numbers(live_desk))["first_response"] == NOTHING
    period = {"from": rfc3339(fact["ended_at"] - HOUR), "to": rfc3339(fact["ended_at"] + HOUR)}
    found = await numbers(live_desk, **period)
    assert (found["from"], found["to"]) == (period["from"], period["to"])
    assert about(found["first_response"], 1, 5 * MINUTE)
    assert (await numbers(live_desk, **{"from": period["from"], "to": rfc3339(fact["ended_at"])}))["people"] == []
    path = f"/v1/labels/{live_desk.label_id}/team-numbers"
    for bad in ({"from": period["to"], "to": period["from"]}, {"from": "2020-01-01T00:00:00Z"}, {"from": "x"}):
        assert (await live_desk.owner.get(path, params=bad)).status_code == 422


async def test_the_sheet(live_desk: Desk, meta: Meta) -> None:
    """The same figures as CSV, for who may see them: an agent may not."""
    await sent(live_desk, await fan_writes(live_desk, ago=5 * MINUTE), "Yes")
    (await live_desk.owner.patch("/v1/me", json={"name": "=HYPERLINK(1)"})).raise_for_status()
    await close(live_desk, f"/conversations/{(await live_desk.stored('conversations'))[0]['_id']}")
    path = f"/v1/labels/{live_desk.label_id}/team-numbers"
    sheet = await live_desk.owner.get(f"{path}.csv")
    assert sheet.status_code == 200 and sheet.headers["content-type"].startswith("text/csv")
    head, everybody, person, account = sheet.text.rstrip("\r\n").split("\r\n")
    assert head.startswith("of,id,name,first_response_count,") and everybody.startswith("everybody,,,1,")
    assert person.startswith("person,usr_") and ",'=HYPERLINK(1)," in person
    assert account.startswith(f"account,{live_desk.connection_id},nightjar.records,1,")
    agent = await join(live_desk.house, "agent@example.com", live_desk.label_id, "agent")
    assert [(await agent.get(path)).status_code, (await agent.get(f"{path}.csv")).status_code] == [403, 403]
