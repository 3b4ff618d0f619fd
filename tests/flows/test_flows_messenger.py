"""What fans write to a Page on Messenger: the example of meta-platform.md, section 2.7, and what is Messenger's own."""

import json
from typing import Any

import pytest

from app.clock import from_ms
from app.db import Doc
from app.ids import new_id
from tests.flows.flows_harness import PAYLOADS, Desk, expected, moment, move_to, sit_down
from tests.house import House

PAGE, PSID = "100000000000001", "6700000000000001"
OF_A_PAGE: Doc = {"provider": "facebook", "network": "facebook"}
AT = from_ms(1_795_420_900_000)
FIRST_MS = 1_795_420_870_000
EXAMPLE: Doc = json.loads((PAYLOADS / "messenger.json").read_text())
ITEMS: list[Doc] = EXAMPLE["entry"][0]["messaging"]
FLYER = {"ref": "flyer", "source": "SHORTLINK", "type": "OPEN_THREAD"}


@pytest.fixture
async def page_desk(timeless_house: House) -> Desk:
    """At the inbox of a Page, a moment after the example."""
    move_to(timeless_house, AT)
    return await sit_down(timeless_house, PAGE, **OF_A_PAGE)


async def receive(desk: Desk, *items: Any, channel: str = "messaging", page: Any = PAGE) -> None:
    """Have Meta deliver these items to a Page, and drain them."""
    body = {"object": "page", "entry": [{"id": page, "time": FIRST_MS, channel: list(items)}]}
    assert (await desk.house.deliver(body)).status_code == 200
    await desk.house.work()


def of_messenger(mid: str, ms: int, **filled: Any) -> Doc:
    """A message as the API shows it."""
    return expected(mid, ms, **filled) | {"provider": "facebook"}


def by_fan(ms: int, **part: Any) -> Doc:
    """An item that the fan caused, with ids that are numbers."""
    return {"sender": {"id": int(PSID)}, "recipient": {"id": int(PAGE)}, "timestamp": ms, **part}


async def test_the_example(page_desk: Desk) -> None:
    """The documented batch: a message that was edited, an echo that was read and reacted to, a button."""
    assert (await page_desk.house.deliver(EXAMPLE)).status_code == 200
    await page_desk.house.work()
    smile = {"by": "fan", "emoji": "\U0001f606", "name": "smile"}
    seen = moment(1_795_420_871_900)
    assert await page_desk.everything() == [
        of_messenger(
            "m_AAA3", 1_795_420_873_000, kind="postback", text="Start", postback="GET_STARTED", referral=FLYER
        ),
        of_messenger("m_AAA2", 1_795_420_870_500, direction="out", text="hi", reactions=[smile], read_at=seen),
        of_messenger("m_AAA1", FIRST_MS, text="hello!", edited_at=moment(1_795_420_875_000)),
    ]
    [conversation] = await page_desk.conversations()
    assert (conversation["network"], conversation["fan_read_at"]) == ("facebook", seen)
    assert (conversation["unread_count"], conversation["participant"]["provider_id"]) == (2, PSID)
    assert await page_desk.stored("parked_changes") == []
    [echo] = await page_desk.stored("messages", provider_id="m_AAA2")
    assert echo["content"]["original"]["metadata"] == "soundops:42"


async def test_a_sticker_comes_once(page_desk: Desk) -> None:
    """Until 2026-08-30 as an image and a sticker, later as a sticker alone; a picture beside it stays."""
    url, picture = "https://cdn.example.test/s", "https://cdn.example.test/p"
    sticker = {"type": "sticker", "payload": {"sticker_id": 369, "url": url}}
    parts: list[Doc] = [{"type": "image", "payload": {"sticker_id": 369, "url": url}}, sticker]
    parts.append({"type": "image", "payload": {"url": picture}})
    await receive(page_desk, by_fan(FIRST_MS, message={"mid": "m_1", "attachments": parts}))
    await receive(page_desk, by_fan(FIRST_MS + 1, message={"mid": "m_2", "attachments": [sticker]}))
    found = await page_desk.messages(PSID)
    shown = [[(part["type"], part["provider_id"]) for part in one["attachments"]] for one in found]
    assert shown == [[("sticker", "369")], [("sticker", "369"), ("image", None)]]


async def test_a_shared_link_keeps_its_address(page_desk: Desk) -> None:
    """Of a `fallback` attachment the address and the title stand beside the payload."""
    link = {"type": "fallback", "url": "https://example.test/tour", "title": "Tour", "payload": None}
    await receive(page_desk, by_fan(FIRST_MS, message={"mid": "m_1", "attachments": [link]}))
    [shown] = (await page_desk.messages(PSID))[0]["attachments"]
    assert (shown["type"], shown["url"], shown["title"]) == ("fallback", "https://example.test/tour", "Tour")


async def test_standby_and_what_is_left(page_desk: Desk) -> None:
    """Another app's thread is shown as such; what Messenger tells beside is neither stored nor parked."""
    await receive(page_desk, by_fan(FIRST_MS, message={"mid": "m_1", "text": "hi"}), channel="standby", page=int(PAGE))
    policy = {"action": "warning", "reason": "spam"}
    await receive(
        page_desk, by_fan(FIRST_MS, **{"policy-enforcement": policy}), by_fan(FIRST_MS, delivery={"watermark": 1})
    )
    assert [found["standby"] for found in await page_desk.messages(PSID)] == [True]
    assert await page_desk.stored("parked_changes") == []


async def test_a_page_and_the_account_behind_it(timeless_house: House) -> None:
    """Both connected by Facebook's log-in: each has its own conversations, and neither takes the other's object."""
    house = timeless_house
    move_to(house, AT)
    desk = await sit_down(house, PAGE, **OF_A_PAGE)
    instagram = "17841400000000001"
    behind = await house.connection(
        desk.label_id, instagram, _id=new_id("con"), provider="facebook", network="instagram"
    )
    change = {"sender": {"id": "9001"}, "recipient": {"id": instagram}, "timestamp": FIRST_MS}
    body = {"entry": [{"id": instagram, "messaging": [change | {"message": {"mid": "i1", "text": "on Instagram"}}]}]}
    assert (await house.deliver({"object": "instagram"} | body)).status_code == 200
    assert (await house.deliver({"object": "page"} | body)).status_code == 200
    await receive(desk, by_fan(FIRST_MS, message={"mid": "m_1", "text": "on Messenger"}))
    shown = {(found["connection_id"], found["network"]) for found in await desk.conversations()}
    assert shown == {(behind["_id"], "instagram"), (desk.connection_id, "facebook")}
    assert [parked["reason"] for parked in await desk.stored("parked_changes")] == ["unknown_object"]
