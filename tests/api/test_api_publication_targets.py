"""What people decide about what is left of a publication at its accounts."""

import pytest

from app.db import Doc
from tests.api.publishing_harness import Desk, open_desk
from tests.house import House


@pytest.fixture
async def desk(house: House) -> Desk:
    """A label that publishes."""
    return await open_desk(house)


async def beside_a_published_one(desk: Desk, left: str) -> tuple[Doc, str]:
    """A publication that is on one Page, and whose target at another is so; it, and that target's id."""
    on: Doc = {"features": ["publishing"], "active_features": ["publishing"]}
    on |= {"provider": "facebook", "network": "facebook"}
    other = await desk.house.connection(desk.label_id, "10000000000000078", **on)
    named = {"$set": {"account.kind": "page"}}
    await desk.house.db.open("connections").update_one({"_id": other["_id"], "label_id": desk.label_id}, named)
    draft = await desk.draft(targets=[desk.page, other["_id"]], assets=[await desk.asset()])
    (await desk.step(draft, "schedule")).raise_for_status()
    ids = [one["id"] for one in (await desk.get(draft))["deliveries"]]
    for target_id, state in zip(ids, ("published", left), strict=True):
        place = {"label_id": desk.label_id, "_id": target_id}
        target = await desk.house.db.open("publication_targets").find_one_and_update(place, {"$set": {"state": state}})
        assert target is not None
        over = {"$set": {"state": "succeeded" if state != "needs_decision" else "failed"}, "$unset": {"due_at": ""}}
        place = {"label_id": desk.label_id, "_id": target["operation_id"]}
        await desk.house.db.open("operations").update_one(place, over)
    place = {"label_id": desk.label_id, "_id": draft["id"]}
    await desk.house.db.open("publications").update_one(place, {"$set": {"state": "needs_decision"}})
    return draft, ids[1]


@pytest.mark.parametrize("left", ["needs_decision", "to_do"])
async def test_what_waits_beside_what_is_published(desk: Desk, left: str) -> None:
    """Nothing can be cancelled any more; whoever says that it is not there closes it, and may try it again."""
    draft, target_id = await beside_a_published_one(desk, left)
    assert (await desk.step(draft, "cancel")).json()["code"] == "already_publishing"
    asset = f"/v1/labels/{desk.label_id}/assets/{draft['assets'][0]}"
    assert (await desk.owner.get(f"{asset}/uses")).json()["data"][0]["needed"]
    path = f"targets/{target_id}/decide"
    assert (await desk.step(draft, path, {"outcome": "published"})).json()["code"] == "nothing_to_decide"
    closed = await desk.step(draft, path, {"outcome": "not_published"})
    assert (closed.status_code, closed.json()["state"]) == (200, "failed"), closed.text
    assert (await desk.get(draft))["state"] == "partly_published"
    assert not (await desk.owner.get(f"{asset}/uses")).json()["data"][0]["needed"]
    assert (await desk.step(draft, path, {"outcome": "not_published"})).status_code == 409
    assert (await desk.step(draft, "retry")).status_code == 202


async def test_rescheduled_again_and_again(desk: Desk) -> None:
    """What was cancelled before anything was done leaves nothing behind."""
    draft = await desk.draft()
    for hours in range(1, 6):
        (await desk.step(draft, "schedule", {"scheduled_at": desk.soon(hours=hours)})).raise_for_status()
    attempts = (await desk.owner.get(f"{desk.path}/{draft['id']}/attempts")).json()["data"]
    assert [one["state"] for one in attempts] == ["waiting"]
