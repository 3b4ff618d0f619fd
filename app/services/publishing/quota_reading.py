"""Asking Meta how many posts an account may still publish, by a worker."""

from datetime import timedelta

from app.clients import instagram_publishing as instagram
from app.db import Doc
from app.services.connections import store
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.connections.hands import Hands
from app.services.operations import GiveUp, TryAgain
from app.services.publishing.quotas import note_quota

MOST_ATTEMPTS = 3
RETRY = timedelta(seconds=10)


async def read_quota(hands: Hands, operation: Doc) -> Doc:
    """Ask Meta. The result is what it said. Raises `TryAgain`, `GiveUp`."""
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    try:
        at = await open_at(hands, connection, used_for="publishing", job=operation["_id"])
        quota = await instagram.quota(at)
    except EXCEPTIONS as failure:
        if operation["attempts"] >= MOST_ATTEMPTS:
            raise GiveUp("not_read", "Meta did not tell the quota.") from failure
        raise TryAgain(hands.clock() + RETRY, "unavailable") from failure
    await note_quota(hands.db, connection, quota, now=hands.clock())
    return {"used": quota.used, "total": quota.total}
