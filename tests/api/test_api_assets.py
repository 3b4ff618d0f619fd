"""Files over HTTP: what may be said of them, room, versions, lists, and the storage's own routes."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.clients.objects import StorageUnavailable
from app.clients.objects_folder import PATH, Folder
from app.db import Doc
from app.models.access import Role
from tests.api.people import join
from tests.api.test_api_inbox_plans import BAD, Finds, stages
from tests.flows.assets_harness import Shelf, all_in_folder, encoded, jpeg, picture, shelf_of
from tests.house import House, open_house, settings_env

KB = 1024
RTL = "‮"


@pytest.fixture
async def shelf(house: House) -> AsyncIterator[Shelf]:
    """A label's files."""
    async with shelf_of(house) as found:
        yield found


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "..\\evil.jpg", "a/b.jpg", "..", ".", " ", ""),
        *(f"photo{RTL}gpj.exe", "zero​width.jpg", "line\nbreak.jpg", "bell\7.jpg", "\0.jpg", "a" * 201),
    ],
)
async def test_names_that_lead_astray_are_refused(shelf: Shelf, name: str) -> None:
    """With a pointer to the name, and nothing is stored; a changed name is looked at alike."""
    refused = await shelf.owner.post(shelf.path, json={"name": name, "content_type": "image/jpeg"})
    assert refused.status_code == (400 if "\0" in name else 422)
    if refused.status_code == 422:
        assert refused.json()["errors"][0]["pointer"] == "/name"
    asset = await shelf.begin()
    assert (await shelf.owner.patch(f"{shelf.path}/{asset['id']}", json={"name": name})).status_code in (400, 422)
    assert await shelf.house.db.open("assets").count_documents({"label_id": shelf.label_id}) == 1


async def test_names_of_all_the_world_are_taken(shelf: Shelf) -> None:
    """In any writing, with dots and signs; and in no address."""
    for name in ("Plattenhülle (1).jpg", "封面.jpg", "غلاف.jpg", "🕊️ bird.jpg".replace("️", ""), "a.b..c"):
        asset = await shelf.upload(jpeg(), name=name)
        assert asset["name"] == name and all(one["url"].isascii() for one in asset["renditions"])


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"content_type": "image/svg+xml"}, "/content_type"),
        ({"content_type": "text/html"}, "/content_type"),
        ({"content_type": "image/gif"}, "/content_type"),
        ({"bytes": 0}, "/bytes"),
        ({"bytes": 10 * 1024**3}, "/bytes"),
        ({"bytes": 31 * KB * KB}, "/bytes"),
        ({"focus": {"x": 1.1, "y": 0}}, "/focus/x"),
        ({"focus": {"x": 0.5}}, "/focus/y"),
        ({"alt_text": "a" * 1001}, "/alt_text"),
        ({"content_type": "video/mp4", "focus": {"x": 0, "y": 0}}, "/focus"),
        ({"key": "labels/x"}, ""),
    ],
)
async def test_what_cannot_be_uploaded(shelf: Shelf, wrong: Doc, pointer: str) -> None:
    """Is refused before anything is signed, by the field."""
    refused = await shelf.begin(**({"content_type": "image/jpeg"} | wrong), status=422)
    assert [one["pointer"] for one in refused["errors"]] == [pointer]
    assert await shelf.used_bytes() == 0


async def test_only_what_was_said_arrives(shelf: Shelf) -> None:
    """Not one byte more, not none, no other type, key or field, no second file, nothing after its end."""
    asset, content = await shelf.begin(bytes=10 * KB), jpeg()
    upload = asset["upload"]
    good, url = upload["fields"], upload["url"]

    async def code(fields: Doc, file: bytes | None = content, **more: tuple[str, bytes, str]) -> tuple[int, str]:
        files: Doc = {} if file is None else {"file": ("a.jpg", file, "image/jpeg")}
        answer = await shelf.outside.post(url, data=fields, files=files | more)
        assert await shelf.stored() == []
        return answer.status_code, answer.json()["code"]

    size = (400, "upload_size_refused")
    assert await code(good, b"") == size
    assert await code(good, b"x" * (10 * KB + 1)) == size
    assert await code(good, b"x" * 2_000_000) == size
    refused = (403, "upload_refused")
    assert await code(good | {"key": f"labels/{shelf.label_id}/x"}) == refused
    assert await code(good | {"Content-Type": "text/html"}) == refused
    assert await code(good | {"acl": "public-read"}) == refused
    broken = (400, "invalid_upload")
    assert await code({name: value for name, value in good.items() if name != "policy"}) == broken
    assert await code({}) == broken
    assert await code(good, None, other=("b.jpg", b"1", "image/jpeg")) == broken
    assert await code(good, content, zlast=("b.jpg", b"1", "image/jpeg")) == broken
    assert await code(good | {"x": "y" * 9 * KB}) == broken
    for content_type in ("application/json", "multipart/form-data", "text/plain"):
        answer = await shelf.outside.post(url, content=b"{}", headers={"content-type": content_type})
        assert (answer.status_code, answer.json()["code"]) == broken
    cut = httpx.Request("POST", url, data=good, files={"file": ("a.jpg", content, "image/jpeg")})
    half = cut.read()[:-40]
    answer = await shelf.outside.post(url, content=half, headers={"content-type": cut.headers["content-type"]})
    assert (answer.status_code, answer.json()["code"]) == broken
    shelf.house.clock.offset += timedelta(hours=1)
    assert await code(good) == refused
    shelf.house.clock.offset -= timedelta(hours=1)
    assert (await shelf.send(asset, content)).status_code == 204


async def test_the_storages_own_addresses(shelf: Shelf) -> None:
    """Nobody lists it, reads a quarantined file, or follows an address that was changed."""
    asset = await shelf.upload(jpeg())
    storage = shelf.house.api.objects
    assert isinstance(storage, Folder)
    [one] = [one for one in asset["renditions"] if one["name"] == "original"]
    answer = await shelf.outside.get(one["url"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    base = one["url"].partition(PATH)[0] + PATH
    for url, status in (
        (base, 405),
        (f"{base}/", 403),
        (f"{base}/quarantine/{shelf.label_id}/{asset['id']}", 403),
        (f"{base}/labels/{shelf.label_id}/..%2f..%2fsecrets", 403),
        (one["url"].replace("image%2Fjpeg", "text%2Fhtml"), 403),
        (one["url"].replace("original-", "original-0"), 403),
        (one["url"].partition("?")[0], 403),
    ):
        assert (await shelf.outside.get(url)).status_code == status, url
    assert (await shelf.outside.put(one["url"], content=b"x")).status_code == 405
    part = await shelf.outside.get(one["url"], headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    shelf.house.clock.offset += timedelta(minutes=10)
    assert (await shelf.outside.get(one["url"])).status_code == 403


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [
        (encoded(picture(), "PNG"), "image/jpeg", "wrong_type"),
        (jpeg() + b"<script>alert(1)</script>", "image/jpeg", "mixed_content"),
        (jpeg()[:400], "image/jpeg", "broken_file"),
    ],
)
async def test_a_refused_file_leaves_nothing(shelf: Shelf, content: bytes, content_type: str, code: str) -> None:
    """It says why; storage and room are as before, once its form ends; it cannot be completed into another."""
    asset = await shelf.upload(content, content_type)
    assert (asset["state"], asset["problem"]["code"], asset["renditions"]) == ("refused", code, [])
    assert await shelf.stored() == []
    await shelf.complete(asset, status=409)
    await shelf.later(timedelta(hours=2, minutes=1))
    assert await shelf.used_bytes() == 0
    events = await shelf.house.db.open("events").find({"label_id": shelf.label_id}).to_list()
    assert [(event["type"], event["target"]) for event in events] == [("asset.refused", asset["id"])]
    assert (await shelf.owner.delete(f"{shelf.path}/{asset['id']}")).status_code == 202


async def test_there_is_only_so_much_room(mongodb_url: str, redis_url: str, key_folder: Path) -> None:
    """What was said counts as long as its form lasts, and what is there. Over it, it is told what to do."""
    more = {"SOUNDOPS_LABEL_STORAGE_BYTES": str(200 * KB)}
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, **more)
    async with open_house(env) as house, shelf_of(house) as shelf:
        first = await shelf.begin(bytes=150 * KB)
        refused = await shelf.begin(bytes=100 * KB, status=409)
        assert refused["code"] == "storage_full" and "Delete files" in refused["detail"]
        assert (await shelf.begin(status=409))["code"] == "storage_full"  # 30 MB would be set aside
        (await shelf.send(first, jpeg())).raise_for_status()
        await shelf.complete(first)
        await house.work()
        taken = sum(one["bytes"] for one in (await shelf.get(first["id"]))["renditions"])
        assert taken < 100 * KB and await shelf.used_bytes() == 150 * KB + taken
        await shelf.later(timedelta(hours=2, minutes=1))
        assert await shelf.used_bytes() == taken
        second = await shelf.begin(bytes=100 * KB)
        (await shelf.owner.delete(f"{shelf.path}/{second['id']}")).raise_for_status()
        await shelf.later(timedelta(hours=2, minutes=1))
        assert await shelf.used_bytes() == taken
        await house.db.open("asset_usage").update_one({"label_id": shelf.label_id}, {"$set": {"bytes": 200 * KB}})
        turned = await shelf.owner.patch(f"{shelf.path}/{first['id']}", json={"focus": {"x": 0.1, "y": 0.1}})
        assert (turned.status_code, turned.json()["code"]) == (409, "storage_full")
        shown = (await shelf.owner.get(shelf.path)).json()
        assert shown["most_bytes"] == 200 * KB


async def test_changes_by_version(shelf: Shelf) -> None:
    """One who saw an older version changes and deletes nothing; what is left out stays; a video has no focus."""
    asset = await shelf.begin(alt_text="before")
    path = f"{shelf.path}/{asset['id']}"
    seen = (await shelf.owner.get(path)).headers["etag"]
    changed = await shelf.owner.patch(path, json={"name": "sleeve"}, headers={"If-Match": seen})
    assert (changed.status_code, changed.json()["name"], changed.json()["alt_text"]) == (200, "sleeve", "before")
    for stale in (
        await shelf.owner.patch(path, json={"name": "other"}, headers={"If-Match": seen}),
        await shelf.owner.delete(path, headers={"If-Match": seen}),
    ):
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    film = await shelf.begin("video/mp4")
    refused = await shelf.owner.patch(f"{shelf.path}/{film['id']}", json={"focus": {"x": 0, "y": 0}})
    assert refused.json()["errors"][0]["pointer"] == "/focus"
    rows = (await shelf.owner.get(f"/v1/labels/{shelf.label_id}/audit-log")).json()["data"]
    assert [row["action"] for row in rows[:3]] == ["asset.created", "asset.changed", "asset.created"]
    assert rows[1]["details"] == {"fields": "name"}


async def test_another_focus_while_it_is_looked_at(shelf: Shelf) -> None:
    """Chosen before the check, it is the one that is cut around."""
    asset = await shelf.begin(focus={"x": 0, "y": 0})
    (await shelf.send(asset, jpeg())).raise_for_status()
    changed = await shelf.owner.patch(f"{shelf.path}/{asset['id']}", json={"focus": {"x": 1, "y": 1}})
    assert changed.json()["operation_id"] is None
    await shelf.complete(asset)
    await shelf.house.work()
    assert (await shelf.get(asset["id"]))["focus"] == {"x": 1, "y": 1}


async def test_lists_by_kind_and_state(shelf: Shelf) -> None:
    """The newest first, page by page, without what was deleted."""
    images = [await shelf.begin() for _ in range(3)]
    film = await shelf.begin("video/mp4")
    ready = await shelf.upload(jpeg())
    (await shelf.owner.delete(f"{shelf.path}/{images[0]['id']}")).raise_for_status()

    async def ids(**query: str) -> list[str]:
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            more = {"cursor": cursor} if cursor else {}
            page = (await shelf.owner.get(shelf.path, params={"limit": "1", **query, **more})).raise_for_status().json()
            found += [one["id"] for one in page["data"]]
            cursor = page["next_cursor"]
        return found

    left = [ready["id"], film["id"], images[2]["id"], images[1]["id"]]
    assert await ids() == left
    assert await ids(kind="video") == [film["id"]]
    assert await ids(state="pending") == left[1:]
    assert await ids(state="ready", kind="image") == [ready["id"]]
    assert (await shelf.owner.get(shelf.path, params={"state": "deleted"})).status_code == 422


@pytest.mark.parametrize("query", [{}, {"kind": "image"}, {"state": "ready"}, {"kind": "video", "state": "pending"}])
async def test_every_list_walks_an_index(
    mongodb_url: str, redis_url: str, key_folder: Path, query: dict[str, str]
) -> None:
    """No filter reads the collection, or sorts what it has read; nor does asking where a file is used."""
    finds = Finds({"assets", "messages"})
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)
    async with open_house(env, listeners=(finds,)) as house, shelf_of(house) as shelf:
        asset = await shelf.begin()
        finds.kept = []
        (await shelf.owner.get(shelf.path, params=query)).raise_for_status()
        (await shelf.owner.get(f"{shelf.path}/{asset['id']}/uses")).raise_for_status()
        kept, finds.kept = finds.kept, None
        assert len(kept) >= 3
        for command in kept:
            plan = await house.db.raw.command("explain", command)
            assert not BAD & set(stages(plan)), command


async def test_who_may(shelf: Shelf) -> None:
    """Everybody of the label sees files; an analyst uploads none."""
    asset = await shelf.begin()
    body = {"name": "a", "content_type": "image/png"}
    roles: dict[Role, int] = {"editor": 201, "agent": 201, "admin": 201, "analyst": 403}
    for role, status in roles.items():
        person = await join(shelf.house, f"{role}@example.com", shelf.label_id, role)
        assert (await person.get(f"{shelf.path}/{asset['id']}")).status_code == 200
        assert (await person.post(shelf.path, json=body)).status_code == status


async def test_another_labels_files(shelf: Shelf) -> None:
    """Are not there; and the same bytes there are no duplicate here."""
    mine = await shelf.upload(jpeg())
    other = await shelf.house.person("other@example.com")
    label_id = await shelf.house.label(other, "another")
    theirs = Shelf(shelf.house, other, label_id, shelf.outside, shelf.stored)
    for path in ("", "/uses"):
        assert (await other.get(f"{theirs.path}/{mine['id']}{path}")).status_code == 404
    assert (await theirs.upload(jpeg()))["duplicate_of"] is None


async def test_the_storage_is_away(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be done is tried again until it is done: a check, and a deletion."""
    folder, away = shelf.house.api.objects, Away()
    asset = await shelf.begin()
    (await shelf.send(asset, jpeg())).raise_for_status()
    shelf.house.worker.objects = away  # type: ignore[assignment]
    operation = (await shelf.complete(asset))["operation_id"]
    await shelf.house.work()
    waiting = (await shelf.owner.get(f"/v1/operations/{operation}")).json()
    assert (waiting["state"], waiting["problem"]["code"]) == ("queued", "storage_unavailable")
    shelf.house.worker.objects = folder
    shelf.house.clock.offset += timedelta(minutes=1)
    await shelf.house.work()
    assert (await shelf.get(asset["id"]))["state"] == "ready"
    shelf.house.worker.objects = away  # type: ignore[assignment]
    gone = (await shelf.owner.delete(f"{shelf.path}/{asset['id']}")).json()
    await shelf.house.work()
    assert await shelf.stored()
    shelf.house.worker.objects = folder
    shelf.house.clock.offset += timedelta(minutes=1)
    await shelf.house.work()
    assert await shelf.stored() == []
    assert (await shelf.owner.get(f"/v1/operations/{gone['id']}")).json()["state"] == "succeeded"
    assert isinstance(folder, Folder) and not [one for one in all_in_folder(folder) if asset["id"] in one]


async def test_a_check_that_met_an_error_of_ours(shelf: Shelf) -> None:
    """It was given up, and is begun anew when it is completed again."""
    asset = await shelf.begin()
    (await shelf.send(asset, jpeg())).raise_for_status()
    operation = (await shelf.complete(asset))["operation_id"]
    place = {"_id": operation, "label_id": shelf.label_id}
    await shelf.house.db.open("operations").update_one(place, {"$set": {"state": "failed"}, "$unset": {"due_at": ""}})
    assert (await shelf.complete(asset))["operation_id"] != operation
    await shelf.house.work()
    assert (await shelf.get(asset["id"]))["state"] == "ready"


class Away:
    """A storage that cannot be reached."""

    def __getattr__(self, name: str) -> object:
        async def refused(*_: object, **__: object) -> None:
            raise StorageUnavailable("away")

        return refused
