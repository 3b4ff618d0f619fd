"""Deleting a post at its network, and what was prepared of one that is not wanted any more, by a worker."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from app.clients import graph_publishing as meta
from app.clients import page_publishing as page
from app.clients.graph_call import At
from app.clients.graph_errors import Refused, Unavailable
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
    target = await _target(hands, operation)
    await _call(hands, operation, target, partial(_delete, provider_id=str(target["provider_id"])))
    now, publication_id = hands.clock(), target["publication_id"]
    step = {"step": "delete", "at": now, "outcome": "done", "attempt": target["attempt"]}
    gone: Doc = {"$set": {"deleted_at": now}, "$push": {"steps": step}}
    place = {"_id": target["_id"], "label_id": target["label_id"]}
    await hands.db.open("publication_targets").update_one(place, gone)
    key = f"publication:{publication_id}:{target['_id']}:deleted:{target['attempt']}"
    await append(hands.db, [Event(operation["label_id"], key, "publication.changed", publication_id, now)])
    return {"publication_id": publication_id}


async def clear_prepared(hands: Hands, operation: Doc) -> Doc:
    """Delete the hidden post and photos of a Page's; it may be asked again. Raises `TryAgain`, `GiveUp`."""
    target = await _target(hands, operation)
    await _call(hands, operation, target, partial(_clear, target=target))
    return {"publication_id": target["publication_id"]}


async def _target(hands: Hands, operation: Doc) -> Doc:
    place = {"_id": operation["target"], "label_id": operation["label_id"]}
    target = await hands.db.open("publication_targets").find_one(place)
    if target is None:
        raise GiveUp("disconnected", "The account was disconnected.")
    return target


async def _call(hands: Hands, operation: Doc, target: Doc, do: Callable[[At], Awaitable[None]]) -> None:
    connection = await store.need(hands.db, operation["label_id"], target["connection_id"])
    try:
        await do(await open_at(hands, connection, used_for="publishing", job=operation["_id"]))
    except Refused as failure:
        raise GiveUp("refused_by_provider", "The network did not delete it.") from failure
    except EXCEPTIONS as failure:
        if operation["attempts"] >= MOST_ATTEMPTS:
            raise GiveUp("provider_unavailable", "The network did not delete it.") from failure
        raise TryAgain(hands.clock() + RETRY * operation["attempts"], "unavailable") from failure


async def _clear(at: At, target: Doc) -> None:
    if target["container"]:
        prepared_id = str(target["container"]["provider_id"])
        try:
            if (await page.look(at, prepared_id)).status == "published":
                return  # somebody has shown it by hand
        except Refused as failure:
            if failure.reason != "not_found":
                raise
        await _delete(at, page.own_id(prepared_id))
    for item in target["containers"]:
        await _delete(at, str(item["provider_id"]))


async def _delete(at: At, provider_id: str) -> None:
    """Delete it. That there is no such thing may also mean that we may not see it: it is asked, and then the account
    (meta-platform.md, 7.2). Raises `Unavailable` where that does not prove that it is gone."""
    try:
        await meta.delete(at, provider_id)
    except Refused as failure:
        if failure.reason != "not_found":
            raise
        if await meta.is_there(at, provider_id) or not await meta.is_there(at, at.account_id):
            raise Unavailable(failure.code, failure.subcode) from failure
