"""What one label's trouble must not do to the others' work, and what a token that cannot be read ends in."""

from datetime import timedelta

from app.ids import new_id
from app.services import operations
from tests.house import House, message_change


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
