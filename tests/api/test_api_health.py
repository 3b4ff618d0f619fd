"""Alive, ready, who can check our tokens, and whom to tell of a hole: each part that is missing is named."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jose import jwt
from jose.exceptions import JWTError

from app.db import Doc, create_indexes
from app.models.data_map import DATA_MAP
from app.readiness import INDEXES_EVERY
from app.services import heartbeat
from tests.house import PASSWORD, PUBLIC_URL, House, make_keys, open_house, settings_env

NO_MONGODB = "mongodb://127.0.0.1:9/nothing?retryWrites=false"
OF_PROMISES = {"promises", "broken_promises", "detail"}
NO_REDIS = "redis://127.0.0.1:9/0"


async def readiness(house: House) -> Doc:
    """What `/readyz` says, whose status must be right."""
    answer = await house.http.get("/readyz")
    found: Doc = answer.json()
    assert answer.status_code == (200 if found["ready"] else 503), found
    assert answer.headers["content-type"] == "application/json"
    parts = {"mongodb", "redis", "key_ring", "indexes", "workers", "restore"}
    assert set(found) == {"ready", "troubles"} | parts | OF_PROMISES
    return found


def house_with(key_folder: Path, mongodb_url: str, redis_url: str) -> AbstractAsyncContextManager[House]:
    """A house of these parts."""
    return open_house(settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url))


async def test_ready_with_every_part(house: House) -> None:
    """Each is named; that no worker is there does not matter to those who call."""
    found = await readiness(house)
    assert found["detail"] == "yellow"
    assert {name: value for name, value in found.items() if name not in OF_PROMISES} == {
        "ready": True,
        "mongodb": "ok",
        "redis": "ok",
        "key_ring": "ok",
        "indexes": "ok",
        "workers": "absent",
        "restore": "off",
        "troubles": [],
    }


async def test_not_ready_without_redis(mongodb_url: str, key_folder: Path) -> None:
    """The rest is well, and said to be."""
    async with house_with(key_folder, mongodb_url, NO_REDIS) as house:
        found = await readiness(house)
        assert (found["ready"], found["redis"]) == (False, "missing")
        assert (found["mongodb"], found["key_ring"], found["indexes"]) == ("ok", "ok", "ok")
        assert (await house.http.get("/healthz")).json() == {"status": "ok"}


async def test_not_ready_without_the_store(redis_url: str, key_folder: Path) -> None:
    """What only it could tell is unknown, not well."""
    async with house_with(key_folder, NO_MONGODB, redis_url) as house:
        found = await readiness(house)
        assert (found["ready"], found["mongodb"], found["indexes"]) == (False, "missing", "wrong")
        assert (found["workers"], found["redis"], found["key_ring"]) == ("unknown", "ok", "ok")
        assert "127.0.0.1" not in str(found)
        assert (await house.http.get("/healthz")).json() == {"status": "ok"}


async def test_not_ready_without_the_key_ring(tmp_path: Path, mongodb_url: str, redis_url: str) -> None:
    """Taken away or spoilt after the start; ready again when it is back."""
    keys = make_keys(tmp_path / "keys")
    async with house_with(keys, mongodb_url, redis_url) as house:
        ring = keys / "ring.public.json"
        good = ring.read_text()
        for spoil in (ring.unlink, lambda: ring.write_text("{}"), lambda: ring.write_bytes(b"\xff")):
            spoil()
            found = await readiness(house)
            assert (found["ready"], found["key_ring"], found["mongodb"]) == (False, "missing", "ok")
            assert str(tmp_path) not in str(found)
        ring.write_text(good)
        assert (await readiness(house))["ready"]


async def test_not_ready_once_told_to_stop(house: House) -> None:
    """Nothing is missing, and nothing new should come."""
    house.api.stopping = True
    found = await readiness(house)
    assert (found["ready"], found["mongodb"], found["troubles"]) == (False, "ok", [])


async def without_index(house: House) -> str:
    """Drop an index that keeps an effect from happening twice."""
    await house.db.raw["messages"].drop_index("label_id_1_connection_id_1_provider_id_1")
    return "messages.label_id_1_connection_id_1_provider_id_1 is missing"


async def without_ttl(house: House) -> str:
    """Replace a TTL index by a plain one: nothing would be deleted in time."""
    await house.db.raw["messages"].drop_index("expires_at_1")
    await house.db.raw["messages"].create_index("expires_at")
    return "messages.expires_at_1 differs from the data map"


async def with_late_ttl(house: House) -> str:
    """Replace a TTL index by one that deletes a month late."""
    await house.db.raw["comments"].drop_index("expires_at_1")
    await house.db.raw["comments"].create_index("expires_at", expireAfterSeconds=2_592_000)
    return "comments.expires_at_1 differs from the data map"


async def without_unique(house: House) -> str:
    """Replace a unique index by a plain one."""
    await house.db.raw["labels"].drop_index("slug_1")
    await house.db.raw["labels"].create_index("slug")
    return "labels.slug_1 differs from the data map"


@pytest.mark.parametrize("break_it", [without_index, without_ttl, with_late_ttl, without_unique])
async def test_not_ready_with_a_wrong_index(house: House, break_it: Any) -> None:
    """It is named. A start makes what is missing, and leaves what differs to a person."""
    trouble = await break_it(house)
    found = await readiness(house)
    assert (found["ready"], found["mongodb"], found["indexes"]) == (False, "ok", "wrong")
    assert found["troubles"] == [trouble]
    await create_indexes(house.db)
    after = await readiness(house)
    assert after["troubles"] == ([] if "missing" in trouble else [trouble])
    assert after["ready"] is ("missing" in trouble)


async def test_an_index_that_goes_later_is_noticed(house: House) -> None:
    """The comparison is not made for every look, but again and again."""
    assert (await readiness(house))["ready"]
    trouble = await without_ttl(house)
    house.clock.offset += INDEXES_EVERY + timedelta(seconds=1)
    found = await readiness(house)
    assert (found["ready"], found["troubles"]) == (False, [trouble])


async def test_every_declared_index_is_watched(house: House) -> None:
    """Without any of them at all, each is named."""
    for name in DATA_MAP:
        await house.db.raw[name].drop_indexes()
    declared = {f"{found.name}.{index.name} is missing" for found in DATA_MAP.values() for index in found.indexes}
    assert set((await readiness(house))["troubles"]) == declared


async def test_whether_workers_consume(house: House) -> None:
    """Absent until one takes a job, late while a change waits for over a minute, absent when the last is quiet."""
    inbox = house.db.open("webhook_inbox")
    now: datetime = house.clock()
    await inbox.insert_one({"_id": "k", "due_at": now - timedelta(seconds=61), "expires_at": now + timedelta(days=1)})
    assert (await readiness(house))["workers"] == "absent"
    await heartbeat.beat(house.db, "wrk_one", key_ids=["k1"], now=now)
    late = await readiness(house)
    assert (late["workers"], late["ready"]) == ("late", True)
    await inbox.update_one({"_id": "k"}, {"$set": {"due_at": now - timedelta(seconds=30)}})
    assert (await readiness(house))["workers"] == "consuming"
    await inbox.update_one({"_id": "k"}, {"$unset": {"due_at": 1}})
    assert await heartbeat.state(house.db, now=now + timedelta(seconds=29)) == "consuming"
    house.clock.offset += timedelta(seconds=31)
    assert (await readiness(house))["workers"] == "absent"


async def test_our_published_key_verifies_our_tokens(house: House) -> None:
    """And holds nothing but the public half."""
    await house.person()
    login = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    token = login.json()["access_token"]
    answer = await house.http.get("/.well-known/jwks.json")
    assert "public" in answer.headers["cache-control"]
    [key] = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="soundops-api", issuer=PUBLIC_URL)
    assert claims["sub"].startswith("usr_")
    head, body, signature = token.split(".")
    forged = ".".join((head, body, signature[::-1]))
    with pytest.raises(JWTError):
        jwt.decode(forged, key, algorithms=["ES256"], audience="soundops-api")


async def test_whom_to_tell_of_a_hole(house: House) -> None:
    """RFC 9116: plain text, a contact, one end in the future and within a year, and its own address."""
    answer = await house.http.get("/.well-known/security.txt")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/plain; charset=utf-8"
    fields = [line.split(": ", 1) for line in answer.text.splitlines()]
    found = dict(fields)
    assert len(found) == len(fields) and found["Contact"].startswith(("mailto:", "https://"))
    left = datetime.fromisoformat(found["Expires"]) - house.clock()
    assert timedelta(days=30) < left < timedelta(days=366)
    assert found["Canonical"] == f"{PUBLIC_URL}/.well-known/security.txt"
