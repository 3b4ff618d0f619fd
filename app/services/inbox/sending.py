"""Sending a queued reply, by a worker, at most once.

Meta's Send API has no idempotency key. So before the call the message is marked `calling`, and whoever finds that mark
on an operation that is not his own asks Meta what happened; nothing is ever sent again on a guess.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from app.clients import graph as meta
from app.clients.graph_call import GraphHost
from app.clients.graph_errors import GraphError, OutcomeUnknown, RateLimited, Reason, Refused, TokenDead, Unavailable
from app.clock import Clock
from app.db import Database, Doc, Session
from app.errors import ReplyWindowClosed
from app.services import faults
from app.services.audit import Audit
from app.services.connections import store
from app.services.connections.reauth import believe, problem_of, require_login
from app.services.events import Event, append
from app.services.inbox.conversations import need_conversation
from app.services.inbox.reconcile import adopt, find_sent
from app.services.inbox.replies import check_window
from app.services.inbox.unread import recount
from app.services.numbers import facts
from app.services.operations import GiveUp, InDoubt, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed, open_secret
from app.services.vault.private_ring import PrivateRing

RETRY = timedelta(seconds=10)
MOST_ATTEMPTS = 30
LOOK_AGAIN = (timedelta(seconds=5), timedelta(seconds=20), timedelta(minutes=2), timedelta(minutes=10))
"""When to ask again what became of a call whose answer was lost; after the last, a person decides."""
REFUSALS: dict[Reason, tuple[str, str]] = {
    "window_closed": ("reply_window_closed", "Meta says that the time to reply has passed."),
    "action_blocked": ("action_blocked", "Meta has blocked this kind of action for a while."),
    "permission_lost": ("permission_lost", "The account's owner has withdrawn the permission to send messages."),
    "recipient_unavailable": ("recipient_unavailable", "The fan cannot be reached."),
    "not_thread_owner": ("not_thread_owner", "Another app has this conversation."),
    "not_found": ("recipient_unavailable", "The fan cannot be found."),
    "invalid_request": ("refused_by_provider", "Meta refused the message."),
    "unknown_error": ("refused_by_provider", "Meta refused the message."),
}


async def send_reply(
    db: Database,
    hosts: Mapping[str, GraphHost],
    ring: PrivateRing,
    audit: Audit,
    operation: Doc,
    *,
    clock: Clock,
) -> Doc:
    """Send a queued reply, or find out what became of it. The result names the message and Meta's id of it.

    `hosts` are Meta's by where the account's owner logs in: a token of one is worth nothing at the other.
    Raises `TryAgain`, `GiveUp`, `InDoubt`.
    """
    label_id = operation["label_id"]
    message = await db.open("messages").find_one({"_id": operation["target"], "label_id": label_id})
    if message is None and await _has_left(db, operation):
        raise GiveUp("disconnected", "The account was disconnected, and the message erased with it.")
    if message is None or message["expires_at"] <= clock():
        raise GiveUp("expired", "The message has reached the end of its 30 days.")
    if message["state"] == "sent":
        await _sent(db, message, clock)  # who recorded it may have died before he told of it
        return _result(message)
    connection = await store.need(db, label_id, message["connection_id"])
    try:
        return await _send_or_find(
            db, hosts[connection["provider"]], ring, audit, operation, message, connection, clock=clock
        )
    except NotAllowed as exc:
        if message.get("calling_at"):
            await _set_state(db, message, "unknown")
            raise InDoubt(None, "The account is not connected any more, so that Meta cannot be asked.") from exc
        await _failed(db, message, "connection_not_active", clock)
        raise GiveUp("connection_not_active", "The account is not connected any more, or messages are off.") from exc
    except (NoSecret, SealBroken) as exc:
        await require_login(db, audit, connection, "token_unreadable", now=clock())
        if message.get("calling_at"):
            await _set_state(db, message, "unknown")
            raise InDoubt(None, "The token cannot be read, so that Meta cannot be asked.") from exc
        await _failed(db, message, "needs_reauth", clock)
        raise GiveUp("needs_reauth", "The account's token cannot be read: it must be connected again.") from exc


async def _has_left(db: Database, operation: Doc) -> bool:
    place = {"_id": operation.get("connection_id"), "label_id": operation["label_id"]}
    return await db.open("connections").find_one(place | {"status": "revoked"}, {"_id": 1}) is not None


async def _send_or_find(
    db: Database,
    graph: GraphHost,
    ring: PrivateRing,
    audit: Audit,
    operation: Doc,
    message: Doc,
    connection: Doc,
    *,
    clock: Clock,
) -> Doc:
    if message.get("calling_at"):
        return await _what_happened(db, graph, ring, audit, operation, message, connection, clock=clock)
    conversation = await _checked(db, message, connection, clock=clock)
    if pause_s := graph.pause_left_s(connection["active_account_id"]):
        raise TryAgain(clock() + timedelta(seconds=pause_s), "rate_limited")
    try:
        return await _call(db, graph, ring, operation, message, connection, conversation, clock=clock)
    except Unavailable as exc:
        await _unmark(db, operation, message)
        if operation["attempts"] >= MOST_ATTEMPTS:
            await _failed(db, message, "provider_unavailable", clock)
            raise GiveUp("provider_unavailable", "Instagram could not be reached.") from exc
        raise TryAgain(clock() + min(RETRY * operation["attempts"], timedelta(minutes=5)), "unavailable") from exc
    except RateLimited as exc:
        await _unmark(db, operation, message)
        raise TryAgain(clock() + exc.wait, "rate_limited") from exc
    except OutcomeUnknown as exc:
        await _set_state(db, message, "unknown")
        raise InDoubt(clock() + LOOK_AGAIN[0], "Meta's answer was lost; the conversation is being read back.") from exc
    except TokenDead as exc:
        await _unmark(db, operation, message)
        await store.note(db, connection, {"check_at": clock()})
        believe(operation, now=clock())
        await require_login(db, audit, connection, problem_of(exc), now=clock())
        await _failed(db, message, "needs_reauth", clock)
        raise GiveUp("needs_reauth", "The account must be connected again.") from exc
    except Refused as exc:
        code, detail = REFUSALS[exc.reason]
        if exc.reason == "permission_lost":  # a check reads what is permitted; one refusal is no proof
            await store.note(db, connection, {"check_at": clock()})
        await _failed(db, message, code, clock)
        raise GiveUp(code, detail) from exc


async def _checked(db: Database, message: Doc, connection: Doc, *, clock: Clock) -> Doc:
    """The conversation, if the reply may go out at this moment: it has waited, and everything may have changed."""
    if not store.is_usable(connection, "messages"):
        raise NotAllowed("messages")
    conversation = await need_conversation(db, message["label_id"], message["conversation_id"], now=clock())
    try:
        check_window(conversation, human_agent=message["human_agent"], now=clock())
    except ReplyWindowClosed as exc:
        await _failed(db, message, "reply_window_closed", clock)
        raise GiveUp("reply_window_closed", "The time to reply passed while the message waited.") from exc
    return conversation


async def _call(
    db: Database,
    graph: GraphHost,
    ring: PrivateRing,
    operation: Doc,
    message: Doc,
    connection: Doc,
    conversation: Doc,
    *,
    clock: Clock,
) -> Doc:
    token = await open_secret(
        db, ring, connection=connection, purpose="access_token", used_for="messages", job=operation["_id"], now=clock()
    )
    await faults.reach("before_intent")
    await _mark(db, operation, message, now=clock())
    await faults.reach("before_call")
    original = message["content"]["original"]
    call = asyncio.create_task(
        meta.send_text(
            graph,
            token,
            account_id=connection["active_account_id"],
            fan_id=conversation["participant"]["provider_id"],
            text=original["text"],
            reply_to=(original.get("reply_to") or {}).get("provider_id"),
            human_agent=message["human_agent"],
        )
    )
    await faults.reach("during_call")
    mid = await call
    await faults.reach("after_call")
    await adopt(db, message, provider_id=mid, sent_at=clock())
    await faults.reach("after_record")
    await _sent(db, message, clock)
    return _result(message | {"provider_id": mid})


async def _what_happened(
    db: Database,
    graph: GraphHost,
    ring: PrivateRing,
    audit: Audit,
    operation: Doc,
    message: Doc,
    connection: Doc,
    *,
    clock: Clock,
) -> Doc:
    """A call began and nobody knows its end: look for the message among the echoes, then in the conversation itself."""
    token = await open_secret(
        db, ring, connection=connection, purpose="access_token", used_for="messages", job=operation["_id"], now=clock()
    )
    try:
        found = await find_sent(db, graph, token, message, account_id=connection["account"]["provider_id"])
    except TokenDead:
        found = None
        await store.note(db, connection, {"check_at": clock()})  # which finds out whether that is so
    except GraphError:
        found = None
    if found:
        await adopt(db, message, provider_id=found.provider_id, sent_at=found.sent_at)
        await _sent(db, message, clock)
        return _result(message | {"provider_id": found.provider_id})
    await _set_state(db, message, "unknown")
    asked = clock() - message["calling_at"]
    later = next((message["calling_at"] + wait for wait in LOOK_AGAIN if wait > asked), None)
    raise InDoubt(later, "The worker was interrupted while it sent; Meta does not show the message.")


async def _mark(db: Database, operation: Doc, message: Doc, *, now: datetime) -> None:
    """The last write before the call; only while the operation is still ours, and nobody has called yet.

    The connection is looked at once more: its token was opened a moment ago, and must not be used after it has ended.
    Raises `TryAgain`, `NotAllowed`.
    """
    mine = {"_id": operation["_id"], "label_id": operation["label_id"], "fence": operation["fence"]}

    async def all_of_it(session: Session) -> bool:
        place = {"_id": message["connection_id"], "label_id": message["label_id"]}
        connection = await db.open("connections").find_one(place, session=session)
        if connection is None or not store.is_usable(connection, "messages"):
            raise NotAllowed("messages")
        held = await db.open("operations").update_one(mine, {"$set": {"updated_at": now}}, session=session)
        key = {"_id": message["_id"], "label_id": message["label_id"], "calling_at": {"$exists": False}}
        marked = await db.open("messages").update_one(
            key, {"$set": {"calling_at": now, "calling_fence": operation["fence"]}}, session=session
        )
        return bool(held.matched_count and marked.modified_count)

    if not await db.in_transaction(all_of_it):
        raise TryAgain(now + RETRY, "taken_over")
    message |= {"calling_at": now, "calling_fence": operation["fence"]}


async def _unmark(db: Database, operation: Doc, message: Doc) -> None:
    """It certainly did not happen: it may be called again."""
    key = {"_id": message["_id"], "label_id": message["label_id"], "calling_fence": operation["fence"]}
    await db.open("messages").update_one(key, {"$unset": {"calling_at": "", "calling_fence": ""}})


async def _set_state(db: Database, message: Doc, state: str) -> None:
    key = {"_id": message["_id"], "label_id": message["label_id"], "state": {"$ne": "sent"}}
    await db.open("messages").update_one(key, {"$set": {"state": state}})


async def _sent(db: Database, message: Doc, clock: Clock) -> None:
    key = {"_id": message["conversation_id"], "label_id": message["label_id"]}
    newest = {"$max": {"last_message_at": message["ordered_at"]}, "$inc": {"touched": 1, "version": 1}}
    await db.open("conversations").update_one(key, newest)
    await recount(db, message["label_id"], message["conversation_id"], now=clock())
    event = Event(message["label_id"], f"message:{message['_id']}:sent", "message.sent", message["_id"], clock())
    await append(db, [event])
    await facts.answered(db, message)


async def _failed(db: Database, message: Doc, problem: str, clock: Clock) -> None:
    key = {"_id": message["_id"], "label_id": message["label_id"], "state": {"$ne": "sent"}}
    update = {"$set": {"state": "failed", "problem": problem}, "$unset": {"calling_at": "", "calling_fence": ""}}
    await db.open("messages").update_one(key, update)
    when = f"message:{message['_id']}:failed:{clock().isoformat()}"
    await append(db, [Event(message["label_id"], when, "message.failed", message["_id"], clock())])


def _result(message: Doc) -> Doc:
    return {"message_id": message["_id"], "provider_id": message.get("provider_id")}
