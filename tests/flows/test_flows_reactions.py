"""Reactions and signs at the sandbox: the last wish wins, what is late is not shown, no window is overstepped."""

from datetime import timedelta

import pytest

from app.db import Doc
from tests.flows.facebook_harness import NIGHTJAR, NIGHTJAR_IG
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.flows.sending_harness import Talk, talk, talk_by
from tests.house import House

DAY = timedelta(days=1)


async def message_of(found: Talk) -> Doc:
    """The fan's message."""
    return next(one for one in await found.desk.messages(found.fan_id) if one["provider_id"] == found.mid)


async def reactions_at(meta: Meta) -> list[str | None]:
    """What the account did, oldest first."""
    return [row["reaction"] for row in await meta.ledger("reaction_sent")]


async def test_the_last_wish_wins(live_desk: Desk, meta: Meta) -> None:
    """Three wishes before the worker looks are one call; a later one is another; taken back, none is shown."""
    found = await talk(live_desk)
    path = f"/messages/{(await message_of(found))['id']}/reaction"
    asked = [await found.do(path, {"emoji": emoji}) for emoji in ("😆", "👍", "❤️")]
    assert len({one["id"] for one in asked}) == 1 and asked[0]["kind"] == "react"
    await live_desk.house.work()
    assert await reactions_at(meta) == ["love"]
    assert (await message_of(found))["reactions"] == [{"by": "account", "emoji": "❤️", "name": "love"}]
    await found.do(path, {"emoji": "🔥"})
    await live_desk.house.work()
    assert (await message_of(found))["reactions"] == [{"by": "account", "emoji": "🔥", "name": None}]
    await found.do(path, method="DELETE")
    await live_desk.house.work()
    assert (await message_of(found))["reactions"] == [] and await reactions_at(meta) == ["love", "🔥", None]
    told = [one for one in await live_desk.stored("events") if one["type"] == "message.reacted"]
    assert len(told) == 3


async def test_a_lost_answer_to_a_reaction_is_asked_again(live_desk: Desk, meta: Meta) -> None:
    """Twice is once: it needs no finding out."""
    found = await talk(live_desk)
    await meta.fault("lost", "/messages$")
    asked = await found.do(f"/messages/{(await message_of(found))['id']}/reaction", {"emoji": "👍"})
    await live_desk.house.work()
    assert (await found.operation(asked["id"]))["problem"]["code"] == "unavailable"
    pass_by(live_desk.house, timedelta(seconds=11))
    await live_desk.house.work()
    assert (await found.operation(asked["id"]))["state"] == "succeeded"
    assert await reactions_at(meta) == ["👍", "👍"]
    assert (await message_of(found))["reactions"] == [{"by": "account", "emoji": "👍", "name": None}]


@pytest.mark.parametrize("way", [NIGHTJAR_IG, NIGHTJAR])
async def test_through_facebook_only_the_heart(live_house: House, meta: Meta, way: str) -> None:
    found = await talk_by(way, live_house, meta)
    path = f"/messages/{(await message_of(found))['id']}/reaction"
    assert (await found.do(path, {"emoji": "👍"}, status=422))["code"] == "invalid_input"
    await found.do(path, {"emoji": "❤️"})
    await found.do(f"/conversations/{found.conversation_id}/typing", {"typing": "on"})
    await live_house.work()
    assert await reactions_at(meta) == ["love"]
    assert [row["action"] for row in await meta.ledger("sender_action")] == ["typing_on"]


async def test_what_no_reaction_goes_to(live_desk: Desk, meta: Meta) -> None:
    """No word, no message that Meta does not have, no closed window; an unsent message takes the wish along."""
    found = await talk(live_desk, ago=DAY - timedelta(minutes=5))
    path = f"/messages/{(await message_of(found))['id']}/reaction"
    for emoji in ("love", "❤️ x", "1", " ", "é"):
        assert (await found.do(path, {"emoji": emoji}, status=422))["code"] == "invalid_input"
    queued = await found.say({"text": "Not sent yet"})
    assert (await found.do(f"/messages/{queued['id']}/reaction", {"emoji": "👍"}, status=409))["code"] == "conflict"
    asked = await found.do(path, {"emoji": "👍"})
    unsent = {"sender": {"id": found.fan_id}, "recipient": {"id": "17841400000000001"}}
    gone = {"timestamp": live_desk.house.ms(), "message": {"mid": found.mid, "is_deleted": True}}
    await live_desk.receive(unsent | gone)
    assert (await found.operation(asked["id"]))["problem"]["code"] == "message_unavailable"
    [stored] = await live_desk.stored("messages", provider_id=found.mid)
    assert "content" not in stored
    assert (await found.do(path, {"emoji": "👍"}, status=409))["code"] == "conflict"
    pass_by(live_desk.house, timedelta(minutes=6))
    typing = f"/conversations/{found.conversation_id}/typing"
    assert (await found.do(typing, {"typing": "on"}, status=409))["code"] == "reply_window_closed"
    assert await reactions_at(meta) == []


async def test_signs_are_shown_at_once_or_not_at_all(live_desk: Desk, meta: Meta) -> None:
    """Typing and reading reach the fan; what waited ten seconds does not, and nothing is tried twice."""
    found = await talk(live_desk)
    typing, read = (f"/conversations/{found.conversation_id}/{name}" for name in ("typing", "read"))
    await found.do(typing, {"typing": "on"})
    await found.do(typing, {"typing": "off"})
    for _ in range(3):
        await found.do(read, {"receipt": True}, status=200)
    await found.do(read, status=200)
    await live_desk.house.work()
    actions = [row["action"] for row in await meta.ledger("sender_action")]
    assert sorted(set(actions)) == ["mark_seen", "typing_off", "typing_on"] and len(actions) <= 4
    late = await found.do(typing, {"typing": "on"})
    pass_by(live_desk.house, timedelta(seconds=11))
    await live_desk.house.work()
    assert (await found.operation(late["id"]))["problem"]["code"] == "too_late"
    await meta.fault("http", "/messages$", code=500)
    tried = await found.do(typing, {"typing": "on"})
    for _ in range(2):
        await live_desk.house.work()
    assert (await found.operation(tried["id"]))["problem"]["code"] == "provider_unavailable"
    assert len(await meta.ledger("sender_action")) == len(actions)


async def test_reading_goes_on_where_nothing_can_be_sent(live_desk: Desk, meta: Meta) -> None:
    found = await talk(live_desk, ago=2 * DAY)
    shown = await found.do(f"/conversations/{found.conversation_id}/read", {"receipt": True}, status=200)
    assert shown["unread_count"] == 0
    assert await live_desk.stored("operations", kind="mark_seen") == []
