"""What nobody asked for: nonsense, unknown kinds, poison, and accounts that are not connected. Nothing gets stuck."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from app.db import Doc
from app.ids import new_id
from app.services.inbox.drain import LEASE, PARK_AFTER
from app.services.webhooks.changes import NotAWebhook
from tests.flows.flows_harness import Desk, expected, pass_by, sit_down
from tests.house import ACCOUNT, FAN, House, delivery, message_change

OTHER_ACCOUNT = "17841400000000002"
WHO: Doc = {"sender": {"id": FAN}, "recipient": {"id": ACCOUNT}}
DEEP = "[" * 980 + "]" * 980
ITEMS: list[Any] = [
    *(None, 7, "text", [], {}, {"message": None}, {"message": 5}, {"message": []}, {"message": {}}, {"sender": 5}),
    *({"message": {"mid": None}}, {"message": {"mid": ""}}, {"message": {"mid": {"$gt": ""}, "attachments": 7}}),
    *({"message": {"mid": "a", "attachments": [7]}}, {"message": {"mid": "b", "attachments": [{"payload": 7}]}}),
    *({"message": {"mid": "c", "reply_to": 7}}, {"message": {"mid": "d", "reply_to": {"story": 7}}}),
    *({"message": {"mid": "e", "reply_to": {}, "quick_reply": "x"}}, {"message": {"mid": "f", "referral": "x"}}),
    *({"reaction": None}, {"reaction": {"action": "react"}}, {"reaction": 7}, {"postback": {}}, {"postback": 7}),
    *({"read": None}, {"read": 7}, {"read": {}}, {"message_edit": None}, {"message_edit": {"text": "no mid"}}),
    {"message_edit": {"mid": "g", "num_edit": "many", "text": "x"}},
    *({"referral": 7}, {"pass_thread_control": None}, {"take_thread_control": 7}),
]
BODIES: dict[str, bytes] = {
    "empty": b"",
    "not json": b"{",
    "null": b"null",
    "list": b"[]",
    "no entry": b'{"object":"instagram"}',
    "entry is text": b'{"object":"instagram","entry":"x"}',
    "entries are nonsense": b'{"object":"instagram","entry":[null,7,"x",[],{}]}',
    "object is a list": b'{"object":[],"entry":[{"id":{},"messaging":{},"changes":7,"standby":null}]}',
    "changes are nonsense": b'{"object":"instagram","entry":[{"id":"1","changes":[null,7,{},{"field":7}]}]}',
    "not utf-8": b'{"object":"\xff","entry":[]}',
    "infinite": b'{"object":"instagram","entry":[{"id":"1","time":1e999,"messaging":[{}]}]}',
    "deep item": b'{"object":"instagram","entry":[{"id":"1","messaging":[{"x":%s}]}]}' % DEEP.encode(),
    "deep time": b'{"object":"instagram","entry":[{"id":"1","time":%s,"messaging":[7]}]}' % DEEP.encode(),
    "too deep": b'{"object":"instagram","entry":%s}' % (b"[" * 5000 + b"]" * 5000),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_nonsense_body_is_answered(desk: Desk, name: str) -> None:
    """Signed nonsense gets 200 or a 400, never a 500, and leaves nothing that waits."""
    answer = await desk.house.deliver(BODIES[name])
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["code"] == "invalid_json"
    await desk.house.work()
    assert await desk.undrained() == []


async def test_nonsense_costs_its_neighbours_nothing(desk: Desk) -> None:
    """Every malformed item in one batch with two good messages: both arrive, and the rest is parked or left."""
    ms = desk.house.ms()
    odd = [item if not isinstance(item, dict) else WHO | {"timestamp": ms} | item for item in ITEMS]
    body = delivery(message_change("first", ms=ms), *odd, message_change("last", ms=ms))
    assert (await desk.house.deliver(body)).status_code == 200
    await desk.house.work()
    assert {"first", "last"} <= {found["provider_id"] for found in await desk.messages()}
    assert await desk.undrained() == []
    reasons = {parked["reason"] for parked in await desk.stored("parked_changes")}
    assert reasons == {"malformed", "unknown_kind"}
    for parked in await desk.stored("parked_changes"):
        assert parked["expires_at"] - desk.house.clock() <= timedelta(days=7)


async def test_a_cut_emoji_costs_one_character(desk: Desk) -> None:
    """Half of a surrogate pair, which no UTF-8 can hold; and a NUL character."""
    ms = desk.house.ms()
    body = json.dumps(delivery(message_change("m", text="cut \ud83c here, nul \0 there", ms=ms))).encode()
    assert b"\\ud83c here" in body
    assert (await desk.house.deliver(body)).status_code == 200
    await desk.house.work()
    assert await desk.everything() == [expected("m", ms, text="cut ? here, nul \0 there")]


async def test_a_long_id_and_a_long_text_arrive(desk: Desk) -> None:
    """Message ids can pass 150 characters."""
    ms, mid = desk.house.ms(), "aWdf" * 500
    await desk.receive(message_change(mid, text="x" * 5_000, ms=ms))
    assert await desk.everything() == [expected(mid, ms, text="x" * 5_000)]


async def test_a_message_of_nobody_is_parked(desk: Desk) -> None:
    """Without a fan there is no conversation to show it in, and no answer is a 500."""
    ms = desk.house.ms()
    echo = {"sender": {"id": ACCOUNT}, "timestamp": ms, "message": {"mid": "out", "text": "To whom?", "is_echo": True}}
    anonymous = {"recipient": {"id": ACCOUNT}, "timestamp": ms, "message": {"mid": "in", "text": "From whom?"}}
    edit = {"sender": {"id": ACCOUNT}, "timestamp": ms, "message_edit": {"mid": "e", "text": "Of what?"}}
    await desk.receive(echo, anonymous, edit)
    assert [parked["reason"] for parked in await desk.stored("parked_changes")] == ["malformed"] * 2
    for stored in await desk.stored("messages"):
        assert await desk.status(f"/messages/{stored['_id']}") == 404


async def test_unknown_kinds_are_parked_for_a_week_at_most(desk: Desk) -> None:
    """Seven days, and never longer than thirty days after Meta's own time."""
    house = desk.house
    fresh, old = house.ms(), house.ms(timedelta(days=27))
    await desk.receive(
        WHO | {"timestamp": fresh, "optin": {"ref": "x"}},
        WHO | {"timestamp": old, "something_new": {"text": "Hello"}},
    )
    parked = {item["at"].timestamp() * 1000: item for item in await desk.stored("parked_changes")}
    assert {item["reason"] for item in parked.values()} == {"unknown_kind"}
    week = parked[fresh]["expires_at"] - house.clock()
    assert timedelta(days=6, hours=23) < week <= timedelta(days=7)
    assert parked[old]["expires_at"] - parked[old]["at"] == timedelta(days=30)
    assert json.loads(parked[old]["change"])["something_new"] == {"text": "<5 characters>"}
    assert json.loads(parked[old]["change"])["sender"] == {"id": FAN}


async def test_an_unknown_object_is_parked(desk: Desk) -> None:
    """A Page's change under an account's id is nothing that we read."""
    body = delivery(message_change("m", ms=desk.house.ms())) | {"object": "page"}
    assert (await desk.house.deliver(body)).status_code == 200
    await desk.house.work()
    assert [parked["reason"] for parked in await desk.stored("parked_changes")] == ["unknown_object"]
    assert await desk.conversations() == []


async def test_poison_is_parked_and_holds_up_nobody(timeless_house: House) -> None:
    """A row that no drain can do: it is tried alone, then parked; a later good one does not wait for that."""
    desk, house = await sit_down(timeless_house), timeless_house
    await house.deliver(delivery(message_change("poison", ms=house.ms())))
    await house.db.raw["webhook_inbox"].update_one({}, {"$set": {"change": b"["}})
    await house.deliver(delivery(message_change("neighbour", ms=house.ms())))
    seen_after = None
    for attempt in range(PARK_AFTER + 2):
        with suppress(NotAWebhook):
            await house.work()
        if seen_after is None and await desk.conversations():
            seen_after = attempt
        pass_by(house, LEASE + timedelta(seconds=1))
    assert seen_after is not None and seen_after <= 4
    [parked] = await desk.stored("parked_changes")
    assert parked["reason"] == "poison"
    assert await desk.undrained() == []


async def test_an_unknown_account_leaves_nothing_behind(desk: Desk) -> None:
    """200, so that Meta does not unsubscribe us; of the change only its hash stays."""
    house = desk.house
    body = delivery(message_change("m", text="a canary", ms=house.ms()), account=OTHER_ACCOUNT)
    assert (await house.deliver(body)).status_code == 200
    await house.work()
    assert (await desk.conversations(), await desk.stored("parked_changes")) == ([], [])
    [row] = await desk.stored("webhook_inbox")
    assert row["outcome"] == "no_connection"
    assert not {"change", "account_id", "channel"} & set(row)


@pytest.mark.parametrize("status", ["revoked", "error"])
async def test_a_connection_that_is_not_active_gets_nothing(house: House, status: str) -> None:
    """Its fans' words are not stored; the same message after it became active is."""
    desk = await sit_down(house, status=status)
    await desk.receive(message_change("early", ms=house.ms()))
    assert (await desk.conversations(), await desk.stored("messages")) == ([], [])
    active = {"$set": {"status": "active"}}
    await house.db.open("connections").update_one({"_id": desk.connection_id, "label_id": desk.label_id}, active)
    await desk.receive(message_change("later", ms=house.ms()))
    assert [found["provider_id"] for found in await desk.messages()] == ["later"]


@pytest.mark.parametrize(("on", "messages", "comments"), [("messages", 1, 0), ("comments", 0, 1)])
async def test_a_feature_that_is_off_stores_nothing(house: House, on: str, messages: int, comments: int) -> None:
    """What belongs to a feature that is switched off is neither stored nor parked."""
    desk = await sit_down(house, active_features=[on])
    value = {"id": "1", "from": {"id": FAN}, "text": "Nice", "media": {"id": "1"}}
    entry = {"id": ACCOUNT, "time": house.ms(), "messaging": [message_change("m", ms=house.ms())]}
    entry |= {"changes": [{"field": "comments", "value": value}]}
    assert (await house.deliver({"object": "instagram", "entry": [entry]})).status_code == 200
    await house.work()
    stored = [len(await desk.stored(name)) for name in ("messages", "comments", "parked_changes", "events")]
    assert stored == [messages, comments, 0, 1]


async def test_one_account_of_two_labels(desk: Desk) -> None:
    """Each label has its own copy; one reads nothing of the other's."""
    house = desk.house
    other_owner = await house.person("second@example.com")
    other_label = await house.label(other_owner, "lowtide")
    connection = await house.connection(other_label, _id=new_id("con"))
    other = Desk(house, other_owner, other_label, connection["_id"])
    ms = house.ms()
    await desk.receive(message_change("m", ms=ms))
    assert await desk.everything() == await other.everything() == [expected("m", ms, text="Hello")]
    [mine], [theirs] = await desk.conversations(), await other.conversations()
    assert mine["id"] != theirs["id"]
    assert await desk.status(f"/conversations/{theirs['id']}") == 404
    assert await desk.status(f"/conversations/{theirs['id']}/messages") == 404


async def test_either_id_of_the_account_finds_it(house: House) -> None:
    """Meta calls the account by its real id or by the one within our app; both sides of a message are told apart."""
    scoped = "7000000000000011"
    desk = await sit_down(house, account_ids=[ACCOUNT, scoped])
    ms = house.ms()
    echo = {"sender": {"id": scoped}, "recipient": {"id": FAN}, "timestamp": ms}
    await desk.receive(message_change("in", ms=ms, account=scoped), account=scoped)
    await desk.receive(echo | {"message": {"mid": "out", "text": "Hi", "is_echo": True}}, account=scoped)
    assert {(found["provider_id"], found["direction"]) for found in await desk.messages()} == {
        ("in", "in"),
        ("out", "out"),
    }
