"""The end of a label: announced, restorable for two weeks, and then nothing of it is left but what must be."""

import json
from datetime import timedelta

import httpx
import pytest

from app.models.data_map import DATA_MAP
from app.receipts import NotGood, verify
from app.services import operations
from app.services.labels import deletion
from tests.api.people import actions, join, mails, problem
from tests.house import PASSWORD, House, message_change

KEPT = {"audit_log", "audit_heads", "vault_openings", "operations"}


async def busy_label(house: House) -> tuple[httpx.AsyncClient, str]:
    """An owner, and a label with a connection, a conversation, a member and an invitation."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    await house.receive(message_change("m_1", ms=house.ms()))
    await join(house, "agent@example.com", label_id, "agent")
    invitation = {"email": "friend@example.com", "role": "agent"}
    (await owner.post(f"/v1/labels/{label_id}/invitations", json=invitation)).raise_for_status()
    return owner, label_id


async def left_of(house: House, label_id: str) -> set[str]:
    """The collections that hold something of the label's."""
    names = [name for name, found in DATA_MAP.items() if found.tenant]
    return {name for name in names if await house.db.open(name).find_one({"label_id": label_id})}


async def work_through(house: House, operation_id: str) -> str:
    """Do the operation until it has ended, as a worker would; its state. Nobody is at Meta's end, for 72 hours."""
    for _ in range(15):
        await house.work()
        operation = await operations.find_anywhere(house.db, operation_id)
        assert operation is not None
        if operation["state"] in operations.ENDED:
            return str(operation["state"])
        house.clock.offset += timedelta(hours=8)
    raise AssertionError("it does not end")


async def test_announcing_and_restoring(house: House) -> None:
    """Only owners reach it then, to look and to restore; the owners get word; and all is as it was afterwards."""
    owner, label_id = await busy_label(house)
    agent = await join(house, "second@example.com", label_id, "agent")
    path = f"/v1/labels/{label_id}"
    announced = await owner.delete(path)
    assert announced.status_code == 202 and announced.headers["location"].startswith("/v1/operations/op_")
    assert (announced.json()["kind"], announced.json()["state"]) == ("delete_label", "queued")
    shown = (await owner.get(path)).json()
    assert (shown["status"], shown["deletion_due_at"]) == ("deleting", announced.json()["due_at"])
    for client, asked in ((owner, "/conversations"), (agent, "/conversations"), (owner, "/members")):
        assert problem(await client.get(path + asked)) == (409, "label_deleting")
    assert problem(await owner.delete(path)) == (409, "label_deleting")
    assert len(await mails(house, "label_deleting")) == 1
    assert problem(await agent.post(f"{path}/restore")) == (403, "forbidden")
    restored = await owner.post(f"{path}/restore")
    assert (restored.status_code, restored.json()["status"]) == (200, "active")
    assert (await agent.get(f"{path}/conversations")).status_code == 200
    assert problem(await owner.post(f"{path}/restore")) == (409, "not_deleting")
    operation = await owner.get(announced.headers["location"])
    assert operation.json()["state"] == "cancelled"
    assert (await actions(house, label_id))[-2:] == ["label.deletion_announced", "label.restored"]


async def test_its_owners_get_a_signed_receipt(house: House) -> None:
    """Each owner has a request from the announcement on; called off with the label's restoring, done with its end."""
    owner, label_id = await busy_label(house)
    second = await join(house, "second@example.com", label_id, "owner")
    agent = await join(house, "third@example.com", label_id, "agent")
    (await owner.delete(f"/v1/labels/{label_id}")).raise_for_status()
    (await owner.post(f"/v1/labels/{label_id}/restore")).raise_for_status()
    announced = (await owner.delete(f"/v1/labels/{label_id}")).json()
    for one in (owner, second):
        shown = (await one.get("/v1/me/requests")).json()["data"]
        assert [(r["kind"], r["state"], r["receipt"]) for r in shown] == [
            ("label_deletion", "waiting", None),
            ("label_deletion", "cancelled", None),
        ]
        assert shown[0]["operation_id"] == announced["id"] and shown[0]["evidence"] == [label_id]
    assert (await agent.get("/v1/me/requests")).json()["data"] == []
    house.clock.offset = deletion.GRACE + timedelta(seconds=1)
    assert await work_through(house, announced["id"]) == "succeeded"
    login = await house.http.post("/v1/sessions", json={"email": "second@example.com", "password": PASSWORD})
    second.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    done = (await second.get("/v1/me/requests")).json()["data"][0]
    receipt = done["receipt"]["receipt"]
    jwks = (await house.http.get("/.well-known/jwks.json")).json()
    assert done["state"] == "done" and verify(json.dumps(done), jwks) == receipt
    gone = {row["what"]: row["documents"] for row in receipt["erased"]}
    assert gone["memberships"] == 4 and gone["invitations"] == 1 and gone["connections"] == 1
    assert {row["what"] for row in receipt["kept"]} <= KEPT and all(row["why"] for row in receipt["kept"])
    [told] = receipt["told"]
    assert told.startswith("instagram: ")
    assert "owner@example.com" not in repr(done) and "Nightjar" not in repr(done)
    changed = done | {"receipt": done["receipt"] | {"receipt": receipt | {"completed_at": "2020-01-01T00:00:00Z"}}}
    with pytest.raises(NotGood):
        verify(json.dumps(changed), jwks)


async def test_after_the_grace_nothing_is_left(house: House) -> None:
    """But the audit log and the record of the vault, which hold ids alone; its slug is free again; people stay."""
    owner, label_id = await busy_label(house)
    announced = (await owner.delete(f"/v1/labels/{label_id}")).json()
    assert len(await left_of(house, label_id)) > 8
    house.clock.offset = deletion.GRACE + timedelta(seconds=1)
    assert await work_through(house, announced["id"]) == "succeeded"
    assert await left_of(house, label_id) <= KEPT
    assert await house.db.open("labels").find_one({"_id": label_id}) is None
    ended = (await actions(house, label_id))[-3:]
    assert ended == ["connection.disconnecting", "connection.disconnected", "label.deleted"]
    login = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    assert problem(await house.http.get(f"/v1/labels/{label_id}", headers=bearer)) == (404, "not_found")
    again = await house.http.post("/v1/labels", json={"name": "Again", "slug": "nightjar"}, headers=bearer)
    assert again.status_code == 201


async def test_before_the_grace_is_over_nothing_is_deleted(house: House) -> None:
    """However often a worker looks."""
    owner, label_id = await busy_label(house)
    await owner.delete(f"/v1/labels/{label_id}")
    before = await left_of(house, label_id)
    house.clock.offset = deletion.GRACE - timedelta(minutes=1)
    await house.work()
    assert await left_of(house, label_id) >= before - {"oauth_states", "idempotency_keys"}
