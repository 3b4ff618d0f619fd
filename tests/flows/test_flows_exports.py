"""Exports from the question to the end of the file: complete and no more, sealed, handed to one, gone in time."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.clients.objects import StorageUnavailable
from app.clients.objects_folder import Folder
from app.ids import new_id
from app.services import operations
from app.services.exports import ending, making, store, writing
from app.services.operations import GiveUp
from tests.api.people import join, user_of
from tests.export_plant import plant_label, plant_person, strings_of
from tests.flows.assets_harness import make_bucket, s3_env
from tests.flows.exports_harness import MINE, ask, download, later, log_in, made, stored, work
from tests.flows.flows_harness import only_the_clock_decides
from tests.house import House, open_house, settings_env
from tools.child import Child


@pytest.fixture(params=["folder", "s3"])
async def house(
    request: pytest.FixtureRequest,
    mongodb_url: str,
    redis_url: str,
    key_folder: Path,
    tmp_path: Path,
    postbox: str,
    smtp_url: str,
) -> AsyncIterator[House]:
    """The product with each kind of storage, empty."""
    more = {"SOUNDOPS_STORAGE_FOLDER": str(tmp_path / "storage")}
    if request.param == "s3":
        moto: Child = request.getfixturevalue("moto_child")
        more = s3_env(moto.url)
        await make_bucket(moto.url)
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, smtp_url=smtp_url) | more
    async with open_house(env, postbox_url=postbox) as found:
        await only_the_clock_decides(found)
        await found.api.objects.delete_below("exports/")
        await found.api.objects.abort_parts_below("exports/")
        yield found


async def test_a_persons_export_has_all_and_nothing_else(house: House) -> None:
    """A canary in every field that the map shows a person, traps in what is secret or somebody else's."""
    person, other = await house.person(), await house.person("other@example.com")
    label_id = await house.label(person)
    await house.label(other, "other")
    user = await user_of(house, "owner@example.com")
    other_id = (await user_of(house, "other@example.com"))["_id"]
    planted = await plant_person(house.db, user, label_id, other_id, now=house.clock())
    export = await made(house, person)
    assert export["state"] == "ready", export
    found = await download(house, person, export)
    texts = set(strings_of([found.rows(one["name"]) for one in found.manifest["collections"]]))
    assert planted.wanted - texts == set()
    assert planted.forbidden & texts == set()
    for secret in planted.forbidden:
        assert not any(secret.encode() in content for content in found.files.values())
    for value in planted.wanted:
        assert any(value.encode() in content for name, content in found.files.items() if name.endswith(".csv"))
    named = {one["collection"]: one for one in found.manifest["collections"]}
    assert all(one["purpose"] and one["source"] and one["recipients"] for one in named.values())
    assert all(field["meaning"] for one in named.values() for field in one["fields"])


async def test_a_labels_export_has_all_and_nothing_else(house: House) -> None:
    """The same for a label: nothing of another label's, no secret; and its owner alone may have it."""
    person, other = await house.person(), await house.person("other@example.com")
    label_id, others = await house.label(person), await house.label(other, "other")
    planted = await plant_label(house.db, label_id, others, now=house.clock())
    place = f"/v1/labels/{label_id}/exports"
    export = await made(house, person, place)
    found = await download(house, person, export, place)
    texts = set(strings_of([found.rows(one["name"]) for one in found.manifest["collections"]]))
    assert planted.wanted - texts == set()
    for secret in planted.forbidden:
        assert not any(secret.encode() in content for content in found.files.values())
    assert found.rows("labels")[0]["name"] == "Nightjar"
    assert (await other.get(f"{place}/{export['id']}/download")).status_code == 404


async def test_what_lies_in_the_storage_is_sealed(house: House) -> None:
    """One object; neither the zip's own bytes nor a word of the data; without the record it is noise."""
    person = await house.person()
    export = await made(house, person)
    (key,) = [one for one in await house.api.objects.keys_below("exports/") if export["id"] in one]
    size = (await house.api.objects.look(key) or pytest.fail("gone")).size_bytes
    raw = await house.api.objects.read(key, 0, size)
    assert b"PK\x03\x04" not in raw and b"owner@example.com" not in raw and b"manifest" not in raw
    assert raw.startswith(b"SOSEAL1\n")
    stored_one = await house.db.open("exports").find_one({"_id": export["id"], "label_id": None})
    assert stored_one is not None and len(stored_one["file"]["sealed_key"]) == 12 + 32 + 16


async def test_handed_to_the_same_person_once(house: House) -> None:
    """A fresh log-in, a link for minutes, once; not another person's, not after a log-out, not when changed."""
    person, other = await house.person(), await house.person("other@example.com")
    export = await made(house, person)
    path = f"{MINE}/{export['id']}/download"
    assert (await other.get(path)).status_code == 404
    assert (await other.get(f"{MINE}/{export['id']}")).status_code == 404
    link = (await person.get(path)).json()["url"]
    assert (await house.http.head(link)).status_code == 200  # looks, and uses nothing up
    assert (await house.http.get(link + "x")).json()["code"] == "invalid_token"
    assert (await house.http.get(link)).status_code == 200
    assert (await house.http.get(link)).json()["code"] == "invalid_token"
    link = (await person.get(path)).json()["url"]
    house.clock.offset += timedelta(minutes=5, seconds=1)
    assert (await house.http.get(link)).json()["code"] == "invalid_token"
    house.clock.offset += timedelta(minutes=11)
    refused = await person.get(path)
    assert refused.status_code in (401, 403)
    await log_in(house, person)
    link = (await person.get(path)).json()["url"]
    (await person.delete("/v1/sessions/current")).raise_for_status()
    assert (await house.http.get(link)).json()["code"] == "invalid_token"


async def test_a_mail_tells_of_it_without_a_working_link(house: House) -> None:
    """It leads to a log-in; the operation and the request tell of it, too."""
    person = await house.person()
    operation = await ask(house, person)
    assert (await person.get(f"/v1/operations/{operation['id']}")).json()["kind"] == "export_person"
    await work(house)
    assert (await person.get(f"/v1/operations/{operation['id']}")).json()["state"] == "succeeded"
    (mail,) = [one for one in await house.mails("owner@example.com") if "downloaded" in one["subject"]]
    assert "token" not in mail["text"] and "/account/exports" in mail["text"] and not mail["token"]
    request = await house.db.open("privacy_requests").find_one({"label_id": None, "operation_id": operation["id"]})
    assert request is not None and (request["kind"], request["state"]) == ("portability", "done")
    other = await house.person("other@example.com")
    assert (await other.get(f"/v1/operations/{operation['id']}")).status_code == 404


async def test_one_at_a_time_and_three_a_day(house: House) -> None:
    """A second one beside it is refused; the fourth of a day has to wait, and waiting is enough."""
    person = await house.person()
    await ask(house, person)
    assert (await ask(house, person, status=409))["code"] == "export_running"
    await work(house)
    for _ in range(2):
        await made(house, person)
    refused = await person.post(MINE)
    assert refused.status_code == 429
    await later(house, person, timedelta(seconds=int(refused.headers["Retry-After"])))
    await ask(house, person)
    listed = (await person.get(MINE)).json()["data"]
    assert [one["state"] for one in listed] == ["running", "ready", "ready", "ready"]


async def test_the_file_ends(house: House) -> None:
    """After 7 days it is gone, with its key; the record tells so for 30 days."""
    person = await house.person()
    export = await made(house, person)
    await later(house, person, timedelta(days=6, hours=23))
    assert (await person.get(f"{MINE}/{export['id']}/download")).status_code == 200
    await later(house, person, timedelta(hours=1, minutes=1))
    assert await stored(house) == []
    answer = await person.get(f"{MINE}/{export['id']}/download")
    assert (answer.status_code, answer.json()["code"]) == (410, "export_expired")
    found = await house.db.open("exports").find_one({"_id": export["id"], "label_id": None})
    assert found is not None and found["file"] is None


async def test_the_file_ends_with_what_fans_wrote(house: House) -> None:
    """When the first message in it must be deleted. What ends within a day is not in it, and is counted."""
    person = await house.person()
    label_id, now = await house.label(person), house.clock()
    for name, left in (("gone", -1), ("soon", 23), ("first", 50), ("second", 400)):
        message = {"_id": new_id("msg"), "label_id": label_id, "conversation_id": "cnv_1", "content": {"text": name}}
        at = {"ordered_at": now, "expires_at": now + timedelta(hours=left)}
        await house.db.open("messages").insert_one(message | at | {"content": {"text": name, "words": ["secret"]}})
    place = f"/v1/labels/{label_id}/exports"
    export = await made(house, person, place)
    found = await download(house, person, export, place)
    texts = sorted(row["content"]["text"] for row in found.rows("messages"))
    assert texts == ["first", "second"] and b"words" not in found.files["messages.jsonl"]
    (told,) = [one for one in found.manifest["collections"] if one["name"] == "messages"]
    assert (told["rows"], told["rows_left_out"]) == (2, 1)
    await later(house, person, timedelta(hours=50, seconds=1))
    assert await stored(house) == []


async def test_formulas_stay_text(house: House) -> None:
    """A spreadsheet computes nothing of what people have written; JSON Lines have it as it was written."""
    person = await house.person()
    label_id = await house.label(person)
    texts = ['=HYPERLINK("http://a")', "+1", "-2", "@a", "\tb", "\rc", 'plain, with "quotes"\nand lines', "ä€🎵"]
    for text in texts:
        reply = {"_id": new_id("srp"), "label_id": label_id, "name": text, "name_key": new_id("srp"), "text": text}
        await house.db.open("saved_replies").insert_one(reply)
    place = f"/v1/labels/{label_id}/exports"
    found = await download(house, person, await made(house, person, place), place)
    assert {row["text"] for row in found.rows("saved_replies")} == set(texts)
    cells = {row["text"] for row in found.table("saved_replies")}
    assert cells == {f"'{text}" if text[0] in "=+-@\t\r" else text for text in texts}


async def test_the_storage_goes_away_and_comes_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of it: it is made anew later, and nothing of the first attempt is left."""
    person = await house.person()
    monkeypatch.setattr(writing, "PART_BYTES", 5 * 1024**2)
    storage, tries = house.worker.objects, []

    async def away(*_: object) -> None:
        tries.append(1)
        raise StorageUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(type(storage), "finish_parts", away)
        operation = await ask(house, person)
        await work(house)
    assert tries and (await person.get(f"{MINE}/{operation['target']}")).json()["state"] == "running"
    house.clock.offset += timedelta(seconds=30)
    await work(house)
    found = (await person.get(f"{MINE}/{operation['target']}")).json()
    assert found["state"] == "ready"
    assert len(set(await stored(house))) == 1 + isinstance(storage, Folder)  # a folder keeps the type beside it
    await download(house, person, found)


async def test_given_up_after_a_day(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has failed then, nothing is left, the request stays open until another one is made."""
    person = await house.person()

    async def away(*_: object) -> None:
        raise StorageUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(type(house.worker.objects), "finish_parts", away)
        operation = await ask(house, person)
        await work(house)
        house.clock.offset += making.PATIENCE + timedelta(minutes=1)
        await work(house)
    await log_in(house, person)
    assert (await person.get(f"{MINE}/{operation['target']}")).json()["problem"]["code"] == "took_too_long"
    requests = house.db.open("privacy_requests")
    query = {"label_id": None, "kind": "portability"}
    assert [one["state"] async for one in requests.find(query)] == ["in_progress"]
    await ending.sweep_strays(house.db, house.worker.objects)
    assert await stored(house) == []
    await made(house, person)
    assert [one["state"] async for one in requests.find(query)] == ["done", "done"]


async def test_an_erased_persons_exports(house: House) -> None:
    """Everything goes: files, records, what is being made, and the label's export that only they could have."""
    person = await house.person()
    label_id = await house.label(person)
    user_id = (await user_of(house, "owner@example.com"))["_id"]
    place = f"/v1/labels/{label_id}/exports"
    await made(house, person)
    await made(house, person, place)
    await ask(house, person)
    assert await ending.delete_of_person(house.db, house.worker.objects, user_id, now=house.clock()) >= 3
    await work(house)
    assert await stored(house) == []
    assert await house.db.open("exports").find_one({"user_id": user_id}, comment="all-labels: a test") is None
    assert await ending.delete_of_person(house.db, house.worker.objects, user_id, now=house.clock()) == 0


async def test_strays_are_swept(house: House, tmp_path: Path) -> None:
    """What an attempt left that lost its lease: of nobody, of another attempt, begun in parts. What counts stays."""
    person = await house.person()
    export = await made(house, person)
    objects, user_id = house.worker.objects, (await user_of(house, "owner@example.com"))["_id"]
    for key in (f"exports/{user_id}/{export['id']}/000099", f"exports/{user_id}/{new_id('exp')}/000001"):
        upload = await objects.begin_parts(key, content_type="a/b")
        tag = await objects.put_part(key, upload, 1, b"stray")
        await objects.finish_parts(key, upload, [tag])
        await objects.begin_parts(key[:-1] + "8", content_type="a/b")
    odd = tmp_path / "odd"
    odd.write_text("x")
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    await objects.put("exports/odd", odd, content_type="a/b", sha256=sha256)
    assert await ending.sweep_strays(house.db, objects) >= 3
    assert len(await objects.keys_below("exports/")) == 1
    await download(house, person, export)


async def test_a_former_owner_has_no_labels_data(house: House) -> None:
    """A link that was given before is void when they are the owner no more; another owner asks for their own."""
    person = await house.person()
    label_id = await house.label(person)
    place = f"/v1/labels/{label_id}/exports"
    export = await made(house, person, place)
    link = (await person.get(f"{place}/{export['id']}/download")).json()["url"]
    another = await join(house, "another@example.com", label_id, "owner")
    refused = await another.get(f"{place}/{export['id']}/download")
    assert (refused.status_code, "one of your own" in refused.text) == (403, True)
    user_id = (await user_of(house, "owner@example.com"))["_id"]
    mine = {"label_id": label_id, "user_id": user_id}
    await house.db.open("memberships").update_one(mine, {"$set": {"role": "admin"}})
    assert (await house.http.get(link)).json()["code"] == "invalid_token"
    assert (await person.get(f"{place}/{export['id']}/download")).status_code == 403


async def test_who_has_lost_it_throws_nothing_away(house: House) -> None:
    """A worker that stood still for longer than its lease finds another at it, and leaves that one alone."""
    person, db, hands = await house.person(), house.db, house.worker.hands
    operation = await ask(house, person)
    claims = []
    for _ in range(2):
        claims.append(await operations.claim(db, operation["id"], lease=timedelta(minutes=1), now=house.clock()))
        house.clock.offset += timedelta(minutes=2)
    stale, fresh = claims
    assert stale is not None and fresh is not None
    key = {"_id": operation["target"], "label_id": None}
    await db.open("exports").update_one(key, {"$set": {"attempt": fresh["fence"]}})
    place = store.key_of(await store.find_anywhere(db, operation["target"]) or {})
    await hands.objects.begin_parts(place, content_type="a/b")
    with pytest.raises(GiveUp):
        await making.make_export(hands, stale)
    assert await hands.objects.parts_below("exports/") == [place]


async def test_a_request_whose_export_was_lost(house: House) -> None:
    """As with a database: the next export meets it too."""
    person = await house.person()
    operation = await ask(house, person)
    await house.db.open("exports").delete_one({"_id": operation["target"], "label_id": None})
    await work(house)
    await made(house, person)
    requests = house.db.open("privacy_requests").find({"label_id": None, "kind": "portability"})
    assert [one["state"] async for one in requests] == ["done", "done"]


async def test_other_programs_read_it(house: House, tmp_path: Path) -> None:
    """Info-ZIP does, where it is installed."""
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("unzip is not on the path")
    person = await house.person()
    found = await download(house, person, await made(house, person))
    (tmp_path / "export.zip").write_bytes(found.raw)
    told = await asyncio.create_subprocess_exec(unzip, "-tq", str(tmp_path / "export.zip"))
    assert await told.wait() == 0


async def test_a_file_that_is_gone(house: House) -> None:
    """Lost with its storage, or sealed under another secret: to come again in a moment would not help."""
    person = await house.person()
    export = await made(house, person)
    path, key = f"{MINE}/{export['id']}/download", {"_id": export["id"], "label_id": None}
    stored_one = await store.find_anywhere(house.db, export["id"])
    assert stored_one is not None
    link = (await person.get(path)).json()["url"]
    await house.db.open("exports").update_one(key, {"$set": {"file.sealed_key": b"x" * 60}})
    assert (await house.http.get(link)).json()["code"] == "export_expired"
    await house.db.open("exports").update_one(key, {"$set": {"file": stored_one["file"]}})
    assert (await house.http.get(link)).status_code == 200
    link = (await person.get(path)).json()["url"]
    await house.worker.objects.delete(store.key_of(stored_one))
    assert (await house.http.get(link)).json()["code"] == "export_expired"
