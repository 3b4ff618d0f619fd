"""Files that publications need: shown, held while they may go out, and let go afterwards."""

import asyncio

from app.db import Doc
from tests.api.publishing_harness import Desk, open_desk
from tests.flows.assets_harness import Shelf, jpeg, shelf_for
from tests.house import House


async def test_what_is_planned_holds_its_files(house: House) -> None:
    """A draft is only shown; what is scheduled holds its pictures; taken back, it lets them go."""
    desk = await open_desk(house)
    async with shelf_for(house, desk.owner, desk.label_id) as shelf:
        asset = await shelf.upload(jpeg())
        draft = await desk.draft(body=await desk.body(assets=[asset["id"]]))

        async def uses() -> list[Doc]:
            found: list[Doc] = (await desk.owner.get(f"{shelf.path}/{asset['id']}/uses")).json()["data"]
            return found

        assert await uses() == [{"kind": "publication", "id": draft["id"], "state": "draft", "needed": False}]
        scheduled = await desk.step(draft, "schedule")
        assert scheduled.status_code == 202, scheduled.text
        assert [(use["state"], use["needed"]) for use in await uses()] == [("scheduled", True)]
        refused = await desk.owner.delete(f"{shelf.path}/{asset['id']}")
        assert (refused.status_code, refused.json()["code"]) == (409, "asset_in_use")
        assert draft["id"] in refused.json()["detail"]
        (await desk.step(draft, "cancel")).raise_for_status()
        assert [use["needed"] for use in await uses()] == [False]
        assert (await desk.owner.delete(f"{shelf.path}/{asset['id']}")).status_code == 202


async def test_a_cover_is_a_use(house: House) -> None:
    """Also where it is no picture of the publication itself."""
    desk = await open_desk(house)
    async with shelf_for(house, desk.owner, desk.label_id) as shelf:
        cover = await shelf.upload(jpeg())
        place = {"label_id": desk.label_id, "_id": (await desk.draft())["id"]}
        with_cover = {"$set": {"cover": {"asset_id": cover["id"]}, "state": "scheduled"}}
        await house.db.open("publications").update_one(place, with_cover)
        assert (await desk.owner.delete(f"{shelf.path}/{cover['id']}")).status_code == 409


async def test_scheduled_and_deleted_at_once(house: House) -> None:
    """One of the two wins: never is something scheduled whose file is gone."""
    desk = await open_desk(house)
    async with shelf_for(house, desk.owner, desk.label_id) as shelf:
        won = [await _both(desk, shelf) for _ in range(5)]
    assert all(sorted(pair) in ([202, 409], [202, 422]) for pair in won), won


async def _both(desk: Desk, shelf: Shelf) -> list[int]:
    asset = await shelf.upload(jpeg())
    draft = await desk.draft(body=await desk.body(assets=[asset["id"]]))
    answers = await asyncio.gather(desk.step(draft, "schedule"), desk.owner.delete(f"{shelf.path}/{asset['id']}"))
    return [answer.status_code for answer in answers]
