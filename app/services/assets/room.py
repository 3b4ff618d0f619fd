"""How much room a label's files take. Every change is in the transaction of what it is about."""

from pymongo.errors import DuplicateKeyError

from app.db import Database, Session, TryTransactionAgain
from app.errors import StorageFull

GB = 1024**3


async def take(db: Database, label_id: str, size_bytes: int, *, most_bytes: int, session: Session) -> None:
    """Set room aside. Raises `StorageFull`."""
    usage, key = db.open("asset_usage"), {"_id": label_id, "label_id": label_id}
    fits = key | {"bytes": {"$lte": most_bytes - size_bytes}}
    if (await usage.update_one(fits, {"$inc": {"bytes": size_bytes}}, session=session)).matched_count:
        return
    if size_bytes > most_bytes or await usage.find_one(key, {"_id": 1}, session=session):
        raise _full(most_bytes)
    try:
        await usage.insert_one(key | {"bytes": size_bytes}, session=session)
    except DuplicateKeyError as exc:  # two at once were the label's first
        raise TryTransactionAgain from exc


async def need(db: Database, label_id: str, size_bytes: int, *, most_bytes: int, session: Session) -> None:
    """See that there is room for what is charged once it is made. Raises `StorageFull`."""
    too_much = {"_id": label_id, "label_id": label_id, "bytes": {"$gt": most_bytes - size_bytes}}
    if await db.open("asset_usage").find_one(too_much, {"_id": 1}, session=session):
        raise _full(most_bytes)


def _full(most_bytes: int) -> StorageFull:
    return StorageFull(
        f"A label's files may take {most_bytes / GB:.1f} GB, uploads under way included. "
        "Delete files that are not used any more, or write to our support."
    )


async def change(db: Database, label_id: str, by_bytes: int, *, session: Session) -> None:
    """Correct what is set aside, also beyond the limit: what is there is there."""
    key = {"_id": label_id, "label_id": label_id}
    await db.open("asset_usage").update_one(key, {"$inc": {"bytes": by_bytes}}, session=session)


async def used(db: Database, label_id: str) -> int:
    """How much a label's files take, and what uploads under way may add."""
    found = await db.open("asset_usage").find_one({"_id": label_id, "label_id": label_id})
    return int(found["bytes"]) if found else 0
