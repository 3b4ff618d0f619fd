"""The stream under load and under blows: how late an event is, and whether anybody misses one or hears it twice.

    python -m tests.faults.stream_run --seconds 30 --rate 100 --listeners 200 --kills 3

First 200 fans write at this rate, to an API and a worker in processes of their own, and one listener notes how long
each message took from the webhook's first byte to its event; their profiles are fetched meanwhile.
Then many listen while the API is killed with kill -9 and started again, the worker is killed and Redis is emptied; each
must have heard every event once, in the one order.

The exit status is 0 when the p99 is at most 250 ms (docs/stream.md) and nobody missed anything or heard it twice.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import redis

from tests.faults.listeners import Ear, listening
from tests.faults.plant import WEBHOOK, Plant, plant
from tests.house import delivery, message_change, signature

BAR_MS = 250.0
FANS = 200
AT_ONCE = 64
DOWN_S = 0.7
HEARD_WITHIN_S = 60.0


@dataclass
class Lateness:
    """From a webhook to its event, and beside it what the webhook's own answer took."""

    rate: float = 0.0
    event_ms: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)
    missing: int = 0


@dataclass
class Heard:
    """What many listeners heard, beside what happened."""

    listeners: int
    happened: int
    wrong: list[str]
    """Whose list is another one than what happened, and where it differs first."""
    connections: int
    resets: int
    refused: dict[str, int]

    @property
    def good(self) -> bool:
        """Whether nobody missed anything, or heard it twice or out of order."""
        return not self.wrong and not self.resets and self.happened > 0


@dataclass
class Fans:
    """Who writes: when each message was sent, by its `mid`, and how long the answer took."""

    url: str
    name: str
    sent: dict[str, float] = field(default_factory=dict)
    answer_ms: list[float] = field(default_factory=list)

    async def write(self, count: int, rate: float) -> float:
        """So many messages, at this rate, each until it is answered 200; the rate that was reached."""
        room, began = asyncio.Semaphore(AT_ONCE), time.monotonic()
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http, asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(began + number / rate - time.monotonic())
                group.create_task(self._one(http, room, number))
            reached = count / (time.monotonic() - began)
        return reached

    async def _one(self, http: httpx.AsyncClient, room: asyncio.Semaphore, number: int) -> None:
        mid, fan = f"m_{self.name}_{number}", f"9000000000{number % FANS:05d}"
        body = json.dumps(delivery(message_change(mid, ms=int(time.time() * 1000), fan=fan))).encode()
        headers = {"X-Hub-Signature-256": signature(body), "Content-Type": "application/json"}
        async with room:
            self.sent[mid] = began = time.monotonic()
            while not await _answered(http, self.url, body, headers):
                await asyncio.sleep(0.2)
            self.answer_ms.append((time.monotonic() - began) * 1000)


async def measure(running: Plant, *, seconds: float, rate: float, first: int = FANS) -> Lateness:
    """How late the events of messages are, once so many have been written."""
    [ear], fans = ears_of(running, 1), Fans(running.api.url + WEBHOOK, "late")
    async with listening([ear]):
        await Fans(fans.url, "first").write(first, rate)
        reached = await fans.write(int(seconds * rate), rate)
        await until_heard([ear], first + int(seconds * rate))
    mids = await asyncio.to_thread(mids_of, running)
    when = {mids[event["target"]]: at for event, at in zip(ear.heard, ear.at, strict=True) if event["target"] in mids}
    late = [(when[mid] - sent) * 1000 for mid, sent in fans.sent.items() if mid in when]
    return Lateness(reached, sorted(late), sorted(fans.answer_ms), len(fans.sent) - len(late))


async def interrupted(
    running: Plant,
    *,
    listeners: int,
    messages: int,
    rate: float,
    kills: int,
    heard_within_s: float = HEARD_WITHIN_S,
) -> Heard:
    """What many hear while the API is killed so often, in between the worker once, and Redis is emptied."""
    ears, fans = ears_of(running, listeners), Fans(running.api.url + WEBHOOK, "blows")
    before = await _settled(running)
    async with listening(ears):
        writing = asyncio.create_task(fans.write(messages, rate))
        for number in range(kills):
            await asyncio.sleep(messages / rate / (kills + 1))
            await asyncio.to_thread(_kill, running, "api")
            if number == 0:
                await asyncio.to_thread(_kill, running, "worker")
                with redis.Redis.from_url(running.redis.url) as client:
                    await asyncio.to_thread(client.flushall)
        await writing
        await until_heard(ears, messages, within_s=heard_within_s)
    all_of_it = (await asyncio.to_thread(happened, running))[before:]
    wrong = [difference(number, ear, all_of_it) for number, ear in enumerate(ears)]
    return Heard(
        listeners=listeners,
        happened=len(all_of_it),
        wrong=[one for one in wrong if one],
        connections=sum(ear.connections for ear in ears),
        resets=sum(ear.resets for ear in ears),
        refused={line: sum(ear.refused.count(line) for ear in ears) for ear in ears for line in ear.refused},
    )


async def _settled(running: Plant) -> int:
    """How much has happened, once nothing more does: fans' profiles come one after the other."""
    before, now = -1, len(await asyncio.to_thread(happened, running))
    while before != now:
        await asyncio.sleep(2)
        before, now = now, len(await asyncio.to_thread(happened, running))
    return now


def ears_of(running: Plant, count: int) -> list[Ear]:
    """So many listeners of the label's owner."""
    with running.owner() as http:
        token = http.headers["Authorization"].removeprefix("Bearer ")
    place = urlsplit(running.api.url)
    path = f"/v1/labels/{running.label_id}/stream"
    return [Ear(place.hostname or "", place.port or 0, path, token) for _ in range(count)]


async def until_heard(ears: Sequence[Ear], count: int, *, within_s: float = HEARD_WITHIN_S) -> None:
    """Return when each has heard so many, or the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and any(len(ear.heard) < count for ear in ears):
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)  # what came twice would come now


def happened(running: Plant) -> list[str]:
    """The ids of the label's events, in their order in the stream."""
    with running.store() as store:
        query = {"label_id": running.label_id, "seq": {"$exists": True}}
        found = sorted(store["events"].find(query), key=lambda event: int(event["seq"]))
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    return [str(event["_id"]) for event in found]


def mids_of(running: Plant) -> dict[str, str]:
    """Meta's ids of the label's messages, by ours."""
    with running.store() as store:
        return {doc["_id"]: doc["provider_id"] for doc in store["messages"].find({"label_id": running.label_id})}


def difference(number: int, ear: Ear, wanted: list[str]) -> str:
    """Where what a listener heard differs first from what happened; empty when it does not."""
    heard = [str(event.get("id") or event.get("type")) for event in ear.heard]
    if heard == wanted:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(heard, wanted, strict=False)) if a != b), min(len(heard), len(wanted)))
    return f"listener {number}: {len(heard)} of {len(wanted)}, differs first at {at}: {heard[at : at + 2]}"


def percentile(values: list[float], share: float) -> float:
    """Of sorted values, the least that so many are not above."""
    return values[max(0, -(-int(len(values) * share * 1000) // 1000) - 1)] if values else float("nan")


async def _answered(http: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        return (await http.post(url, content=body, headers=headers)).status_code == 200
    except httpx.TransportError:
        return False


def _kill(running: Plant, part: str) -> None:
    child = running.api if part == "api" else running.worker
    child.kill()
    time.sleep(DOWN_S)
    child.start()
    child.wait_ready(60)


def table(late: Lateness, heard: Heard) -> str:
    """The figures of a run, for people."""
    rows = [
        ("messages", f"{len(late.event_ms)} at {late.rate:.0f}/s, {late.missing} missing"),
        *(
            (name, f"p50 {percentile(ms, 0.5):.0f} ms, p99 {percentile(ms, 0.99):.0f} ms, at most {ms[-1]:.0f} ms")
            for name, ms in (("webhook to event", late.event_ms), ("webhook to 200", late.answer_ms))
        ),
        ("listeners", f"{heard.listeners}, {heard.connections} connections, {heard.refused or 'none refused'}"),
        ("events", f"{heard.happened}, each heard by all once and in order" if heard.good else heard.wrong[:3]),
        ("resets", heard.resets),
    ]
    return "\n".join(f"  {name:20}{value}" for name, value in rows)


async def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.stream_run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--kills", type=int, default=3)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, plant(Path(folder), SOUNDOPS_SWEEP_S="1") as running:
        late = await measure(running, seconds=args.seconds, rate=args.rate)
        heard = await interrupted(running, listeners=args.listeners, messages=args.messages, rate=30, kills=args.kills)
    print(table(late, heard))
    return 0 if heard.good and not late.missing and percentile(late.event_ms, 0.99) <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
