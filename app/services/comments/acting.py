"""Doing to a comment what was decided, by a worker: looked at first, done once, and found again after a lost answer.

Hiding, showing and deleting may be repeated at Meta. A reply may not: it is marked before the call, and whoever finds
that mark looks for the reply below the comment. A private reply may be repeated because Meta takes only one a comment.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from app.clients import graph_comments as meta
from app.clients.graph_call import At
from app.clients.graph_comments import RemoteComment
from app.clients.graph_errors import OutcomeUnknown, Refused
from app.clock import to_ms
from app.db import Doc
from app.models.comment_actions import WITH_TEXT, hindrance
from app.services import faults
from app.services.comments import readback, writes
from app.services.comments.actions import without_claim
from app.services.comments.deeds import Deed, Lost
from app.services.comments.endings import mark_gone
from app.services.comments.finding import find_reply
from app.services.comments.trouble import NOT_CONNECTED, PRIVATE_REPLY_SPENT, can_read, mention_ids, read_mentioned, why
from app.services.connections import store
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.connections.hands import Hands
from app.services.events import Event, append
from app.services.inbox.bulk import write_all
from app.services.operations import GiveUp, InDoubt, TryAgain
from app.services.standing import why_stopped

T = TypeVar("T")
UNTOLD = "The worker was interrupted, and Meta does not tell what happened."
GONE = ("comment_deleted", "The comment is not there any more.")
CHANGED = ("comment_changed", "The comment's words have changed since the rule read them.")
SPENT = ("private_reply_used", "Meta says that the comment cannot have a private reply, or has had it.")


async def act(hands: Hands, operation: Doc) -> Doc:
    """Do an action. The result names the comment, the outcome, and Meta's id of what was written.

    Raises `TryAgain`, `GiveUp`, `InDoubt`.
    """
    label_id = operation["label_id"]
    action = await hands.db.open("moderation_actions").find_one({"_id": operation["target"], "label_id": label_id})
    if action is None:
        raise GiveUp("disconnected", "The account was disconnected, and what came from it erased.")
    key = {"_id": action["comment_id"], "label_id": label_id}
    comment = await hands.db.open("comments").find_one(key)
    if comment is None:
        ended = {"state": "failed", "problem": "expired", "done_at": hands.clock()}
        own = {"_id": action["_id"], "label_id": label_id}
        await hands.db.open("moderation_actions").update_one(own, {"$set": ended})
        raise GiveUp("expired", "The comment has reached the end of its 30 days, or its author's account is deleted.")
    deed = Deed(hands, operation, action, comment, await store.need(hands.db, label_id, action["connection_id"]))
    if action["state"] in ("done", "already_gone"):
        return await deed.end(action["state"])
    if action.get("reply_provider_id"):  # who recorded it may have died before the rest
        return await _again(deed)
    if comment["expires_at"] <= hands.clock():
        await deed.fail(("expired", "The comment has reached the end of its 30 days."))
    try:
        return await _try(deed)
    except Lost:
        if deed.name in WITH_TEXT and deed.action.get("calling_at"):
            await deed.in_doubt()
            raise InDoubt(None, UNTOLD) from None
        await deed.fail(NOT_CONNECTED)


async def _again(deed: Deed) -> Doc:
    if deed.name == "private_reply":
        await deed.keep_message(deed.action["reply_provider_id"])
    elif deed.pending:
        await deed.keep_reply(deed.action["reply_provider_id"], sent_at=deed.action["calling_at"])
    return await deed.end("done")


async def _try(deed: Deed) -> Doc:
    """Do it now, if it still may be done; translate what Meta says."""
    begun = deed.name in WITH_TEXT and deed.action.get("calling_at") is not None
    try:
        if not begun and (done := await _hindered(deed)):
            return done
        at = await open_at(deed.hands, deed.connection, used_for="comments", job=deed.operation["_id"])
        if begun:
            return await (_what_happened(deed, at) if deed.name == "reply" else _ask_once_more(deed, at))
        remote = await _look(deed, at)
        return await (_do(deed, at, remote) if remote else _gone(deed))
    except OutcomeUnknown as exc:
        look_at = await deed.in_doubt()
        raise InDoubt(look_at, "Meta's answer was lost; it is asked what happened.") from exc
    except EXCEPTIONS as exc:
        return await _refused(deed, exc, begun=begun)


async def _refused(deed: Deed, failure: Exception, *, begun: bool) -> Doc:
    if begun:
        return await _still_in_doubt(deed, failure)
    if deed.name in WITH_TEXT:
        await deed.unmark()
    if isinstance(failure, Refused):
        if failure.reason == "not_found" and await _is_gone(deed):
            return await _gone(deed)
        if failure.subcode == PRIVATE_REPLY_SPENT:
            await deed.fail(SPENT, spent=True)
    await deed.fail(await why(deed.hands, deed.operation, deed.connection, failure))


async def _still_in_doubt(deed: Deed, failure: Exception) -> Doc:
    """An earlier call may have been executed, whatever became of this one. Raises `InDoubt`."""
    if isinstance(failure, Refused) and failure.subcode == PRIVATE_REPLY_SPENT:
        await deed.keep_message(None)
        return await deed.end("done")
    not_found = isinstance(failure, Refused) and failure.reason == "not_found"
    if deed.name == "reply" and not_found and await _is_gone(deed):
        return await _gone(deed)
    look_at = await deed.in_doubt()
    try:
        code, _ = await why(deed.hands, deed.operation, deed.connection, failure)
    except TryAgain as later:
        raise InDoubt(look_at and max(look_at, later.at), UNTOLD) from failure
    raise InDoubt(None, f"{UNTOLD} ({code})") from failure


async def _hindered(deed: Deed) -> Doc | None:
    """What ends it before any call: by what we know of the comment, and of the account. Raises `TryAgain`."""
    comment, now = without_claim(deed.comment, deed.action["_id"]), deed.hands.clock()
    reason = hindrance(comment, deed.action["action"], now=now)
    if reason == "comment_deleted":
        return await _gone(deed)
    if (deed.name, reason) in (("hide", "comment_hidden"), ("unhide", "comment_not_hidden")):
        return await deed.end("done")
    if reason:
        await deed.fail((reason, "It was possible when it was decided, and is not any more."))
    if stopped := await why_stopped(deed.hands.db, deed.action["label_id"], deed.action["by"]):
        await deed.fail(stopped)
    paused_until = deed.connection.get("rule_replies_paused_until")
    by_rule = deed.action["by"]["kind"] == "rule" and deed.name in WITH_TEXT
    if by_rule and paused_until and now < paused_until:
        raise TryAgain(paused_until, "automatic_replies_paused")
    return None


async def _look(deed: Deed, at: At) -> RemoteComment | None:
    """The comment as it is at Meta now, which is noted here; none when it is gone."""
    try:
        if deed.comment["kind"] == "mention":
            remote = await read_mentioned(at, deed.comment)
        else:
            remote = await meta.read(at, deed.comment["provider_id"])
    except Refused as exc:
        if exc.reason == "not_found" and await can_read(at, deed.comment):
            return None
        raise
    await readback.note(deed.db, deed.connection, deed.comment, remote, now=deed.hands.clock())
    await deed.reload()
    return remote


async def _is_gone(deed: Deed) -> bool:
    """Whether Meta does not know the comment: a call that was refused as if it were so is no proof yet."""
    try:
        at = await open_at(deed.hands, deed.connection, used_for="comments", job=deed.operation["_id"])
        return await _look(deed, at) is None
    except (TryAgain, *EXCEPTIONS):
        return False


async def _do(deed: Deed, at: At, remote: RemoteComment) -> Doc:
    seen = deed.pending.get("seen")
    edited = seen is not None and seen != remote.text
    if edited and deed.action["by"]["kind"] == "rule":
        await deed.fail(CHANGED)
    if done := await _hindered(deed):  # reading may have shown that it is hidden, or older
        return done
    await faults.reach("before_intent")
    await deed.mark(deed.hands.clock())
    await faults.reach("before_call")
    provider_id = deed.comment["provider_id"]
    if deed.name == "reply":
        reply_id = await _watched(_reply(deed, at))
        await deed.keep_reply(reply_id, sent_at=deed.hands.clock())
    elif deed.name == "private_reply":
        await deed.keep_message(await _watched(meta.private_reply(at, provider_id, deed.text)))
    elif deed.name == "delete":
        await _watched(meta.delete(at, provider_id))
        await mark_gone(deed.db, deed.connection, [provider_id], now=deed.hands.clock())
    else:
        await _watched(meta.set_hidden(at, provider_id, hidden=deed.name == "hide"))
        await _keep_hidden(deed)
    await faults.reach("after_record")
    return await deed.end("done", edited=edited)


async def _watched(call: Awaitable[T]) -> T:
    task = asyncio.ensure_future(call)
    await faults.reach("during_call")
    answer = await task
    await faults.reach("after_call")
    return answer


async def _reply(deed: Deed, at: At) -> str:
    if deed.comment["kind"] == "mention":
        comment_id, media_id = mention_ids(deed.comment)
        return await meta.reply_to_mention(at, comment_id=comment_id, media_id=media_id, text=deed.text)
    return await meta.reply(at, deed.comment["provider_id"], deed.text)


async def _keep_hidden(deed: Deed) -> None:
    now, label_id, comment_id = deed.hands.clock(), deed.comment["label_id"], deed.comment["_id"]
    told = {"value": deed.name == "hide", "rank": to_ms(now), "at": deed.comment["sent_at"]}
    await write_all(deed.db, "comments", writes.hidden(deed.connection, deed.comment["provider_id"], **told))
    event = Event(label_id, f"comment_action:{deed.action['_id']}:done", "comment.changed", comment_id, now)
    await append(deed.db, [event])


async def _gone(deed: Deed) -> Doc:
    """The comment was deleted before: what would hide or delete it is done with, and nothing can be answered."""
    await mark_gone(deed.db, deed.connection, [deed.comment["provider_id"]], now=deed.hands.clock())
    if deed.name in WITH_TEXT:
        await deed.fail(GONE)
    return await deed.end("already_gone")


async def _what_happened(deed: Deed, at: At) -> Doc:
    """A call began and nobody knows its end: look for the reply among those that we have, then at Meta."""
    if not deed.pending:  # its words went with the comment
        await deed.in_doubt()
        raise InDoubt(None, UNTOLD)
    found = await find_reply(deed, at)
    if found:
        await deed.keep_reply(found.provider_id, sent_at=found.sent_at)
        return await deed.end("done")
    look_at = await deed.in_doubt()
    raise InDoubt(look_at, "The worker was interrupted while it wrote; Meta does not show the reply.")


async def _ask_once_more(deed: Deed, at: At) -> Doc:
    """Whether Meta has the private reply only Meta knows: it takes a second one only when there is no first."""
    reason = hindrance(without_claim(deed.comment, deed.action["_id"]), "private_reply", now=deed.hands.clock())
    if reason or not deed.pending:
        await deed.in_doubt()
        raise InDoubt(None, f"{UNTOLD} ({reason})")
    await deed.mark(deed.hands.clock())
    await deed.keep_message(await meta.private_reply(at, deed.comment["provider_id"], deed.text))
    return await deed.end("done")
