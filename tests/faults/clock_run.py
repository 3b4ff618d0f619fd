"""The clock run: 70 days of an inbox and 26 months of figures pass by an injected clock; the database deletes nothing.

    python -m tests.faults.clock_run --days 70 --months 26 --seed 7

Its TTL monitor knows the system's time alone, so the whole run shows what our own sweeper does. At any instant nothing
is shown that has ended, to the millisecond; 15 minutes later nothing of it is left. For ten days of it the sweeper
rests, too: then the reads alone keep the promise, and it catches up. The exit status is 0 only then.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from app.clients.graph_insights import Figure, today
from app.db import Doc
from app.models.data_map import CONTENT_LIFE, EXPIRING, INSIGHTS_LIFE
from app.services import retention
from app.services.insights import store as insights
from app.services.insights.merging import known
from app.services.promises.listing import PROMISES
from app.services.promises.measuring import measure
from app.services.promises.promise import Look
from app.services.promises.showing import states
from tests.flows.flows_harness import Desk, sit_down, standing
from tests.house import PASSWORD, House, make_keys, message_change, open_house, settings_env
from tools import embedded

LATE = timedelta(minutes=15)
MS = timedelta(milliseconds=1)
WHY = "all-labels: a drill looks at everything"
FANS = [f"9000000000000{number:02}" for number in range(8)]
RESTS = (30, 40)
"""On these days the sweeper rests."""
TOLD = (
    *("messages-30-days", "comments-30-days", "content-has-an-end", "content-ends-by-its-own-time"),
    *("expired-is-deleted", "insights-24-months", "insights-end-by-their-own-day"),
)
"""The promises that are about it."""


@dataclass
class Run:
    """What was seen."""

    looks: int = 0
    ends: int = 0
    most_waiting: int = 0
    """Documents that had ended and still lay there while the sweeper rested."""
    written: int = 0
    troubles: list[str] = field(default_factory=list)

    def expect(self, good: bool, what: str) -> None:
        """Note a trouble, unless it is good."""
        if not good:
            self.troubles.append(what)


async def days_pass(desk: Desk, run: Run, days: int, *, rng: random.Random, rests: tuple[int, int]) -> None:
    """Fans write, each at some time of the last days; steps of some hours; a sweep after each."""
    house, begun = desk.house, desk.house.clock()
    while (day := (house.clock() - begun) / timedelta(days=1)) < days:
        await _write(desk, run, rng)
        house.clock.offset += timedelta(minutes=rng.randrange(60, 1200))
        await _log_in(desk)
        await _shown_is_alive(desk, run)
        await _ends_to_the_millisecond(desk, run, rng)
        if rests[0] <= day < rests[1]:
            run.most_waiting = max(run.most_waiting, await _ended(house, house.clock()))
            continue
        await retention.sweep(house.db, now=house.clock())
        await _nothing_is_left(house, run)
        await _promises_hold(house, run)


async def months_pass(desk: Desk, run: Run, months: int) -> None:
    """Figures of every few days, for years: none is shown or left after its 24 months."""
    house = desk.house
    connection = await house.db.open("connections").find_one({"_id": desk.connection_id, "label_id": desk.label_id})
    assert connection is not None
    steps = months * 3
    for _ in range(steps):
        now = house.clock()
        told = known(Figure(7), as_of=now, source="instagram_insights", api_version="v26.0", settled=True)
        await insights.record_day(house.db, connection, today(now), {"reach": told}, settled=True, now=now)
        house.clock.offset += timedelta(days=10.15)
        await retention.sweep(house.db, now=house.clock())
        oldest = await house.db.open("account_days").find_one({}, sort=[("expires_at", 1)], comment=WHY)
        if oldest is not None:
            age = house.clock() - datetime.fromisoformat(f"{oldest['day']}T00:00:00+00:00")
            run.expect(age <= INSIGHTS_LIFE + timedelta(days=1), f"a figure of {oldest['day']} is {age.days} days old")
        await _nothing_is_left(house, run)
    run.looks += steps
    await _promises_hold(house, run)
    left = await house.db.open("account_days").count_documents({}, comment=WHY)
    run.expect(left <= 24 * 3 + 1, f"{left} days of figures are left")


async def _write(desk: Desk, run: Run, rng: random.Random) -> None:
    """Some messages and comments, of now or of weeks ago, as a backfill brings them."""
    house = desk.house
    items = []
    for fan in rng.sample(FANS, 3):
        run.written += 1
        ago = timedelta(minutes=rng.choice((0, rng.randrange(29 * 24 * 60))))
        items.append(message_change(f"m{run.written}", ms=house.ms(ago), fan=fan, text=f"words {run.written}"))
    await desk.receive(*items)
    value = {"id": f"1790{run.written}", "from": {"id": rng.choice(FANS)}, "text": "Nice", "media": {"id": "1"}}
    at = house.ms(timedelta(hours=rng.randrange(29 * 24)))
    entry = {"id": "17841400000000001", "time": at, "field": "comments", "value": value}
    assert (await house.deliver({"object": "instagram", "entry": [entry]})).status_code == 200
    await house.work()


async def _log_in(desk: Desk) -> None:
    login = {"email": "owner@example.com", "password": PASSWORD}
    answer = await desk.house.http.post("/v1/sessions", json=login)
    desk.owner.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"


async def _shown_is_alive(desk: Desk, run: Run) -> None:
    """Whatever the lists show ends later, and as late as they say."""
    now = desk.house.clock()
    shown: list[Doc] = await desk.all("/comments")
    for conversation in await desk.conversations():
        shown += [conversation, *await desk.all(f"/conversations/{conversation['id']}/messages")]
    for one in shown:
        end = datetime.fromisoformat(one["expires_at"])
        good = now < end <= now + CONTENT_LIFE + timedelta(minutes=1)
        run.expect(good, f"{one['id']} is shown until {end}, at {now}")
    run.looks += 1


async def _ends_to_the_millisecond(desk: Desk, run: Run, rng: random.Random) -> None:
    """One that ends today is shown until a millisecond before, and at its end not any more."""
    house, now = desk.house, desk.house.clock()
    soon = {"label_id": desk.label_id, "expires_at": {"$gt": now + MS, "$lt": now + timedelta(days=1)}}
    for name, path in (("messages", "/messages"), ("comments", "/comments")):
        found = await house.db.open(name).find(soon).limit(5).to_list()
        if not found:
            continue
        one = rng.choice(found)
        for at, status in ((one["expires_at"] - MS, 200), (one["expires_at"], 404)):
            with standing(house, at):
                await _log_in(desk)
                seen = await desk.status(f"{path}/{one['_id']}")
            run.expect(seen == status, f"{name}: {seen} at {at - one['expires_at']} from its end")
        run.ends += 1
    await _log_in(desk)


async def _ended(house: House, now: datetime) -> int:
    query = {"expires_at": {"$lte": now}}
    return sum([await house.db.open(name).count_documents(query, comment=WHY) for name in ("messages", "comments")])


async def _nothing_is_left(house: House, run: Run) -> None:
    """Neither by what documents say of their end, nor by Meta's own time of what is in them."""
    now = house.clock()
    for name in EXPIRING:
        left = await house.db.open(name).count_documents({"expires_at": {"$lte": now - LATE}}, comment=WHY)
        run.expect(left == 0, f"{left} of {name} are left at {now}")
    for name in ("messages", "comments"):
        old = {"sent_at": {"$lt": now - CONTENT_LIFE - LATE}}
        left = await house.db.open(name).count_documents(old, comment=WHY)
        run.expect(left == 0, f"{left} of {name} are older than 30 days at {now}")


async def _promises_hold(house: House, run: Run) -> None:
    look = Look(house.db, house.worker.settings, house.clock())
    for promise in PROMISES:
        if promise.id in TOLD:
            await measure(look, promise)
    found = [state for state in await states(house.db, now=house.clock()) if state.promise.id in TOLD]
    broken = [f"{state.promise.id}: {state.figure} {state.detail}" for state in found if not state.holding]
    run.expect(not broken, f"{broken} at {house.clock()}")


async def run_all(folder: Path, *, days: int, months: int, seed: int, rests: tuple[int, int] = RESTS) -> Run:
    """The whole run."""
    run, rng = Run(), random.Random(seed)
    with (
        embedded.mongodb(folder / "mongodb", ttl_sweep_s=365 * 86_400) as mongodb_url,
        embedded.valkey(folder / "valkey") as redis_url,
    ):
        env = settings_env(make_keys(folder), mongodb_url=mongodb_url, redis_url=redis_url)
        async with open_house(env) as house:
            desk = await sit_down(house)
            await days_pass(desk, run, days, rng=rng, rests=rests)
            await months_pass(desk, run, months)
            await desk.owner.aclose()
    return run


def report(run: Run) -> str:
    """What was seen, in words."""
    lines = [
        f"{run.written} messages and comments each; {run.looks} looks at all lists; "
        f"{run.ends} ends watched to the millisecond",
        f"at most {run.most_waiting} that had ended lay there while the sweeper rested, and none was shown",
        *run.troubles[:20],
        "good" if not run.troubles else f"BAD: {len(run.troubles)} troubles",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Run the drill; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=70)
    parser.add_argument("--months", type=int, default=26)
    parser.add_argument("--seed", type=int, default=7)
    args: Any = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        run = asyncio.run(run_all(Path(folder), days=args.days, months=args.months, seed=args.seed))
    print(report(run))
    return int(bool(run.troubles))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
