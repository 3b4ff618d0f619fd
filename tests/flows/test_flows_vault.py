"""The vault under its operator: rotation, revocation, the ledger, and the alarm, on a database of their own."""

import argparse
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from aiobotocore.session import get_session
from prometheus_client import REGISTRY

from app.db import Doc
from app.services import heartbeat
from app.services.vault import ledger, rewrapping, ring_files
from app.services.vault.envelope import SealBroken
from app.services.vault.ledger import MOST_USES, KeyUsedUp, count_uses
from app.services.vault.opening import NoSecret, open_secret
from app.services.vault.ring import RingUnavailable
from app.services.vault.ring_files import RingFiles, drop_private
from app.services.vault.secrets import put_secret
from tests.house import NOBODY, House, make_keys, open_house, settings_env
from tools.child import Child
from workers import vault, vault_schedule

PURPOSES = ("access_token", "refresh_token")


def operator(house: House, **changes: Any) -> vault.Operator:
    """The operator of this house."""
    settings = house.worker.settings
    assert settings.vault_public_ring_file and settings.vault_private_ring_file
    files = RingFiles(settings.vault_public_ring_file, settings.vault_private_ring_file)
    made = vault.Operator(house.db, house.api.audit, settings, files, 10_000, house.clock)
    return replace(made, **changes)


async def opened(house: House, connection: Doc, purpose: str = "access_token") -> str:
    """What a worker opens."""
    ring = house.worker.rings[1]
    found = await open_secret(
        house.db, ring, connection=connection, purpose=purpose, used_for="check", job="op_test", now=house.clock()
    )
    return found.reveal("check")


async def connections(house: House, count: int) -> list[Doc]:
    """Connections of one label each, with a token."""
    return [await house.connection(f"lbl_{number:02}", f"178414000000000{number:02}") for number in range(count)]


async def envelopes(house: House) -> list[Doc]:
    """All that is sealed, in order."""
    found = await house.db.open("secrets").find({}, comment="all-labels: a test").sort("_id", 1).to_list()
    return [stored["envelope"] for stored in found]


async def states(house: House) -> dict[str, str]:
    """The ledger."""
    return {key.key_id: key.state for key in await ledger.keys(house.db)}


async def test_rotation(vault_house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """A fresh key takes the place of the old one, which is destroyed; everything opens, and nothing else is changed."""
    made = await connections(vault_house, 5)
    before = await envelopes(vault_house)
    await heartbeat.beat(vault_house.db, "wrk_gone", key_ids=[], now=vault_house.clock() - heartbeat.STALE)
    await vault.rotate(operator(vault_house), settle_s=0.1)
    after = await envelopes(vault_house)
    assert vault_house.worker.rings[1].key_ids() == ["k2"] and vault_house.api.ring.current == "k2"
    assert {envelope["key_id"] for envelope in after} == {"k2"}
    for old, new in zip(before, after, strict=True):
        changed = {name for name in old if old[name] != new[name]}
        assert changed == {"key_id", "wrapped_key"}
    for number, connection in enumerate(made):
        assert await opened(vault_house, connection) == f"token-of-178414000000000{number:02}"
    assert await states(vault_house) == {"k1": "retired", "k2": "current"}
    await vault.status(operator(vault_house))
    shown = capsys.readouterr().out
    assert "k1 is destroyed." in shown and "Live workers without k2: none" in shown
    uses = {key.key_id: (key.uses, key.records) for key in await ledger.keys(vault_house.db)}
    assert uses == {"k1": (5, 0), "k2": (5, 5)}


async def test_each_step_is_refused_before_its_time(vault_house: House) -> None:
    """No promotion while a live worker could not open, no retiring while a record needs the key; nothing is lost."""
    (connection,) = await connections(vault_house, 1)
    op = operator(vault_house)
    with pytest.raises(vault.Refused, match="no added key"):
        await vault.promote(op)
    await heartbeat.beat(vault_house.db, "wrk_late", key_ids=["k1"], now=vault_house.clock())
    await vault.add(op)
    with pytest.raises(vault.Refused, match="wrk_late"):
        await vault.promote(op)
    assert vault_house.api.ring.current == "k1"
    await heartbeat.beat(vault_house.db, "wrk_late", key_ids=["k1", "k2"], now=vault_house.clock())
    await vault.promote(op)
    with pytest.raises(vault.Refused, match="1 records need k1"):
        await vault.retire(op, settle_s=0)
    assert await opened(vault_house, connection) == "token-of-17841400000000000"
    await vault.rewrap(op)
    await vault.rewrap(op)
    await vault.retire(op, settle_s=0)
    await vault.retire(op, settle_s=0)
    assert await opened(vault_house, connection) == "token-of-17841400000000000"


async def test_a_refresh_wins_over_rewrapping(vault_house: House) -> None:
    """What was read before a token was exchanged is not written over it."""
    one, other = await connections(vault_house, 2)
    await vault.add(op := operator(vault_house))
    await vault.promote(op)
    found = await vault_house.db.open("secrets").find({}, comment="all-labels: a test").to_list()
    ring, now = vault_house.api.ring, vault_house.clock()
    await put_secret(vault_house.db, ring, "refreshed", connection=one, purpose="access_token", now=now)
    done = await rewrapping._rewrap_batch(vault_house.db, vault_house.worker.rings, found, job="test", now=now)
    assert (done.rewrapped, done.overtaken, done.broken) == (1, 1, 0)
    again = await rewrapping._rewrap_batch(vault_house.db, vault_house.worker.rings, found, job="test", now=now)
    assert (again.rewrapped, again.overtaken) == (0, 2)
    assert [await opened(vault_house, one), await opened(vault_house, other)] == [
        "refreshed",
        "token-of-17841400000000001",
    ]


async def test_a_process_with_the_ring_of_yesterday_does_nothing(vault_house: House) -> None:
    """It neither rewraps back nor stores anything under a key that is gone: that is to be tried again."""
    (connection,) = await connections(vault_house, 1)
    await vault.rotate(operator(vault_house), settle_s=0)
    rows = vault_house.db.open("vault_keys")
    await rows.update_one({"_id": "k1"}, {"$set": {"state": "current"}})
    await rows.update_one({"_id": "k2"}, {"$set": {"state": "retiring"}})
    rings, clock = vault_house.worker.rings, vault_house.clock
    assert [one async for one in rewrapping.rewrap(vault_house.db, rings, job="test", clock=clock)] == []
    await rows.update_one({"_id": "k2"}, {"$set": {"state": "retired"}})
    ring, now = vault_house.api.ring, vault_house.clock()
    with pytest.raises(RingUnavailable, match="retired"):
        await put_secret(vault_house.db, ring, "lost?", connection=connection, purpose="access_token", now=now)
    assert await opened(vault_house, connection) == "token-of-17841400000000000"


async def test_revoking(vault_house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever was ever under the key is listed, and nobody else; fresh data keys, another key, and the old one gone."""
    early = await connections(vault_house, 3)
    op, ring, now = operator(vault_house), vault_house.api.ring, vault_house.clock()
    await put_secret(vault_house.db, ring, "second", connection=early[0], purpose="refresh_token", now=now)
    await vault.rotate(op, settle_s=0)
    await put_secret(vault_house.db, ring, "new token", connection=early[2], purpose="access_token", now=now)
    late = await vault_house.connection("lbl_late", "17841400000000099")
    before = {envelope["commitment"] for envelope in await envelopes(vault_house)}
    capsys.readouterr()
    await vault.revoke(op, "k1", force_reconnect=True, settle_s=0)
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["k1 is destroyed", "Affected: 2 connections; 2 must log in anew now; 0 secrets do not open."]
    assert shown[2:] == [
        f"lbl_00  {early[0]['_id']}  instagram  access_token refresh_token",
        f"lbl_01  {early[1]['_id']}  instagram  access_token",
    ]
    kept = before & {envelope["commitment"] for envelope in await envelopes(vault_house)}
    assert len(kept) == 2, "only what k1 could never open keeps its data key"
    found = await vault_house.db.open("connections").find({}, comment="all-labels: a test").sort("_id", 1).to_list()
    told = {one["_id"]: (one["status"], one["problem"]) for one in found}
    assert told == {
        early[0]["_id"]: ("needs_reauth", "key_compromised"),
        early[1]["_id"]: ("needs_reauth", "key_compromised"),
        early[2]["_id"]: ("active", None),
        late["_id"]: ("active", None),
    }
    assert [await opened(vault_house, early[0], purpose) for purpose in PURPOSES] == [
        "token-of-17841400000000000",
        "second",
    ]
    openings = await vault_house.db.open("vault_openings").count_documents(
        {"used_for": "revoke_key"}, comment="all-labels: a test"
    )
    assert openings == 3


async def test_revoking_the_current_key(vault_house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Another one is added and promoted first; run again, it says the same, and changes nothing."""
    made = await connections(vault_house, 2)
    for _ in range(2):
        capsys.readouterr()
        await vault.revoke(operator(vault_house), "k1", force_reconnect=False, settle_s=0)
        assert "Affected: 2 connections; 0 must log in anew now; 0 secrets do not open." in capsys.readouterr().out
    assert await states(vault_house) == {"k1": "revoked", "k2": "current"}
    assert vault_house.worker.rings[1].key_ids() == ["k2"]
    assert await opened(vault_house, made[1]) == "token-of-17841400000000001"
    with pytest.raises(vault.Refused, match="never was"):
        await vault.revoke(operator(vault_house), "k9", force_reconnect=False, settle_s=0)


async def test_an_envelope_in_another_labels_row(vault_house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Copied by hand from label A into label B's row, it is refused, and B hears of it, once.

    Rewrapping does not touch it, and its key is not destroyed under it.
    """
    mine, theirs = await connections(vault_house, 2)
    secrets = vault_house.db.open("secrets")
    stored = await secrets.find_one({"label_id": "lbl_00", "connection_id": mine["_id"]})
    assert stored
    await secrets.update_one({"label_id": "lbl_01"}, {"$set": {"envelope": stored["envelope"]}})
    before = REGISTRY.get_sample_value("vault_envelopes_broken_total") or 0
    for _ in range(3):
        with pytest.raises(SealBroken):
            await opened(vault_house, theirs)
    events = await vault_house.db.open("events").find({"label_id": {"$in": ["lbl_00", "lbl_01"]}}).to_list()
    assert [(e["label_id"], e["type"], e["target"]) for e in events] == [
        ("lbl_01", "vault.envelope_broken", theirs["_id"])
    ]
    assert REGISTRY.get_sample_value("vault_envelopes_broken_total") == before + 3
    op = operator(vault_house)
    await vault.add(op)
    await vault.promote(op)
    with pytest.raises(vault.Refused, match="1 do not open"):
        await vault.rewrap(op)
    with pytest.raises(vault.Refused, match="1 records need k1"):
        await vault.retire(op, settle_s=0)
    assert await opened(vault_house, mine) == "token-of-17841400000000000"
    capsys.readouterr()
    await vault.revoke(op, "k1", force_reconnect=False, settle_s=0)
    assert "1 secrets do not open" in capsys.readouterr().out, "nor does it keep a key in the world that has to go"
    assert vault_house.worker.rings[1].key_ids() == ["k2"]
    assert await opened(vault_house, mine) == "token-of-17841400000000000"


async def test_a_rotation_that_was_broken_off(vault_house: House) -> None:
    """Begun again, it goes on with the key that was added; half a promotion is told, and mended by promoting again."""
    (connection,) = await connections(vault_house, 1)
    op = operator(vault_house)
    await vault.add(op)
    assert op.files
    ring_files.promote(op.files, "k2")
    with pytest.raises(vault.Refused, match="run `promote` again"):
        await vault.rewrap(op)
    await vault.rotate(op, settle_s=0)
    assert await states(vault_house) == {"k1": "retired", "k2": "current"}
    assert await opened(vault_house, connection) == "token-of-17841400000000000"


async def test_a_key_stops_after_so_many_uses(vault_house: House) -> None:
    """What it has sealed stays; nothing new is sealed under it, until another key is current."""
    (connection,) = await connections(vault_house, 1)
    await vault_house.db.open("vault_keys").update_one({"_id": "k1"}, {"$set": {"uses": MOST_USES - 1}})
    ring, now = vault_house.api.ring, vault_house.clock()
    told = {"connection": connection, "purpose": "access_token", "now": now}
    await put_secret(vault_house.db, ring, "the last", **told)
    with pytest.raises(KeyUsedUp):
        await put_secret(vault_house.db, ring, "one too many", **told)
    assert await opened(vault_house, connection) == "the last"
    with pytest.raises(KeyUsedUp):
        await count_uses(vault_house.db, "local", "k2", uses=MOST_USES + 1, now=now)
    await vault.rotate(operator(vault_house), settle_s=0)
    await put_secret(vault_house.db, ring, "another key's first", **told)
    assert await opened(vault_house, connection) == "another key's first"


async def test_a_worker_rewraps_by_itself(vault_house: House) -> None:
    """And shows age, records and uses of each key that is there."""
    made = await connections(vault_house, 2)
    await vault_schedule.look_after(vault_house.worker)
    await vault.add(op := operator(vault_house))
    await vault.promote(op)
    await vault_schedule.look_after(vault_house.worker)
    assert {envelope["key_id"] for envelope in await envelopes(vault_house)} == {"k2"}
    shown = [REGISTRY.get_sample_value(name, {"key": "k2"}) for name in ("vault_records", "vault_key_uses")]
    assert shown == [2, 2]
    assert (REGISTRY.get_sample_value("vault_key_age_seconds", {"key": "k1"}) or 0) > 0
    assert await opened(vault_house, made[0]) == "token-of-17841400000000000"


async def test_the_commands_exit_status(vault_house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """0 when it is done, 1 with a sentence when it is refused; nothing of a key is shown."""
    await connections(vault_house, 1)
    settings = vault_house.worker.settings
    for arguments, code in ((["status"], 0), (["promote"], 1), (["revoke", "k9"], 1), (["add"], 0)):
        op = vault.open_operator(settings, per_s=100, clock=vault_house.clock)
        assert await vault.run(op, vault.parse(arguments)) == code
    assert settings.vault_private_ring_file
    settings.vault_private_ring_file.write_text("canary")
    op = vault.open_operator(settings, per_s=100, clock=vault_house.clock)
    assert await vault.run(op, argparse.Namespace(command="add")) == 1
    said = capsys.readouterr()
    assert "There never was a key k9." in said.err and "canary" not in said.err + said.out


async def test_a_destroyed_key(vault_house: House) -> None:
    """What it alone could open is lost, loudly; a secret that was never there is another matter."""
    (connection,) = await connections(vault_house, 1)
    op = operator(vault_house)
    await vault.add(op)
    await vault.promote(op)
    assert op.files
    drop_private(op.files, "k1")
    with pytest.raises(SealBroken):
        await opened(vault_house, connection)
    with pytest.raises(NoSecret):
        await opened(vault_house, connection, "refresh_token")


@pytest.fixture
async def kms_keys(moto_child: Child, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two keys of KMS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    async with get_session().create_client("kms", region_name="eu-central-1", endpoint_url=moto_child.url) as client:
        return [str((await client.create_key())["KeyMetadata"]["Arn"]) for _ in range(2)]


async def call_back(house: House, owner: httpx.AsyncClient, label_id: str) -> httpx.Response:
    """Go through the log-in at the sandbox; what our callback answers."""
    owner._transport = httpx.ASGITransport(house.app)
    wish = {"provider": "instagram", "features": ["messages", "comments"]}
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=wish)).raise_for_status().json()
    async with httpx.AsyncClient(trust_env=False) as browser:
        allowed = await browser.post(begun["authorize_url"], data={"account": "nightjar.records", "allow": "1"})
    back = urlsplit(allowed.headers["location"])
    return await owner.get(f"{back.path}?{back.query}")


async def test_aws_kms(
    mongodb_url: str, redis_url: str, tmp_path: Path, moto_child: Child, kms_keys: list[str]
) -> None:
    """From the local ring to KMS, and from one key of it to the next; away, it raises no alarm."""
    first, second = kms_keys
    env = settings_env(make_keys(tmp_path / "keys"), mongodb_url=mongodb_url, redis_url=redis_url)
    async with open_house(env) as house:
        made = await connections(house, 3)
        await vault_schedule.look_after(house.worker)
    env |= {"SOUNDOPS_VAULT_RING": "aws-kms", "SOUNDOPS_KMS_ENDPOINT_URL": moto_child.url}
    for keys in ([first], [second, first]):
        async with open_house(env | {"SOUNDOPS_KMS_KEY_IDS": ",".join(keys)}) as house:
            op = operator(house, files=None)
            with pytest.raises(vault.Refused, match="SOUNDOPS_KMS_KEY_IDS"):
                await vault.add(op)
            assert await opened(house, made[0]) == "token-of-17841400000000000"
            await vault.rotate(op)
            assert {envelope["key_id"] for envelope in await envelopes(house)} == {keys[0]}
            assert await opened(house, made[1]) == "token-of-17841400000000001"
            rotated = await states(house)
    assert rotated == {"k1": "retired", first: "retired", second: "current"}
    async with open_house(env | {"SOUNDOPS_KMS_KEY_IDS": f"{second},{first}"}) as house:
        op, before = operator(house, files=None), {envelope["commitment"] for envelope in await envelopes(house)}
        with pytest.raises(vault.Refused, match="is the current key"):
            await vault.revoke(op, second, force_reconnect=False, settle_s=0)
        await vault.revoke(op, first, force_reconnect=False, settle_s=0)
        assert not before & {envelope["commitment"] for envelope in await envelopes(house)}
        assert (await states(house))[first] == "revoked"
        assert await opened(house, made[1]) == "token-of-17841400000000001"
    away = {"SOUNDOPS_KMS_KEY_IDS": second, "SOUNDOPS_KMS_ENDPOINT_URL": NOBODY}
    async with open_house(env | away) as house:
        for _ in range(2):
            with pytest.raises(RingUnavailable):
                await opened(house, made[2])
        assert await house.db.open("events").count_documents({"label_id": "lbl_02"}) == 0


async def test_aws_kms_is_away(
    mongodb_url: str, redis_url: str, tmp_path: Path, moto_child: Child, kms_keys: list[str], sandbox_url: str
) -> None:
    """The API says 503, and a worker tries later: the code that it could not open is not lost, and then it connects."""
    env = settings_env(
        make_keys(tmp_path / "keys"), mongodb_url=mongodb_url, redis_url=redis_url, sandbox_url=sandbox_url
    )
    env |= {"SOUNDOPS_VAULT_RING": "aws-kms", "SOUNDOPS_KMS_KEY_IDS": kms_keys[0]}
    there, away = (env | {"SOUNDOPS_KMS_ENDPOINT_URL": url} for url in (moto_child.url, NOBODY))
    async with open_house(there) as house, open_house(away) as cut_off:
        owner = await house.person()
        label_id = await house.label(owner)
        refused = await call_back(cut_off, owner, label_id)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert (await call_back(house, owner, label_id)).status_code == 200
        await cut_off.work()
        waiting = await house.db.open("operations").find({"label_id": label_id, "kind": "exchange_code"}).to_list()
        assert [one["state"] for one in waiting] == ["queued"]
        assert await house.db.open("secrets").count_documents({"label_id": label_id, "purpose": "code"}) == 1
        house.clock.offset = timedelta(seconds=30)
        await house.work()
        shown = await house.db.open("connections").find({"label_id": label_id}).sort("_id", 1).to_list()
        assert [one["status"] for one in shown] == ["pending", "active"]
