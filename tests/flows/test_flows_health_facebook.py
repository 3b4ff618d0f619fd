"""Pages whose owners do what they do at Facebook: each is told as what it was, and heals when it is undone."""

from typing import Any

import pytest

from app.db import Doc
from tests.flows.facebook_harness import NIGHTJAR, NIGHTJAR_IG, log_in
from tests.flows.flows_harness import Desk, Meta, rewritten
from tests.flows.test_flows_health import check, codes, status
from tests.house import House

PAGE = "Nightjar Records"
Order = tuple[str, str, dict[str, Any]]
BROKEN: dict[str, tuple[Order, Order | None]] = {
    "password_changed": (("POST", "/people/password", {"person": "robin"}), None),
    "access_removed": (("POST", "/people/remove-app", {"person": "robin"}), None),
    "account_checkpoint": (
        ("PUT", "/people/checkpoint", {"person": "robin"}),
        ("PUT", "/people/checkpoint", {"person": "robin", "active": False}),
    ),
    "page_role_lost": (("PUT", "/pages/role", {"person": "robin", "page": PAGE, "tasks": []}), None),
    "permission_withdrawn": (
        ("PUT", "/people/permissions", {"person": "robin", "permissions": {"pages_messaging": "declined"}}),
        ("PUT", "/people/permissions", {"person": "robin", "permissions": {"pages_messaging": "granted"}}),
    ),
    "webhooks_drifted": (("PUT", "/subscriptions", {"account": PAGE, "fields": []}), ("GET", "/state", {})),
}


async def connected(house: House, account: str) -> Desk:
    """A Page, or the account behind it, connected by the sandbox's real log-in."""
    login = await log_in(house)
    outcome = (await login.connect(account))[account]
    return Desk(house, login.owner, login.label_id, outcome["connection_id"])


@pytest.mark.parametrize("code", BROKEN)
async def test_each_trouble_of_a_page(live_house: House, meta: Meta, code: str) -> None:
    """One diagnosis; where the sandbox can undo it, the next check finds all well."""
    desk = await connected(live_house, NIGHTJAR)
    await check(desk)
    assert (await codes(desk), await status(desk)) == (set(), ("active", None))
    (method, path, body), undo = BROKEN[code]
    await meta.control(method, path, **body)
    await check(desk)
    assert await codes(desk) == {code}
    assert (await status(desk))[0] == (
        "active" if code in ("permission_withdrawn", "webhooks_drifted") else "needs_reauth"
    )
    if undo:
        await meta.control(undo[0], undo[1], **undo[2])
        await desk.house.work()
        await check(desk)
        assert (await codes(desk), await status(desk)) == (set(), ("active", None))


async def test_an_account_behind_a_page_that_is_unlinked(live_house: House, meta: Meta) -> None:
    """The token is good, but leads to the account no more."""
    desk = await connected(live_house, NIGHTJAR_IG)
    await check(desk)
    assert await codes(desk) == set()
    await meta.control("PUT", "/pages/link", page=PAGE, account=None)
    await check(desk)
    assert (await codes(desk), await status(desk)) == ({"account_unreachable"}, ("active", None))
    await meta.control("PUT", "/pages/link", page=PAGE, account="nightjar.records")
    await check(desk)
    assert await codes(desk) == set()


@pytest.mark.parametrize("told", [{}, {"data": []}, {"data": {}}, {"data": {"is_valid": True, "app_id": "x"}}])
async def test_nothing_follows_from_nonsense(live_house: House, meta: Meta, told: Doc) -> None:
    """Facebook does not say what the token is worth: it is not dead, and no feature is switched off."""
    desk = await connected(live_house, NIGHTJAR)
    before = (await desk.get(f"/connections/{desk.connection_id}"))["active_features"]
    async with rewritten(live_house, "/debug_token", lambda body: told):
        found = await check(desk)
    assert (found["state"], found["problem"]["code"]) == ("failed", "refused_by_provider")
    assert await status(desk) == ("active", None)
    assert (await desk.get(f"/connections/{desk.connection_id}"))["active_features"] == before


async def test_a_token_of_another_app_says_nothing(live_house: House, meta: Meta) -> None:
    """What is dead may then be the other app's: the connection stays as it is."""
    desk = await connected(live_house, NIGHTJAR)
    lie = {"app_id": "1000000000000001", "is_valid": False}
    async with rewritten(live_house, "/debug_token", lambda body: {"data": body["data"] | lie}):
        await check(desk)
    assert await status(desk) == ("active", None)
