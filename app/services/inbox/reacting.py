"""Reactions and signs, by a worker. A reaction may be repeated; a sign is shown at once or not at all."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from app.clients import graph_messages as meta
from app.clients.graph_errors import RateLimited, Refused, TokenDead, Unavailable
from app.clients.graph_messages import Sign
from app.clock import to_ms
from app.db import Doc
from app.errors import NotFound
from app.services import faults
from app.services.connections import store
from app.services.connections.calling import host_of
from app.services.connections.hands import Hands
from app.services.connections.reauth import give_up_dead
from app.services.events import Event, append
from app.services.inbox.conversations import need_conversation
from app.services.inbox.eligibility import decide, facts_of, our_apps
from app.services.inbox.reactions import HEARTS
from app.services.inbox.refusals import BLOCKED, REFUSALS, note_refusal
from app.services.inbox.senders import open_sender
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRY = timedelta(seconds=10)
MOST_ATTEMPTS = 10
LATEST = timedelta(seconds=10)
"""A sign that has waited longer is not shown any more."""
SIGNS: dict[str, Sign] = {"show_typing": "typing_on", "stop_typing": "typing_off", "mark_seen": "mark_seen"}


async def react(hands: Hands, operation: Doc) -> Doc:
    """Bring the account's reaction at Meta to what is wished by now. Raises `TryAgain`, `GiveUp`."""
    message = await _wished(hands, operation)
    connection, conversation = await _may(hands, message)
    if pause_s := host_of(hands, connection).pause_left_s(connection["active_account_id"]):
        raise TryAgain(hands.clock() + timedelta(seconds=pause_s), "rate_limited")
    try:
        sender = await open_sender(hands, connection, job=operation["_id"])
        await faults.reach("before_intent")
        message = await _wished(hands, operation)
        wish = message["content"]["reaction_wish"]
        await faults.reach("before_call")
        told = {"fan_id": conversation["participant"]["provider_id"], "mid": message["provider_id"]}
        call = asyncio.create_task(meta.react(sender, **told, reaction=_name_of(wish["emoji"])))
        await faults.reach("during_call")
        await _answered(hands, operation, connection, conversation, call)
    except Unavailable as exc:
        if operation["attempts"] >= MOST_ATTEMPTS:
            raise GiveUp("provider_unavailable", "Meta could not be reached.") from exc
        raise TryAgain(hands.clock() + RETRY * operation["attempts"], "unavailable") from exc
    except RateLimited as exc:
        raise TryAgain(hands.clock() + exc.wait, "rate_limited") from exc
    except (NotAllowed, NoSecret, SealBroken) as exc:
        raise GiveUp("connection_not_active", "The account is not connected any more, or messages are off.") from exc
    await faults.reach("after_call")
    await _record(hands, message, wish, now=hands.clock())
    await faults.reach("after_record")
    return {"message_id": message["_id"]}


async def show_sign(hands: Hands, operation: Doc) -> Doc:
    """Show a fan that somebody types or has read, if that is still true. Raises `GiveUp`."""
    if hands.clock() - operation["created_at"] > LATEST:
        raise GiveUp("too_late", "It waited for so long that it would not be true any more.")
    about = {"label_id": operation["label_id"], "conversation_id": operation["target"]}
    connection, conversation = await _may(hands, about)
    try:
        sender = await open_sender(hands, connection, job=operation["_id"])
        fan_id = conversation["participant"]["provider_id"]
        call = meta.give_sign(sender, fan_id=fan_id, sign=SIGNS[operation["kind"]])
        await _answered(hands, operation, connection, conversation, call)
    except (Unavailable, RateLimited) as exc:
        raise GiveUp("provider_unavailable", "Meta could not be reached; a sign is not made up for.") from exc
    except (NotAllowed, NoSecret, SealBroken) as exc:
        raise GiveUp("connection_not_active", "The account is not connected any more, or messages are off.") from exc
    return {"conversation_id": conversation["_id"]}


async def _answered(
    hands: Hands,
    operation: Doc,
    connection: Doc,
    conversation: Doc,
    call: Coroutine[Any, Any, None] | asyncio.Task[None],
) -> None:
    """Wait for Meta's answer. Raises `GiveUp` for a no, `TryAgain`, `Unavailable` and `RateLimited` for none."""
    try:
        await call
    except TokenDead as exc:
        await give_up_dead(hands.db, hands.audit, operation, connection, exc, now=hands.clock())
    except Refused as exc:
        await note_refusal(hands.db, connection, conversation["_id"], exc.reason, now=hands.clock())
        raise GiveUp(*REFUSALS[exc.reason]) from exc


async def _wished(hands: Hands, operation: Doc) -> Doc:
    """The message with the newest wish, while the operation is still ours. Raises `GiveUp`, `TryAgain`."""
    place = {"label_id": operation["label_id"]}
    message = await hands.db.open("messages").find_one(place | {"_id": operation["target"]})
    if message is None or message["expires_at"] <= hands.clock() or "reaction_wish" not in message.get("content", {}):
        raise GiveUp("message_unavailable", "The message is not there any more.")
    mine = place | {"_id": operation["_id"], "fence": operation["fence"]}
    if await hands.db.open("operations").find_one(mine, {"_id": 1}) is None:
        raise TryAgain(hands.clock() + RETRY, "taken_over")
    return message


async def _may(hands: Hands, about: Doc) -> tuple[Doc, Doc]:
    """The connection and the conversation, if Meta would take a sign there now. Raises `GiveUp`."""
    now = hands.clock()
    try:
        conversation = await need_conversation(hands.db, about["label_id"], about["conversation_id"], now=now)
    except NotFound as exc:
        raise GiveUp("expired", "The conversation is not there any more.") from exc
    connection = await store.need(hands.db, about["label_id"], conversation["connection_id"])
    facts = facts_of(connection, conversation, app_ids=our_apps(hands.settings))
    found = decide(facts, by_person=False, now=now)
    if found.blocked_reason in ("connection_not_active", "feature_off"):
        raise GiveUp("connection_not_active", "The account is not connected any more, or messages are off.")
    if found.blocked_reason:
        raise GiveUp(*BLOCKED[found.blocked_reason])
    return connection, conversation


async def _record(hands: Hands, message: Doc, wish: Doc, *, now: datetime) -> None:
    """Show what Meta has now, and tell it; a later wish has an operation of its own."""
    number, emoji = message["reaction_number"], wish["emoji"]
    rank = f"{to_ms(wish['at']):015d}:{'1' if emoji is None else '0'}:{emoji or ''}"
    path = "content.reactions.account"
    key: Doc = {"_id": message["_id"], "label_id": message["label_id"], "deleted_at": {"$exists": False}}
    given = {"emoji": emoji, "name": "love" if emoji in HEARTS else None, "rank": rank, "at": wish["at"]}
    newest = key | {f"{path}.rank": {"$not": {"$gte": rank}}}
    await hands.db.open("messages").update_one(newest, {"$set": {path: given}})
    when = f"message:{message['_id']}:reacted:{number}"
    await append(hands.db, [Event(message["label_id"], when, "message.reacted", message["_id"], now)])


def _name_of(emoji: str | None) -> str | None:
    return "love" if emoji in HEARTS else emoji
