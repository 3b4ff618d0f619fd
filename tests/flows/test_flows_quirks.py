"""What Meta sends beside its own examples: every kind in any order, and how edits, reactions and reads combine."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from app.db import Doc
from tests.flows.flows_harness import Desk, expected, moment
from tests.house import ACCOUNT, FAN, House, delivery, message_change

TYPES = ("image", "video", "audio", "file", "ephemeral", "unsupported_type", "share", "reel", "like_heart", "new_type")
NAMELESS = {"url": None, "title": None, "provider_id": None, "asset_id": None}


def by_fan(ms: int, **content: Any) -> Doc:
    """One `messaging` item of the fan's."""
    return {"sender": {"id": FAN}, "recipient": {"id": ACCOUNT}, "timestamp": ms} | content


def by_account(ms: int, **content: Any) -> Doc:
    """One `messaging` item of the account's own."""
    return {"sender": {"id": ACCOUNT}, "recipient": {"id": FAN}, "timestamp": ms} | content


def echo(mid: str, ms: int, text: str) -> Doc:
    return by_account(ms, message={"mid": mid, "text": text, "is_echo": True})


def edit(mid: str, number: object, ms: int, text: str | None) -> Doc:
    return by_fan(ms, message_edit={"mid": mid, "num_edit": number} | ({"text": text} if text else {}))


def reaction(mid: str, ms: int, emoji: str | None, *, fan: bool = True) -> Doc:
    part = {"mid": mid, "action": "react" if emoji else "unreact"} | ({"emoji": emoji} if emoji else {})
    return (by_fan if fan else by_account)(ms, reaction=part)


async def test_attachments_of_each_type(desk: Desk) -> None:
    """Known types, types to come, and ones without payload or type; with text and without."""
    ms = desk.house.ms(timedelta(seconds=10))
    kinds: list[Doc] = [{"type": kind, "payload": {"url": f"https://cdn.test/{kind}"}} for kind in TYPES]
    kinds += [{"type": "image"}, {"type": "image", "payload": None}, {"payload": {}}]
    await desk.receive(
        by_fan(ms, message={"mid": "one", "attachments": kinds}),
        by_fan(ms + 1, message={"mid": "two", "text": "Look", "attachments": kinds[:1]}),
    )
    shown = [NAMELESS | {"type": kind, "url": f"https://cdn.test/{kind}"} for kind in TYPES]
    shown += [NAMELESS | {"type": kind} for kind in ("image", "image", "unknown")]
    assert sorted(await desk.everything(), key=lambda found: str(found["provider_id"])) == [
        expected("one", ms, attachments=shown),
        expected("two", ms + 1, text="Look", attachments=shown[:1]),
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_the_last_edit_counts_in_any_order(desk: Desk, order: tuple[int, ...]) -> None:
    """A message and its two edits, one of them numbered by text: the highest number wins, not the last that came."""
    ms = desk.house.ms(timedelta(seconds=10))
    changes = [message_change("m", text="Frist", ms=ms), edit("m", 1, ms + 1, "First"), edit("m", "2", ms + 2, "1st")]
    for number in order:
        await desk.receive(changes[number])
    assert await desk.everything() == [expected("m", ms, text="1st", edited_at=moment(ms + 2))]


async def test_an_edit_without_text_or_people(desk: Desk) -> None:
    """Number 0 without text announces a message and changes nothing; one without sender still finds its message."""
    ms = desk.house.ms(timedelta(seconds=10))
    nobody = {"timestamp": ms + 3, "message_edit": {"mid": "m", "num_edit": 1, "text": "Second thought"}}
    await desk.receive({"timestamp": ms, "message_edit": {"mid": "m", "num_edit": 0}}, edit("m", 0, ms, None))
    assert (await desk.everything(), await desk.stored("messages")) == ([], [])
    await desk.receive(nobody)
    assert await desk.everything() == []
    await desk.receive(message_change("m", text="First thought", ms=ms))
    assert await desk.everything() == [expected("m", ms, text="Second thought", edited_at=moment(ms + 3))]


async def test_reactions_of_both_sides_in_any_order(desk: Desk) -> None:
    """Of each side the newest counts: an old reaction that comes after its withdrawal stays withdrawn."""
    ms = desk.house.ms(timedelta(seconds=10))
    await desk.receive(reaction("m", ms + 3, None), reaction("m", ms + 5, "😮", fan=False))
    await desk.receive(reaction("m", ms + 2, "❤️"), reaction("m", ms + 4, "👍", fan=False))
    await desk.receive(message_change("m", ms=ms))
    reactions = [{"by": "account", "emoji": "😮", "name": None}]
    assert await desk.everything() == [expected("m", ms, text="Hello", reactions=reactions)]
    await desk.receive(reaction("m", ms + 6, "😢"))
    assert (await desk.everything())[0]["reactions"] == [*reactions, {"by": "fan", "emoji": "😢", "name": None}]


async def test_what_comes_after_an_unsend_brings_nothing_back(desk: Desk) -> None:
    """The message again, its edits and reactions: the unsent message stays empty, also in the database."""
    ms = desk.house.ms(timedelta(seconds=10))
    unsend = by_fan(ms + 5, message={"mid": "m", "is_deleted": True, "text": "a hidden secret"})
    await desk.receive(unsend)
    await desk.receive(edit("m", 1, ms + 1, "a later secret"), message_change("m", text="a secret", ms=ms))
    await desk.receive(reaction("m", ms + 2, "❤️"), unsend)
    assert await desk.everything() == [expected("m", ms, deleted_at=moment(ms + 5))]
    [stored] = await desk.stored("messages")
    assert "content" not in stored
    assert (await desk.conversation())["unread_count"] == 0


async def test_an_unsend_of_the_labels_own_message(desk: Desk) -> None:
    """The account unsends in the Instagram app: its echo stays without content."""
    ms = desk.house.ms(timedelta(seconds=10))
    await desk.receive(echo("out", ms, "Oops"))
    await desk.receive(by_account(ms + 1, message={"mid": "out", "is_deleted": True, "is_echo": True}))
    assert await desk.everything() == [expected("out", ms, direction="out", deleted_at=moment(ms + 1))]


async def test_a_read_by_watermark(desk: Desk) -> None:
    """A read that names no message covers what was sent up to then, and nothing of the fan's own."""
    ms = desk.house.ms(timedelta(seconds=10))
    await desk.receive(echo("one", ms, "One"), message_change("fan's", ms=ms + 1), echo("two", ms + 5, "Two"))
    await desk.receive(by_fan(ms + 3, read={"watermark": ms + 2}))
    read_at = {found["provider_id"]: found["read_at"] for found in await desk.everything()}
    assert read_at == {"one": moment(ms + 2), "fan's": None, "two": None}
    for listed in await desk.messages():
        assert await desk.get(f"/messages/{listed['id']}") == listed


async def test_a_message_is_read_alone_as_in_the_list(desk: Desk) -> None:
    """`GET …/messages/{id}` shows what the list shows."""
    ms = desk.house.ms(timedelta(seconds=10))
    await desk.receive(echo("one", ms, "One"), message_change("fan's", ms=ms + 1), by_fan(ms + 3, read={"mid": "one"}))
    for listed in await desk.messages():
        assert await desk.get(f"/messages/{listed['id']}") == listed


async def test_handovers_tell_who_has_the_thread(desk: Desk) -> None:
    """The newest of them counts, in whatever order they come."""
    ms = desk.house.ms(timedelta(seconds=10))
    await desk.receive(message_change("m", ms=ms))
    await desk.receive(by_fan(ms + 3, take_thread_control={"previous_owner_app_id": 7}))
    await desk.receive(by_fan(ms + 2, pass_thread_control={"new_owner_app_id": 8, "metadata": "a canary"}))
    [stored] = await desk.stored("conversations")
    assert stored["thread_owner"]["action"] == "take_thread_control"
    await desk.receive(by_fan(ms + 4, pass_thread_control={"new_owner_app_id": 9}))
    [stored] = await desk.stored("conversations")
    assert stored["thread_owner"]["owner_app_id"] == "9"


async def test_numbers_for_ids_are_the_same_ids(desk: Desk) -> None:
    """Ids that come as JSON numbers name the same fan, account and message."""
    ms = desk.house.ms(timedelta(seconds=10))
    await desk.receive(message_change("17", text="By text", ms=ms))
    numbered = {"sender": {"id": int(FAN)}, "recipient": {"id": int(ACCOUNT)}, "timestamp": ms}
    body: Doc = delivery(
        numbered | {"message": {"mid": 17, "text": "By text"}}, numbered | {"message": {"mid": 18, "text": "By number"}}
    )
    body["entry"][0]["id"] = int(ACCOUNT)
    assert (await desk.house.deliver(body)).status_code == 200
    await desk.house.work()
    assert {found["provider_id"] for found in await desk.messages()} == {"17", "18"}


async def test_a_message_in_changes_with_times_as_text(desk: Desk) -> None:
    """The test button's shape, but of a connected account: a message like any other, at its own time."""
    ms = desk.house.ms(timedelta(seconds=10)) // 1000 * 1000
    value = {"sender": {"id": FAN}, "recipient": {"id": ACCOUNT}, "timestamp": str(ms // 1000)}
    change = {"field": "messages", "value": value | {"message": {"mid": "random_mid", "text": "random_text"}}}
    body = {"object": "instagram", "entry": [{"id": ACCOUNT, "time": ms // 1000, "changes": [change]}]}
    assert (await desk.house.deliver(body)).status_code == 200
    await desk.house.work()
    assert await desk.everything() == [expected("random_mid", ms, text="random_text")]


async def test_an_entry_of_everything(desk: Desk) -> None:
    """`messaging`, `standby`, `changes` and a flat field in one entry are all taken."""
    ms = desk.house.ms(timedelta(seconds=10))
    comment = {"from": {"id": FAN}, "text": "Nice", "media": {"id": "1"}}
    entry = {
        "id": ACCOUNT,
        "time": ms,
        "messaging": [message_change("one", ms=ms)],
        "standby": [message_change("two", ms=ms)],
        "changes": [{"field": "comments", "value": comment | {"id": "10"}}],
        "field": "comments",
        "value": comment | {"comment_id": "11"},
    }
    assert (await desk.house.deliver({"object": "instagram", "entry": [entry]})).status_code == 200
    await desk.house.work()
    assert {(found["provider_id"], found["standby"]) for found in await desk.messages()} == {
        ("one", False),
        ("two", True),
    }
    assert {found["provider_id"] for found in await desk.all("/comments")} == {"10", "11"}


async def test_a_comment_and_its_reply(desk: Desk) -> None:
    """A reply names its parent; the filter by media finds both and nothing else."""
    seconds = desk.house.ms(timedelta(seconds=10)) // 1000
    parts = [("1", None, "m1"), ("2", "1", "m1"), ("3", None, "m2")]
    entries = []
    for comment_id, parent, media in parts:
        value = {"id": comment_id, "from": {"id": FAN, "username": "fan"}, "text": "Hi", "media": {"id": media}}
        value |= {"parent_id": parent} if parent else {}
        entries.append({"id": ACCOUNT, "time": seconds, "changes": [{"field": "comments", "value": value}]})
    await desk.house.deliver({"object": "instagram", "entry": entries})
    await desk.house.work()
    found = {item["provider_id"]: item["parent_provider_id"] for item in await desk.all("/comments", media_id="m1")}
    assert found == {"1": None, "2": "1"}


async def test_the_fans_message_opens_a_closed_conversation(desk: Desk) -> None:
    """One that comes late and was written before the team closed it does not."""
    house: House = desk.house
    await desk.receive(message_change("one", ms=house.ms(timedelta(seconds=10))))
    conversation = await desk.conversation()
    path = f"/v1/labels/{desk.label_id}/conversations/{conversation['id']}"
    assert (await desk.owner.patch(path, json={"status": "closed"})).status_code == 200
    await desk.receive(message_change("late", ms=house.ms(timedelta(seconds=5))))
    assert (await desk.conversation())["status"] == "closed"
    house.clock.offset += timedelta(seconds=1)
    await desk.receive(message_change("new", ms=house.ms()))
    assert (await desk.conversation())["status"] == "open"


async def test_what_comes_late_is_unread(desk: Desk) -> None:
    """The team has read all it could see; a message that was on its way then has been seen by nobody."""
    ms = desk.house.ms(timedelta(minutes=5))
    await desk.receive(message_change("m1", ms=ms))
    conversation = (await desk.conversation())["id"]
    read = await desk.owner.post(f"/v1/labels/{desk.label_id}/conversations/{conversation}/read")
    assert read.json()["unread_count"] == 0
    await desk.receive(message_change("m0", ms=ms - 1))
    assert (await desk.conversation())["unread_count"] == 1
