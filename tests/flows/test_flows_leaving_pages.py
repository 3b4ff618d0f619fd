"""Leaving with Pages at the sandbox: a grant is taken back once, and only when nothing lives by it any more."""

from datetime import timedelta

from app.db import Doc
from app.services.labels.deletion import GRACE
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.flows.leaving_harness import (
    OTHER_PAGE,
    PAGE,
    SETTLED,
    leave,
    page_connection,
    results,
    stored_of,
    to_the_end,
)
from tests.house import House


async def page_desk(house: House, page: str = PAGE, who: str = "owner") -> Desk:
    """The owner of a label with a connected Page of Robin's."""
    owner = await house.person(f"{who}@example.com")
    label_id = await house.label(owner, who)
    return Desk(house, owner, label_id, (await page_connection(house, label_id, page))["_id"])


async def revocations(meta: Meta) -> list[Doc]:
    """What Facebook was asked to take back."""
    return await meta.ledger("permissions_revoked")


async def test_the_last_page_takes_the_grant_with_it(live_house: House, meta: Meta) -> None:
    """The first of two only loses its token; with the second the person's permission ends, at Facebook too."""
    first = await page_desk(live_house)
    second = await page_desk(live_house, OTHER_PAGE, "second")
    await leave(first)
    found = await to_the_end(first)
    assert (results(found)["unsubscribe"], results(found)["revoke"]) == ("done", "kept_for_others")
    assert "Business integrations" in found["advice"][0] and await revocations(meta) == []
    await leave(second)
    found = await to_the_end(second)
    assert (results(found)["revoke"], found["advice"]) == ("done", [])
    assert len(await revocations(meta)) == 1
    changes = [row for row in await meta.ledger("subscription_changed") if not row["fields"]]
    assert [row["account_id"] for row in changes] == [PAGE, OTHER_PAGE]


async def test_a_revocation_whose_answer_was_lost(live_house: House, meta: Meta) -> None:
    """The token tells that it happened: it is not asked for twice."""
    desk = await page_desk(live_house)
    await meta.control("POST", "/faults", match={"path": "permissions", "method": "DELETE"}, fault="lost", times=1)
    await leave(desk)
    await live_house.work()
    assert await revocations(meta) == []
    pass_by(live_house, SETTLED)
    await live_house.work()
    assert len(await revocations(meta)) == 1
    pass_by(live_house, timedelta(minutes=1))
    found = await to_the_end(desk)
    assert results(found)["revoke"] == "already_revoked"
    assert len(await revocations(meta)) == 1


async def test_two_that_leave_at_once(live_house: House, meta: Meta) -> None:
    """Each finds that the other lives no more; one of them takes the grant back."""
    first = await page_desk(live_house)
    second = await page_desk(live_house, OTHER_PAGE, "second")
    await leave(first)
    await leave(second)
    told = {results(await to_the_end(desk))["revoke"] for desk in (first, second)}
    assert told <= {"done", "already_revoked"}
    assert len(await revocations(meta)) == 1


async def test_a_token_that_cannot_be_read(live_house: House, meta: Meta) -> None:
    """The person's id and our app's own token are enough to take the grant back."""
    desk = await page_desk(live_house)
    await live_house.db.open("secrets").update_many({"label_id": desk.label_id}, {"$set": {"envelope.v": 99}})
    await leave(desk)
    found = await to_the_end(desk)
    assert (results(found)["unsubscribe"], results(found)["revoke"]) == ("token_unreadable", "done")
    assert len(await revocations(meta)) == 1 and await desk.stored("secrets") == []


async def test_a_label_that_is_deleted_takes_its_grants_back(live_house: House, meta: Meta) -> None:
    """Before anything of it is deleted; and then its receipts go too."""
    desk = await page_desk(live_house)
    (await desk.owner.delete(f"/v1/labels/{desk.label_id}")).raise_for_status()
    pass_by(live_house, GRACE + timedelta(seconds=1))
    for _ in range(6):
        await live_house.work()
        pass_by(live_house, SETTLED)
    assert len(await revocations(meta)) == 1
    assert await live_house.db.open("labels").find_one({"_id": desk.label_id}) is None
    assert not {*await stored_of(live_house, desk.connection_id)} - {"operations", "vault_openings"}
    assert await desk.stored("disconnections") == [] and await desk.stored("connections") == []


async def test_spotify_takes_nothing_back(live_house: House, meta: Meta) -> None:
    """It has no call for it: the token is destroyed at once, and the receipt says where the person goes."""
    owner = await live_house.person()
    label_id = await live_house.label(owner)
    fields: Doc = {"provider": "spotify", "network": "spotify", "subscription_id": None}
    connection = await live_house.connection(label_id, "wizzler01", **fields, active_features=["catalogue"])
    desk = Desk(live_house, owner, label_id, connection["_id"])
    await leave(desk)
    await live_house.work()
    assert await desk.stored("secrets") == []
    found = await to_the_end(desk)
    assert (results(found)["unsubscribe"], results(found)["revoke"]) == ("not_needed", "not_offered")
    assert "https://www.spotify.com/account/apps" in found["advice"][0]
