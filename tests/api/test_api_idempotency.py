"""`Idempotency-Key`: asked twice, done once, answered alike."""

import asyncio
from typing import Any

import bson
import httpx
import pytest

from tests.house import PASSWORD, House, message_change

LABEL = {"name": "Nightjar", "slug": "nightjar"}
KEY = {"Idempotency-Key": "made-by-the-caller-1"}


async def test_the_first_answer_comes_again(house: House) -> None:
    """The same status, body and headers, marked as a replay; done once."""
    owner = await house.person()
    first = await owner.post("/v1/labels", json=LABEL, headers=KEY)
    again = await owner.post("/v1/labels", json=LABEL, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len((await owner.get("/v1/labels")).json()["data"]) == 1


async def test_another_body_is_another_request(house: House) -> None:
    """The key is for one request only; another path or another person is another key."""
    owner, other = await house.person(), await house.person("other@example.com")
    await owner.post("/v1/labels", json=LABEL, headers=KEY)
    reused = await owner.post("/v1/labels", json=LABEL | {"name": "Other"}, headers=KEY)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    theirs = await other.post("/v1/labels", json=LABEL | {"slug": "other"}, headers=KEY)
    assert theirs.status_code == 201 and "idempotency-replayed" not in theirs.headers


async def test_at_the_same_time_only_one_runs(house: House) -> None:
    """The others are told that it is still running, or get its answer."""
    owner = await house.person()
    answers = await asyncio.gather(*(owner.post("/v1/labels", json=LABEL, headers=KEY) for _ in range(6)))
    codes = sorted(answer.status_code for answer in answers)
    assert set(codes) <= {201, 409} and 201 in codes
    assert all(answer.json()["code"] == "idempotency_key_in_use" for answer in answers if answer.status_code == 409)
    assert len((await owner.get("/v1/labels")).json()["data"]) == 1


async def test_not_now_is_not_kept(house: House) -> None:
    """A refusal that may pass does not stick to the key."""
    owner = await house.person()
    await house.label(owner, "nightjar")
    assert (await owner.post("/v1/labels", json=LABEL, headers=KEY)).status_code == 409
    mine = (await owner.get("/v1/labels")).json()["data"][0]["id"]
    await owner.patch(f"/v1/labels/{mine}", json={"slug": "moved"})
    assert (await owner.post("/v1/labels", json=LABEL, headers=KEY)).status_code == 201


async def test_of_a_refusal_nothing_is_kept(house: House) -> None:
    """Wrong input leaves no trace, logged in or not; put right, it works under the same key."""
    owner = await house.person()
    for http, path in ((owner, "/v1/labels"), (house.http, "/v1/users"), (house.http, "/v1/nowhere")):
        assert (await http.post(path, json={"name": ""}, headers=KEY)).status_code in (404, 422)
    assert await house.db.open("idempotency_keys").count_documents({}) == 0
    assert (await owner.post("/v1/labels", json=LABEL, headers=KEY)).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_bad_keys_are_refused(house: House, key: str) -> None:
    """1 to 255 characters."""
    owner = await house.person()
    answer = await owner.post("/v1/labels", json=LABEL, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/header/Idempotency-Key")


async def test_a_kept_answer_cannot_be_read_from_the_database(house: House) -> None:
    """A log-in's answer holds a token and a cookie; neither they nor the caller's key are stored in the clear."""
    await house.person("mara@example.com")
    body = {"email": "mara@example.com", "password": PASSWORD}
    first = await house.http.post("/v1/sessions", json=body, headers=KEY)
    again = await house.http.post("/v1/sessions", json=body, headers=KEY)
    assert again.content == first.content and again.headers["set-cookie"] == first.headers["set-cookie"]
    stored = b"".join([bson.encode(record) async for record in house.db.open("idempotency_keys").find({})])
    cookie = first.headers["set-cookie"].split(";")[0].split("=", 1)[1]
    for secret in (first.json()["access_token"], cookie, KEY["Idempotency-Key"], PASSWORD, "access_token"):
        assert secret.encode() not in stored


async def talk(house: House) -> tuple[httpx.AsyncClient, str, str]:
    """An owner, the label's path, and the path of a conversation's messages."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    await house.receive(message_change("m_1", ms=house.ms()))
    base = f"/v1/labels/{label_id}"
    conversation: Any = (await owner.get(f"{base}/conversations")).json()["data"][0]["id"]
    return owner, base, f"{base}/conversations/{conversation}/messages"


async def test_a_reply_is_queued_once(house: House) -> None:
    """Even when the kept answer is lost, the same key is the same intent: one message, one operation."""
    owner, base, path = await talk(house)
    first = await owner.post(path, json={"text": "On Friday."}, headers=KEY)
    assert (first.status_code, first.json()["state"]) == (202, "queued")
    await house.db.open("idempotency_keys").delete_many({})
    again = await owner.post(path, json={"text": "On Friday."}, headers=KEY)
    assert again.json()["id"] == first.json()["id"]
    operations = (await owner.get(f"{base}/operations")).json()["data"]
    assert [(one["id"], one["target"]) for one in operations] == [(first.json()["operation_id"], first.json()["id"])]
    assert len((await owner.get(path)).json()["data"]) == 2


async def test_after_a_day_the_key_is_free(house: House) -> None:
    """Another text under an old key is another reply, not the old one again."""
    owner, _, path = await talk(house)
    first = await owner.post(path, json={"text": "On Friday."}, headers=KEY)
    await house.db.open("idempotency_keys").delete_many({})
    other = await owner.post(path, json={"text": "No, on Saturday."}, headers=KEY)
    assert (other.status_code, other.json()["text"]) == (202, "No, on Saturday.")
    assert other.json()["id"] != first.json()["id"]


async def test_without_a_key_twice_is_twice(house: House) -> None:
    """Nobody's intent is guessed."""
    owner, _, path = await talk(house)
    for _ in range(2):
        await owner.post(path, json={"text": "On Friday."})
    assert len((await owner.get(path)).json()["data"]) == 3
