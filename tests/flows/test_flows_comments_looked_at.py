"""Looking at an account's comments at the sandbox: gaps are filled, what is gone goes, and nothing comes back."""

from datetime import timedelta

import pytest

from app.db import Doc
from app.services.comments import endings
from app.services.comments.backfill import backfill_comments
from app.services.connections import store, tending
from tests.flows.comments_harness import ask, by_provider, change, done, fan_comments, log_of
from tests.flows.flows_harness import Desk, Meta, pass_by, places_of

DAY = timedelta(days=1)


async def look(desk: Desk, *, since: timedelta = 30 * DAY) -> dict[str, int]:
    """Look once; what was found."""
    hands, now = desk.house.worker.hands, desk.house.clock()
    connection = await store.need(desk.house.db, desk.label_id, desk.connection_id)
    return await backfill_comments(hands, connection, since=now - since, job="a test")


async def events_of(desk: Desk, comment_id: str) -> list[str]:
    """The types of the comment's events."""
    return [one["type"] for one in await desk.stored("events", target=comment_id)]


async def test_a_gap_is_filled(live_desk: Desk, meta: Meta) -> None:
    """What no webhook told of is there with Meta's own time; what a webhook tells of later is the same comment."""
    first = await fan_comments(live_desk, meta, "First", ago=2 * DAY, told=False)
    reply = await fan_comments(live_desk, meta, "Below it", fan="mara", ago=DAY, told=False, parent=first)
    ids = [await fan_comments(live_desk, meta, f"Many {n}", fan=f"fan{n}", told=False) for n in range(20, 75)]
    assert await look(live_desk) == {"added": 57, "changed": 0, "gone": 0}
    assert len(await live_desk.all("/comments")) == 57
    found, below = await by_provider(live_desk, first), await by_provider(live_desk, reply)
    assert (found["text"], below["parent_provider_id"], found["unanswered"]) == ("First", first, True)
    assert found["author"]["username"] == "jonas.listens"
    value = {"id": first, "text": "First", "from": {"id": found["author"]["provider_id"], "username": "jonas.listens"}}
    value |= {"media": {"id": found["media"]["provider_id"], "media_product_type": "FEED"}}
    body = change("17841400000000001", "comments", value, live_desk.house.ms())
    await live_desk.house.deliver(body)
    await live_desk.house.work()
    assert (await by_provider(live_desk, first))["sent_at"] == found["sent_at"]
    assert await events_of(live_desk, found["id"]) == ["comment.received"]
    assert await look(live_desk) == {"added": 0, "changed": 0, "gone": 0}
    assert len(ids) == 55


async def test_nothing_comes_back(live_desk: Desk, meta: Meta) -> None:
    """Neither what is older than 30 days, nor the words of what was deleted here."""
    await fan_comments(live_desk, meta, "canary-old", ago=30 * DAY + timedelta(minutes=1), told=False)
    comment = await fan_comments(live_desk, meta, "canary-gone")
    connection = await store.need(live_desk.house.db, live_desk.label_id, live_desk.connection_id)
    provider_id = (await live_desk.get(f"/comments/{comment}"))["provider_id"]
    await endings.mark_gone(live_desk.house.db, connection, [provider_id], now=live_desk.house.clock())
    for _ in range(2):
        assert await look(live_desk) == {"added": 0, "changed": 0, "gone": 0}
    assert [one["status"] for one in await live_desk.all("/comments")] == ["deleted"]
    assert await places_of(live_desk.house, b"canary-") == set()


async def test_of_an_erased_fan_nothing_comes_back(live_desk: Desk, meta: Meta) -> None:
    """Neither their comments, nor what the label has answered below these; what they write later does."""
    comment = await fan_comments(live_desk, meta, "canary-fan", ago=timedelta(minutes=9))
    other = await fan_comments(live_desk, meta, "Another", fan="mara", ago=timedelta(minutes=8))
    await done(live_desk, comment, "reply", text="canary-answer")
    await done(live_desk, other, "reply", text="Thanks")
    await look(live_desk)
    assert await places_of(live_desk.house, b"canary-")
    fan = (await live_desk.get(f"/comments/{comment}"))["author"]["provider_id"]
    path = f"/v1/labels/{live_desk.label_id}/privacy-requests"
    live_desk.house.clock.offset += timedelta(minutes=1)
    (await live_desk.owner.post(path, json={"provider_id": fan})).raise_for_status()
    await live_desk.house.work()
    assert await places_of(live_desk.house, b"canary-") == set()
    for _ in range(2):
        assert (await look(live_desk))["added"] == 0
    assert await places_of(live_desk.house, b"canary-") == set()
    texts = sorted(one["text"] for one in await live_desk.all("/comments"))
    assert texts == ["Another", "Thanks"]
    live_desk.house.clock.offset += timedelta(minutes=1)
    await fan_comments(live_desk, meta, "Again", told=False)
    assert (await look(live_desk))["added"] == 1


async def test_what_is_gone_and_edited_is_noticed(live_desk: Desk, meta: Meta) -> None:
    """Hourly, by an operation: words of the deleted are gone, the edited has its new ones, the hidden is hidden.

    A list leaves out whom the account has restricted: such a comment stays.
    """
    names = {"deleted": "ada", "edited": "teo", "hidden": "ines", "restricted": "kofi", "same": "lena"}
    ids = {name: await fan_comments(live_desk, meta, f"canary {name}", fan=fan) for name, fan in names.items()}
    at_meta = {name: (await live_desk.get(f"/comments/{one}"))["provider_id"] for name, one in ids.items()}
    await meta.control("DELETE", f"/fans/comment/{at_meta['deleted']}")
    await meta.control("POST", f"/fans/comment/{at_meta['edited']}/edit", text="other words")
    await meta.control("PUT", "/fans/restrict", fan="kofi", account="nightjar.records")
    await live_desk.house.db.open("comments").update_one(
        {"_id": ids["hidden"], "label_id": live_desk.label_id}, {"$set": {"status": "hidden"}}
    )
    for _ in range(2):
        await tending.tend(live_desk.house.db, live_desk.house.api.audit, clock=live_desk.house.clock)
    await live_desk.house.work()
    [operation] = await live_desk.stored("operations", kind="check_comments")
    assert operation["result"].items() >= {"added": "0", "changed": "2", "gone": "1"}.items(), operation
    shown = {name: await live_desk.get(f"/comments/{one}") for name, one in ids.items()}
    assert {name: (one["status"], one["text"]) for name, one in shown.items()} == {
        "deleted": ("deleted", None),
        "edited": ("visible", "other words"),
        "hidden": ("visible", "canary hidden"),
        "restricted": ("visible", "canary restricted"),
        "same": ("visible", "canary same"),
    }
    assert (
        await places_of(live_desk.house, b"canary deleted")
        == await places_of(live_desk.house, b"canary edited")
        == set()
    )
    assert await events_of(live_desk, ids["deleted"]) == ["comment.received", "comment.deleted"]
    assert await events_of(live_desk, ids["edited"]) == ["comment.received", "comment.changed"]
    pass_by(live_desk.house, timedelta(hours=1))
    await tending.tend(live_desk.house.db, live_desk.house.api.audit, clock=live_desk.house.clock)
    assert len(await live_desk.stored("operations", kind="check_comments")) == 2


async def test_a_time_is_corrected_downwards_only(live_desk: Desk, meta: Meta) -> None:
    """A webhook's own time is when it was delivered: read back, the comment ends earlier, and never later."""
    comment = await fan_comments(live_desk, meta, ago=timedelta(hours=3))
    key = {"_id": comment, "label_id": live_desk.label_id}
    early, late = live_desk.house.clock() - 9 * DAY, live_desk.house.clock()
    for stored_at, earliest in ((late, late - timedelta(hours=2)), (early, early)):
        times = {"sent_at": stored_at, "expires_at": stored_at + 30 * DAY}
        await live_desk.house.db.open("comments").update_one(key, {"$set": times})
        await look(live_desk)
        [row] = await live_desk.stored("comments", _id=comment)
        assert row["sent_at"] <= earliest and row["expires_at"] == row["sent_at"] + 30 * DAY


@pytest.mark.parametrize("usage", [{"call_count": 80, "total_time": 1, "total_cputime": 1}])
async def test_a_look_leaves_room_for_people(live_desk: Desk, meta: Meta, usage: Doc) -> None:
    """From 75 percent of the account's limit on it stops; what it has not seen it sees the next time."""
    await fan_comments(live_desk, meta, "Untold", told=False)
    await meta.control("PUT", "/usage", app=usage)
    assert (await look(live_desk))["added"] == 0
    await meta.control("PUT", "/usage")
    live_desk.house.worker.graph._usage.clear()
    assert (await look(live_desk))["added"] == 1


@pytest.mark.parametrize("caption", [False, True])
async def test_a_mention_gets_its_words(live_desk: Desk, meta: Meta, caption: bool) -> None:
    """Its webhook has ids only: it is read at once, and answered where it stands; nothing else can be done to it."""
    ids = await meta.control(
        "POST", "/fans/mention", fan="mara", account="nightjar.records", text="ask @us", caption=caption
    )
    value = {name: ids[name] for name in ("media_id", "comment_id") if name in ids}
    await live_desk.house.deliver(change("17841400000000001", "mentions", value, live_desk.house.ms()))
    await live_desk.house.work()
    [found] = await live_desk.all("/comments", kind="mention")
    assert (found["text"], found["can"]) == (None, ["reply"])
    await tending.tend(live_desk.house.db, live_desk.house.api.audit, clock=live_desk.house.clock)
    await live_desk.house.work()
    [found] = await live_desk.all("/comments", q="ask")
    assert (found["text"], found["edited_at"], found["unanswered"]) == ("ask @us", None, True)
    assert (await ask(live_desk, found["id"], "hide", 409))["code"] == "only_a_mention"
    assert (await done(live_desk, found["id"], "reply", text="Hello!"))["state"] == "succeeded"
    assert [row["text"] for row in await meta.ledger("mention_answered")] == ["Hello!"]
    assert await log_of(live_desk, found["id"]) == [("reply", "done", None)]
    assert not (await live_desk.get(f"/comments/{found['id']}"))["unanswered"]


async def test_an_outage_is_no_deletion(live_desk: Desk, meta: Meta) -> None:
    """Meta says 100/33 of every comment and post, as of an account that is unlinked: nothing of ours goes."""
    comments = [await fan_comments(live_desk, meta, f"Love it {number}") for number in range(3)]
    pass_by(live_desk.house, timedelta(minutes=5))
    await meta.fault("error", r"/\d+(/comments)?$", code=100, subcode=33, times=None)
    assert (await look(live_desk))["gone"] == 0
    operation = await done(live_desk, comments[0], "hide")
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "not_found")
    assert {one["status"] for one in await live_desk.all("/comments")} == {"visible"}
