"""What tests of backups share: making one, losing everything, restoring it."""

from pathlib import Path

from app.db import ALL_LABELS
from app.derived_keys import derive
from app.models.data_map import DATA_MAP
from app.services.backups import loading, making
from app.services.backups.loading import Restored
from app.services.backups.replaying import Replay
from app.services.consents import suppression
from app.services.vault.private_ring import load_private
from app.services.vault.ring import load_public
from tests.house import House

SPANS = f"{ALL_LABELS}a test"


def replay_of(house: House) -> Replay:
    """What the command restores with."""
    worker, settings = house.worker, house.worker.settings
    return Replay(
        db=house.db,
        audit=worker.audit,
        journal=worker.hands.journal,
        suppress_key=derive(settings, suppression.PURPOSE),
        receipts="http://127.0.0.1:8000/erasure/",
        now=house.clock(),
    )


async def backed_up(house: House, backup_keys: Path, folder: Path) -> Path:
    """A backup of now."""
    ring, book = load_public(backup_keys / "backup.public.json"), house.worker.hands.journal
    path, _ = await making.make(house.db, folder, ring, book, now=house.clock())
    return path


async def emptied(house: House) -> None:
    """A disaster."""
    for name in DATA_MAP:
        await house.db.raw[name].delete_many({}, comment=SPANS)


async def restore(house: House, backup_keys: Path, path: Path) -> Restored:
    """What the command does, with what there is in the database."""
    return await loading.restore(path, load_private(backup_keys / "backup.private.json"), replay_of(house))


async def restored(house: House, backup_keys: Path, path: Path) -> Restored:
    """The same after a disaster."""
    await emptied(house)
    return await restore(house, backup_keys, path)


async def held(house: House) -> dict[str, int]:
    """How many documents there are of what."""
    counts = {name: await house.db.raw[name].count_documents({}, comment=SPANS) for name in DATA_MAP}
    return {name: count for name, count in counts.items() if count}
