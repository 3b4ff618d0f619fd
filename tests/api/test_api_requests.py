"""Requests about one's own data: each is written down, due in a month, and somebody is reminded in time."""

from datetime import timedelta

from app.db import Session
from app.fan_requests import ask
from app.models.fan_requests import BEFORE_DUE
from app.services.privacy import requests
from app.services.privacy.fan_requests import fan_of
from app.services.privacy.reminding import remind
from tests.api.people import join, mails, problem, user_of
from tests.house import FAN, House, message_change

OURS = "privacy@example.com"


async def test_each_request_is_there_with_its_due_date(house: House) -> None:
    """Newest first, page by page; one's own alone."""
    mara = await house.person("mara@example.com")
    other = await house.person("other@example.com")
    (await mara.post("/v1/me/restriction")).raise_for_status()
    (await mara.post("/v1/me/restriction")).raise_for_status()
    (await mara.delete("/v1/me/restriction")).raise_for_status()
    (await mara.post("/v1/me/objections", json={"purpose": "notices"})).raise_for_status()
    (await mara.patch("/v1/me", json={"name": "Mara Right"})).raise_for_status()
    (await mara.patch("/v1/me", json={})).raise_for_status()
    first = (await mara.get("/v1/me/requests?limit=3")).json()
    rest = (await mara.get(f"/v1/me/requests?limit=3&cursor={first['next_cursor']}")).json()
    shown = [*first["data"], *rest["data"]]
    told = [(one["kind"], one["evidence"]) for one in shown]
    assert told == [
        ("correction", ["name"]),
        ("objection", ["objected", "notices"]),
        ("restriction", ["lifted"]),
        ("restriction", ["restricted"]),
    ]
    assert rest["next_cursor"] is None
    assert all(one["state"] == "done" and one["closed_at"] and one["due_at"] > one["received_at"] for one in shown)
    assert (await other.get("/v1/me/requests")).json()["data"] == []
    assert problem(await other.get(f"/v1/me/requests/{shown[0]['id']}")) == (404, "not_found")
    assert (await mara.get(f"/v1/me/requests/{shown[0]['id']}")).json() == shown[0]
    assert "Mara Right" not in repr(shown)


async def test_we_are_reminded_of_what_is_open(house: House) -> None:
    """On day 20 and day 27, once each however often it is looked; not of what is closed. The mail arrives."""
    await house.person("mara@example.com")
    user_id = (await user_of(house, "mara@example.com"))["_id"]

    async def both(session: Session) -> str:
        made = [
            await requests.open_request(house.db, user_id=user_id, kind="access", now=house.clock(), session=session)
            for _ in range(2)
        ]
        await requests.set_state(house.db, made[1]["_id"], "done", now=house.clock(), session=session)
        return str(made[0]["_id"])

    request_id, begun = await house.db.in_transaction(both), house.clock.offset
    for days, expected in ((19, 0), (20, 1), (21, 1), (26, 1), (27, 2), (40, 2)):
        house.clock.offset = begun + timedelta(days=days, minutes=1)
        for _ in range(2):
            await remind(house.db, privacy_mail=OURS, now=house.clock())
        assert len(await mails(house, "request_due")) == expected, days
    await house.work()
    sent = await house.mails(OURS)
    assert len(sent) == 2 and all(request_id in mail["text"] for mail in sent)


async def test_a_label_is_reminded_of_its_fan(house: House) -> None:
    """Its owners and admins; nobody else, and not the fan's name. Of what they have decided we ourselves are."""
    owner = await house.person()
    label_id = await house.label(owner)
    await join(house, "admin@example.com", label_id, "admin")
    await join(house, "agent@example.com", label_id, "agent")
    await house.connection(label_id)
    await house.receive(message_change("m_1", ms=house.ms()))
    await ask(house.db, house.api.audit, fan_of(FAN, None), apply=True)
    house.clock.offset += timedelta(days=20, minutes=1)
    assert await remind(house.db, privacy_mail=OURS, now=house.clock()) == 1
    told = await mails(house, "fan_request_due")
    people = {(await user_of(house, email))["_id"] for email in ("owner@example.com", "admin@example.com")}
    assert {mail["user_id"] for mail in told} == people and FAN not in repr(told)
    assert await mails(house, "request_due") == []
    [request] = await house.db.open("privacy_requests").find({"label_id": label_id}).to_list()
    by = f"{request['due_at'] - BEFORE_DUE:%Y-%m-%d}"
    assert {mail["facts"]["on"] for mail in told} == {by}
    decided = {"$set": {"state": "in_progress", "remind_at": house.clock()}}
    await house.db.open("privacy_requests").update_one({"_id": request["_id"], "label_id": label_id}, decided)
    assert await remind(house.db, privacy_mail=OURS, now=house.clock()) == 1
    assert len(await mails(house, "fan_request_due")) == 2 and len(await mails(house, "request_due")) == 1
