"""Thirty days from Meta's own time, to the millisecond, and then gone: by the database's sweep and by our own."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.db import Doc
from app.models.base import rfc3339
from app.services import retention
from tests.flows.flows_harness import Desk, expected, moment, pass_by, places_of, sit_down, standing
from tests.house import ACCOUNT, FAN, House, delivery, eventually, message_change, open_house, settings_env
from tools import embedded
from workers import jobs
from workers import main as worker_main

LIFE = timedelta(days=30)
OLD_FAN = "900000000000012"
CANARY = "canary-7f3a91-words"


def comment_delivery(comment_id: str, ms: int, text: str = "Nice") -> Doc:
    value = {"id": comment_id, "from": {"id": FAN}, "text": text, "media": {"id": "1"}}
    return {"object": "instagram", "entry": [{"id": ACCOUNT, "time": ms, "field": "comments", "value": value}]}


def by_fan(ms: int, **content: Any) -> Doc:
    return {"sender": {"id": FAN}, "recipient": {"id": ACCOUNT}, "timestamp": ms} | content


async def test_what_is_over_thirty_days_old_is_not_stored(desk: Desk) -> None:
    """Neither drained nor kept waiting: nothing of a message of 31 days lies anywhere, not for a moment."""
    house = desk.house
    old = message_change("old", text=CANARY, ms=house.ms(timedelta(days=31)))
    assert (await house.deliver(delivery(old))).status_code == 200
    assert (await house.deliver(comment_delivery("1", house.ms(timedelta(days=31)), CANARY))).status_code == 200
    assert await places_of(house, CANARY.encode()) == set()
    await house.work()
    assert await places_of(house, CANARY.encode()) == set()
    assert [await desk.stored(name) for name in ("messages", "comments", "conversations")] == [[], [], []]


async def test_what_grew_too_old_while_it_waited_is_not_stored(timeless_house: House) -> None:
    """The worker was away: what reached its end before the drain came is dropped."""
    desk, house = await sit_down(timeless_house), timeless_house
    await house.deliver(delivery(message_change("m", text=CANARY, ms=house.ms(LIFE - timedelta(seconds=30)))))
    assert await places_of(house, CANARY.encode()) == {"webhook_inbox.change"}
    pass_by(house, timedelta(seconds=31))
    await house.work()
    assert await places_of(house, CANARY.encode()) == set()
    assert [row["outcome"] for row in await desk.stored("webhook_inbox")] == ["expired"]


async def test_it_is_served_until_its_moment_and_never_after(timeless_house: House) -> None:
    """At one millisecond before its end in every list and by itself; at its end nowhere, though it still lies there."""
    desk, house = await sit_down(timeless_house), timeless_house
    ms = house.ms(LIFE - timedelta(seconds=90)) // 1000 * 1000
    await desk.receive(message_change("old", ms=ms), message_change("older", ms=ms, fan=OLD_FAN))
    await desk.receive(message_change("new", ms=ms + 60_000))
    await house.deliver(comment_delivery("1", ms))
    await house.work()
    old, comment, quiet = (await desk.messages())[1], (await desk.all("/comments"))[0], await desk.conversation(OLD_FAN)
    paths = [f"/messages/{old['id']}", f"/comments/{comment['id']}", f"/conversations/{quiet['id']}"]
    end = (await desk.stored("messages", provider_id="old"))[0]["expires_at"]
    assert rfc3339(end) == old["expires_at"] == moment(ms + 30 * 86_400_000)
    with standing(house, end - timedelta(milliseconds=1)):
        assert [await desk.status(path) for path in paths] == [200, 200, 200]
        assert [found["provider_id"] for found in await desk.messages()] == ["new", "old"]
        assert (len(await desk.all("/comments")), len(await desk.conversations())) == (1, 2)
        assert (await desk.conversation())["unread_count"] == 2
    with standing(house, end):
        assert [await desk.status(path) for path in paths] == [404, 404, 404]
        assert await desk.status(f"/conversations/{quiet['id']}/messages") == 404
        assert [found["provider_id"] for found in await desk.messages()] == ["new"]
        assert (len(await desk.all("/comments")), len(await desk.conversations())) == (0, 1)
        assert len(await desk.stored("messages")) == 3
        assert await retention.lag_seconds(house.db, now=end + timedelta(seconds=7)) == 7
        await retention.sweep(house.db, now=end)
        assert [found["provider_id"] for found in await desk.stored("messages")] == ["new"]
        assert (await desk.conversation())["unread_count"] == 1
        assert await retention.lag_seconds(house.db, now=end) == 0


async def test_a_time_in_the_future_is_clamped(desk: Desk) -> None:
    """Nobody's wrong clock keeps words for longer than thirty days from now."""
    now = desk.house.clock()
    await desk.receive(message_change("m", ms=desk.house.ms(timedelta(days=-400))))
    [stored] = await desk.stored("messages")
    assert timedelta() <= stored["expires_at"] - (now + LIFE) < timedelta(minutes=1)
    assert stored["sent_at"] <= desk.house.clock()


async def test_nothing_prolongs_a_message_or_its_conversation(desk: Desk) -> None:
    """Edits, reactions, reads and an unsend of twenty days later end with the message, and so does the conversation."""
    house, ms = desk.house, desk.house.ms(timedelta(days=20))
    now = house.ms(timedelta(seconds=5))
    await desk.receive(message_change("m", ms=ms))
    end = moment(ms + 30 * 86_400_000)
    later = [
        by_fan(now, message_edit={"mid": "m", "num_edit": 1, "text": "Edited"}),
        by_fan(now, reaction={"mid": "m", "action": "react", "emoji": "👍"}),
        by_fan(now, read={"mid": "m"}),
        by_fan(now, referral={"ref": "flyer"}),
        by_fan(now, message={"mid": "m", "is_deleted": True}),
    ]
    for change in later:
        await desk.receive(change)
        assert [found["expires_at"] for found in await desk.messages()] == [end], change
        assert (await desk.conversation())["expires_at"] == end, change
    assert await desk.everything() == [expected("m", ms, read_at=moment(now), deleted_at=moment(now))]


async def test_an_unsent_message_keeps_nothing_but_its_frame(desk: Desk) -> None:
    """Of what the fan took back no word is left anywhere."""
    ms = desk.house.ms(timedelta(seconds=10))
    edit = by_fan(ms + 1, message_edit={"mid": "m", "num_edit": 1, "text": f"edited {CANARY}"})
    await desk.receive(message_change("m", text=CANARY, ms=ms), edit)
    assert await places_of(desk.house, CANARY.encode()) == {"messages.content"}
    await desk.receive(by_fan(ms + 2, message={"mid": "m", "is_deleted": True}))
    assert await places_of(desk.house, CANARY.encode()) == set()
    [stored] = await desk.stored("messages")
    frame = {"_id", "label_id", "connection_id", "conversation_id", "provider", "provider_id", "direction"}
    assert set(stored) == frame | {"received_at", "sent_at", "ordered_at", "expires_at", "deleted_at"}


async def test_words_lie_in_one_place_only(timeless_house: House) -> None:
    """A fan's words and the label's: before the drain in the waiting change, then in `content`, in the end nowhere."""
    desk, house = await sit_down(timeless_house), timeless_house
    canary = CANARY.encode()
    await house.deliver(delivery(message_change("m", text=CANARY, ms=house.ms())))
    await house.deliver(comment_delivery("1", house.ms(), CANARY))
    assert await places_of(house, canary) == {"webhook_inbox.change"}
    await house.work()
    assert await places_of(house, canary) == {"messages.content", "comments.content"}
    path = f"/v1/labels/{desk.label_id}/conversations/{(await desk.conversation())['id']}/messages"
    key = {"Idempotency-Key": "the-same-again"}
    for _ in range(2):
        assert (await desk.owner.post(path, json={"text": f"Re: {CANARY}"}, headers=key)).status_code == 202
    await house.work()
    assert await places_of(house, canary) == {"messages.content", "comments.content"}
    await retention.sweep(house.db, now=house.clock() + LIFE + timedelta(seconds=1))
    assert await places_of(house, canary) == set()
    assert [await desk.stored(name) for name in ("messages", "comments", "conversations")] == [[], [], []]


async def test_waiting_changes_end_too(timeless_house: House) -> None:
    """A change that is never drained goes when its message would have; a parked one, without text, after a week."""
    desk, house = await sit_down(timeless_house), timeless_house
    await desk.receive(by_fan(house.ms(), something_new={"text": CANARY}))
    await house.deliver(delivery(message_change("m", text=CANARY, ms=house.ms())))
    assert await places_of(house, CANARY.encode()) == {"webhook_inbox.change"}
    assert await places_of(house, b"something_new") == {"parked_changes.change"}
    await retention.sweep(house.db, now=house.clock() + timedelta(days=7))
    assert await places_of(house, b"something_new") == set()
    await retention.sweep(house.db, now=house.clock() + LIFE)
    assert await places_of(house, CANARY.encode()) == set()


@pytest.mark.parametrize("sweeper", ["database", "own"])
async def test_it_is_soon_gone_in_real_time(
    house: House, redis_url: str, key_folder: Path, tmp_path: Path, sweeper: str
) -> None:
    """Each of the two sweeps alone deletes a message that ends in two seconds, and the conversation with it."""
    if sweeper == "database":
        await _gone_by_itself(await sit_down(house))
        return
    with embedded.mongodb(tmp_path / "slow", ttl_sweep_s=3600) as url:
        env = settings_env(key_folder, mongodb_url=url, redis_url=redis_url)
        async with open_house(env) as slow:
            desk = await sit_down(slow)
            with pytest.raises(TimeoutError):
                await _gone_by_itself(desk, timeout_s=5)
            assert await retention.lag_seconds(slow.db, now=slow.clock()) > 2
            await worker_main._retain(slow.worker)
            assert worker_main.RETENTION_LAG._value.get() > 2
            assert await desk.stored("messages") == await desk.stored("conversations") == []
            await worker_main._retain(slow.worker)
            assert worker_main.RETENTION_LAG._value.get() == 0


async def _gone_by_itself(desk: Desk, timeout_s: float = 60) -> None:
    ms = desk.house.ms(LIFE - timedelta(seconds=2))
    await desk.house.deliver(delivery(message_change("m", ms=ms)))
    await jobs.drain_waiting(desk.house.worker)
    assert len(await desk.stored("messages")) == 1

    async def gone() -> bool:
        return await desk.stored("messages") == await desk.stored("conversations") == []

    await eventually(gone, timeout_s)
    assert desk.house.ms(LIFE) >= ms
