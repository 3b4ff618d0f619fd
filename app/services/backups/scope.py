"""What a backup holds, by the data map: nothing that must be gone before the backup is, and nothing that lets in."""

from datetime import timedelta

from app.models.collection import EXPIRES, Collection
from app.models.data_map import DATA_MAP

LIFE = timedelta(days=30)
"""So long a backup is kept, and can be restored."""
PASSING = frozenset(
    (
        *("sessions", "refresh_tokens", "single_use_tokens", "revoked_tokens", "oauth_states", "idempotency_keys"),
        *("billing_links", "exports", "worker_heartbeats", "service_state", "journal_waiting"),
    )
)
"""What lets somebody in, or is of no use later: everybody logs in anew after a restore."""


def left_out(collection: Collection) -> str | None:
    """Why a collection is in no backup; none where it is in each."""
    if collection.name in PASSING:
        return "it lets somebody in, or is of no use later"
    if EXPIRES in collection.indexes and (collection.personal == "content" or _shows_a_fan(collection)):
        return "it must be deleted before the backup is"
    return None


def _shows_a_fan(collection: Collection) -> bool:
    """Whether it is about fans, and not only the hashes by which what a label has erased does not come back."""
    return collection.subject == "fan" and any(part.holds != "hash" for part in collection.parts)


def in_backup() -> list[Collection]:
    """The collections of a backup. What tells of what was done comes after what it was done to."""
    found = [collection for collection in DATA_MAP.values() if left_out(collection) is None]
    return sorted(found, key=lambda collection: (collection.name in ("operations", "audit_log", "audit_heads"),))
