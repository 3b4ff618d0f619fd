"""Files that publications need: shown, held while they may go out, and let go afterwards."""

import asyncio
from datetime import timedelta

from app.db import Doc
from tests.api.publishing_harness import Desk, open_desk
from tests.flows.assets_harness import Shelf, jpeg, picture, shelf_for
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


async def test_an_old_use_is_not_forgotten(house: House) -> None:
    """What needs a file holds it, however many newer ones do not."""
    desk = await open_desk(house)
    async with shelf_for(house, desk.owner, desk.label_id) as shelf:
        asset = await shelf.upload(jpeg())
        needs = await desk.draft(body=await desk.body(assets=[asset["id"]]))
        assert (await desk.step(needs, "schedule")).status_code == 202
        (stored,) = await house.db.open("publications").find({"label_id": desk.label_id}).to_list()
        newer = [stored | {"_id": f"pub_9{n:03}", "state": "draft"} for n in range(101)]
        await house.db.open("publications").insert_many(newer)
        assert (await desk.owner.delete(f"{shelf.path}/{asset['id']}")).status_code == 409
        uses = (await desk.owner.get(f"{shelf.path}/{asset['id']}/uses")).json()["data"]
        assert (uses[0]["id"], [use["needed"] for use in uses]) == (needs["id"], [True] + [False] * 100)


async def test_what_was_approved_is_what_is_shown(house: House) -> None:
    """Another focus makes other pictures, and new words are for what is written later: the publication keeps what it
    had when it was asked for, also in the storage, until it is changed."""
    desk = await open_desk(house)
    async with shelf_for(house, desk.owner, desk.label_id) as shelf:
        asset = await shelf.upload(jpeg(picture(600, 1600)), alt_text="As it was approved")
        body = await desk.body(assets=[asset["id"]], scheduled_at=desk.soon(days=9))
        draft = await desk.draft(body=body)
        assert draft["alt_texts"] == []
        asked = (await desk.step(draft, "submit")).raise_for_status().json()
        told = {"alt_text": "Nobody approved this", "focus": {"x": 0.5, "y": 0.0}}
        before = await shelf.stored()
        (await desk.owner.patch(f"{shelf.path}/{asset['id']}", json=told)).raise_for_status()
        await house.work()
        (await desk.step(draft, "approve")).raise_for_status()
        scheduled = (await desk.step(draft, "schedule", by=desk.editor)).raise_for_status().json()
        said = [{"asset_id": asset["id"], "text": "As it was approved"}]
        assert asked["alt_texts"] == scheduled["alt_texts"] == said and scheduled["alt_text"] == said[0]["text"]
        (target,) = await house.db.open("publication_targets").find({"label_id": desk.label_id}).to_list()
        kept = {one["name"]: one["key"] for one in target["snapshot"]["shown"][asset["id"]]["renditions"]}
        assert set(kept) == {"original", "4:5"} and any(kept["4:5"] in path for path in before)
        for _ in range(2):
            await shelf.later(timedelta(hours=25))
        assert any(kept["4:5"] in path for path in await shelf.stored())
        path = f"{desk.path}/{draft['id']}"
        again = (await desk.owner.patch(path, json={"assets": [asset["id"]]})).raise_for_status().json()
        assert (again["state"], again["alt_texts"]) == ("draft", [])
        scheduled = (await desk.step(draft, "schedule")).raise_for_status().json()
        assert scheduled["alt_text"] == "Nobody approved this"
        await shelf.later(timedelta(hours=25))
        left = await shelf.stored()
        assert not any(kept["4:5"] in path for path in left) and any(kept["original"] in path for path in left)


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
