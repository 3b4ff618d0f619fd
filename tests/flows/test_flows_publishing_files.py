"""What Meta is given of a publication's files: as they were approved, and no words where it takes none."""

from datetime import timedelta

from app.db import Doc
from tests.flows.publishing_harness import Press, asset_of

MINUTE = timedelta(minutes=1)


async def test_a_story_of_a_described_picture(press: Press) -> None:
    """Its words stay here: Meta refuses a story with any."""
    publication = await press.schedule("story", after=20 * MINUTE)
    await change_file(press, publication["assets"][0], {"alt_text": "A black sleeve"})
    assert (await press.settle(publication))["state"] == "published"
    (made,) = await press.meta.ledger("container_created")
    assert (made["media_type"], made["alt_text"]) == ("STORIES", "")


async def test_files_that_change_after_the_approval(press: Press) -> None:
    """The words and the crop that were scheduled go out."""
    label_id, house = press.desk.label_id, press.house
    asset = asset_of(label_id, "image", 1, house.clock()) | {"alt_text": "A black sleeve", "width": 600, "height": 1600}
    original = asset["renditions"][0] | {"width": 600, "height": 1600}
    crop = original | {"name": "4:5", "key": "labels/approved", "height": 750}
    await house.db.open("assets").insert_one(asset | {"renditions": [original, crop]})
    body: Doc = {"kind": "image", "targets": [press.desk.connection_id], "assets": [asset["_id"]], "caption": "Out."}
    draft = await press.post("/publications", 201, **body, local_time="2030-01-01T00:00")
    publication = {"_id": draft["id"]}
    at = house.clock() + 20 * MINUTE
    await press.post(f"/publications/{draft['id']}/schedule", 202, scheduled_at=at.isoformat())
    later = {"alt_text": "Nobody approved this", "renditions": [original, crop | {"key": "labels/changed"}]}
    await change_file(press, asset["_id"], later)
    assert (await press.settle(publication))["state"] == "published"
    (made,) = await press.meta.ledger("container_created")
    assert made["alt_text"] == "A black sleeve"
    asked = [path for path in press.files.asked if "labels/" in path]
    assert any("approved" in path for path in asked) and not any("changed" in path for path in asked)


async def change_file(press: Press, asset_id: str, changes: Doc) -> None:
    """Change a file as it is stored."""
    key = {"_id": asset_id, "label_id": press.desk.label_id}
    await press.house.db.open("assets").update_one(key, {"$set": changes})
