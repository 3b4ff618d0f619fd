"""A backup's file: what was put in comes out, only with the private key, and only whole."""

import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import keys
from app.db import Doc
from app.models.collection import EXPIRES
from app.models.data_map import DATA_MAP
from app.services.backups import file, scope
from app.services.vault.private_ring import load_private
from app.services.vault.ring import load_public

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of backups."""
    made = tmp_path_factory.mktemp("backup-keys")
    keys.create_backup_keys(made)
    return made


async def written(folder: Path, documents: list[Doc]) -> bytes:
    """A backup of these documents."""
    with tempfile.TemporaryFile() as made:
        writer = await file.begin(made, load_public(folder / "backup.public.json"), made_at=AT)
        for document in ({"collection": "things"}, *documents, {"ended": True, "counts": {"things": len(documents)}}):
            writer.add(document)
        writer.end()
        made.seek(0)
        return made.read()


async def read(folder: Path, raw: bytes) -> list[tuple[str, Doc]]:
    """What is in a backup."""
    opened = io.BytesIO(raw)
    head = file.read_head(opened)
    key = await file.key_of(head, load_private(folder / "backup.private.json"))
    return list(file.contents(opened, head, key))


@given(st.lists(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text(max_size=200) | st.integers(0, 9))))
@settings(max_examples=20, deadline=None)
async def test_it_comes_back(folder: Path, documents: list[Doc]) -> None:
    """Every document, in order, with its collection."""
    named = [one | {"_id": number} for number, one in enumerate(documents)]
    assert await read(folder, await written(folder, named)) == [("things", one) for one in named]


async def test_a_changed_or_cut_one_does_not(folder: Path, tmp_path: Path) -> None:
    """Any byte changed, anything cut off or added; nor with another key; and no word of it is in the clear."""
    documents = [{"_id": f"usr_{number}", "name": "Mara with a canary" * 50} for number in range(2000)]
    raw = await written(folder, documents)
    assert b"canary" not in raw and b"usr_" not in raw
    ends = raw.index(b"SOSEAL1\n")
    places = [0, 12, 40, ends - 2, ends + 3, ends + 12, ends + 30, len(raw) // 2, len(raw) - 1]
    for place in places:
        with pytest.raises(file.NotABackup):
            await read(folder, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    for cut in (0, 5, ends, ends + 20, len(raw) - 1):
        with pytest.raises(file.NotABackup):
            await read(folder, raw[:cut])
    with pytest.raises(file.NotABackup):
        await read(folder, raw + b"x")
    keys.create_backup_keys(tmp_path)
    with pytest.raises(file.NotABackup):
        await read(tmp_path, raw)


def test_what_must_be_gone_earlier_is_in_no_backup() -> None:
    """Content and what is a fan's expires; what lets in is left out. Hashes of erased fans are in it."""
    kept = {collection.name for collection in scope.in_backup()}
    for collection in DATA_MAP.values():
        if EXPIRES in collection.indexes and (collection.personal == "content" or collection.subject == "fan"):
            assert collection.name not in kept or collection.name == "erased_fans"
    assert {"erased_fans", "users", "labels", "secrets", "operations", "publications", "audit_log"} <= kept
    assert not {"messages", "comments", "notes", "conversations", "webhook_inbox", "parked_changes"} & kept
    assert not {"sessions", "refresh_tokens", "single_use_tokens", "exports", "idempotency_keys"} & kept
    assert DATA_MAP.keys() >= scope.PASSING


@pytest.mark.parametrize(
    "head",
    [
        *(b"[]", b"{}", b"null", b"[" * 9000, b'{"format": "soundops-backup/2"}'),
        b'{"format": "soundops-backup/1", "made_at": "0001-01-01T00:00:00+23:59", "key_id": 1, "wrapped": ""}',
        b'{"format": "soundops-backup/1", "made_at": 7, "key_id": 1, "wrapped": ""}',
    ],
)
def test_nonsense_for_a_head(head: bytes) -> None:
    """Is told to be none."""
    with pytest.raises(file.NotABackup):
        file.read_head(io.BytesIO(file.MAGIC + len(head).to_bytes(4, "big") + head))
