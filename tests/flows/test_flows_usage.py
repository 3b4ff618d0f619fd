"""Usage: noted after a consent, passed on after a consent, forgotten with it, and summed up before 24 months."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db import Doc
from app.ids import new_id
from app.models.cookies import VISITOR_COOKIE
from app.models.drills import Point
from app.services import operations, retention
from app.services.usage import summing
from app.services.usage.months import end_of, month_of
from tests.flows.flows_harness import Meta, meta_at, only_the_clock_decides, pass_by, places_of
from tests.house import House, open_house, settings_env
from tools import embedded
from tools.child import ROOT
from workers import usage

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
SEEN: list[Doc] = [{"kind": "page", "name": "inbox/conversation"}, {"kind": "feature", "name": "rules-test"}]
GONE: Doc = {"MEASUREMENT": "G-TEST0001", "SECRET": "ga-secret-0123456789"}
REPORTS: Doc = {"label_id": None, "kind": "forward_usage"}
LEASE = timedelta(minutes=11)


@pytest.fixture
def env(mongodb_url: str, redis_url: str, key_folder: Path, sandbox_url: str, smtp_url: str) -> dict[str, str]:
    """The settings of a house that passes usage on, and of the workers that die."""
    ga = {name: f"{sandbox_url}/{host}" for name, host in embedded.ANALYTICS_HOSTS.items()}
    ga |= {"SOUNDOPS_GA_MEASUREMENT_ID": GONE["MEASUREMENT"], "SOUNDOPS_GA_API_SECRET": GONE["SECRET"]}
    urls = {"mongodb_url": mongodb_url, "redis_url": redis_url, "sandbox_url": sandbox_url, "smtp_url": smtp_url}
    return settings_env(key_folder, **urls, SOUNDOPS_GRAPH_TIMEOUT_S="1", **ga)


@pytest.fixture
async def counted(env: dict[str, str], postbox: str) -> AsyncIterator[House]:
    """A house with the sandbox at Google's end."""
    async with open_house(env, postbox_url=postbox) as found:
        await only_the_clock_decides(found)
        yield found


@pytest.fixture
async def google(counted: House, sandbox_url: str) -> AsyncIterator[Meta]:
    """The sandbox, fresh."""
    async with meta_at(sandbox_url) as found:
        yield found


async def tell(client: httpx.AsyncClient, events: list[Doc] = SEEN, headers: dict[str, str] | None = None) -> None:
    """Report usage."""
    told = {"User-Agent": FIREFOX} | (headers or {})
    answer = await client.post("/v1/usage", json={"events": events}, headers=told)
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    assert "set-cookie" not in answer.headers


async def stored(house: House) -> list[Doc]:
    """What is noted."""
    return await house.db.open("usage_events").find({}).sort("_id", 1).to_list()


async def a_visitor(house: House) -> str:
    """The cookie of somebody who said yes."""
    answer = await house.http.post("/v1/consents", json={"analytics": True})
    house.http.cookies.clear()
    return f"{VISITOR_COOKIE}={answer.cookies[VISITOR_COOKIE]}"


async def got(google: Meta) -> list[Doc]:
    """What Google has got."""
    return [row["body"] for row in await google.ledger("usage_collected")]


async def die(env: dict[str, str], point: Point, operation_id: str, *, after: int = 1) -> None:
    """Have a worker of its own do the operation, and see it die."""
    drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": str(after)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.dying_worker", operation_id),
        cwd=ROOT,
        env=os.environ | env | drill,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == -signal.SIGKILL, point


async def test_without_a_consent_nothing_is_stored(counted: House, google: Meta) -> None:
    """Of nobody, of a person, of a forged visitor, with a signal, with a key: no row, no operation, no call."""
    house = counted
    person = await house.person()
    await house.work()

    async def everything() -> dict[str, int]:
        names = await house.db.raw.list_collection_names()
        raw = house.db.raw
        return {name: await raw[name].count_documents({}, comment="all-labels: a test") for name in sorted(names)}

    before = await everything()
    await tell(house.http)
    await tell(house.http, headers={"Idempotency-Key": "once"})
    await tell(house.http, headers={"Cookie": f"{VISITOR_COOKIE}=vis_01k9zv3t5w8x2m4c6d7f9g1h3j.0"})
    await tell(person)
    await tell(person, headers={"Sec-GPC": "1"})
    await house.work()
    assert {name: n for name, n in (await everything()).items() if n != before.get(name, 0)} == {}
    assert await got(google) == []


async def test_with_a_consent_a_few_words_are_stored(counted: House, google: Meta) -> None:
    """Of an account and of a visitor: no address, no whole browser; the account's consent counts for the account."""
    house = counted
    person, cookie = await house.person(), await a_visitor(house)
    await tell(person, headers={"Cookie": cookie})
    assert await stored(house) == []
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    await tell(person)
    await tell(house.http, headers={"Cookie": cookie})
    rows = await stored(house)
    assert [(row["kind"], row["name"]) for row in rows] == [(one["kind"], one["name"]) for one in SEEN] * 2
    assert {row["subject"][:4] for row in rows} == {"usr_", "vis_"}
    fields = {"_id", "subject", "consent_seq", "batch", "at", "month", "kind", "name", "browser", "system"}
    assert all(set(row) == fields | {"expires_at", "forward"} for row in rows)
    assert {(row["browser"], row["system"]) for row in rows} == {("Firefox", "Linux")}
    for canary in (b"Gecko", b"rv:143"):
        assert {place for place in await places_of(house, canary) if place.startswith("usage")} == set()
    await house.work()
    calls = await got(google)
    assert len(calls) == 2 and len({call["client_id"] for call in calls}) == 2
    assert all(call["consent"] == {"ad_user_data": "DENIED", "ad_personalization": "DENIED"} for call in calls)
    assert [event["name"] for event in calls[0]["events"]] == ["page_view", "feature_used"]
    assert not any(row["subject"] in str(calls) or cookie.partition(".")[0] in str(calls) for row in rows)
    assert all("forward" not in row for row in await stored(house))
    await house.work()
    assert len(await got(google)) == 2


async def test_a_bad_report_is_refused(house: House) -> None:
    """Whatever it is, before anybody's consent is looked at."""
    for events in ([], SEEN * 26, [{"kind": "page", "name": "a", "text": "x"}], [{"kind": "x", "name": "a"}]):
        answer = await house.http.post("/v1/usage", json={"events": events})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), events


async def test_many_events_go_in_calls_of_25(counted: House, google: Meta) -> None:
    """As many as Google takes."""
    person = await counted.person()
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    await tell(person, SEEN * 25)
    await counted.work()
    assert [len(call["events"]) for call in await got(google)] == [25, 25]


async def test_a_withdrawal_stops_what_is_queued_and_deletes_what_is_noted(counted: House, google: Meta) -> None:
    """Within a minute, of a person and of a visitor; what is given anew afterwards stays."""
    house = counted
    person, cookie = await house.person(), await a_visitor(house)
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    await tell(person)
    await tell(house.http, headers={"Cookie": cookie})
    (await person.put("/v1/me/consents", json={"analytics": False})).raise_for_status()
    left = await house.http.post("/v1/consents", json={"analytics": False}, headers={"Cookie": cookie})
    left.raise_for_status()
    house.http.cookies.clear()
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    await tell(person, SEEN[:1])
    pass_by(house, timedelta(seconds=31))
    await house.work()
    assert len(await got(google)) == 1 and len((await got(google))[0]["events"]) == 1
    [row] = await stored(house)
    assert row["name"] == SEEN[0]["name"]
    forgotten = {"label_id": None, "kind": "forget_usage", "state": "succeeded"}
    assert await house.db.open("operations").count_documents(forgotten) == 2


async def test_a_withdrawal_and_reports_at_the_same_moment(counted: House, google: Meta) -> None:
    """Whatever came in with it is deleted with the rest, and not passed on."""
    person = await counted.person()
    for _ in range(4):
        (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
        no = person.put("/v1/me/consents", json={"analytics": False})
        await asyncio.gather(tell(person), tell(person), no, tell(person), tell(person))
    pass_by(counted, timedelta(seconds=31))
    await counted.work()
    assert await stored(counted) == [] and await got(google) == []


async def test_the_signal_is_heeded_before_anything_is_noted(counted: House, google: Meta) -> None:
    """`Sec-GPC: 1` on the report: nothing of it, and nothing of before."""
    person = await counted.person()
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    await tell(person)
    await tell(person, headers={"Sec-GPC": "1"})
    pass_by(counted, timedelta(seconds=31))
    await counted.work()
    assert await stored(counted) == [] and await got(google) == []


async def test_google_away_is_tried_again_and_in_doubt_is_not(counted: House, google: Meta) -> None:
    """`503` is no harm; after a lost answer nothing is sent a second time."""
    house = counted
    person = await house.person()
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    await google.control("POST", "/faults", match={"path": "mp/collect"}, fault="http", code=503, times=1)
    await tell(person)
    await house.work()
    assert await got(google) == []
    pass_by(house, timedelta(seconds=61))
    await house.work()
    assert len(await got(google)) == 1
    await google.control("POST", "/faults", match={"path": "mp/collect"}, fault="lost", times=1)
    await tell(person)
    for _ in range(3):
        await house.work()
        pass_by(house, timedelta(minutes=2))
    assert len(await got(google)) == 2
    states = [one["state"] async for one in house.db.open("operations").find(REPORTS)]
    assert sorted(states) == ["failed", "succeeded"]


@pytest.mark.parametrize(("point", "calls"), [("usage_marked", 0), ("usage_sent", 1)])
async def test_a_report_is_passed_on_at_most_once(
    counted: House, google: Meta, env: dict[str, str], point: Point, calls: int
) -> None:
    """A worker dies around the call: another one does not make it again."""
    person = await counted.person()
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    await tell(person)
    operation = await counted.db.open("operations").find_one(REPORTS)
    assert operation is not None
    await die(env, point, operation["_id"])
    pass_by(counted, LEASE)
    await counted.work()
    assert len(await got(google)) == calls and len(await stored(counted)) == 2
    assert all("forward" not in row for row in await stored(counted))


async def a_month(house: House, at: datetime, *, people: int, names: tuple[str, ...]) -> int:
    """Events of so long ago, of everybody on each page and of fewer on each next; how many."""
    rows: list[Doc] = []
    for index, name in enumerate(names):
        for number in range(people - index * 7):
            rows.append(
                {
                    "_id": new_id("use"),
                    "subject": f"usr_canary{number:016}abcd",
                    "consent_seq": 1,
                    "batch": new_id("ubt"),
                    "at": at,
                    "month": month_of(at),
                    "kind": "page",
                    "name": name,
                    "browser": "Firefox" if number % 3 else "Chrome",
                    "system": "Linux",
                    "expires_at": end_of(month_of(at)),
                }
            )
    await house.db.open("usage_events").insert_many(rows)
    return len(rows)


async def months(house: House) -> list[Any]:
    """What is kept for ever."""
    return await house.db.open("usage_months").find({}).sort("_id", 1).to_list()


async def sum_operation(house: House, month: str) -> str:
    """An operation that sums this month up."""
    told: Doc = {"kind": "sum_usage", "target": month, "key": f"sum_usage:{month}", "now": house.clock()}
    return str((await operations.add(house.db, label_id=None, **told))["_id"])


@pytest.mark.parametrize(
    ("point", "after"), [("usage_before_sum", 1), ("usage_summed", 1), ("usage_deleting", 1), ("usage_deleting", 2)]
)
async def test_a_month_is_counted_once_wherever_the_worker_dies(
    counted: House, env: dict[str, str], point: Point, after: int
) -> None:
    """The figures are those of the events, none is left, and a second run changes nothing."""
    house = counted
    at = house.clock() - timedelta(days=720)
    total = await a_month(house, at, people=110, names=("inbox", "rules"))
    operation_id = await sum_operation(house, month_of(at))
    await die(env, point, operation_id, after=after)
    pass_by(house, LEASE)
    await house.work()
    [month] = await months(house)
    wholes = [cell for cell in month["cells"] if cell["browser"] is None]
    assert month["events"] == total == sum(cell["events"] for cell in wholes) and len(wholes) == 2
    assert await stored(house) == [] and "canary" not in str(month)
    await a_month(house, at, people=3, names=("inbox",))
    pass_by(house, timedelta(days=1))
    await house.work()
    assert await months(house) == [month] and await stored(house) == []


async def test_who_restricts_or_objects_is_not_summed_up(counted: House) -> None:
    """Nothing of them is used, and nothing is left when the month is over; an objection to other use is none."""
    at, restrictions = counted.clock() - timedelta(days=720), counted.db.open("restrictions")
    await a_month(counted, at, people=30, names=("inbox",))
    for number in range(12):
        kind = ("restricted_at", "objections.analytics", "objections.notices")[number % 3]
        standing = {"$set": {kind: counted.clock()}}
        await restrictions.update_one({"_id": f"usr_canary{number:016}abcd"}, standing, upsert=True)
    await counted.work()
    [month] = await months(counted)
    assert (month["events"], month["people"]) == (22, 20) and await stored(counted) == []


async def test_figures_can_be_read_before_and_after(counted: House) -> None:
    """Of each month that is over, the same before it is summed up as afterwards; nothing of few people, or of now."""
    now = counted.clock()
    for days, people in ((720, 24), (100, 24), (200, 9), (0, 24)):
        await a_month(counted, now - timedelta(days=days), people=people, names=("inbox",))
    before = list(usage.rows(await summing.figures(counted.db, now=now)))
    await counted.work()
    assert list(usage.rows(await summing.figures(counted.db, now=now))) == before
    shown = [(row["kind"], row["name"], row["browser"], row["events"], row["people"]) for row in before]
    full = [(None, None, None, 24, 20), ("page", "inbox", None, 24, 20), ("page", "inbox", "pooled", 24, 20)]
    assert len(await months(counted)) == 1 and shown == [*full, (None, None, None, None, 0), *full]


async def test_twenty_six_months(counted: House) -> None:
    """Day by day: at no instant is an event older than 24 months, and each month is summed up exactly, once."""
    house = counted
    begun = house.clock()
    told: dict[str, int] = {}
    for number in range(26):
        at = begun + timedelta(days=30.5 * number)
        told[month_of(at)] = told.get(month_of(at), 0) + await a_month(house, at, people=24, names=("inbox", "rules"))
        house.clock.offset = timedelta(days=30.5 * number)
        await house.work()
        oldest = [row["at"] for row in await stored(house)]
        assert min(oldest) >= house.clock() - timedelta(days=731)
        assert all(row["expires_at"] > house.clock() for row in await stored(house))
    for number in range(26 * 2, 52 * 2):
        house.clock.offset = timedelta(days=15.25 * number)
        await house.work()
    assert await stored(house) == []
    found = {month["_id"]: month for month in await months(house)}
    assert {name: month["events"] for name, month in found.items()} == told
    assert all(cell["people"] >= 10 for month in found.values() for cell in month["cells"])
    before = await months(house)
    await house.work()
    assert await months(house) == before


async def test_without_workers_the_events_end_by_themselves(counted: House) -> None:
    """The hard end: `expires_at` is the instant at which the month's first event is 24 months old."""
    at = counted.clock() - timedelta(days=760)
    await a_month(counted, at, people=12, names=("inbox",))
    assert (await retention.sweep(counted.db, now=counted.clock()))["usage_events"] == 12
