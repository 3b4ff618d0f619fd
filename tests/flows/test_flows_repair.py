"""Gaps in the inbox: what fans wrote while no webhook came is read back, once, and nothing that is gone comes back."""

from datetime import datetime, timedelta
from typing import Any

from app.db import Doc
from app.services.connections import tending
from tests.flows.facebook_harness import NIGHTJAR, log_in
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.flows.sending_harness import talk
from tests.house import House, message_change

ACCOUNT, NAME = "17841400000000001", "nightjar.records"
NO_WEBHOOKS = {"drop": 1.0}


async def unheard(meta: Meta, fan: str, text: str | None, *, at: int, **more: Any) -> Doc:
    """A fan writes, and Meta's webhook is lost."""
    order = {"fan": fan, "account": NAME, "at": at} | ({"text": text} if text else {}) | more
    found: Doc = await meta.control("POST", "/fans/write", **order)
    return found


async def backfill(desk: Desk) -> Doc:
    """Ask for the gaps to be filled, and have it done; the operation."""
    path = f"/v1/labels/{desk.label_id}/connections/{desk.connection_id}/backfill"
    asked = await desk.owner.post(path)
    assert asked.status_code == 202, asked.text
    for _ in range(6):
        await desk.house.work()
    found: Doc = (await desk.owner.get(f"/v1/operations/{asked.json()['id']}")).raise_for_status().json()
    assert found["state"] == "succeeded", found
    return found


def by_second(value: Any) -> Any:
    """An instant without its milliseconds."""
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


async def picture(desk: Desk) -> dict[str, list[Doc]]:
    """What is stored, by the second (Meta's list knows no milliseconds), without what says when it was touched."""
    passing = ("touched", "version", "repair", "repaired_at", "repair_at", "updated_at", "last_inbound_at")
    found = {}
    for name in ("conversations", "messages", "events"):
        rows = [{k: by_second(v) for k, v in row.items() if k not in passing} for row in await desk.stored(name)]
        found[name] = sorted(rows, key=lambda row: str(row["_id"]))
    return found


async def test_a_gap_is_filled_once(live_desk: Desk, meta: Meta) -> None:
    """Everything that can be read is there once, told of once, unread where nobody has answered; late webhooks and a
    second look change nothing. What was unsent meanwhile, or is older than 30 days, does not come."""
    house = live_desk.house
    heard = await talk(live_desk, "mara", ago=timedelta(minutes=9))
    await meta.control("PUT", "/delivery", **NO_WEBHOOKS)
    now = house.ms()
    lost = [
        await unheard(meta, "mara", "And one more thing", at=now - 1000),
        await unheard(meta, "jonas", "Is it sold out?", at=now - 3_600_000),
        await unheard(meta, "jonas", None, at=now - 3_500_000, attachments=[{"type": "image"}]),
        await unheard(meta, "ines", "Saw your story", at=now - 60_000, story_reply=True),
    ]
    gone = await unheard(meta, "ada", "I take that back", at=now - 50_000)
    await meta.control("POST", "/fans/unsend", mid=gone["mid"])
    old = await unheard(meta, "kofi", "Long ago", at=now - 30 * 86_400_000 - 1000)
    await unheard(meta, "kofi", "Not so long ago", at=now - 29 * 86_400_000)
    await meta.control("POST", "/fans/react", mid=lost[1]["mid"], emoji="❤️")
    operation = await backfill(live_desk)
    assert operation["result"] == {"connection_id": live_desk.connection_id, "found": 5}
    shown = {one["provider_id"]: one for one in await live_desk.everything()}
    assert set(shown) == {heard.mid, *(one["mid"] for one in lost)} | {
        one["provider_id"] for one in shown.values() if one["text"] == "Not so long ago"
    }
    assert gone["mid"] not in shown and old["mid"] not in shown
    image, story = shown[lost[2]["mid"]], shown[lost[3]["mid"]]
    assert image["attachments"][0]["type"] == "image" and image["attachments"][0]["url"].startswith("https://")
    assert story["reply_to"]["story"]["provider_id"]
    assert shown[lost[1]["mid"]]["reactions"] == [{"by": "fan", "emoji": None, "name": "love"}]
    unread = {one["participant"]["provider_id"]: one["unread_count"] for one in await live_desk.conversations()}
    assert unread[heard.fan_id] == 2 and unread[lost[1]["igsid"]] == 2
    told = [one for one in await live_desk.stored("events") if one["type"] == "message.received"]
    assert len(told) == len({one["target"] for one in told}) == 6
    before = await picture(live_desk)
    assert (await backfill(live_desk))["result"]["found"] == 0
    late = [message_change(one["mid"], text="x", ms=one["timestamp"], fan=one["igsid"]) for one in (*lost, gone)]
    unsent = late[-1] | {"message": {"mid": gone["mid"], "is_deleted": True}, "timestamp": now}
    await live_desk.receive(*late[:-1])
    after = await picture(live_desk)
    changed = [(a, b) for name in after for a, b in zip(before[name], after[name], strict=True) if a != b]
    assert not changed, [{k: (a.get(k), b.get(k)) for k in a | b if a.get(k) != b.get(k)} for a, b in changed]
    await live_desk.receive(unsent, late[-1])
    assert all(one["text"] is None for one in await live_desk.everything() if one["provider_id"] == gone["mid"])


async def test_an_unsend_that_was_not_heard_of(live_desk: Desk, meta: Meta) -> None:
    """A message that is here and not at Meta any more is asked for by its id, and then taken away here too."""
    found = await talk(live_desk, ago=timedelta(minutes=9))
    await meta.control("PUT", "/delivery", **NO_WEBHOOKS)
    second = await live_desk.house.fan_writes("mara", "Forget this", at=live_desk.house.ms(timedelta(minutes=5)))
    await meta.control("POST", "/fans/unsend", mid=second["mid"])
    assert (await backfill(live_desk))["result"]["found"] == 1
    [unsent, kept] = await live_desk.messages(found.fan_id)
    assert (unsent["provider_id"], unsent["text"]) == (second["mid"], None) and unsent["deleted_at"]
    assert (kept["text"], kept["deleted_at"]) == ("Hello?", None)
    [stored] = await live_desk.stored("messages", provider_id=second["mid"])
    assert "content" not in stored


async def test_an_unsend_here_wins_over_what_meta_still_shows(live_desk: Desk, meta: Meta) -> None:
    """A tombstone is a known message: reading back adds nothing to it."""
    found = await talk(live_desk)
    sides = {"sender": {"id": found.fan_id}, "recipient": {"id": ACCOUNT}, "timestamp": live_desk.house.ms()}
    await live_desk.receive(sides | {"message": {"mid": found.mid, "is_deleted": True}})
    assert (await backfill(live_desk))["result"]["found"] == 0
    [stored] = await live_desk.stored("messages", provider_id=found.mid)
    assert "content" not in stored and stored["deleted_at"]


async def test_what_was_answered_elsewhere_is_not_unread(live_desk: Desk, meta: Meta) -> None:
    """The account's own message after the fan's shows that somebody has read it; what comes after it is unread."""
    await meta.control("PUT", "/delivery", **NO_WEBHOOKS)
    now = live_desk.house.ms()
    first = await unheard(meta, "jonas", "Hello?", at=now - 100_000)
    [token] = [one["value"] for one in (await meta.control("GET", "/tokens"))["tokens"] if one["lifetime"] == "long"]
    body = {"recipient": {"id": first["igsid"]}, "message": {"text": "Typed in the app"}}
    headers = {"Authorization": f"Bearer {token}"}
    (await meta.http.post("/graph.instagram.com/v26.0/me/messages", json=body, headers=headers)).raise_for_status()
    await backfill(live_desk)
    conversation = await live_desk.conversation(first["igsid"])
    shown = await live_desk.messages(first["igsid"])
    assert [(one["direction"], one["text"], one["state"]) for one in shown] == [
        ("out", "Typed in the app", None),
        ("in", "Hello?", None),
    ]
    assert conversation["unread_count"] == 0 and conversation["reply_window"]["closes_at"]
    await unheard(meta, "jonas", "Thanks", at=live_desk.house.ms() + 5000)
    await backfill(live_desk)
    assert (await live_desk.conversation(first["igsid"]))["unread_count"] == 1


async def test_it_is_planned(live_desk: Desk, meta: Meta) -> None:
    """A minute after connecting, after webhooks were found to be off, and once a day; from where the last one was."""
    house = live_desk.house

    async def planned() -> list[Doc]:
        await tending.tend(house.db, house.worker.audit, clock=house.clock)
        for _ in range(4):
            await house.work()
        return await live_desk.stored("operations", kind="backfill")

    assert await planned() == []
    pass_by(house, timedelta(minutes=2))
    [first] = await planned()
    assert (first["state"], first["result"]["found"]) == ("succeeded", 0)
    await meta.control("PUT", "/subscriptions", account=NAME, fields=["messages"])
    lost = await unheard(meta, "jonas", "Anybody?", at=house.ms())
    await house.db.open("connections").update_one(
        {"_id": live_desk.connection_id, "label_id": live_desk.label_id}, {"$set": {"check_at": house.clock()}}
    )
    await planned()
    assert len(await planned()) == 2
    assert [one["text"] for one in await live_desk.messages(lost["igsid"])] == ["Anybody?"]
    [stored] = await live_desk.stored("connections")
    assert timedelta(hours=23) < stored["repair_at"] - house.clock() <= timedelta(hours=24)
    assert stored["repair"] is None and stored["repaired_at"]


async def test_many_conversations_are_read_a_page_at_a_time(live_desk: Desk, meta: Meta) -> None:
    """Meta fails amid it: the operation goes on where it was, and a second worker could."""
    await meta.control("PUT", "/delivery", **NO_WEBHOOKS)
    now = live_desk.house.ms()
    fans = [f"fan{number}" for number in range(20, 32)]
    for number, fan in enumerate(fans):
        await unheard(meta, fan, "Hi", at=now - 1000 * (number + 1))
    path = f"/v1/labels/{live_desk.label_id}/connections/{live_desk.connection_id}/backfill"
    asked = (await live_desk.owner.post(path)).json()
    await live_desk.house.work()
    half = await live_desk.conversations()
    assert 0 < len(half) < len(fans)
    await meta.fault("http", "/conversations", code=500, times=3)
    await live_desk.house.work()
    waiting = (await live_desk.owner.get(f"/v1/operations/{asked['id']}")).json()
    assert (waiting["state"], waiting["problem"]["code"]) == ("queued", "provider_unavailable")
    pass_by(live_desk.house, timedelta(minutes=2))
    await live_desk.house.work()
    ended = (await live_desk.owner.get(f"/v1/operations/{asked['id']}")).json()
    assert (ended["state"], ended["result"]["found"]) == ("succeeded", len(fans))
    assert len(await live_desk.conversations()) == len(fans)


async def test_messenger_is_read_back_too(live_house: House, meta: Meta) -> None:
    """A Page's own threads, with the Page's token; and nothing is asked for an account whose messages are off."""
    login = await log_in(live_house)
    results = await login.connect(NIGHTJAR)
    desk = Desk(live_house, login.owner, login.label_id, results[NIGHTJAR]["connection_id"])
    await meta.control("PUT", "/delivery", **NO_WEBHOOKS)
    wrote = await meta.control("POST", "/fans/write", fan="mara", account=NIGHTJAR, text="Is the shop open?")
    await backfill(desk)
    [shown] = await desk.messages(wrote["psid"])
    assert (shown["text"], shown["direction"], shown["provider_id"]) == ("Is the shop open?", "in", wrote["mid"])
    path = f"/v1/labels/{desk.label_id}/connections/{desk.connection_id}"
    assert (await desk.owner.patch(path, json={"features": ["insights"]})).status_code in (200, 202)
    refused = await desk.owner.post(f"{path}/backfill")
    assert (refused.status_code, refused.json()["code"]) == (409, "connection_not_active")
