"""Files, from the upload to the end of their objects: in a folder and in S3 alike."""

import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from app.models.assets import IMAGE_BYTES
from tests.flows.assets_harness import (
    SECRETS,
    Shelf,
    jpeg,
    make_bucket,
    s3_env,
    shelf_of,
    told_jpeg,
    video,
)
from tests.flows.flows_harness import only_the_clock_decides
from tests.house import open_house, settings_env
from tools.child import Child

RATIOS = {"4:5": 0.8, "1:1": 1.0, "1.91:1": 1.91, "9:16": 0.5625}
DAY, HELD = timedelta(days=1), timedelta(hours=2, minutes=1)
"""A form may fill the storage for two hours."""


@pytest.fixture(params=["folder", "s3"])
async def shelf(
    request: pytest.FixtureRequest, mongodb_url: str, redis_url: str, key_folder: Path
) -> AsyncIterator[Shelf]:
    """A label's files in each kind of storage."""
    more: dict[str, str] = {}
    if request.param == "s3":
        moto: Child = request.getfixturevalue("moto_child")
        more = s3_env(moto.url)
        await make_bucket(moto.url)
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url) | more
    async with open_house(env) as house, shelf_of(house) as found:
        await only_the_clock_decides(house)
        yield found


async def test_an_image_from_upload_to_end(shelf: Shelf) -> None:
    """It is uploaded, looked at, cut to each shape, shown by links, and gone with all its objects."""
    asset = await shelf.begin(alt_text="Red and blue", focus={"x": 0.1, "y": 0.5})
    assert asset["state"] == "pending" and asset["upload"]["method"] == "POST" and asset["renditions"] == []
    assert (await shelf.send(asset, jpeg())).status_code == 204
    assert (await shelf.complete(asset))["state"] == "checking"
    await shelf.house.work()
    ready = await shelf.get(asset["id"])
    assert (ready["state"], ready["width"], ready["height"], ready["upload"]) == ("ready", 640, 480, None)
    assert [one["name"] for one in ready["renditions"]] == ["original", *RATIOS]
    for name, ratio in RATIOS.items():
        answer = await shelf.fetch(ready, name)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-disposition"].startswith("attachment")
        with Image.open(io.BytesIO(answer.content)) as found:
            assert (found.format, found.mode) == ("JPEG", "RGB")
            assert abs(found.width / found.height - ratio) < 0.01 and found.width <= 1440
            left = found.getpixel((1, found.height - 2))
            assert isinstance(left, tuple) and left[0] > 200 > left[2]  # the focus is on the left, which is red
    stored = await shelf.stored()
    assert len([one for one in stored if not one.rpartition("/")[2].startswith(".")]) == 5
    assert not [one for one in stored if "quarantine" in one]
    assert await shelf.used_bytes() == IMAGE_BYTES + sum(one["bytes"] for one in ready["renditions"])
    gone = await shelf.owner.delete(f"{shelf.path}/{asset['id']}")
    assert (gone.status_code, gone.json()["kind"]) == (202, "delete_asset")
    assert (await shelf.owner.get(f"{shelf.path}/{asset['id']}")).status_code == 404
    await shelf.house.work()
    assert (await shelf.stored(), await shelf.used_bytes()) == ([], IMAGE_BYTES)
    await shelf.later(HELD)
    assert await shelf.used_bytes() == 0
    assert await shelf.house.db.open("assets").find_one({"label_id": shelf.label_id}) is None
    events = await shelf.house.db.open("events").find({"label_id": shelf.label_id}).to_list()
    assert [event["type"] for event in events] == ["asset.ready"]


async def test_what_a_camera_tells_is_gone(shelf: Shelf) -> None:
    """Place, camera and comment are in no object of ours; the picture is upright."""
    content = told_jpeg(orientation=6)
    assert all(secret in content for secret in SECRETS[:3])
    ready = await shelf.upload(content)
    assert (ready["width"], ready["height"]) == (480, 640)
    for rendition in ready["renditions"]:
        found = (await shelf.fetch(ready, rendition["name"])).content
        assert not [secret for secret in SECRETS if secret in found]
        with Image.open(io.BytesIO(found)) as shown:
            assert len(shown.getexif()) == 0 and "comment" not in shown.info
    with Image.open(io.BytesIO((await shelf.fetch(ready, "original")).content)) as shown:
        corner = shown.getpixel((shown.width - 2, 2))
        assert isinstance(corner, tuple) and corner[1] > 200  # what was upper left is upper right


async def test_a_video_is_read_and_put_into_a_container_of_ours(shelf: Shelf, tmp_path: Path) -> None:
    """Its facts, its index first, its place gone, and a frame of it as a cover."""
    content = video(tmp_path / "made.mp4")
    assert b"loci" in content and SECRETS[3] in content
    assert content.index(b"mdat") < content.index(b"moov")
    ready = await shelf.upload(content, "video/mp4")
    assert ready["state"] == "ready", ready["problem"]
    facts = ready["video"]
    assert (facts["video_codec"], facts["audio_codec"], facts["fps"]) == ("h264", "aac", 30.0)
    assert facts["moov_first"] and abs(ready["duration_ms"] - 2000) < 100
    assert [one["name"] for one in ready["renditions"]] == ["original", "cover"]
    answer = await shelf.fetch(ready, "original")
    assert answer.headers["content-type"] == "video/mp4" and answer.content.index(b"moov") < answer.content.index(
        b"mdat"
    )
    assert not [one for one in (b"loci", b"elst", SECRETS[3]) if one in answer.content]
    with Image.open(io.BytesIO((await shelf.fetch(ready, "cover")).content)) as cover:
        assert (cover.format, cover.size) == ("JPEG", (320, 568))


async def test_another_focus(shelf: Shelf) -> None:
    """The renditions are made anew; those before stay while their links last, and are gone then."""
    ready = await shelf.upload(jpeg(), focus={"x": 0.0, "y": 0.5})
    before = await shelf.stored()
    changed = await shelf.owner.patch(f"{shelf.path}/{ready['id']}", json={"focus": {"x": 1.0, "y": 0.5}})
    assert changed.status_code == 200 and changed.json()["operation_id"] != ready["operation_id"]
    await shelf.house.work()
    new = await shelf.get(ready["id"])
    with Image.open(io.BytesIO((await shelf.fetch(new, "9:16")).content)) as found:
        left = found.getpixel((1, found.height - 2))
        assert isinstance(left, tuple) and left[2] > 200 > left[0]  # blue now
    assert (await shelf.fetch(ready, "9:16")).status_code == 200
    assert set(before) < set(await shelf.stored())
    await shelf.later(DAY * 2)
    assert len(await shelf.stored()) == len(before)
    assert await shelf.used_bytes() == sum(one["bytes"] for one in new["renditions"])


async def test_an_upload_that_is_never_completed(shelf: Shelf) -> None:
    """A day later it is gone, with its object and its room; so is what arrives beside a check."""
    forgotten, checked = await shelf.begin(bytes=10_000), await shelf.begin()
    (await shelf.send(forgotten, jpeg())).raise_for_status()
    (await shelf.send(checked, jpeg())).raise_for_status()
    await shelf.complete(checked)
    await shelf.house.work()
    (await shelf.send(checked, jpeg())).raise_for_status()  # the address still stands for an hour
    assert len([one for one in await shelf.stored() if one.endswith((forgotten["id"], checked["id"]))]) == 2
    await shelf.later(DAY + timedelta(minutes=1))
    assert not [one for one in await shelf.stored() if "quarantine" in one]
    assert (await shelf.owner.get(f"{shelf.path}/{forgotten['id']}")).status_code == 404
    ready = await shelf.get(checked["id"])
    assert await shelf.used_bytes() == sum(one["bytes"] for one in ready["renditions"])


async def test_completed_before_it_arrived(shelf: Shelf) -> None:
    """It waits again, says why, and can be completed once it is there."""
    asset = await shelf.begin()
    operation = (await shelf.complete(asset))["operation_id"]
    assert (await shelf.complete(asset))["operation_id"] == operation
    await shelf.house.work()
    waiting = await shelf.get(asset["id"])
    assert (waiting["state"], waiting["problem"]["code"]) == ("pending", "not_uploaded")
    (await shelf.send(asset, jpeg())).raise_for_status()
    await shelf.complete(asset)
    await shelf.house.work()
    assert (await shelf.get(asset["id"]))["state"] == "ready"


async def test_the_same_bytes_again(shelf: Shelf) -> None:
    """The second names the first; another label's does not count."""
    first, second = await shelf.upload(jpeg()), await shelf.upload(jpeg())
    assert (first["duplicate_of"], second["duplicate_of"]) == (None, first["id"])
    assert first["sha256"] == second["sha256"]


async def test_deleted_while_it_is_looked_at(shelf: Shelf) -> None:
    """Whoever looks finds it gone, and leaves nothing."""
    asset = await shelf.begin()
    (await shelf.send(asset, jpeg())).raise_for_status()
    await shelf.complete(asset)
    (await shelf.owner.delete(f"{shelf.path}/{asset['id']}")).raise_for_status()
    await shelf.house.work()
    await shelf.later(HELD)
    assert (await shelf.stored(), await shelf.used_bytes()) == ([], 0)


async def test_a_form_that_is_used_again(shelf: Shelf) -> None:
    """After a check, good or bad, and a deletion: what it brings takes room until it is swept, soon after its end."""
    good, bad, gone = [await shelf.begin(bytes=100_000) for _ in range(3)]
    for asset, content in ((good, jpeg()), (bad, b"junk"), (gone, jpeg())):
        (await shelf.send(asset, content)).raise_for_status()
        await shelf.complete(asset)
    await shelf.house.work()
    (await shelf.owner.delete(f"{shelf.path}/{gone['id']}")).raise_for_status()
    await shelf.house.work()
    shown = sum(one["bytes"] for one in (await shelf.get(good["id"]))["renditions"])
    for asset in (good, bad, gone):
        (await shelf.send(asset, bytes(100_000))).raise_for_status()
    ids = (good["id"], bad["id"], gone["id"])
    assert len([one for one in await shelf.stored() if one.endswith(ids)]) == 3
    assert await shelf.used_bytes() == shown + 300_000
    await shelf.later(HELD)
    assert not [one for one in await shelf.stored() if "quarantine" in one]
    assert await shelf.used_bytes() == shown
    await shelf.later(DAY)
    assert await shelf.used_bytes() == shown


async def test_an_upload_that_waits_to_be_completed(shelf: Shelf) -> None:
    """It is there for a day, and takes its room as long; completed then, it gives it back."""
    asset = await shelf.begin()
    (await shelf.send(asset, jpeg())).raise_for_status()
    await shelf.later(HELD * 2)
    assert await shelf.used_bytes() == IMAGE_BYTES
    await shelf.complete(asset)
    await shelf.house.work()
    ready = await shelf.get(asset["id"])
    await shelf.later(DAY)
    assert ready["state"] == "ready"
    assert await shelf.used_bytes() == sum(one["bytes"] for one in ready["renditions"])


async def test_one_focus_after_the_other(shelf: Shelf) -> None:
    """What is replaced takes room while it is there, and only so much of it may be; a day later all is as before."""
    ready = await shelf.upload(jpeg(), bytes=100_000)
    await shelf.later(HELD)
    path = f"{shelf.path}/{ready['id']}"
    for place in range(10):
        (await shelf.owner.patch(path, json={"focus": {"x": place / 10, "y": 0.0}})).raise_for_status()
        await shelf.house.work()
    asset = await shelf.house.db.open("assets").find_one({"_id": ready["id"], "label_id": shelf.label_id})
    assert asset is not None and len(asset["left_over"]) > 10
    kept = sum(one["bytes"] for one in [*asset["renditions"], *asset["left_over"]])
    assert await shelf.used_bytes() == asset["charged_bytes"] == kept
    place_of = {"_id": ready["id"], "label_id": shelf.label_id}
    many = [{"key": f"k{n}", "bytes": 1, "until": asset["left_over"][0]["until"]} for n in range(40)]
    await shelf.house.db.open("assets").update_one(place_of, {"$set": {"left_over": [*asset["left_over"], *many]}})
    refused = await shelf.owner.patch(path, json={"focus": {"x": 0.99, "y": 0.0}})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    await shelf.house.db.open("assets").update_one(place_of, {"$set": {"left_over": asset["left_over"]}})
    await shelf.later(DAY * 2)
    now = await shelf.get(ready["id"])
    assert await shelf.used_bytes() == sum(one["bytes"] for one in now["renditions"])


async def test_a_check_that_was_given_up(shelf: Shelf) -> None:
    """An error of ours ended it, and nobody has completed the file again: a day later it is gone."""
    asset = await shelf.begin()
    (await shelf.send(asset, jpeg())).raise_for_status()
    operation = (await shelf.complete(asset))["operation_id"]
    failed = {"state": "failed", "error": {"code": "internal_error", "detail": "An error of ours."}}
    key = {"_id": operation, "label_id": shelf.label_id}
    await shelf.house.db.open("operations").update_one(key, {"$set": failed, "$unset": {"due_at": ""}})
    await shelf.later(DAY + timedelta(minutes=1))
    assert (await shelf.stored(), await shelf.used_bytes()) == ([], 0)
    assert (await shelf.owner.get(f"{shelf.path}/{asset['id']}")).status_code == 404


async def test_a_label_takes_its_objects_along(shelf: Shelf) -> None:
    """When the label is deleted, so is everything in the storage."""
    await shelf.upload(jpeg())
    (await shelf.send(await shelf.begin(), jpeg())).raise_for_status()
    (await shelf.owner.delete(f"/v1/labels/{shelf.label_id}")).raise_for_status()
    shelf.house.clock.offset += timedelta(days=14, minutes=1)
    for _ in range(4):
        await shelf.house.work()
        shelf.house.clock.offset += timedelta(minutes=1)
    assert await shelf.house.db.open("labels").find_one({"_id": shelf.label_id}) is None
    assert await shelf.stored() == []
    assert await shelf.house.db.open("assets").find_one({"label_id": shelf.label_id}) is None
