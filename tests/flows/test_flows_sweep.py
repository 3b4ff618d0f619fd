"""What one label's trouble must not do to the others' work, and what a token that cannot be read ends in."""

from datetime import timedelta

import httpx
import pytest

from app.clients import facebook
from app.clients.credentials import Opened
from app.ids import new_id
from app.models.operations import OperationKind
from app.services import operations
from tests.house import House, message_change
from workers import jobs


async def test_a_long_queue_does_not_hold_up_others(house: House) -> None:
    """More replies wait behind one for a rate limit than one look takes; all else is still found due."""
    label_id, now = new_id("lbl"), house.clock()
    for number in range(30):
        await operations.add(
            house.db, label_id=label_id, kind="send_reply", target="msg", key=f"{number}", queue="cnv", now=now
        )
    late = now + timedelta(milliseconds=5)
    other = await operations.add(
        house.db, label_id=new_id("lbl"), kind="exchange_code", target="con", key="other", now=late
    )
    found = await operations.due(house.db, now=late, limit=10)
    assert len(found) == 2 and other["_id"] in found


async def test_a_token_that_cannot_be_read_ends_the_reply(house: House) -> None:
    """Another record's envelope does not open: the reply fails with a reason, and the connection says so."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id)
    other = await house.connection(await house.label(owner, "owl"))
    envelope = (await house.db.open("secrets").find_one({"label_id": other["label_id"]}) or {})["envelope"]
    mine = {"label_id": label_id, "connection_id": connection["_id"]}
    await house.db.open("secrets").update_one(mine, {"$set": {"envelope": envelope}})
    await house.receive(message_change("m_1", ms=house.ms()))
    base = f"/v1/labels/{label_id}"
    conversation = (await owner.get(f"{base}/conversations")).json()["data"][0]["id"]
    message = (await owner.post(f"{base}/conversations/{conversation}/messages", json={"text": "Hi"})).json()
    await house.work()
    operation = (await owner.get(f"/v1/operations/{message['operation_id']}")).json()
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "needs_reauth")
    assert (await owner.get(f"{base}/messages/{message['id']}")).json()["state"] == "failed"
    shown = (await owner.get(f"{base}/connections/{connection['_id']}")).json()
    assert (shown["status"], shown["problem"]) == ("needs_reauth", "token_unreadable")


@pytest.mark.parametrize(("kind", "state"), [("check_connection", "failed"), ("disconnect", "queued")])
async def test_an_error_of_ours_ends_an_operation(house: House, kind: OperationKind, state: str) -> None:
    """Tried twenty times, later each time, and then a person's to retry; leaving alone is never given up."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id, provider="a provider that nobody knows")
    place = {"label_id": label_id, "connection_id": connection["_id"]}
    await house.db.open("disconnections").insert_one(
        {"_id": connection["_id"], "expires_at": house.clock() + timedelta(days=365), **place}
    )
    told = {"label_id": label_id, "target": connection["_id"], "connection_id": connection["_id"]}
    operation = await operations.add(house.db, kind=kind, **told, key="broken", now=house.clock())
    waits = []
    for _ in range(jobs.MOST_CRASHES):
        await house.work()
        found = await operations.need(house.db, label_id, operation["_id"])
        assert found["problem"]["code"] == "internal_error"
        if "due_at" in found:
            waits.append(found["due_at"] - house.clock())
            house.clock.offset += waits[-1] + timedelta(seconds=1)
    assert (found["state"], found["attempts"]) == (state, jobs.MOST_CRASHES)
    assert waits[0] < timedelta(seconds=6) and timedelta(minutes=59) < max(waits) <= timedelta(hours=1)


async def test_a_providers_cookies_are_not_kept(house: House) -> None:
    """What one label's call is given would go out with another's."""
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "who=label-a"}, json={"id": "1"})

    client = house.worker.facebook
    client.http._transport = httpx.MockTransport(answer)
    for token in ("a", "b"):
        await facebook.me(client, Opened(token, "check"))
    assert sent == [None, None]
