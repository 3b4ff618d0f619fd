"""Canaries of several people in every field that the data map declares: erased, and looked for in every store.

SOUNDOPS_CANARY_PEOPLE=50 makes it as many.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from structlog.testing import capture_logs

from app import keys
from app.clock import utc_now
from app.db import Doc
from app.models.data_map import DATA_MAP
from app.models.drills import ErasePoint
from app.services.privacy import erasure, requests
from tests.api.test_api_erasure import begin
from tests.faults.canary import find
from tests.faults.people_canaries import (
    CANARIES,
    REAL,
    SPANS,
    disturb,
    everything,
    left_of,
    mails_since,
    mark,
    planted_in,
)
from tests.flows.backups_harness import backed_up, restored
from tests.house import ACCOUNT, House, delivery, message_change, open_house, settings_env
from tools.child import ROOT

PEOPLE = int(os.environ.get("SOUNDOPS_CANARY_PEOPLE", "3"))
SETTLED = timedelta(minutes=2)
DEATHS: list[tuple[ErasePoint, int]] = [
    ("erase_during_leave", 1),
    ("erase_after_step", 1),
    ("erase_after_step", 1),
    ("erase_after_step", 1),
    ("erase_after_step", 1),
    ("erase_during_records", 1),
    ("erase_during_records", 9),
    ("erase_during_records", 30),
    ("erase_after_step", 1),
]
FAN_DEATHS: list[ErasePoint] = ["fan_before_erase", "fan_after_erase", "fan_before_end"]
LATE_DEATHS: list[ErasePoint] = ["erase_before_end", "erase_after_end"]


@pytest.fixture
def backup_keys(tmp_path: Path) -> Path:
    """Keys of backups."""
    keys.create_backup_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.mark.timeout(120 + 20 * PEOPLE)
async def test_of_people_with_canaries_everywhere_nothing_is_left(
    house: House, redis_url: str, backup_keys: Path, tmp_path: Path
) -> None:
    """Who is erased is in no store and in no mail; who is not keeps everything; the labels keep what was made for them.

    All had called an erasure off before. Nor are they there when a backup is restored that was made before.
    """
    with capture_logs() as logged:
        owner = await house.person()
        label_id = await house.label(owner)
        await house.connection(label_id)
        people = [await mark(house, label_id, number) for number in range(PEOPLE + 1)]
        *gone, stays = people
        declared = {c.name for c in DATA_MAP.values() for p in c.parts if p.subject == "user" and p.erase != "keep"}
        assert {name for name, count in (await planted_in(house)).items() if count} == declared - REAL
        held = await everything(house, redis_url, b"")
        for person in gone:
            assert len(left_of([person], held)) >= len(person.words), person.email
        kept_before = await _planted_of(house, stays.user_id)
        backup = await backed_up(house, backup_keys, tmp_path)
        for person in gone:
            await begin(person.client)
        await house.work()
        begun_at = utc_now()
        house.clock.offset += erasure.GRACE + timedelta(seconds=1)
        for _ in range(4):
            body = delivery(message_change(f"m_{house.ms()}", ms=house.ms()))
            await asyncio.gather(house.work(), disturb(house, gone, rounds=1), house.deliver(body))
            house.clock.offset += SETTLED
        asked = house.db.raw["privacy_requests"].find({"kind": "erasure"}, comment=SPANS)
        states = Counter([one["state"] async for one in asked])
        assert states == {"done": PEOPLE, "cancelled": PEOPLE + 1}
        house.clock.offset += timedelta(hours=25)  # what was counted of log-ins in Redis is over an hour old then
        await house.work()
    held = await everything(house, redis_url, repr(logged).encode())
    held["the mails since"] = await mails_since(house, begun_at)
    assert left_of(gone, held) == []
    works = [word for person in gone for word in person.works]
    stands = b"".join(held.values())
    assert works and all(word.encode() in stands for word in works)
    assert await _planted_of(house, stays.user_id) == kept_before
    await restored(house, backup_keys, backup)
    held = await everything(house, redis_url, b"")
    assert left_of(gone, held) == [] and stays.email.encode() in held["users"]


async def _planted_of(house: House, user_id: str) -> dict[str, int]:
    """How many of the planted documents name this person, by collection."""
    found: dict[str, int] = {}
    for name in DATA_MAP:
        rows = await house.db.raw[name].find(CANARIES, comment=SPANS).to_list()
        found[name] = sum(user_id in repr(row) for row in rows)
    return found


@pytest.fixture
def env(mongodb_url: str, redis_url: str, key_folder: Path, smtp_url: str) -> dict[str, str]:
    """The settings of the house, and of the workers that die."""
    return settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, smtp_url=smtp_url)


@pytest.fixture
async def mortal_house(env: dict[str, str]) -> AsyncIterator[House]:
    """One whose settings are known."""
    async with open_house(env) as found:
        yield found


async def die(env: dict[str, str], point: ErasePoint, after: int, operation_id: str) -> None:
    """Have a worker of its own do the operation, and see it die."""
    drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": str(after)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.faults.dying_worker", operation_id),
        cwd=ROOT,
        env=os.environ | env | drill,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == -signal.SIGKILL, (point, after)


async def test_wherever_the_worker_dies_it_completes(mortal_house: House, env: dict[str, str], redis_url: str) -> None:
    """Nine deaths of one erasure up to its last look, then one before its end and one after; nothing is left."""
    house = mortal_house
    owner = await house.person()
    label_id = await house.label(owner)
    person = await mark(house, label_id, 1)
    request = await requests.need(house.db, (await begin(person.client))["request_id"])
    now = house.clock() - timedelta(seconds=1)
    await house.db.raw["users"].update_one({"_id": person.user_id}, {"$set": {"erasure_due_at": now}})
    for point, after in DEATHS:
        await _due(house, request, now=now)
        await die(env, point, after, request["operation_id"])
    await _due(house, request, now=now)
    await house.work()
    for point in LATE_DEATHS:
        earlier = {"$set": {"steps.records.at": now - timedelta(minutes=5)}}
        query = {"_id": request["_id"], "steps.records": {"$exists": True}}
        await house.db.raw["privacy_requests"].update_one(query, earlier, comment=SPANS)
        await _due(house, request, now=now)
        await die(env, point, 1, request["operation_id"])
    house.clock.offset += SETTLED
    await house.work()
    done = await requests.need(house.db, request["_id"])
    operation = await house.db.raw["operations"].find_one({"_id": request["operation_id"]}, comment=SPANS)
    assert done["state"] == "done" and operation is not None and operation["state"] == "succeeded"
    assert left_of([person], await everything(house, redis_url, b"")) == []


async def test_a_fans_erasure_completes_wherever_its_worker_dies(
    mortal_house: House, env: dict[str, str], redis_url: str
) -> None:
    """Three deaths; of the fan's words, name and number nothing is left, though they were told by Meta meanwhile."""
    house = mortal_house
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    fan, words = "910000000000077", [f"canary-{token_hex(10)}" for _ in range(4)]
    ms = house.ms(timedelta(minutes=20))
    await house.receive(*[message_change(f"m_{n}", text=words[n], ms=ms, fan=fan) for n in range(2)])
    author = {"id": fan, "username": words[3]}
    comment = {"id": "17900000000777", "text": words[2], "from": author, "media": {"id": "18"}}
    told: dict[str, Any] = {"object": "instagram", "entry": [{"id": ACCOUNT, "time": ms // 1000, "changes": []}]}
    told["entry"][0]["changes"] = [{"field": "comments", "value": comment}]
    (await house.deliver(told)).raise_for_status()
    await house.work()
    assert len(find(words, await everything(house, redis_url, b""))) >= len(words)
    path = f"/v1/labels/{label_id}/privacy-requests"
    asked = (await owner.post(path, json={"provider_id": fan})).raise_for_status().json()
    request = await requests.need(house.db, asked["id"])
    now = house.clock() - timedelta(seconds=1)
    for point in FAN_DEATHS:
        if point == "fan_before_end":
            await _due(house, request, now=now)
            await house.work()
            earlier = {"$set": {"erased_at": now - timedelta(minutes=5)}}
            query = {"_id": request["_id"], "erased_at": {"$exists": True}}
            await house.db.raw["privacy_requests"].update_one(query, earlier, comment=SPANS)
        await _due(house, request, now=now)
        await die(env, point, 1, request["operation_id"])
        (await house.deliver(told)).raise_for_status()
        await house.receive(message_change("m_1", text=words[1], ms=ms, fan=fan))
    house.clock.offset += SETTLED
    await house.work()
    assert (await requests.need(house.db, request["_id"]))["state"] == "done"
    held = await everything(house, redis_url, b"")
    assert find(words, held) == [] and find([fan], held) == []


async def _due(house: House, request: Doc, *, now: object) -> None:
    """Have it taken over at once."""
    query, update = {"_id": request["operation_id"]}, {"$set": {"due_at": now}}
    await house.db.raw["operations"].update_one(query, update, comment=SPANS)
