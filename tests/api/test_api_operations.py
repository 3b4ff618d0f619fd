"""Operations: deferred work that a caller can wait for, look up and begin anew."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx

from app.models.reply_window import WINDOW
from app.services import operations
from tests.house import PASSWORD, House, message_change

LEASE = timedelta(seconds=45)


async def queued(house: House) -> tuple[httpx.AsyncClient, str, dict[str, Any]]:
    """An owner, the label's path, and a reply that waits to be sent (to nobody: Meta is not there)."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    await house.receive(message_change("m_1", ms=house.ms()))
    base = f"/v1/labels/{label_id}"
    conversation = (await owner.get(f"{base}/conversations")).json()["data"][0]["id"]
    answer = await owner.post(f"{base}/conversations/{conversation}/messages", json={"text": "On Friday."})
    assert answer.headers["location"] == f"/v1/operations/{answer.json()['operation_id']}"
    return owner, base, answer.json()


async def test_an_operation_tells_what_it_is_about(house: House) -> None:
    """Under its own path and in the label's list, alike; another person does not find it."""
    owner, base, message = await queued(house)
    path = f"/v1/operations/{message['operation_id']}"
    shown = await owner.get(path)
    assert shown.json().items() >= {"kind": "send_reply", "state": "queued", "target": message["id"]}.items()
    assert shown.headers["etag"].startswith('"')
    assert (await owner.get(f"{base}/operations")).json()["data"] == [shown.json()]
    assert (await owner.get(f"{base}/operations", params={"state": "failed"})).json()["data"] == []
    stranger = await house.person("stranger@example.com")
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.get("/v1/operations/op_none")).status_code == 404


async def test_waiting_ends_with_the_operation(house: House) -> None:
    """`Prefer: wait` answers as soon as it has ended."""
    owner, _, message = await queued(house)
    path = f"/v1/operations/{message['operation_id']}"
    waiting = asyncio.create_task(owner.get(path, headers={"Prefer": "respond-async, wait=20"}))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    found = await operations.claim(house.db, message["operation_id"], lease=LEASE, now=house.clock())
    assert found is not None
    await operations.fail(house.db, found, code="refused_by_provider", detail="No.", now=house.clock())
    answer = await waiting
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json().items() >= {"state": "failed", "due_at": None}.items()
    assert answer.json()["problem"] == {"code": "refused_by_provider", "detail": "No."}


async def test_waiting_ends_with_its_time(house: House) -> None:
    """And the answer is what is known then: still queued, `202`."""
    owner, base, message = await queued(house)
    path = f"{base}/conversations/{message['conversation_id']}/messages"
    answer = await owner.post(path, json={"text": "And?"}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=1"
    plain = await owner.get(f"/v1/operations/{message['operation_id']}", headers={"Prefer": "wait=soon"})
    assert "preference-applied" not in plain.headers


async def test_only_what_has_failed_is_begun_anew(house: House) -> None:
    """What waits, runs, or is still being asked about is not; afterwards it waits like new."""
    owner, base, message = await queued(house)
    path = f"{base}/operations/{message['operation_id']}"
    refused = await owner.post(f"{path}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    found = await operations.claim(house.db, message["operation_id"], lease=LEASE, now=house.clock())
    assert found is not None
    asking = house.clock() + LEASE
    await operations.leave_in_doubt(house.db, found, reason="?", look_at=asking, now=house.clock())
    assert (await owner.post(f"{path}/retry")).status_code == 409
    await operations.leave_in_doubt(house.db, found, reason="?", look_at=None, now=house.clock())
    again = await owner.post(f"{path}/retry")
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    assert again.headers["location"] == f"/v1/operations/{message['operation_id']}"
    assert not await operations.succeed(house.db, found, result=None, now=house.clock()), "the old fence still counts"


async def test_what_waits_can_be_cancelled(house: House) -> None:
    """A reply that nobody has begun to send is not sent; what has begun, or has ended, stays."""
    owner, base, message = await queued(house)
    path = f"{base}/operations/{message['operation_id']}/cancel"
    cancelled = await owner.post(path)
    assert (cancelled.status_code, cancelled.json()["state"], cancelled.json()["due_at"]) == (200, "cancelled", None)
    shown = (await owner.get(f"{base}/conversations/{message['conversation_id']}/messages")).json()["data"][0]
    assert (shown["state"], shown["problem"]) == ("failed", "cancelled")
    assert await operations.claim(house.db, message["operation_id"], lease=LEASE, now=house.clock()) is None
    assert (await owner.post(path)).status_code == 409
    other = f"{base}/conversations/{message['conversation_id']}/messages"
    begun = (await owner.post(other, json={"text": "And?"})).json()["operation_id"]
    assert await operations.claim(house.db, begun, lease=LEASE, now=house.clock())
    assert (await owner.post(f"{base}/operations/{begun}/cancel")).status_code == 409


async def test_two_retries_at_once_are_one(house: House) -> None:
    """The second finds that the first was faster."""
    owner, base, message = await queued(house)
    found = await operations.claim(house.db, message["operation_id"], lease=LEASE, now=house.clock())
    assert found is not None
    await operations.fail(house.db, found, code="x", detail="x", now=house.clock())
    path = f"{base}/operations/{message['operation_id']}/retry"
    answers = await asyncio.gather(*(owner.post(path) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]


async def test_a_connection_is_not_retried(house: House) -> None:
    """A code works once: its owner logs in again."""
    owner, base, _ = await queued(house)
    label_id = base.rsplit("/", 1)[1]
    added = await operations.add(
        house.db, label_id=label_id, kind="exchange_code", target="con_x", key="x", now=house.clock()
    )
    found = await operations.claim(house.db, added["_id"], lease=LEASE, now=house.clock())
    assert found is not None
    await operations.fail(house.db, found, code="exchange_refused", detail="No.", now=house.clock())
    assert (await owner.post(f"{base}/operations/{added['_id']}/retry")).status_code == 409


async def test_a_closed_window_is_refused_at_once(house: House) -> None:
    """`409`, and nothing is queued; a person has seven days, by saying so."""
    owner, base, message = await queued(house)
    house.clock.offset = WINDOW
    login = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    owner.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    path = f"{base}/conversations/{message['conversation_id']}/messages"
    closed = await owner.post(path, json={"text": "Too late?"})
    assert (closed.status_code, closed.json()["code"]) == (409, "reply_window_closed")
    assert len((await owner.get(f"{base}/operations")).json()["data"]) == 1
    assert (await owner.post(path, json={"text": "Not for me.", "human_agent": True})).status_code == 202
