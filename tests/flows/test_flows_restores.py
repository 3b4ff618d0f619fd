"""What a restore must not do: begin on a guess, be lifted half done, bring back what ended since the backup."""

import asyncio
import resource
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.accounts import change
from app.db import Doc
from app.ids import new_id
from app.services import audit_reading, restore_mode
from app.services.audit import By
from app.services.backups import chains, file, loading, making
from app.services.backups.file import NotABackup
from app.services.backups.journal import Journal, JournalBroken
from app.services.backups.loading import NotRestored, Restored
from app.services.privacy import fan_tombstones, standing
from app.services.vault.private_ring import load_private
from app.services.vault.ring import load_public
from tests.api.people import join, member_id, user_of, with_second_factor
from tests.flows.backups_harness import SPANS, backed_up, emptied, held, replay_of, restore, restored
from tests.flows.publishing_harness import Press
from tests.house import PASSWORD, House, eventually, message_change
from workers import exports, jobs

FAN, OTHER_FAN, NO_FAN = "900100", "900200", "900300"


async def test_an_erased_fan_is_kept_out(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Meta shows again what it has: who was erased before the backup, and who was after it, in this label alone."""
    owner = await house.person()
    label_id, other = await house.label(owner), await house.label(owner, "other")
    await house.connection(label_id)
    for fan in (FAN, OTHER_FAN):
        await house.receive(message_change(f"of {fan}", ms=house.ms(), fan=fan))
        (await owner.post(f"/v1/labels/{label_id}/privacy-requests", json={"provider_id": fan})).raise_for_status()
        await house.work()
        if fan == FAN:
            house.clock.offset += loading.SKEW + timedelta(seconds=1)  # of whom the journal is not asked
            path = await backed_up(house, backup_keys, tmp_path)
    assert (await restored(house, backup_keys, path)).replayed["fans kept out"] >= 1
    key = fan_tombstones.key_of(house.worker.settings)
    assert set(await fan_tombstones.erased(house.db, key, label_id, [FAN, OTHER_FAN, NO_FAN])) == {FAN, OTHER_FAN}
    assert not await fan_tombstones.erased(house.db, key, other, [FAN, OTHER_FAN])


async def test_only_with_its_own_journal(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Another storage, or another key, would know of nobody who was erased: nothing is begun, unless somebody says
    that the journal is lost. An entry that is none is named."""
    await house.person()
    path = await backed_up(house, backup_keys, tmp_path)
    await emptied(house)
    ring, what = load_private(backup_keys / "backup.private.json"), replay_of(house)
    other_key = replace(what, journal=Journal(what.journal.objects, b"another key" * 3))
    with pytest.raises(NotRestored, match="SOUNDOPS_SECRET_KEY"):
        await loading.restore(path, ring, other_key)
    assert await held(house) == {}
    assert (await loading.restore(path, ring, other_key, without_journal=True)).counts["users"] == 1
    await emptied(house)
    odd = tmp_path / "odd"
    odd.write_text("[]")
    key = f"journal/{house.clock().date().isoformat()}/odd"
    sha256 = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    await what.journal.objects.put(key, odd, content_type="a/b", sha256=sha256)
    with pytest.raises(JournalBroken, match=key):
        await loading.restore(path, ring, what)
    assert await held(house) == {}
    await what.journal.objects.delete(key)


async def test_half_a_restore_is_not_lifted(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Who was erased may still be there: nothing is done, not even inside, and `/readyz` says so."""
    await house.person()
    path = await backed_up(house, backup_keys, tmp_path)
    await emptied(house)
    begun = asyncio.create_task(restore(house, backup_keys, path))
    await eventually(lambda: restore_mode.state(house.db))
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)
    assert await restore_mode.lift(house.db, now=house.clock()) == "not_complete"
    assert await restore_mode.held_back(house.db) == frozenset()
    answer = await house.http.get("/readyz")
    assert (answer.status_code, answer.json()["restore"], answer.json()["detail"]) == (503, "broken_off", "red")
    await restored(house, backup_keys, path)
    answer = await house.http.get("/readyz")
    assert (answer.status_code, answer.json()["restore"], answer.json()["detail"]) == (200, "held_back", "yellow")
    assert await restore_mode.lift(house.db, now=house.clock()) == "lifted"
    assert await restore_mode.lift(house.db, now=house.clock()) == "was_off"
    assert (await house.http.get("/readyz")).json()["restore"] == "off"


async def test_two_restores_at_once(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """One of them begins."""
    await house.person()
    path = await backed_up(house, backup_keys, tmp_path)
    await emptied(house)
    both = (restore(house, backup_keys, path) for _ in range(2))
    found = await asyncio.gather(*both, return_exceptions=True)
    assert {type(one) for one in found} == {Restored, NotRestored}, found


async def test_what_is_no_backup_of_ours_changes_nothing(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Altered near its end, cut off, of a newer version: told before anything is written."""
    await house.person()
    path = await backed_up(house, backup_keys, tmp_path)
    raw = path.read_bytes()
    await emptied(house)
    for broken in (raw[:-3] + b"abc", raw[:-1], raw[: len(raw) // 2], raw.replace(b"backup/1", b"backup/2")):
        path.write_bytes(broken)
        with pytest.raises(NotABackup):
            await restore(house, backup_keys, path)
    with path.open("wb") as opened:
        writer = await file.begin(opened, load_public(backup_keys / "backup.public.json"), made_at=house.clock())
        for document in ({"collection": "tomorrows"}, {"_id": "tmw_1"}, {"ended": True, "counts": {"tomorrows": 1}}):
            writer.add(document)
        writer.end()
    with pytest.raises(NotRestored, match="tomorrows"):
        await restore(house, backup_keys, path)
    assert await held(house) == {}


async def test_members_and_uses_that_ended_since(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Who was taken out has no access again, who had become an agent is one, and a restriction holds."""
    owner = await house.person()
    label_id = await house.label(owner)
    for name, role in (("out", "admin"), ("agent", "admin"), ("stays", "editor")):
        await join(house, f"{name}@example.com", label_id, role)  # type: ignore[arg-type]
    owner_id = (await user_of(house, "owner@example.com"))["_id"]
    await house.db.open("users").update_one({"email_key": "stays@example.com"}, {"$set": {"staff": True}})
    path = await backed_up(house, backup_keys, tmp_path)
    members = f"/v1/labels/{label_id}/members"
    (await owner.delete(f"{members}/{await member_id(house, label_id, 'out@example.com')}")).raise_for_status()
    agent = f"{members}/{await member_id(house, label_id, 'agent@example.com')}"
    (await owner.patch(agent, json={"role": "agent"})).raise_for_status()
    (await owner.post("/v1/me/restriction")).raise_for_status()
    (await owner.post("/v1/me/objections", json={"purpose": "notices"})).raise_for_status()
    (await owner.delete("/v1/me/objections/notices")).raise_for_status()
    found = await restored(house, backup_keys, path)
    assert (found.replayed["members changed"], found.replayed["uses ended"]) == (2, 1)
    memberships = await house.db.open("memberships").find({"label_id": label_id}).to_list()
    assert sorted(one["role"] for one in memberships) == ["agent", "editor", "owner"]
    found_standing = await standing.of(house.db, owner_id)
    assert found_standing["restricted_at"] and not found_standing["objections"]
    assert "staff" not in await user_of(house, "stays@example.com") and found.replayed["staff let go"] == 1


async def test_credentials_that_ended_since(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """An account that was disabled is; a second factor that was switched off is none, nor is the password enough."""
    await house.person("shut@example.com")
    await house.person("open@example.com")
    lost, _, _ = await with_second_factor(house, "lost@example.com")
    path = await backed_up(house, backup_keys, tmp_path)
    for command, name in (("disable", "shut"), ("disable", "open"), ("enable", "open")):
        assert (await change(house.db, house.api.audit, house.api.journal, command, f"{name}@example.com"))[0] == 0
    (await lost.delete("/v1/me/totp")).raise_for_status()
    found = await restored(house, backup_keys, path)
    assert (found.replayed["accounts disabled"], found.replayed["second factors voided"]) == (1, 1)
    for name, status in (("shut", 401), ("open", 200), ("lost", 401)):
        log_in = await house.http.post("/v1/sessions", json={"email": f"{name}@example.com", "password": PASSWORD})
        assert log_in.status_code == status, name
    assert await house.db.open("second_factors").find_one({}) is None


async def test_a_deleted_labels_money_is_nobodys(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """What a law has us keep stays under a pseudonym, as before; the label is not there."""
    owner = await house.person()
    label_id = await house.label(owner)
    account: Doc = {"_id": new_id("bil"), "label_id": label_id, "customer_id": "cus_1", "details": {"name": "Nightjar"}}
    account |= {"had_trial": True, "fetches": 1, "synced_fetch": 1}
    await house.db.open("billing_accounts").delete_many({"label_id": label_id})
    await house.db.open("billing_accounts").insert_one(account)
    record = {"_id": new_id("mny"), "label_id": label_id, "provider_id": "in_1", "links": {"customer": "cus_1"}}
    await house.db.open("money_records").insert_one(record)
    path = await backed_up(house, backup_keys, tmp_path)
    await house.worker.hands.journal.write("label_deleted", label_id, now=house.clock())
    assert (await restored(house, backup_keys, path)).replayed["labels deleted"] == 1
    (kept,) = await house.db.open("money_records").find({}, comment=SPANS).to_list()
    (stub,) = await house.db.open("billing_accounts").find({}, comment=SPANS).to_list()
    assert kept["label_id"] == stub["label_id"] != label_id and stub["details"] is None and "links" not in kept


async def test_what_an_erasure_waited_for_is_met(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Asked for before the backup and done after it: the request of the backup does not stay open for ever."""
    person = await house.person()
    (await person.post("/v1/me/erasure", json={})).raise_for_status()
    user_id = (await user_of(house, "owner@example.com"))["_id"]
    path = await backed_up(house, backup_keys, tmp_path)
    await house.worker.hands.journal.write("person_erased", user_id, now=house.clock())
    await restored(house, backup_keys, path)
    requests = await house.db.open("privacy_requests").find({"user_id": user_id}, comment=SPANS).to_list()
    assert [(one["kind"], one["state"]) for one in requests] == [("erasure", "done")]
    assert await house.db.open("users").find_one({"_id": user_id}) is None


async def test_exports_go_on_however_much_is_held_back(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """More than a worker looks at in a round waits before it."""
    await house.person()
    await restored(house, backup_keys, await backed_up(house, backup_keys, tmp_path))
    now = house.clock()
    earlier = now - timedelta(hours=1)
    some = {"label_id": None, "state": "queued", "attempts": 0, "fence": 0, "lease_until": None, "due_at": earlier}
    some |= {"expires_at": now + timedelta(days=1), "target": "x"}
    held_back = [some | {"_id": new_id("op"), "kind": "send_mail", "key": f"k{n}"} for n in range(jobs.DUE_AT_ONCE + 5)]
    await house.db.open("operations").insert_many(held_back)
    mine = some | {"_id": new_id("op"), "kind": "export_person", "key": "mine", "due_at": now}
    await house.db.open("operations").insert_one(mine)
    await house.work()
    found = await house.db.open("operations").find_one({"_id": mine["_id"], "label_id": None})
    assert found is not None and found["state"] == "failed"  # of an export that nobody knows
    waiting = {"label_id": None, "kind": "send_mail", "state": "queued", "attempts": 0}
    assert await house.db.open("operations").count_documents(waiting) == len(held_back)


async def test_files_of_exports_stay_until_it_is_lifted(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Whoever tries a backup beside the service that made it must not throw away what that has made since."""
    await house.person()
    await restored(house, backup_keys, await backed_up(house, backup_keys, tmp_path))
    objects = house.worker.objects
    upload = await objects.begin_parts("exports/usr_1/exp_1/000001", content_type="a/b")
    tag = await objects.put_part("exports/usr_1/exp_1/000001", upload, 1, b"of another service")
    await objects.finish_parts("exports/usr_1/exp_1/000001", upload, [tag])
    await exports.look_for_strays(house.worker)
    assert await objects.keys_below("exports/usr_1/")
    await restore_mode.lift(house.db, now=house.clock())
    await exports.look_for_strays(house.worker)
    assert not await objects.keys_below("exports/usr_1/")


async def test_a_chain_ends_where_its_rows_end(house: House) -> None:
    """What was written between the rows and the heads is lost; the chain is whole, and goes on. A broken head stays."""
    log, key = house.worker.audit, house.worker.audit.key
    for chain in ("usr_a", "usr_b", "usr_c"):
        for _ in range(3):
            await log.record(By("system", "x", None, None), "test.done", chain=chain, target="x", now=house.clock())
    rows = house.db.open("audit_log")
    await rows.delete_one({"label_id": None, "chain": "usr_a", "seq": 3})
    await rows.delete_many({"label_id": None, "chain": "usr_b"})
    broken = {"label_id": None, "chain": "usr_c"}
    await rows.delete_one(broken | {"seq": 3})
    await house.db.open("audit_heads").update_one(broken, {"$set": {"last.seq": 9}})

    async def problem_of(chain: str) -> str | None:
        found = await audit_reading.check_chain(house.db, key, label_id=None, chain=chain, now=house.clock())
        return found.problem

    assert [await problem_of(one) for one in ("usr_a", "usr_b")] == ["cut_off", "cut_off"]
    assert await chains.end_where_rows_end(house.db, log, now=house.clock()) == 2
    for chain in ("usr_a", "usr_b"):
        assert await problem_of(chain) is None
        await log.record(By("system", "x", None, None), "test.done", chain=chain, target="x", now=house.clock())
        assert await problem_of(chain) is None
    assert await problem_of("usr_c") is not None


async def test_a_post_whose_operation_had_ended(press: Press, backup_keys: Path, tmp_path: Path) -> None:
    """Collections are read one after the other: the backup has a post that waits, and its operation as done."""
    house = press.house
    publication = await press.schedule(after=timedelta(minutes=5))
    path = await backed_up(house, backup_keys, tmp_path)
    assert (await press.settle(publication))["state"] == "published"
    await changed(backup_keys, path, {"operations": [await press.operation(publication)]})
    await restored(house, backup_keys, path)
    assert (await press.operation(publication))["state"] == "queued"
    await restore_mode.lift(house.db, now=house.clock())
    assert (await press.settle(publication))["state"] == "published"
    assert len(await press.shown()) == 1


async def changed(backup_keys: Path, path: Path, also: dict[str, list[Doc]]) -> None:
    """Have the backup hold these documents too, in the place of those that it has of their ids."""
    ring = load_private(backup_keys / "backup.private.json")
    ids = {one["_id"] for some in also.values() for one in some}
    with path.open("rb") as opened:
        head = file.read_head(opened)
        kept = [one for one in file.contents(opened, head, await file.key_of(head, ring)) if one[1]["_id"] not in ids]
    kept += [(name, one) for name, some in also.items() for one in some]
    with path.open("wb") as written:
        writer = await file.begin(written, load_public(backup_keys / "backup.public.json"), made_at=head.made_at)
        for name, document in kept:
            writer.add({"collection": name})
            writer.add(document)
        writer.add({"ended": True, "counts": {"all": len(kept)}})
        writer.end()


async def test_a_place_that_two_have_had(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """Somebody took an address that another gave up, between the reading of the two: the rest is restored all the same,
    and it is told who is not."""
    await house.person()
    path = await backed_up(house, backup_keys, tmp_path)
    user = await user_of(house, "owner@example.com")
    await changed(backup_keys, path, {"users": [user | {"_id": "usr_b"}, user | {"_id": "usr_c", "email_key": "c"}]})
    found = await restored(house, backup_keys, path)
    assert (found.left_over, found.counts["users"]) == (["users: usr_b"], 2)


async def test_a_post_without_words_is_not_taken_for_another(press: Press, backup_keys: Path, tmp_path: Path) -> None:
    """Somebody has posted a picture without words by hand: that is no proof that ours is there."""
    house = press.house
    ours = await press.schedule(after=timedelta(hours=2), caption="")
    path = await backed_up(house, backup_keys, tmp_path)
    await press.settle(await press.schedule(caption=""))
    await restored(house, backup_keys, path)
    await restore_mode.lift(house.db, now=house.clock())
    target = await press.until(ours, lambda one: one["state"] in ("unknown", "published"))
    assert target["state"] == "unknown"


async def test_nobody_can_ask_of_an_account_that_is_gone(press: Press, backup_keys: Path, tmp_path: Path) -> None:
    """Its token is dead since: after a day of asking a person decides."""
    house = press.house
    publication = await press.schedule(after=timedelta(minutes=5), caption="Gone")
    path = await backed_up(house, backup_keys, tmp_path)
    await press.pass_by(timedelta(minutes=10))
    await restored(house, backup_keys, path)
    await restore_mode.lift(house.db, now=house.clock())
    await house.db.open("secrets").delete_many({"label_id": press.desk.label_id})
    target = await press.settle(publication)
    assert target["state"] == "unknown"
    path_of_it = f"/publications/{publication['_id']}/targets/{target['_id']}/decide"
    await press.post(path_of_it, outcome="not_published")


async def test_nothing_is_left_of_a_backup_that_failed(house: House, backup_keys: Path, tmp_path: Path) -> None:
    """The disk is full; the folder is not there; two at the same second; one that was killed a day ago."""
    await house.person()
    folder = tmp_path / "backups"
    with pytest.raises(FileNotFoundError, match="backups"):
        await backed_up(house, backup_keys, folder)
    folder.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(OSError, match="large"):
            await backed_up(house, backup_keys, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(folder.iterdir()) == []
    both = [backed_up(house, backup_keys, folder) for _ in range(2)]
    found = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(one, FileExistsError) for one in found) == 1, found
    (path,) = folder.iterdir()
    path.rename(path.with_suffix(".unfinished"))
    assert making.drop_old(folder, now=house.clock()) == 0
    assert making.drop_old(folder, now=house.clock() + timedelta(days=1, minutes=1)) == 1
