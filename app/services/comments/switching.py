"""Switching the comments of a post on or off at Meta, by a worker. It may be done twice."""

from app.clients import graph_comments as meta
from app.db import Doc
from app.services.comments.trouble import why
from app.services.connections import store
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.connections.hands import Hands
from app.services.operations import GiveUp


async def switch_comments(hands: Hands, operation: Doc) -> Doc:
    """Do it. The result names the post. Raises `TryAgain`, `GiveUp`."""
    key = {"_id": operation["target"], "label_id": operation["label_id"]}
    actions = hands.db.open("moderation_actions")
    action = await actions.find_one(key)
    if action is None:
        raise GiveUp("disconnected", "The account was disconnected, and what came from it erased.")
    connection = await store.need(hands.db, operation["label_id"], action["connection_id"])
    try:
        at = await open_at(hands, connection, used_for="comments", job=operation["_id"])
        await meta.set_enabled(at, action["provider_id"], enabled=action["action"] == "enable_comments")
    except EXCEPTIONS as exc:
        code, detail = await why(hands, operation, connection, exc)
        failed = {"state": "failed", "problem": code, "done_at": hands.clock()}
        await actions.update_one(key, {"$set": failed})
        raise GiveUp(code, detail) from exc
    await actions.update_one(key, {"$set": {"state": "done", "done_at": hands.clock()}})
    return {"provider_id": action["provider_id"], "outcome": "done"}
