"""Fans' profiles: fetched once they have written, remembered when refused, and never in the way of what they write."""

from datetime import timedelta

from app.db import Doc
from tests.flows.facebook_harness import NIGHTJAR, log_in
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.house import House
from workers import jobs

OF_FAN = r"/9\d{14}$"
"""A fan's own path."""


async def fetched(house: House) -> None:
    """Have a worker plan what is due, and do it."""
    await jobs.tend_conversations(house.worker)
    await house.work()


async def operations_of(desk: Desk) -> list[Doc]:
    """What became of the fetching, the oldest first."""
    found = await desk.stored("operations", kind="fetch_profile")
    return sorted(found, key=lambda one: str(one["_id"]))


async def test_a_fan_who_wrote_gets_a_name(live_desk: Desk, meta: Meta) -> None:
    """Once for a conversation, however much they write; again when they write days later, for the picture's address."""
    house = live_desk.house
    written = await live_desk.house.fan_writes("mara", "Hello")
    await fetched(house)
    shown = (await live_desk.conversation(written["igsid"]))["participant"]
    assert shown["username"] and shown["name"]
    assert shown["picture_url"].startswith("https://scontent.cdninstagram.com/")
    await house.fan_writes("mara", "And more")
    await fetched(house)
    assert [one["state"] for one in await operations_of(live_desk)] == ["succeeded"]
    pass_by(house, timedelta(days=4))
    await house.fan_writes("mara", "Days later", at=house.ms())
    await fetched(house)
    assert [one["state"] for one in await operations_of(live_desk)] == ["succeeded"] * 2
    told = [event["type"] for event in await live_desk.stored("events") if event["type"] == "conversation.changed"]
    assert len(told) == 2


async def test_a_refusal_is_remembered(live_desk: Desk, meta: Meta) -> None:
    """Code 230 and 9010: the message is there, nobody asks again with the next one, and the reason is noted."""
    house = live_desk.house
    for fan, code in (("mara", 230), ("fan137", 9010)):
        await meta.fault("error", OF_FAN, code=code)
        written = await house.fan_writes(fan, "Hello")
        await fetched(house)
        await house.fan_writes(fan, "And more")
        await fetched(house)
        conversation = await live_desk.conversation(written["igsid"])
        assert (conversation["participant"]["name"], conversation["unread_count"]) == (None, 2)
        [stored] = await live_desk.stored("conversations", _id=conversation["id"])
        assert stored["profile_problem"] == f"refused_{code}" and "profile_due_at" not in stored
    assert [one["state"] for one in await operations_of(live_desk)] == ["succeeded"] * 2


async def test_away_is_tried_again(live_desk: Desk, meta: Meta) -> None:
    """When Meta is away, it is asked again later; the others do not wait for that one."""
    house = live_desk.house
    await meta.fault("http", OF_FAN, code=500, times=3)
    written = await house.fan_writes("mara", "Hello")
    await fetched(house)
    assert (await live_desk.conversation(written["igsid"]))["participant"]["name"] is None
    pass_by(house, timedelta(minutes=11))
    await fetched(house)
    shown = await live_desk.stored("conversations")
    assert shown[0]["participant"]["name"]


async def test_a_commenter_is_not_asked_about(live_desk: Desk, meta: Meta) -> None:
    """A comment is no consent, nor is what we write ourselves."""
    house, account = live_desk.house, "17841400000000001"
    who: Doc = {"sender": {"id": account}, "recipient": {"id": "900000000000011"}, "timestamp": house.ms()}
    await live_desk.receive(who | {"message": {"mid": "out", "text": "Hi", "is_echo": True}})
    await fetched(house)
    assert await operations_of(live_desk) == []


async def test_on_messenger(live_house: House, meta: Meta) -> None:
    """First and last name make the name; there is no username."""
    login = await log_in(live_house)
    await login.connect(NIGHTJAR)
    order: Doc = {"fan": "mara", "account": NIGHTJAR, "text": "Hello"}
    written = await meta.control("POST", "/fans/write", **order)
    psid, mid = written["psid"], written["mid"]
    item = {"sender": {"id": psid}, "recipient": {"id": NIGHTJAR}, "timestamp": live_house.ms()}
    entry = {"id": NIGHTJAR, "time": live_house.ms(), "messaging": [item | {"message": {"mid": mid, "text": "Hello"}}]}
    assert (await live_house.deliver({"object": "page", "entry": [entry]})).status_code == 200
    await live_house.work()
    await fetched(live_house)
    shown = (await login.conversation(psid))["participant"]
    assert (bool(shown["name"]), shown["username"]) == (True, None)
    assert shown["picture_url"].startswith("https://scontent.xx.fbcdn.net/")
