"""Deleting a post at its network, by a worker."""

from datetime import timedelta

from app.clients import graph_publishing as meta
from app.clients.graph_errors import Refused
from app.db import Doc
from app.services.connections import store
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.connections.hands import Hands
from app.services.events import Event, append
from app.services.operations import GiveUp, TryAgain

MOST_ATTEMPTS = 10
RETRY = timedelta(seconds=10)


async def delete_post(hands: Hands, operation: Doc) -> Doc:
    """Delete it; it may be asked again. Raises `TryAgain`, `GiveUp`."""
    place = {"_id": operation["target"], "label_id": operation["label_id"]}
    target = await hands.db.open("publication_targets").find_one(place)
    if target is None:
        raise GiveUp("disconnected", "The account was disconnected.")
    connection = await store.need(hands.db, operation["label_id"], target["connection_id"])
    try:
        at = await open_at(hands, connection, used_for="publishing", job=operation["_id"])
        await meta.delete(at, str(target["provider_id"]))
    except Refused as failure:
        if failure.reason != "not_found":
            raise GiveUp("refused_by_provider", "The network did not delete it.") from failure
    except EXCEPTIONS as failure:
        if operation["attempts"] >= MOST_ATTEMPTS:
            raise GiveUp("provider_unavailable", "The network did not delete it.") from failure
        raise TryAgain(hands.clock() + RETRY * operation["attempts"], "unavailable") from failure
    now, publication_id = hands.clock(), target["publication_id"]
    step = {"step": "delete", "at": now, "outcome": "done", "attempt": target["attempt"]}
    gone: Doc = {"$set": {"deleted_at": now}, "$push": {"steps": step}}
    await hands.db.open("publication_targets").update_one(place, gone)
    key = f"publication:{publication_id}:{target['_id']}:deleted:{target['attempt']}"
    await append(hands.db, [Event(operation["label_id"], key, "publication.changed", publication_id, now)])
    return {"publication_id": publication_id}
