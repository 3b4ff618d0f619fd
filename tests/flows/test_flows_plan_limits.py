"""What a plan allows: over it, a word that says what to do, and nothing breaks. Of two, one gets the last place."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.db import Doc
from app.services.billing.plans import GIB, PLANS, Entitlements
from app.services.connections.activation import _take_place
from tests.flows.billing_harness import Shop
from tests.house import paying


@pytest.fixture(autouse=True)
def small_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans whose limits a test can reach."""
    small = {"free": Entitlements(2, 2, 20, GIB, 0), "starter": Entitlements(6, 5, 150, 20 * GIB, 1)}
    for name in ("free", "starter"):
        monkeypatch.setitem(PLANS, name, replace(PLANS[name], entitlements=small[name]))


async def put(shop: Shop, plan: str | None, **subscription: Any) -> None:
    """Have the label pay for a plan, or for none."""
    accounts = shop.house.db.open("billing_accounts")
    await accounts.delete_many({"label_id": shop.label_id})
    if plan:
        await accounts.insert_one(paying(shop.label_id, plan, shop.house.clock(), **subscription))


def label(shop: Shop, path: str) -> str:
    """A path of the label's."""
    return f"/v1/labels/{shop.label_id}/{path}"


async def invite(shop: Shop, number: int) -> httpx.Response:
    """Ask somebody."""
    body = {"email": f"guest{number}@example.com", "role": "agent"}
    return await shop.owner.post(label(shop, "invitations"), json=body)


async def an_asset(shop: Shop, size: int) -> httpx.Response:
    """Begin an upload."""
    body = {"name": "clip.mp4", "content_type": "video/mp4", "bytes": size}
    return await shop.owner.post(label(shop, "assets"), json=body)


async def test_the_last_seat_is_given_once(shop: Shop) -> None:
    """The owner has one of two; of six who are asked at once, one gets the other. The word says which plan has more."""
    answers = await asyncio.gather(*(invite(shop, number) for number in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 402, 402, 402, 402, 402]
    problem = next(answer.json() for answer in answers if answer.status_code == 402)
    assert problem["code"] == "plan_limit_reached"
    assert problem["plan_limits"] == [
        {"limit": "seats", "used": 2, "most": 2, "plan": "free", "plan_with_more": "starter", "remove": 1}
    ]
    assert "choose starter" in problem["detail"]
    shown = {row["limit"]: row for row in (await shop.billing())["limits"]}
    assert shown["seats"] == {"limit": "seats", "used": 2, "most": 2, "plan_with_more": "starter"}


async def test_who_was_asked_comes_while_there_is_room(shop: Shop) -> None:
    """The invitation has its seat already; where the plan has become too small meanwhile, nobody more comes in."""
    await put(shop, "starter")
    for number in range(4):
        assert (await invite(shop, number)).status_code == 201
    assert (await invite(shop, 9)).json()["plan_limits"][0]["most"] == 5
    again = await invite(shop, 0)
    assert again.status_code == 201, "another invitation to the same address takes the place of the first"
    await shop.house.work()

    async def accept(number: int) -> httpx.Response:
        [mail, *_] = await shop.house.mails(f"guest{number}@example.com")
        account = {"name": "Ines", "password": "a few words of my own", "date_of_birth": "1990-05-17"}
        body = {"token": mail["token"], "account": account | {"policy_version": "2026-03-13"}}
        return await shop.house.http.post("/v1/invitations/accept", json=body)

    assert (await accept(1)).status_code == 200
    await put(shop, None)
    refused = await accept(2)
    assert (refused.status_code, refused.json()["code"]) == (402, "plan_limit_reached")
    await put(shop, "starter")
    assert (await accept(2)).status_code == 200


async def test_files_take_what_the_plan_has(shop: Shop) -> None:
    """The plan decides, not the setting; the list of files says how much there is."""
    shown = (await shop.owner.get(label(shop, "assets"))).json()
    assert shown["most_bytes"] == GIB
    size, sent = 250_000_000, 0
    while (answer := await an_asset(shop, size)).status_code == 201:
        sent += 1
    assert sent == GIB // size
    problem = answer.json()
    assert problem["code"] == "plan_limit_reached" and problem["plan_limits"][0]["plan_with_more"] == "starter"
    await put(shop, "pro")
    assert (await an_asset(shop, size)).status_code == 201


async def test_clients_and_accounts_are_counted(shop: Shop) -> None:
    """The free plan has no API client, and two accounts; what is connected meanwhile is not connected by a third."""
    body = {"name": "Partner", "scopes": ["billing:read"], "expires_in_days": 30}
    refused = await shop.owner.post(label(shop, "api-clients"), json=body)
    assert (refused.status_code, refused.json()["plan_limits"][0]["plan_with_more"]) == (402, "starter")
    await shop.house.connection(shop.label_id, "17841400000000099")
    connected = await shop.house.connect(shop.owner, shop.label_id)
    assert connected["status"] == "active"
    wish = {"provider": "instagram", "features": ["messages"]}
    third = await shop.owner.post(label(shop, "connections"), json=wish)
    assert (third.status_code, third.json()["plan_limits"][0]["limit"]) == (402, "connections")
    assert (await shop.owner.get(label(shop, "connections"))).json()["data"][1]["status"] == "active"


async def test_two_log_ins_that_end_at_once_get_one_place(shop: Shop) -> None:
    """Both began while there was room. The second is told, and nothing of it stays."""
    await shop.house.connection(shop.label_id, "17841400000000001")
    for _ in range(2):
        assert (await shop.owner.post(label(shop, "connections"), json=WISH)).status_code == 201
    pending = await shop.house.db.open("connections").find({"label_id": shop.label_id, "status": "pending"}).to_list()
    hands = shop.house.worker.hands
    readies: list[Doc] = [{"active_account_id": f"1784140000000010{n}", "network": "instagram"} for n in range(2)]

    async def take(number: int) -> str:
        try:
            await hands.db.in_transaction(lambda session: _take_place(hands, pending[number], readies[number], session))
        except Exception as exc:  # the test names which below
            return type(exc).__name__
        return "taken"

    assert sorted(await asyncio.gather(take(0), take(1))) == ["PlanLimitReached", "taken"]


WISH = {"provider": "instagram", "features": ["messages"]}


@pytest.mark.parametrize("status", ["unpaid", "paused"])
async def test_read_only_refuses_what_is_new(shop: Shop, status: str) -> None:
    """With a code of its own; reading, leaving and paying go on."""
    connection = await shop.house.connection(shop.label_id)
    await put(shop, "pro", status=status)
    new: list[tuple[str, Any]] = [
        ("connections", WISH),
        ("invitations", {"email": "new@example.com", "role": "agent"}),
        ("api-clients", {"name": "Partner", "scopes": ["billing:read"], "expires_in_days": 30}),
        ("assets", {"name": "a.jpg", "content_type": "image/jpeg"}),
        ("rules", {"name": "R", "when": "message", "actions": [{"kind": "notify"}]}),
        ("saved-replies", {"name": "R", "text": "Hi"}),
        ("publications", {"kind": "image", "targets": [connection["_id"]], "caption": "x"}),
        ("publications/import", {"csv": "kind,caption\nimage,x\n"}),
        ("slots", {"name": "S", "connection_ids": [connection["_id"]], "days": ["fri"], "time": "18:30"}),
        ("release-plans", {"title": "T", "release_date": "2027-02-26"}),
    ]
    for path, body in new:
        refused = await shop.owner.post(label(shop, path), json=body)
        assert (refused.status_code, refused.json()["code"]) == (402, "billing_read_only"), (path, refused.text)
    for path in ("conversations", "connections", "assets", "members", "billing", "billing/details", "rules"):
        assert (await shop.owner.get(label(shop, path))).status_code == 200
    assert (await shop.billing())["access"] == "read_only"
    assert (await shop.ask("portal"))["kind"] == "portal"
    gone = await shop.owner.delete(label(shop, f"connections/{connection['_id']}"))
    assert gone.status_code == 202
    assert (await shop.owner.delete(f"/v1/labels/{shop.label_id}")).status_code == 202


async def test_a_failed_payment_leaves_time(shop: Shop) -> None:
    """Past due, the plan goes on for some days, with a warning; then nothing new is made."""
    await put(shop, "pro", status="past_due")
    await shop.set_account({"past_due_since": shop.house.clock()})
    assert ((await shop.billing())["access"], (await invite(shop, 1)).status_code) == ("grace", 201)
    shop.house.clock.offset += timedelta(days=8)
    login = {"email": "owner@example.com", "password": "a long sentence only I know"}
    fresh = (await shop.house.http.post("/v1/sessions", json=login)).json()["access_token"]
    shop.owner.headers["Authorization"] = f"Bearer {fresh}"
    assert ((await shop.billing())["access"], (await invite(shop, 2)).status_code) == ("read_only", 402)


async def test_what_is_over_the_limit_goes_on(shop: Shop) -> None:
    """After the plan has ended, nothing that is there is taken away; only more of it is refused."""
    for number in range(4):
        await shop.house.connection(shop.label_id, f"1784140000000000{number}")
    shown = {row["limit"]: row for row in (await shop.billing())["limits"]}["connections"]
    assert (shown["used"], shown["most"], shown["plan_with_more"]) == (
        4,
        PLANS["free"].entitlements.connections,
        "starter",
    )
    assert (await shop.owner.post(label(shop, "connections"), json=WISH)).status_code == 402
    found = (await shop.owner.get(label(shop, "connections"))).json()["data"]
    assert [one["status"] for one in found] == ["active"] * 4
