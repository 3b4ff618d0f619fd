"""Ring files that change under running processes: whole, private, noticed, and never a key id twice."""

import json
from pathlib import Path

import pytest

from app import keys
from app.services.vault import watched
from app.services.vault.envelope import Binding, SealBroken, seal, unseal
from app.services.vault.private_ring import WatchedPrivateRing
from app.services.vault.ring import BadRing, WatchedPublicRing
from app.services.vault.ring_files import RingFiles, RingInUse, add_key, drop_private, drop_public, locked, promote

BINDING = Binding("sec_1", "lbl_1", "con_1", "instagram", "access_token")


@pytest.fixture
def files(tmp_path: Path) -> RingFiles:
    """Both halves of a fresh ring."""
    keys.create(tmp_path)
    return RingFiles(tmp_path / "ring.public.json", tmp_path / "ring.private.json")


async def test_running_processes_notice(files: RingFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is added opens, one that is promoted seals, one that is dropped opens no more; nobody restarts."""
    public, private = WatchedPublicRing(files.public), WatchedPrivateRing(files.private)
    before = await seal(public, "old", BINDING)
    assert add_key(files, known=[]) == "k2"
    promote(files, "k2")
    assert public.current == "k1", "the file is looked at once a second"
    assert (await seal(WatchedPublicRing(files.public), "new", BINDING))["key_id"] == "k2"
    after = await seal(WatchedPublicRing(files.public), "new", BINDING)
    assert await unseal(private, after, BINDING) == "new", "a key it does not know may be new: it looks at once"
    monkeypatch.setattr(watched, "LOOK_EVERY_S", 0.0)
    assert (public.current, private.key_ids()) == ("k2", ["k1", "k2"])
    drop_public(files, "k1")
    drop_private(files, "k1")
    assert private.key_ids() == ["k2"]
    with pytest.raises(SealBroken):
        await unseal(private, before, BINDING)


async def test_a_change_that_cannot_be_read(files: RingFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file, one that others may read, or none at all: what was held stays, and the next good file counts."""
    monkeypatch.setattr(watched, "LOOK_EVERY_S", 0.0)
    private, good = WatchedPrivateRing(files.private), files.private.read_text()
    for spoil in (
        lambda: files.private.write_text(good[:20]),
        lambda: files.private.chmod(0o644),
        files.private.unlink,
    ):
        spoil()
        assert private.key_ids() == ["k1"]
    files.private.write_text(json.dumps({"keys": {"k7": json.loads(good)["keys"]["k1"]}}))
    files.private.chmod(0o600)
    assert private.key_ids() == ["k7"]


def test_files_stay_as_private_as_they_were(files: RingFiles) -> None:
    """The private half is its owner's alone; the public one may be the API's too. Nothing is left beside them."""
    files.public.chmod(0o640)
    add_key(files, known=[])
    modes = {path.name: path.stat().st_mode & 0o777 for path in files.public.parent.iterdir()}
    assert (modes["ring.public.json"], modes["ring.private.json"]) == (0o640, 0o600)
    assert [name for name in modes if name.endswith(".new")] == []


def test_ids_are_never_used_again(files: RingFiles) -> None:
    """Not even those that only the ledger remembers."""
    assert [add_key(files, known=["k1", "k7"]), add_key(files, known=[])] == ["k8", "k9"]


def test_what_is_refused(files: RingFiles) -> None:
    """A key that is not there cannot seal, the one that seals is not dropped, and two commands do not mix."""
    with pytest.raises(BadRing, match="k2"):
        promote(files, "k2")
    with pytest.raises(BadRing, match="current"):
        drop_public(files, "k1")
    with locked(files), pytest.raises(RingInUse), locked(files):
        pass
