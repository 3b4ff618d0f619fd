"""A backup is restored to the middle of a run: nothing goes out twice, and nobody comes back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.clients.objects import StorageUnavailable
from app.db import Doc
from app.models.data_map import DATA_MAP
from app.services import restore_mode
from app.services.backups import file, journal, making, scope, waiting
from app.services.backups.loading import NotRestored
from app.services.consents import ledger
from app.services.consents.choosing import PURPOSES
from tests.api.people import join, user_of
from tests.flows.backups_harness import SPANS, backed_up, held, restore, restored
from tests.flows.publishing_harness import Press
from tests.house import PASSWORD, House

MINUTE = timedelta(minutes=1)


async def test_posts_of_the_lost_window(press: Press, backup_keys: Path, tmp_path: Path) -> None:
    """What went out since is found at Meta and not sent again; what was still to come goes out once, in its time."""
    house = press.house
    sent = [await press.schedule(after=5 * MINUTE, caption=f"Post {number}") for number in range(3)]
    to_come = await press.schedule(after=90 * MINUTE, caption="Still to come")
    path = await backed_up(house, backup_keys, tmp_path)
    for publication in sent:
        assert (await press.settle(publication))["state"] == "published"
    shown = len(await press.shown())
    assert shown == 3
    found = await restored(house, backup_keys, path)
    assert found.intents["posts to be looked for"] == 4
    for _ in range(5):
        await press.pass_by(2 * MINUTE)
        await house.work()
    assert len(await press.shown()) == shown and await restore_mode.state(house.db)
    assert await restore_mode.lift(house.db, now=house.clock()) == "lifted"
    for publication in sent:
        target = await press.settle(publication)
        assert (target["state"], bool(target["provider_id"])) == ("published", True), target
    assert len(await press.shown()) == shown
    target = await press.until(to_come, lambda one: one["state"] == "published", turns=200)
    assert len(await press.shown()) == shown + 1 and target["state"] == "published"


async def test_a_post_that_nobody_can_find_is_left_to_a_person(press: Press, backup_keys: Path, tmp_path: Path) -> None:
    """A story is in no list: it may have gone out, so nothing is published on a guess."""
    house = press.house
    story = await press.schedule("story", after=5 * MINUTE)
    path = await backed_up(house, backup_keys, tmp_path)
    await press.settle(story)
    shown = len(await press.shown())
    await restored(house, backup_keys, path)
    await restore_mode.lift(house.db, now=house.clock())
    target = await press.until(story, lambda one: one["state"] in ("unknown", "published"))
    await press.pass_by(10 * MINUTE)
    await house.work()
    assert target["state"] == "unknown" and len(await press.shown()) == shown


async def test_nobody_comes_back(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """People, labels and connections that ended since, old passwords, sessions: none of it is there or works."""
    owner = await house.person()
    label_id, gone_label = await house.label(owner), await house.label(owner, "gone")
    leaver = await join(house, "leaver@example.com", label_id, "agent")
    connection = await house.connection(label_id)
    leaver_id = (await user_of(house, "leaver@example.com"))["_id"]
    asks = await house.person("asks@example.com")
    (await owner.put("/v1/me/consents", json={"marketing_mail": True, "analytics": True})).raise_for_status()
    path = await backed_up(house, backup_keys, tmp_path)
    book, now = house.worker.hands.journal, house.clock()
    (await leaver.post("/v1/me/erasure", json={})).raise_for_status()
    (await asks.post("/v1/me/erasure", json={})).raise_for_status()
    await book.write("person_erased", leaver_id, now=now)
    await book.write("label_deleted", gone_label, now=now)
    await book.write("connection_ended", connection["_id"], now=now)
    (await owner.put("/v1/me/consents", json={"marketing_mail": False})).raise_for_status()
    new = {"current_password": PASSWORD, "password": "another sentence of my own"}
    (await owner.post("/v1/me/password", json=new)).raise_for_status()
    raw = "".join([str(await house.worker.objects.read(key, 0, 999)) for key in await _entries(house)])
    assert leaver_id not in raw and label_id not in raw and "leaver@" not in raw and raw.count("person_erased") >= 1
    found = await restored(house, backup_keys, path)
    assert found.replayed == {
        "people erased": 1,
        "labels deleted": 1,
        "connections ended": 1,
        "passwords voided": 1,
        "consents ended": 1,
        "erasures begun anew": 1,
    }
    everything = repr([[one async for one in house.db.raw[name].find({}, comment=SPANS)] for name in DATA_MAP])
    assert "leaver@example.com" not in everything and "gone" not in (await held(house))
    assert await house.db.open("labels").find_one({"_id": gone_label}) is None
    owner_id = (await user_of(house, "owner@example.com"))["_id"]
    may = {purpose: await ledger.may(house.db, owner_id, purpose, now=house.clock()) for purpose in PURPOSES}
    assert may["analytics"] and not may["marketing_mail"]
    ended = await house.db.open("connections").find_one({"label_id": label_id, "_id": connection["_id"]})
    assert ended is not None and ended["status"] == "revoked" and "active_account_id" not in ended
    assert (await owner.get("/v1/me")).status_code == 401
    login = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    assert login.json()["code"] == "invalid_credentials"


async def _entries(house: House) -> list[str]:
    return await house.worker.objects.keys_below("journal/")


async def test_mails_are_not_sent_twice(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """One that waited may have been sent since: nobody can tell, so a person decides."""
    person = await house.person()
    path = await backed_up(house, backup_keys, tmp_path)
    await house.work()
    before = len(await house.mails("owner@example.com"))
    assert before
    found = await restored(house, backup_keys, path)
    assert found.intents["mails in doubt"] >= 1
    await restore_mode.lift(house.db, now=house.clock())
    await house.work()
    assert len(await house.mails("owner@example.com")) == before
    assert (await person.get("/v1/me")).status_code == 401


async def test_what_has_ended_is_not_there(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Neither content, nor what expired since; what is kept for the label is; and the database must be empty first."""
    owner = await house.person()
    label_id = await house.label(owner)
    message: Doc = {"_id": "msg_1", "label_id": label_id, "expires_at": house.clock() + timedelta(days=9)}
    await house.db.open("messages").insert_one(message)
    path = await backed_up(house, backup_keys, tmp_path)
    with pytest.raises(NotRestored, match="not empty"):
        await restore(house, backup_keys, path)
    house.clock.offset += timedelta(days=29)
    found = await restored(house, backup_keys, path)
    there = await held(house)
    assert {"users", "labels", "memberships"} <= there.keys() and "messages" not in there and "sessions" not in there
    expired = {"expires_at": {"$lte": house.clock()}}
    assert not [name for name in there if await house.db.raw[name].count_documents(expired, comment=SPANS)]
    assert found.made_at < house.clock() - timedelta(days=28)
    house.clock.offset += timedelta(days=2)
    with pytest.raises(NotRestored, match="too old"):
        await restored(house, backup_keys, path)
    assert await held(house) == {}
    assert making.drop_old(tmp_path, now=house.clock()) == 1
    assert making.drop_old(tmp_path, now=house.clock()) == 0


async def test_without_the_journal_nothing_is_restored(
    house: House, backup_keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has been erased since would come back."""
    await house.person()
    path = await backed_up(house, backup_keys, tmp_path)

    async def away(*_: object, **__: object) -> list[str]:
        raise StorageUnavailable("away")

    monkeypatch.setattr(type(house.worker.objects), "keys_below", away)
    with pytest.raises(StorageUnavailable):
        await restored(house, backup_keys, path)
    assert await held(house) == {}


async def test_what_the_storage_was_away_for_is_in_the_journal_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A withdrawal is done all the same, and told of outside as soon as that goes, with its own time; once."""
    person, book = await house.person(), house.worker.hands.journal
    (await person.put("/v1/me/consents", json={"analytics": True})).raise_for_status()
    who = book.hash_of(f"{(await person.get('/v1/me')).json()['id']}:analytics")

    async def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    async def ended() -> list[datetime]:
        entries = await book.read(since=house.clock() - timedelta(days=1), now=house.clock())
        return [entry.at for entry in entries if entry.who == who]

    withdrawn_at = house.clock()
    with monkeypatch.context() as storage:
        storage.setattr(type(house.worker.objects), "put", away)
        (await person.put("/v1/me/consents", json={"analytics": False})).raise_for_status()
        assert await waiting.send(house.db, book) == 0
    assert await ended() == []
    house.clock.offset += timedelta(hours=1)
    assert await waiting.send(house.db, book) == 1
    assert await waiting.send(house.db, book) == 0
    (told_at,) = await ended()
    assert timedelta(0) <= told_at - withdrawn_at < timedelta(minutes=1)


async def test_the_journal_is_kept_longer_than_backups(house: House) -> None:
    """Ten days longer; then it goes."""
    book, now = house.worker.hands.journal, house.clock()
    await book.write("person_erased", "usr_1", now=now - timedelta(days=45))
    await book.write("person_erased", "usr_2", now=now - timedelta(days=31))
    assert journal.LIFE > scope.LIFE
    assert await book.sweep(now=now) == 1
    entries = await book.read(since=now - timedelta(days=60), now=now)
    assert book.hash_of("usr_2") in {entry.who for entry in entries}
    assert book.hash_of("usr_1") not in {entry.who for entry in entries}


def test_names_of_files_tell_when() -> None:
    """And nothing else."""
    assert file.name_of(datetime(2026, 11, 29, 9, 5, tzinfo=UTC)) == "soundops-20261129T090500Z.backup"
