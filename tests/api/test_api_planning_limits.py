"""A month's publications by the plan: whatever puts one more into a month needs room there, and a plan that is paid."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db import Doc
from app.services.billing.plans import PLANS
from tests.api.publishing_harness import Desk, open_desk
from tests.api.test_api_release_plans import a_plan, on
from tests.house import NOBODY, billing_env, open_house, paying, settings_env


@pytest.fixture
async def desk(
    mongodb_url: str, redis_url: str, key_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """A label that publishes, whose plan has two publications a month."""
    for name in ("free", "pro"):
        few = replace(PLANS[name].entitlements, publications_month=2)
        monkeypatch.setitem(PLANS, name, replace(PLANS[name], entitlements=few))
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, **billing_env(NOBODY))
    async with open_house(env) as house:
        yield await open_desk(house)


def months_ahead(desk: Desk, months: int, day: int = 10) -> date:
    """A day of a month to come."""
    today = desk.house.clock().date()
    ahead = today.year * 12 + today.month - 1 + months
    return date(ahead // 12, ahead % 12 + 1, day)


async def scheduled(desk: Desk, **changes: Any) -> Doc:
    """A publication that waits for its time."""
    draft = await desk.draft(**changes)
    assert (await desk.step(draft, "schedule")).status_code == 202
    return draft


async def move(desk: Desk, plan: Doc, to: date, *, dry_run: bool = False) -> httpx.Response:
    """Move a release."""
    path = f"/v1/labels/{desk.label_id}/release-plans/{plan['id']}/move"
    return await desk.owner.post(path, params={"dry_run": dry_run}, json={"release_date": to.isoformat()})


async def unpaid(desk: Desk) -> None:
    """Have the label not pay any more."""
    accounts = desk.house.db.open("billing_accounts")
    await accounts.delete_many({"label_id": desk.label_id})
    await accounts.insert_one(paying(desk.label_id, "pro", desk.house.clock(), status="unpaid"))


async def test_a_release_moves_only_where_there_is_room(desk: Desk) -> None:
    """Told beforehand, and nothing has moved; what leaves the month at the same time makes room."""
    plan = await a_plan(desk, months_ahead(desk, 4))
    mine = [await scheduled(desk, **on(plan, days)) for days in (0, 1)]
    await scheduled(desk, scheduled_at=f"{months_ahead(desk, 3)}T15:00:00Z")
    before = [await desk.get(one) for one in mine]
    for dry_run in (True, False):
        refused = await move(desk, plan, months_ahead(desk, 3), dry_run=dry_run)
        assert (refused.status_code, refused.json()["code"]) == (402, "plan_limit_reached")
        [limit] = refused.json()["plan_limits"]
        assert (limit["limit"], limit["used"], limit["most"], limit["remove"]) == ("publications_month", 1, 2, 1)
    assert [await desk.get(one) for one in mine] == before
    assert (await move(desk, plan, months_ahead(desk, 4, 20))).status_code == 200
    assert (await move(desk, plan, months_ahead(desk, 5))).status_code == 200
    spread = await a_plan(desk, months_ahead(desk, 7))
    for days in (0, 31):  # one of them in the month into which the other comes
        await scheduled(desk, **on(spread, days))
    await scheduled(desk, scheduled_at=f"{months_ahead(desk, 8)}T15:00:00Z")
    assert (await move(desk, spread, months_ahead(desk, 8))).status_code == 200


async def test_a_move_while_nothing_new_may_be_made(desk: Desk) -> None:
    """Within its month it is nothing new; into another one it is."""
    plan = await a_plan(desk, months_ahead(desk, 4))
    await scheduled(desk, **on(plan, 0))
    await unpaid(desk)
    refused = await move(desk, plan, months_ahead(desk, 5))
    assert (refused.status_code, refused.json()["code"]) == (402, "billing_read_only")
    assert (await move(desk, plan, months_ahead(desk, 4, 12))).status_code == 200


async def test_what_has_failed_needs_a_place_anew(desk: Desk) -> None:
    """Another has taken its place since; what is partly there has kept it."""
    at = f"{months_ahead(desk, 4)}T15:00:00Z"
    first, db = await scheduled(desk, scheduled_at=at), desk.house.db
    mine = {"label_id": desk.label_id}
    failed: Doc = {"$set": {"state": "failed", "problem": {"code": "refused", "detail": "Refused."}}}

    async def fail(state: str) -> None:
        await db.open("publication_targets").update_many(mine | {"publication_id": first["id"]}, failed)
        await db.open("publications").update_one(mine | {"_id": first["id"]}, {"$set": {"state": state}})
        over: Doc = {"$set": {"state": "failed"}, "$unset": {"due_at": ""}}
        targets = await db.open("publication_targets").find(mine | {"publication_id": first["id"]}).to_list()
        ids = [one["operation_id"] for one in targets]
        await db.open("operations").update_many(mine | {"_id": {"$in": ids}}, over)

    await fail("failed")
    others = [await scheduled(desk, scheduled_at=at) for _ in range(2)]
    path = f"{desk.path}/{first['id']}/retry"
    refused = await desk.owner.post(path)
    assert (refused.status_code, refused.json()["code"]) == (402, "plan_limit_reached")
    assert (await desk.get(first))["state"] == "failed"
    await fail("partly_published")
    assert (await desk.owner.post(path)).status_code == 202
    await fail("failed")
    assert (await desk.step(others[0], "cancel")).status_code == 200
    await unpaid(desk)
    assert (await desk.owner.post(path)).json()["code"] == "billing_read_only"
    await db.open("billing_accounts").delete_many(mine)
    assert (await desk.owner.post(path)).status_code == 202
