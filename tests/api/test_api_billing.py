"""Billing over HTTP, with nobody at Stripe's end: who may see and buy, and that what is refused stores nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.db import Doc
from app.models.access import Role
from app.services.billing.plans import LIMITS, PLANS
from tests.api.matrix_dump import SPANS
from tests.api.partners_harness import another_client
from tests.api.people import join
from tests.api.test_api_inbox_plans import BAD, stages
from tests.api.test_api_publishing_plans import Finds
from tests.house import NOBODY, House, billing_env, open_house, paying, settings_env

WATCHED = ("billing_accounts", "billing_orders", "billing_links", "memberships", "invitations", "api_clients")
"""Besides those that `Finds` watches already."""
TAX = {"type": "gb_vat", "value": "GB1"}


@pytest.fixture
async def till(mongodb_url: str, redis_url: str, key_folder: Path) -> AsyncIterator[House]:
    """The product with billing on."""
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, **billing_env(NOBODY))
    async with open_house(env) as found:
        yield found


async def stored(house: House) -> list[int]:
    """How much there is of what an order writes."""
    names = ("billing_orders", "billing_links", "operations")
    return [await house.db.raw[name].count_documents({}, comment=SPANS) for name in names]


async def test_plans_are_public(till: House) -> None:
    """For anybody, with whole amounts, capitals and digits."""
    answer = await till.http.get("/v1/plans")
    found = answer.raise_for_status().json()["data"]
    assert [plan["name"] for plan in found] == list(PLANS)
    assert found[0]["prices"] == [] and found[0]["trial_days"] == 0
    yen = next(price for price in found[1]["prices"] if (price["interval"], price["currency"]) == ("month", "JPY"))
    assert yen == {"interval": "month", "currency": "JPY", "digits": 0, "amount": 3000}
    seen = {"If-None-Match": f'"x", W/{answer.headers["ETag"]}'}
    same = await till.http.get("/v1/plans", headers=seen)
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    assert answer.headers["ETag"] and "." not in str([price["amount"] for plan in found for price in plan["prices"]])


async def test_billing_off_limits_nothing(house: House) -> None:
    """It says so; whoever asks to buy is told; and more than the free plan has can be made."""
    owner = await house.person()
    path = f"/v1/labels/{await house.label(owner)}"
    shown = (await owner.get(f"{path}/billing")).raise_for_status().json()
    assert (shown["billing"], shown["access"], shown["trial_available"]) == ("off", "full", False)
    assert [(row["limit"], row["most"]) for row in shown["limits"]] == [(limit, None) for limit in LIMITS]
    asked: list[tuple[str, str, Any]] = [
        ("POST", "checkout", {"plan": "pro"}),
        ("POST", "portal", None),
        ("POST", "preview", {"plan": "pro"}),
        ("POST", "change", {"plan": "pro"}),
        ("POST", "cancel", None),
        ("POST", "resume", None),
        ("PUT", "details", {"name": "N", "email": "a@example.com", "country": "GB"}),
    ]
    before = await stored(house)
    for method, what, body in asked:
        refused = await owner.request(method, f"{path}/billing/{what}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "billing_off"), what
    assert await stored(house) == before
    for _ in range((PLANS["free"].entitlements.partner_clients or 0) + 1):
        await another_client(house, owner, path.rsplit("/", 1)[1], "billing:read")


@pytest.mark.parametrize(
    ("what", "body", "pointer"),
    [
        ("checkout", {}, "/plan"),
        ("checkout", {"plan": "free"}, "/plan"),
        ("checkout", {"plan": "pro", "interval": "week"}, "/interval"),
        ("checkout", {"plan": "pro", "currency": "KWD"}, "/currency"),
        ("checkout", {"plan": "pro", "price": "price_1"}, ""),
        ("checkout", {"plan": "pro", "return_to": "javascript:alert(1)"}, "/return_to"),
        ("portal", {"return_to": "ftp://example.com"}, "/return_to"),
        ("change", {"plan": "pro", "preview_id": 7}, "/preview_id"),
        ("details", {"name": " ", "email": "a@example.com", "country": "GB"}, "/name"),
        ("details", {"name": "N\nM", "email": "a@example.com", "country": "GB"}, "/name"),
        ("details", {"name": "N", "email": "none", "country": "GB"}, "/email"),
        ("details", {"name": "N", "email": "a@example.com", "country": "gb"}, "/country"),
        (
            "details",
            {"name": "N", "email": "a@example.com", "country": "GB", "tax_ids": [{"type": "xx", "value": "123"}]},
            "/tax_ids/0/type",
        ),
        (
            "details",
            {"name": "N", "email": "a@example.com", "country": "GB", "tax_ids": [TAX, TAX]},
            "/tax_ids",
        ),
    ],
)
async def test_bad_input_stores_nothing(till: House, what: str, body: Doc, pointer: str) -> None:
    """Each with a pointer to the field."""
    owner = await till.person()
    path = f"/v1/labels/{await till.label(owner)}/billing/{what}"
    before = await stored(till)
    answer = await owner.request("PUT" if what == "details" else "POST", path, json=body)
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert await stored(till) == before
    assert await till.db.raw["billing_accounts"].count_documents({}, comment=SPANS) == 0


async def test_who_may_see_and_who_may_buy(till: House) -> None:
    """Owners and admins buy; analysts and partners with the scope see; editors and agents do neither."""
    owner = await till.person()
    label_id = await till.label(owner)
    path = f"/v1/labels/{label_id}/billing"
    roles: tuple[Role, ...] = ("admin", "editor", "agent", "analyst")
    people = {role: await join(till, f"{role}@example.com", label_id, role) for role in roles}
    partner = await (await another_client(till, owner, label_id, "billing:read")).api()
    other = await (await another_client(till, owner, label_id, "label:read")).api()
    sees = {"admin": 200, "analyst": 200, "editor": 403, "agent": 403}
    assert {role: (await person.get(path)).status_code for role, person in people.items()} == sees
    buys = {"admin": 202, "analyst": 403, "editor": 403, "agent": 403}
    wish = {"plan": "pro"}
    asked = {role: await person.post(f"{path}/checkout", json=wish) for role, person in people.items()}
    assert {role: answer.status_code for role, answer in asked.items()} == buys
    assert ((await partner.get(path)).status_code, (await other.get(path)).status_code) == (200, 403)
    assert (await partner.post(f"{path}/portal")).status_code == 403
    order = (await owner.post(f"{path}/checkout", json=wish)).json()
    assert (await partner.get(f"{path}/orders/{order['id']}")).status_code == 403


async def test_an_order_is_asked_for_once(till: House) -> None:
    """The same key gets the first answer; nothing of it calls anybody while the caller waits."""
    owner = await till.person()
    path = f"/v1/labels/{await till.label(owner)}/billing/checkout"
    headers = {"Idempotency-Key": "buy-1"}
    first = await owner.post(path, json={"plan": "pro"}, headers=headers)
    again = await owner.post(path, json={"plan": "pro"}, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.headers["Location"] == f"/v1/operations/{first.json()['operation_id']}"
    assert (await owner.post(path, json={"plan": "starter"}, headers=headers)).status_code == 422
    [logged] = (await owner.get(path.replace("billing/checkout", "audit-log"))).json()["data"][:1]
    assert (logged["action"], logged["details"]) == ("billing.checkout_asked", {"interval": "month", "plan": "pro"})


async def test_everything_asked_of_the_store_walks_an_index(
    mongodb_url: str, redis_url: str, key_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How a label stands, what it may make, and what it orders."""
    finds = Finds()
    monkeypatch.setattr("tests.api.test_api_publishing_plans.WATCHED", {*WATCHED, "connections", "publications"})
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, **billing_env(NOBODY))
    async with open_house(env, listeners=(finds,)) as house:
        owner = await house.person()
        label_id = await house.label(owner)
        path = f"/v1/labels/{label_id}"
        await house.db.open("billing_accounts").insert_one(paying(label_id, "pro", house.clock()))
        finds.kept = []
        await owner.get(f"{path}/billing")
        await owner.get(f"{path}/billing/details")
        order = (await owner.post(f"{path}/billing/portal")).raise_for_status().json()
        await owner.get(f"{path}/billing/orders/{order['id']}")
        (await owner.post(f"{path}/billing/preview", json={"plan": "label_group"})).raise_for_status()
        await owner.post(f"{path}/billing/change", json={"plan": "starter"})
        await owner.post(f"{path}/invitations", json={"email": "guest@example.com", "role": "agent"})
        await owner.post(f"{path}/connections", json={"provider": "instagram", "features": ["messages"]})
        kept, finds.kept = finds.kept, None
        assert {one.get("find", one.get("aggregate")) for one in kept} >= {*WATCHED} - {"billing_links"}
        for command in kept:
            told = await house.db.raw.command("explain", command, verbosity="queryPlanner")
            found = set(stages(told["queryPlanner"]["winningPlan"] if "queryPlanner" in told else told))
            assert found and not found & BAD, (command, found & BAD)
