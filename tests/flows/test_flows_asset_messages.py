"""The label's own files in messages: sent by a link of ours, held while they wait, and another label's never."""

import asyncio
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.flows.assets_harness import jpeg, shelf_for, video
from tests.flows.flows_harness import Desk, Meta
from tests.flows.sending_harness import WAYS, talk, talk_by
from tests.house import House


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_is_sent_by_a_link_of_ours(live_house: House, meta: Meta, tmp_path: Path, way: str) -> None:
    """Meta is given an address that leads to our own object, for an hour; no text of people's is in it."""
    found = await talk_by(way, live_house, meta)
    async with shelf_for(live_house, found.desk.owner, found.desk.label_id) as shelf:
        image = await shelf.upload(jpeg(), name="Sleeve, front ✨.jpg")
        film = await shelf.upload(video(tmp_path / "made.mp4"), "video/mp4")
        for asset, kind in ((image, "image"), (film, "video")):
            message, operation = await found.send({"asset_id": asset["id"]})
            assert (message["state"], operation["state"]) == ("sent", "succeeded"), operation
            assert (message["attachments"][0]["type"], message["attachments"][0]["asset_id"]) == (kind, asset["id"])
            [*_, row] = await meta.ledger("message_sent")
            sent = row["body"]["message"]["attachment"]
            assert sent["type"] == kind and sent["payload"]["url"].isascii()
            assert urlsplit(sent["payload"]["url"]).netloc == urlsplit(live_house.api.settings.public_url).netloc
            assert "Sleeve" not in sent["payload"]["url"]
            fetched = await shelf.outside.get(sent["payload"]["url"])
            assert fetched.content == (await shelf.fetch(asset, "original")).content
            uses = (await shelf.owner.get(f"{shelf.path}/{asset['id']}/uses")).json()["data"]
            assert uses == [{"kind": "message", "id": message["id"], "state": "sent", "needed": False}]
        live_house.clock.offset += timedelta(hours=1, minutes=1)
        assert (await shelf.outside.get(sent["payload"]["url"])).json()["code"] == "link_refused"


async def test_what_waits_holds_its_file(live_desk: Desk, meta: Meta) -> None:
    """A file cannot be deleted before the message that sends it has gone; afterwards it can."""
    found = await talk(live_desk)
    async with shelf_for(live_desk.house, live_desk.owner, live_desk.label_id) as shelf:
        asset = await shelf.upload(jpeg())
        message = await found.say({"asset_id": asset["id"]})
        refused = await shelf.owner.delete(f"{shelf.path}/{asset['id']}")
        assert (refused.status_code, refused.json()["code"]) == (409, "asset_in_use")
        assert message["id"] in refused.json()["detail"]
        await found.after_work(message)
        assert (await shelf.owner.delete(f"{shelf.path}/{asset['id']}")).status_code == 202
        assert (await found.say({"asset_id": asset["id"]}, 422))["code"] == "asset_not_found"


async def test_files_that_cannot_be_sent(live_desk: Desk, meta: Meta) -> None:
    """One that is not ready, another label's, and one that is too large for a message: nothing is queued."""
    found = await talk(live_desk)
    house, owner = live_desk.house, live_desk.owner
    async with shelf_for(house, owner, live_desk.label_id) as shelf:
        waiting = await shelf.begin()
        assert (await found.say({"asset_id": waiting["id"]}, 409))["code"] == "asset_not_ready"
        ready = await shelf.upload(jpeg())
        place = {"_id": ready["id"], "label_id": live_desk.label_id}
        await house.db.open("assets").update_one(place, {"$set": {"renditions.0.bytes": 8_000_001}})
        too_large = await found.say({"asset_id": ready["id"]}, 422)
        assert too_large["errors"][0]["pointer"] == "/asset_id"
    other: httpx.AsyncClient = await house.person("other@example.com")
    async with shelf_for(house, other, await house.label(other, "another")) as theirs:
        foreign = await theirs.upload(jpeg())
    assert (await found.say({"asset_id": foreign["id"]}, 422))["code"] == "asset_not_found"
    assert await live_desk.stored("operations", kind="send_reply") == []


async def test_a_file_that_went_before_it_was_sent_again(live_desk: Desk, meta: Meta) -> None:
    """A reply that failed does not hold its file; without it, it cannot be sent again."""
    found = await talk(live_desk)
    async with shelf_for(live_desk.house, live_desk.owner, live_desk.label_id) as shelf:
        asset = await shelf.upload(jpeg())
        message = await found.say({"asset_id": asset["id"]})
        place = {"_id": message["id"], "label_id": live_desk.label_id}
        await live_desk.house.db.open("messages").update_one(place, {"$set": {"state": "failed"}})
        failed = {"$set": {"state": "failed"}, "$unset": {"due_at": ""}}
        place = {"_id": message["operation_id"], "label_id": live_desk.label_id}
        await live_desk.house.db.open("operations").update_one(place, failed)
        (await shelf.owner.delete(f"{shelf.path}/{asset['id']}")).raise_for_status()
        again = await found.do(f"/messages/{message['id']}/retry", status=422)
        assert again["code"] == "asset_not_found"


async def test_sent_and_deleted_at_once(live_desk: Desk, meta: Meta) -> None:
    """One of the two wins: never does a message wait whose file is gone."""
    found = await talk(live_desk)
    async with shelf_for(live_desk.house, live_desk.owner, live_desk.label_id) as shelf:
        for _ in range(5):
            asset = await shelf.upload(jpeg())
            said, deleted = await asyncio.gather(
                live_desk.owner.post(f"{found.path}/messages", json={"asset_id": asset["id"]}),
                live_desk.owner.delete(f"{shelf.path}/{asset['id']}"),
            )
            assert (said.status_code, deleted.status_code) in ((202, 409), (422, 202)), (said.text, deleted.text)
