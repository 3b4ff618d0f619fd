"""Sending a queued reply, by a worker, at most once.

Meta's Send API has no idempotency key. So before the call the message is marked `calling`, and whoever finds that mark
on an operation that is not his own asks Meta what happened; nothing is ever sent again on a guess.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from app.clients import graph_messages as meta
from app.clients.graph_errors import GraphError, OutcomeUnknown, RateLimited, Refused, TokenDead, Unavailable
from app.db import Doc, Session
from app.errors import AssetNotFound, AssetNotReady
from app.services import faults
from app.services.assets import links
from app.services.assets import reading as assets
from app.services.connections import store
from app.services.connections.calling import host_of
from app.services.connections.hands import Hands
from app.services.connections.reauth import believe, problem_of, require_login
from app.services.inbox import outcomes, outgoing
from app.services.inbox.conversations import need_conversation
from app.services.inbox.eligibility import Eligibility, decide, facts_of, our_apps
from app.services.inbox.reconcile import adopt, find_sent
from app.services.inbox.refusals import BLOCKED, note_refusal, refusal_of
from app.services.inbox.replies import is_persons
from app.services.inbox.senders import open_sender
from app.services.operations import GiveUp, InDoubt, TryAgain
from app.services.standing import why_stopped
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRY = timedelta(seconds=10)
MOST_ATTEMPTS = 30
LOOK_AGAIN = (timedelta(seconds=5), timedelta(seconds=20), timedelta(minutes=2), timedelta(minutes=10))
"""When to ask again what became of a call whose answer was lost; after the last, a person decides."""


@dataclass(frozen=True)
class _Work:
    """One reply to be sent, and what with."""

    hands: Hands
    operation: Doc
    message: Doc
    connection: Doc


class _Blocked(Exception):
    """Nothing may be sent at this moment."""

    def __init__(self, found: Eligibility) -> None:
        self.found = found
        super().__init__(found.blocked_reason)


async def send_reply(hands: Hands, operation: Doc) -> Doc:
    """Send a queued reply, or find out what became of it. The result names the message and Meta's id of it.

    Raises `TryAgain`, `GiveUp`, `InDoubt`.
    """
    db, clock, label_id = hands.db, hands.clock, operation["label_id"]
    message = await db.open("messages").find_one({"_id": operation["target"], "label_id": label_id})
    if message is None and await _has_left(hands, operation):
        raise GiveUp("disconnected", "The account was disconnected, and the message erased with it.")
    if message is None or message["expires_at"] <= clock():
        raise GiveUp("expired", "The message has reached the end of its 30 days.")
    if message["state"] == "sent":
        await outcomes.sent(db, message, now=clock())  # who recorded it may have died before he told of it
        return outcomes.result(message)
    stopped = None if message.get("calling_at") else await why_stopped(db, label_id, message.get("sent_by", {}))
    if stopped:
        await outcomes.failed(db, message, stopped[0], now=clock())
        raise GiveUp(*stopped)
    connection = await store.need(db, label_id, message["connection_id"])
    try:
        return await _send_or_find(_Work(hands, operation, message, connection))
    except NotAllowed as exc:
        if message.get("calling_at"):
            await outcomes.set_state(db, message, "unknown")
            raise InDoubt(None, "The account is not connected any more, so that Meta cannot be asked.") from exc
        await outcomes.failed(db, message, "connection_not_active", now=clock())
        raise GiveUp("connection_not_active", "The account is not connected any more, or messages are off.") from exc
    except (NoSecret, SealBroken) as exc:
        await require_login(db, hands.audit, connection, "token_unreadable", now=clock())
        if message.get("calling_at"):
            await outcomes.set_state(db, message, "unknown")
            raise InDoubt(None, "The token cannot be read, so that Meta cannot be asked.") from exc
        await outcomes.failed(db, message, "needs_reauth", now=clock())
        raise GiveUp("needs_reauth", "The account's token cannot be read: it must be connected again.") from exc


async def _has_left(hands: Hands, operation: Doc) -> bool:
    place = {"_id": operation.get("connection_id"), "label_id": operation["label_id"]}
    return await hands.db.open("connections").find_one(place | {"status": "revoked"}, {"_id": 1}) is not None


async def _send_or_find(work: _Work) -> Doc:
    if work.message.get("calling_at"):
        return await _what_happened(work)
    hands, operation, message = work.hands, work.operation, work.message
    db, clock = hands.db, hands.clock
    if pause_s := host_of(hands, work.connection).pause_left_s(work.connection["active_account_id"]):
        await _end_if_blocked(work, await _look(work, None))
        raise TryAgain(clock() + timedelta(seconds=pause_s), "rate_limited")
    try:
        return await _call(work)
    except _Blocked as exc:
        await _end_if_blocked(work, exc.found)
        raise
    except Unavailable as exc:
        await _unmark(work)
        if operation["attempts"] >= MOST_ATTEMPTS:
            await outcomes.failed(db, message, "provider_unavailable", now=clock())
            raise GiveUp("provider_unavailable", "Meta could not be reached.") from exc
        raise TryAgain(clock() + min(RETRY * operation["attempts"], timedelta(minutes=5)), "unavailable") from exc
    except RateLimited as exc:
        await _unmark(work)
        raise TryAgain(clock() + exc.wait, "rate_limited") from exc
    except OutcomeUnknown as exc:
        await outcomes.set_state(db, message, "unknown")
        raise InDoubt(clock() + LOOK_AGAIN[0], "Meta's answer was lost; the conversation is being read back.") from exc
    except TokenDead as exc:
        await _unmark(work)
        await store.note(db, work.connection, {"check_at": clock()})
        believe(work.operation, now=clock())
        await require_login(db, hands.audit, work.connection, problem_of(exc), now=clock())
        await outcomes.failed(db, message, "needs_reauth", now=clock())
        raise GiveUp("needs_reauth", "The account must be connected again.") from exc
    except Refused as exc:
        code, detail = refusal_of(exc, message["content"]["original"])
        await note_refusal(db, work.connection, message["conversation_id"], exc.reason, now=clock())
        await outcomes.failed(db, message, code, now=clock())
        raise GiveUp(code, detail) from exc


async def _end_if_blocked(work: _Work, found: Eligibility) -> None:
    if found.blocked_reason is None:
        return
    code, detail = BLOCKED[found.blocked_reason]
    await outcomes.failed(work.hands.db, work.message, code, now=work.hands.clock())
    raise GiveUp(code, detail)


async def _look(work: _Work, session: Session | None) -> Eligibility:
    """Whether it may go out at this moment: it has waited, and everything may have changed. Raises `NotAllowed`."""
    db, message, now = work.hands.db, work.message, work.hands.clock()
    place = {"_id": message["connection_id"], "label_id": message["label_id"]}
    connection = await db.open("connections").find_one(place, session=session)
    if connection is None or not store.is_usable(connection, "messages"):
        raise NotAllowed("messages")
    conversation = await need_conversation(
        db, message["label_id"], message["conversation_id"], now=now, session=session
    )
    facts = facts_of(connection, conversation, app_ids=our_apps(work.hands.settings))
    return decide(facts, by_person=is_persons(message), now=now)


async def _call(work: _Work) -> Doc:
    """The one place where a reply leaves. Raises `GraphError`, `_Blocked`, `TryAgain`, and what opening raises."""
    hands, message = work.hands, work.message
    if (found := await _look(work, None)).blocked_reason:
        raise _Blocked(found)
    sender = await open_sender(hands, work.connection, job=work.operation["_id"])
    fan_id, link = await _fan_of(work), await _link_of(work)
    await faults.reach("before_intent")
    found = await _mark(work)
    await faults.reach("before_call")
    if found.expires_at and hands.clock() >= found.expires_at:  # it lay here, and the window has closed meanwhile
        await _unmark(work)
        raise _Blocked(await _look(work, None))
    original = message["content"]["original"]
    call = asyncio.create_task(
        meta.send_message(
            sender,
            fan_id=fan_id,
            message=outgoing.body_of(original, link=link),
            reply_to=(original.get("reply_to") or {}).get("provider_id"),
            human_agent=found.basis == "human_agent",
            ours=work.operation["_id"],
        )
    )
    await faults.reach("during_call")
    mid = await call
    await faults.reach("after_call")
    await adopt(hands.db, message, provider_id=mid, sent_at=hands.clock())
    await faults.reach("after_record")
    await outcomes.sent(hands.db, message, now=hands.clock())
    return outcomes.result(message | {"provider_id": mid})


async def _fan_of(work: _Work) -> str:
    message = work.message
    now = work.hands.clock()
    found = await need_conversation(work.hands.db, message["label_id"], message["conversation_id"], now=now)
    return str(found["participant"]["provider_id"])


async def _link_of(work: _Work) -> str | None:
    """A link to the label's own file, if it sends one. Raises `GiveUp` for one that has gone."""
    hands, message = work.hands, work.message
    asset_id = outgoing.file_of(message["content"]["original"])
    if asset_id is None:
        return None
    try:
        asset = await assets.need_ready(hands.db, message["label_id"], asset_id)
    except (AssetNotFound, AssetNotReady) as exc:
        await outcomes.failed(hands.db, message, exc.code, now=hands.clock())
        raise GiveUp(exc.code, "The file that it sends has gone.") from exc
    now = hands.clock()
    return await links.link_for_provider(hands.objects, asset, "original", lasts=links.MESSAGE, now=now)


async def _what_happened(work: _Work) -> Doc:
    """A call began and nobody knows its end: look for the message among the echoes, then in the conversation itself."""
    hands, message, connection = work.hands, work.message, work.connection
    sender = await open_sender(hands, connection, job=work.operation["_id"])
    try:
        found = await find_sent(hands.db, sender, message, account_ids=set(connection["account_ids"]))
    except TokenDead:
        found = None
        await store.note(hands.db, connection, {"check_at": hands.clock()})  # which finds out whether that is so
    except GraphError:
        found = None
    if found:
        await adopt(hands.db, message, provider_id=found.provider_id, sent_at=found.sent_at)
        await outcomes.sent(hands.db, message, now=hands.clock())
        return outcomes.result(message | {"provider_id": found.provider_id})
    await outcomes.set_state(hands.db, message, "unknown")
    asked = hands.clock() - message["calling_at"]
    later = next((message["calling_at"] + wait for wait in LOOK_AGAIN if wait > asked), None)
    raise InDoubt(later, "Whether it went out is not known; Meta does not show it (yet).")


async def _mark(work: _Work) -> Eligibility:
    """The last write before the call; only while the operation is still ours, and nobody has called yet.

    In the same moment it is decided once more whether the reply may go out: the token was opened a moment ago, and
    must not be used after its connection has ended, nor after the window. Raises `TryAgain`, `_Blocked`, `NotAllowed`.
    """
    hands, operation, message, now = work.hands, work.operation, work.message, work.hands.clock()
    mine = {"_id": operation["_id"], "label_id": operation["label_id"], "fence": operation["fence"]}

    async def all_of_it(session: Session) -> Eligibility | None:
        found = await _look(work, session)
        if found.blocked_reason:
            raise _Blocked(found)
        held = await hands.db.open("operations").update_one(mine, {"$set": {"updated_at": now}}, session=session)
        key = {"_id": message["_id"], "label_id": message["label_id"], "calling_at": {"$exists": False}}
        marked = await hands.db.open("messages").update_one(
            key, {"$set": {"calling_at": now, "calling_fence": operation["fence"]}}, session=session
        )
        return found if held.matched_count and marked.modified_count else None

    found = await hands.db.in_transaction(all_of_it)
    if found is None:
        raise TryAgain(now + RETRY, "taken_over")
    message |= {"calling_at": now, "calling_fence": operation["fence"]}
    return found


async def _unmark(work: _Work) -> None:
    """It certainly did not happen: it may be called again."""
    message = work.message
    key = {"_id": message["_id"], "label_id": message["label_id"], "calling_fence": work.operation["fence"]}
    await work.hands.db.open("messages").update_one(key, {"$unset": {"calling_at": "", "calling_fence": ""}})
    for name in ("calling_at", "calling_fence"):
        message.pop(name, None)
