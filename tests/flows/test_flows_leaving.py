"""Leaving at the sandbox: refused at once, revoked where it can be, erased, and a receipt that can be checked."""

import base64
import json
from datetime import timedelta

import httpx
import pytest

from app.db import Session
from app.models.data_map import DATA_MAP
from app.models.receipts import Reason
from app.receipts import verify
from app.services import operations
from app.services.audit import SYSTEM
from app.services.connections import leaving
from app.services.connections.disconnecting import GIVE_UP_AFTER
from app.services.inbox import sending
from app.services.inbox.drain import LEASE
from app.services.vault.opening import NotAllowed
from tests.api.people import actions, problem
from tests.flows.flows_harness import Desk, Meta, pass_by, places_of
from tests.flows.leaving_harness import SETTLED, leave, log_in_again, receipt, results, stored_of, to_the_end
from tests.house import House

TEXT = "When is the vinyl back?"
KEPT = {name for name, collection in DATA_MAP.items() if collection.of_connection == "keep"}
ACCOUNT = "17841400000000001"


async def answer(desk: Desk, igsid: str, text: str) -> str:
    """Queue a reply to the fan; its operation's id."""
    conversation = (await desk.conversation(igsid))["id"]
    path = f"/v1/labels/{desk.label_id}/conversations/{conversation}/messages"
    return str((await desk.owner.post(path, json={"text": text})).raise_for_status().json()["operation_id"])


async def subscribed(meta: Meta) -> bool:
    """Whether the account sends us webhooks."""
    accounts = (await meta.control("GET", "/state"))["accounts"]
    return any(one["subscribed_fields"] for one in accounts if one["user_id"] == ACCOUNT)


async def test_from_the_wish_to_the_receipt(live_desk: Desk, meta: Meta) -> None:
    """Refused at once, then each step; nothing but ids is left, and the receipt is what was signed."""
    house, path = live_desk.house, f"/connections/{live_desk.connection_id}"
    written = await house.fan_writes("mara", TEXT)
    queued = await answer(live_desk, written["igsid"], "On Friday.")
    assert await live_desk.status(f"{path}/receipt") == 404
    assert {"messages", "secrets", "operations"} <= set(await stored_of(house, live_desk.connection_id))
    operation = await leave(live_desk)
    assert (operation["kind"], operation["state"]) == ("disconnect", "queued")
    shown = await live_desk.get(path)
    assert (shown["status"], shown["problem"], shown["active_features"]) == ("revoked", "disconnecting", [])
    ended = (await live_desk.owner.get(f"/v1/operations/{queued}")).json()
    assert (ended["state"], ended["problem"]["code"]) == ("failed", "disconnected")
    [reply] = [one for one in await live_desk.messages(written["igsid"]) if one["direction"] == "out"]
    assert (reply["state"], reply["problem"]) == ("failed", "disconnected")
    assert (await leave(live_desk, headers={"If-Match": '"1"'}))["id"] == operation["id"]
    await house.work()
    refused = await live_desk.owner.get(f"/v1/labels/{live_desk.label_id}{path}/receipt")
    assert problem(refused) == (409, "not_finished") and "Awaited: verify" in refused.json()["detail"]
    found = await to_the_end(live_desk)
    assert (await live_desk.owner.get(f"/v1/operations/{operation['id']}")).json()["state"] == "succeeded"
    assert results(found) == {
        "refuse_use": "done",
        "unsubscribe": "done",
        "revoke": "not_offered",
        "destroy_tokens": "done",
        "erase": "done",
        "verify": "done",
    }
    assert "Settings > Website permissions > Apps and websites" in found["advice"][0]
    assert await meta.texts_sent() == []
    assert set(await stored_of(house, live_desk.connection_id)) <= KEPT
    assert not await places_of(house, TEXT.encode())
    assert await places_of(house, b"nightjar.records") <= {"labels.name"}
    assert await places_of(house, ACCOUNT.encode()) == {"disconnections.provider_id"}
    shown = await live_desk.get(path)
    assert (shown["status"], shown["problem"], shown["account"], shown["provider_id"]) == ("revoked", None, None, None)
    done = await actions(house, live_desk.label_id)
    assert done[-2:] == ["connection.disconnecting", "connection.disconnected"]
    events = [event["type"] for event in await live_desk.stored("events", target=live_desk.connection_id)]
    assert events[-2:] == ["connection.changed", "connection.disconnected"]


async def test_the_receipt_can_be_checked(live_desk: Desk, meta: Meta) -> None:
    """Its signature covers what is shown, verifies with the public keys, and opens no door."""
    await leave(live_desk)
    found = await to_the_end(live_desk)
    jwks = (await live_desk.house.http.get("/.well-known/jwks.json")).json()
    shown = {name: value for name, value in found.items() if name != "jws"}
    assert verify(json.dumps(found), jwks) == shown
    part = found["jws"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) == shown
    bearer = {"Authorization": f"Bearer {found['jws']}"}
    assert problem(await live_desk.house.http.get("/v1/labels", headers=bearer)) == (401, "unauthenticated")
    path = f"/v1/labels/{live_desk.label_id}/connections/{live_desk.connection_id}/receipt"
    file = await live_desk.owner.get(path, params={"download": "true"})
    told = file.headers["content-disposition"]
    assert told == f'attachment; filename="receipt-{live_desk.connection_id}.json"'
    assert verify(file.text, jwks) == shown


async def test_the_account_can_be_connected_anew_at_once(live_desk: Desk, meta: Meta) -> None:
    """While the old connection is still being ended; and the new one keeps its webhooks."""
    house = live_desk.house
    await leave(live_desk)
    again = await house.connect(live_desk.owner, live_desk.label_id)
    assert again["id"] != live_desk.connection_id
    found = await to_the_end(live_desk)
    assert results(found)["revoke"] == "kept_for_others" and await subscribed(meta)
    await house.fan_writes("mara", TEXT)
    [conversation] = await live_desk.conversations()
    assert conversation["connection_id"] == again["id"]


async def test_one_account_under_two_labels(live_desk: Desk, meta: Meta) -> None:
    """The second sees nothing of the first's; what the first had goes with it; the second receives on (R-26)."""
    house = live_desk.house
    for number in range(10):
        await house.fan_writes("mara", f"{TEXT} {number}")
    owner = await house.person("second@example.com")
    label_id = await house.label(owner, "second")
    other = Desk(house, owner, label_id, (await house.connect(owner, label_id))["id"])
    assert len(await live_desk.everything()) == 10 and await other.conversations() == []
    await house.fan_writes("jonas", "To both")
    assert [len(await desk.everything()) for desk in (live_desk, other)] == [11, 1]
    await leave(live_desk)
    found = await to_the_end(live_desk)
    assert results(found)["revoke"] == "kept_for_others" and "another" in found["advice"][0].lower()
    assert await live_desk.conversations() == [] and len(await other.everything()) == 1
    await house.fan_writes("jonas", "To the second alone")
    assert await live_desk.conversations() == [] and len(await other.everything()) == 2
    assert await subscribed(meta)
    await leave(other)
    assert results(await to_the_end(other))["unsubscribe"] == "done"
    assert not await subscribed(meta)


async def test_erasing_does_not_wait_for_the_provider(live_desk: Desk, meta: Meta) -> None:
    """It is down for an hour: our copy is gone at once, the token stays sealed, and then all ends."""
    house = live_desk.house
    await house.fan_writes("mara", TEXT)
    await meta.fault("http", "subscribed_apps|permissions", code=503, times=1000)
    await leave(live_desk)
    await house.work()
    assert await live_desk.conversations() == [] and not await places_of(house, TEXT.encode())
    assert len(await live_desk.stored("secrets")) == 1
    for _ in range(6):
        pass_by(house, timedelta(minutes=10))
        await house.work()
    await log_in_again(live_desk)
    assert await live_desk.status(f"/connections/{live_desk.connection_id}/receipt") == 409
    await meta.control("DELETE", "/faults")
    pass_by(house, timedelta(hours=1))
    await log_in_again(live_desk)
    found = await to_the_end(live_desk)
    assert (results(found)["unsubscribe"], results(found)["destroy_tokens"]) == ("done", "done")
    assert await live_desk.stored("secrets") == []


async def test_the_token_is_never_kept_for_a_provider(live_desk: Desk, meta: Meta) -> None:
    """After 72 hours it is destroyed, and the receipt tells what the person must do."""
    house = live_desk.house
    await meta.fault("http", "subscribed_apps|permissions", code=503, times=1000)
    await leave(live_desk)
    await house.work()
    pass_by(house, GIVE_UP_AFTER - timedelta(minutes=1))
    await house.work()
    assert len(await live_desk.stored("secrets")) == 1
    pass_by(house, timedelta(minutes=2))
    await house.work()
    await log_in_again(live_desk)
    found = await receipt(live_desk)
    assert (results(found)["unsubscribe"], results(found)["revoke"]) == ("gave_up", "gave_up")
    assert await live_desk.stored("secrets") == [] and "Only you can be sure" in found["advice"][0]


@pytest.mark.parametrize("reason", ["deauthorized", "data_deletion"])
async def test_an_end_that_the_provider_began(live_desk: Desk, meta: Meta, reason: Reason) -> None:
    """Its tokens are dead: nothing is asked of it, and all else is as ever."""
    house = live_desk.house
    [connection] = await live_desk.stored("connections")
    await meta.fault("http", "subscribed_apps|permissions", code=503, times=1000)

    async def begin(session: Session) -> None:
        who = {"reason": reason, "by": SYSTEM, "now": house.clock()}
        for _ in range(2):
            await leaving.begin(house.db, house.api.audit, connection, **who, session=session)

    await house.db.in_transaction(begin)
    found = await to_the_end(live_desk)
    assert found["reason"] == reason and results(found)["revoke"] == "already_revoked"
    assert await live_desk.stored("secrets") == []


async def test_what_comes_late_is_erased_too(live_desk: Desk) -> None:
    """A batch that had begun before the end writes after the first erasing."""
    house = live_desk.house
    await house.fan_writes("mara", TEXT)
    late = await live_desk.stored("messages")
    sealed = await live_desk.stored("secrets")
    await leave(live_desk)
    await house.work()
    await house.db.open("messages").insert_many(late)
    await house.db.open("secrets").insert_many(sealed)
    pass_by(house, LEASE)
    await house.work()
    assert await live_desk.status(f"/connections/{live_desk.connection_id}/receipt") == 409
    found = await to_the_end(live_desk)
    [verified] = [step for step in found["steps"] if step["name"] == "verify"]
    assert "2 documents that had come late" in verified["detail"]
    assert set(await stored_of(house, live_desk.connection_id)) <= KEPT


async def test_a_token_opened_before_is_not_used_after(live_desk: Desk, meta: Meta) -> None:
    """The last write before a call looks at the connection once more."""
    house = live_desk.house
    written = await house.fan_writes("mara", TEXT)
    operation_id = await answer(live_desk, written["igsid"], "On Friday.")
    claimed = await operations.claim(house.db, operation_id, lease=timedelta(seconds=45), now=house.clock())
    assert claimed is not None
    [message] = await live_desk.stored("messages", operation_id=operation_id)
    [connection] = await live_desk.stored("connections")
    await house.worker.hands.open(connection, "access_token", used_for="messages", job=operation_id)
    await leave(live_desk)
    with pytest.raises(NotAllowed):
        await sending._mark(sending._Work(house.worker.hands, claimed, message, connection))
    with pytest.raises(NotAllowed):
        await house.worker.hands.open(connection, "access_token", used_for="messages", job=operation_id)


async def test_a_log_in_that_is_under_way(live_house: House, meta: Meta) -> None:
    """It ends too: its code is destroyed, nothing is asked of the provider, and its way back leads nowhere."""
    owner = await live_house.person()
    label_id = await live_house.label(owner)
    wish = {"provider": "instagram", "features": ["messages"]}
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=wish)).json()
    desk = Desk(live_house, owner, label_id, begun["id"])
    async with httpx.AsyncClient(trust_env=False) as browser:
        back = await browser.post(begun["authorize_url"], data={"account": "nightjar.records", "allow": "1"})
    stale = await owner.delete(f"/v1/labels/{label_id}/connections/{begun['id']}", headers={"If-Match": '"7"'})
    assert problem(stale) == (412, "stale_version")
    await leave(desk)
    found = await to_the_end(desk)
    assert (results(found)["unsubscribe"], results(found)["revoke"]) == ("not_needed", "not_needed")
    assert found["provider_id"] is None
    where = httpx.URL(back.headers["location"])
    assert problem(await owner.get(where.raw_path.decode())) == (400, "invalid_state")


async def test_a_code_that_came_before_the_end(live_house: House, meta: Meta) -> None:
    """The exchange does not begin, and the code is destroyed."""
    owner = await live_house.person()
    label_id = await live_house.label(owner)
    wish = {"provider": "instagram", "features": ["messages"]}
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=wish)).json()
    desk = Desk(live_house, owner, label_id, begun["id"])
    async with httpx.AsyncClient(trust_env=False) as browser:
        back = await browser.post(begun["authorize_url"], data={"account": "nightjar.records", "allow": "1"})
    await owner.get(httpx.URL(back.headers["location"]).raw_path.decode())
    assert len(await desk.stored("secrets")) == 1
    await leave(desk)
    await to_the_end(desk)
    assert await desk.stored("secrets") == [] and await meta.ledger("token_issued") == []


async def test_an_ended_connection_is_shown_for_a_year(live_desk: Desk) -> None:
    """As its receipt is; then both are gone."""
    await leave(live_desk)
    await to_the_end(live_desk)
    for name in ("connections", "disconnections"):
        [stored] = await live_desk.stored(name)
        assert stored["expires_at"] == stored.get("completed_at", stored["expires_at"] - leaving.LIFE) + leaving.LIFE
    assert SETTLED > LEASE
