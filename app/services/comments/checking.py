"""The look at an account's comments that comes every hour: of edits and deletions on Instagram no webhook tells."""

from app.db import Doc
from app.models.data_map import CONTENT_LIFE
from app.services.comments.backfill import backfill_comments
from app.services.comments.trouble import NOT_CONNECTED, why
from app.services.connections import store
from app.services.connections.calling import EXCEPTIONS
from app.services.connections.hands import Hands
from app.services.operations import GiveUp


async def check_comments(hands: Hands, operation: Doc) -> Doc:
    """Look. The result says how many comments were added, had changed, and were gone. Raises `TryAgain`, `GiveUp`."""
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    if not store.is_usable(connection, "comments"):
        raise GiveUp(*NOT_CONNECTED)
    try:
        since = hands.clock() - CONTENT_LIFE
        found = await backfill_comments(hands, connection, since=since, job=operation["_id"])
    except EXCEPTIONS as exc:
        raise GiveUp(*await why(hands, operation, connection, exc)) from exc
    return {"connection_id": connection["_id"]} | {name: str(count) for name, count in found.items()}
