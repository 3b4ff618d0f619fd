"""The stream: from where one was, only what one may read, and no longer than one may; and nobody holds it up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from app.models.access import Role
from app.services import events
from app.services.stream.hub import Bounds
from tests.api.partners_harness import another_client
from tests.api.people import join
from tests.api.stream_harness import Stream, happen, listening
from tests.house import House, eventually


@dataclass
class Room:
    """A label, its owner, and where its stream is."""

    house: House
    owner: httpx.AsyncClient
    label_id: str

    @property
    def path(self) -> str:
        """The stream's."""
        return f"/v1/labels/{self.label_id}/stream"

    def bound(self, **changes: Any) -> None:
        """Other bounds, for who comes from now on."""
        self.house.api.streams.bounds = replace(self.house.api.streams.bounds, **changes)

    async def happen(self, *keys: str, kind: events.Type = "connection.changed") -> None:
        """Events of this label."""
        await happen(self.house, self.label_id, *keys, kind=kind)


@pytest.fixture
async def room(house: House) -> AsyncIterator[Room]:
    """One where it is asked more often whether somebody may still listen."""
    house.api.streams.bounds = Bounds(ask_again_s=0.2)
    owner = await house.person()
    yield Room(house, owner, await house.label(owner))
    assert not house.api.streams._feeds  # whoever hung up is gone


async def targets(stream: Stream, count: int) -> list[str]:
    """What the next events are about."""
    return [told.data["target"] for told in await stream.events(count)]


async def test_it_begins_now_and_tells_what_happens(room: Room) -> None:
    """Not what was before. Thin: four fields, and headers that let nothing keep it or hold it back."""
    await room.happen("before")
    async with listening(room.house, room.owner, room.path) as stream:
        [opening] = await stream.told()
        assert (opening.retry, opening.type) == ("2000", "") and opening.id
        await room.happen("a")
        [told] = await stream.events(1)
        assert told.type == told.data["type"] == "connection.changed"
        assert set(told.data) == {"id", "type", "target", "at"} and told.data["target"] == "a"
        assert told.data["id"].startswith("evt_") and told.data["at"].endswith("Z") and told.id != opening.id
    assert stream.status == 200 and stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store" and stream.headers["x-accel-buffering"] == "no"
    assert "content-length" not in stream.headers and "content-encoding" not in stream.headers


async def test_it_goes_on_behind_the_last_id(room: Room) -> None:
    """By the header, or in the address for who cannot set one; the header wins. Each id, also of the opening."""
    async with listening(room.house, room.owner, room.path) as stream:
        [opening] = await stream.told()
        await room.happen("a", "b", "c")
        told = await stream.events(3)
    await room.happen("d")
    async with listening(room.house, room.owner, room.path, last_event_id=told[0].id) as stream:
        assert await targets(stream, 3) == ["b", "c", "d"]
    async with listening(room.house, room.owner, room.path, query=f"last_event_id={told[1].id}") as stream:
        assert await targets(stream, 2) == ["c", "d"]
    query = f"last_event_id={told[0].id}"
    async with listening(room.house, room.owner, room.path, query=query, last_event_id=told[2].id) as stream:
        assert await targets(stream, 1) == ["d"]
        await room.happen("e")
        assert await targets(stream, 1) == ["e"]
    async with listening(room.house, room.owner, room.path, last_event_id=opening.id) as stream:
        assert await targets(stream, 5) == ["a", "b", "c", "d", "e"]


async def test_a_long_way_to_catch_up_while_more_happens(room: Room) -> None:
    """More than one read, and the rest comes meanwhile: each once, in order."""
    async with listening(room.house, room.owner, room.path) as stream:
        [opening] = await stream.told()
    count = events.AT_ONCE + 30
    await room.happen(*(str(number) for number in range(count)))
    async with listening(room.house, room.owner, room.path, last_event_id=opening.id) as stream:
        for number in range(count, count + 40):
            await room.happen(str(number))
        assert await targets(stream, count + 40) == [str(number) for number in range(count + 40)]


async def test_what_has_expired_is_a_reset(room: Room) -> None:
    """An id whose next event is gone, and one of a place that this store never reached: load anew, and go on."""
    async with listening(room.house, room.owner, room.path) as stream:
        await room.happen("a", "b", "c")
        first, *_, last = await stream.events(3)
    await room.house.db.open("events").delete_one({"label_id": room.label_id, "target": "b"})
    async with listening(room.house, room.owner, room.path, last_event_id=last.id) as stream:
        await room.happen("d")
        [told] = await stream.events(1)
        assert told.data["target"] == "d"
    heads = room.house.db.open("stream_heads")
    for seq in (4, 2):
        await heads.update_one({"_id": room.label_id, "label_id": room.label_id}, {"$set": {"seq": seq}})
        async with listening(room.house, room.owner, room.path, last_event_id=(first, last)[seq == 2].id) as stream:
            [reset] = await stream.events(1)
            assert (reset.type, reset.data) == ("reset", {"type": "reset"}) and reset.id
    await heads.update_one({"_id": room.label_id, "label_id": room.label_id}, {"$set": {"seq": 4}})
    async with listening(room.house, room.owner, room.path, last_event_id=reset.id) as stream:
        await room.happen("e")
        assert "e" in await targets(stream, 3)  # behind the place of the reset: c, d, e


async def test_an_id_that_is_none(room: Room) -> None:
    """Made up, changed, or of another label's stream."""
    other = await room.house.label(room.owner, "another")
    async with listening(room.house, room.owner, f"/v1/labels/{other}/stream") as stream:
        [opening] = await stream.told()
    for bad in ("1", opening.id, opening.id[:-1], "ä", "x" * 3_000):
        for given in ({"headers": {"Last-Event-ID": bad.encode()}}, {"params": {"last_event_id": bad}}):
            answer = await room.owner.get(room.path, **given)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_last_event_id")


async def test_each_hears_what_they_may_read(room: Room) -> None:
    """By role; and a partner's client by its scopes. Who hears nothing of it still learns how far it has got."""
    kinds: dict[str, events.Type] = {"m": "message.received", "k": "comment.received", "c": "connection.changed"}
    hears: dict[Role, str] = {"owner": "mkc", "agent": "mkc", "editor": "kc", "analyst": "c"}
    people: dict[str, httpx.AsyncClient] = {"owner": room.owner} | {
        role: await join(room.house, f"{role}@example.com", room.label_id, role) for role in hears if role != "owner"
    }
    partner = await another_client(room.house, room.owner, room.label_id, "stream:read", "connections:read")
    await partner.decide("connections:read")
    people["client"] = await partner.api()
    heard: dict[str, str] = {str(role): what for role, what in hears.items()}
    for name, person in people.items():
        async with listening(room.house, person, room.path) as stream:
            await stream.told()
            for key, kind in kinds.items():
                await room.happen(f"{name}-{key}", kind=kind)
            await room.happen(f"{name}-last")
            wanted = [f"{name}-{key}" for key in heard.get(name, "c")] + [f"{name}-last"]
            assert await targets(stream, len(wanted)) == wanted
    bare = await another_client(room.house, room.owner, room.label_id, "connections:read")
    await bare.decide("connections:read")
    assert (await (await bare.api()).get(room.path)).status_code == 403


async def test_a_heartbeat_says_how_far_it_has_got(room: Room) -> None:
    """Also past what was not for this listener: coming back by it, nothing is told twice, and nothing is missing."""
    room.bound(heartbeat_s=0.3)
    analyst = await join(room.house, "analyst@example.com", room.label_id, "analyst")
    async with listening(room.house, analyst, room.path) as stream:
        [opening] = await stream.told()
        await room.happen("m", kind="message.received")
        beat = opening
        while beat.id == opening.id:
            [beat] = await stream.told()
            assert (beat.comment, beat.type) == ("still here", "")
    await room.house.db.open("events").delete_many({"label_id": room.label_id})
    async with listening(room.house, analyst, room.path, last_event_id=beat.id) as stream:
        await room.happen("c")
        [told] = await stream.events(1)
        assert told.type == "connection.changed"


async def test_it_ends_with_the_right_to_hear_it(room: Room) -> None:
    """The session, the membership, the token's time, the client's secret: it ends, and the next try says why."""
    house = room.house
    agent = await join(house, "agent@example.com", room.label_id, "agent")
    async with listening(house, agent, room.path) as stream:
        (await agent.delete("/v1/sessions/current")).raise_for_status()
        await stream.ended()
    assert (await agent.get(room.path)).status_code == 401
    editor = await join(house, "editor@example.com", room.label_id, "editor")
    members = (await room.owner.get(f"/v1/labels/{room.label_id}/members")).json()["data"]
    [member] = [one["id"] for one in members if one["email"] == "editor@example.com"]
    async with listening(house, editor, room.path) as stream:
        (await room.owner.delete(f"/v1/labels/{room.label_id}/members/{member}")).raise_for_status()
        await stream.ended()
    assert (await editor.get(room.path)).status_code == 404
    async with listening(house, room.owner, room.path) as stream:
        house.clock.offset += timedelta(minutes=15)
        await stream.ended()
    assert (await room.owner.get(room.path)).status_code == 401


async def test_who_is_made_less_hears_less(room: Room) -> None:
    """While the stream lives."""
    agent = await join(room.house, "agent@example.com", room.label_id, "agent")
    members = (await room.owner.get(f"/v1/labels/{room.label_id}/members")).json()["data"]
    [member] = [one["id"] for one in members if one["email"] == "agent@example.com"]
    async with listening(room.house, agent, room.path) as stream:
        await room.happen("heard", kind="message.received")
        assert await targets(stream, 1) == ["heard"]
        path = f"/v1/labels/{room.label_id}/members/{member}"
        (await room.owner.patch(path, json={"role": "analyst"})).raise_for_status()
        await asyncio.sleep(0.5)
        await room.happen("not", kind="message.received")
        await room.happen("c")
        assert await targets(stream, 1) == ["c"]


async def test_who_does_not_keep_up_is_let_go(room: Room) -> None:
    """The others hear on. It comes back by the last id that it took, and has missed nothing."""
    room.bound(waiting=20)
    async with (
        listening(room.house, room.owner, room.path) as slow,
        listening(room.house, room.owner, room.path) as good,
    ):
        await room.happen("0")
        [first] = await slow.events(1)
        assert await targets(good, 1) == ["0"]
        slow.taking.clear()
        names = [str(number) for number in range(1, 81)]
        for at in range(0, 80, 8):
            await room.happen(*names[at : at + 8])
            assert await targets(good, 8) == names[at : at + 8]

        async def gone() -> bool:
            return len(room.house.api.streams._feeds[room.label_id].all) == 1

        await eventually(gone)
        slow.taking.set()
        taken = [told for told in await slow.ended() if told.type]
    last = (taken or [first])[-1]
    async with listening(room.house, room.owner, room.path, last_event_id=last.id) as again:
        assert await targets(again, 80 - len(taken)) == names[len(taken) :]


async def test_only_so_many_may_listen(room: Room) -> None:
    """To one label, and at one process. Who is refused is told when to come back; a place that is left is free."""
    room.bound(of_label=1)
    async with listening(room.house, room.owner, room.path):
        answer = await room.owner.get(room.path)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
        assert int(answer.headers["retry-after"]) > 0
        room.bound(in_process=1)
        other = await room.house.label(room.owner, "another")
        answer = await room.owner.get(f"/v1/labels/{other}/stream")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    async with listening(room.house, room.owner, room.path) as stream:
        assert stream.status == 200


async def test_a_head_request_is_answered_at_once(room: Room) -> None:
    """It has no body, so nothing could ever come."""
    async with asyncio.timeout(5):
        assert (await room.owner.head(room.path)).status_code == 200


async def test_without_a_ring_it_looks_by_itself(room: Room) -> None:
    """Nobody rang, Redis was emptied, and the connection that listens was cut."""
    async with listening(room.house, room.owner, room.path) as stream:
        await stream.told()
        room.house.db.placed = lambda label_id: None
        await room.happen("unheard")
        assert await targets(stream, 1) == ["unheard"]
        redis = Redis.from_url(room.house.api.settings.redis_url.get_secret_value())
        await redis.client_kill_filter(_type="pubsub")
        await redis.aclose()
        await room.happen("cut")
        assert await targets(stream, 1) == ["cut"]


async def test_a_process_that_ends_ends_its_streams(room: Room) -> None:
    """At once, and whoever comes then is sent away in good order, to come back."""
    async with listening(room.house, room.owner, room.path) as stream:
        await stream.told()
        await room.house.api.streams.close()
        assert await stream.ended(within_s=1) == []
    async with listening(room.house, room.owner, room.path) as stream:
        assert [told.retry for told in await stream.ended(within_s=1)] == ["2000"]
