"""Gaps in the inbox, found and filled by reading conversations back: after downtime, a lost webhook, a new log-in.

A page of conversations is a step, and the operation goes on from there, whichever worker takes it up. What is found
goes the way of webhooks, so it is there once; nothing that was unsent or has expired comes back, and what Meta does not
have any more is taken away here too. Only the 20 newest messages of a conversation can be read.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clients import graph_messages as meta
from app.clients.graph_errors import Refused
from app.clients.graph_messages import RemoteConversation, Sender
from app.clients.remote_messages import RemoteMessage
from app.db import Doc
from app.derived_keys import derive
from app.models.data_map import CONTENT_LIFE
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.inbox import remote
from app.services.inbox.drain import store_received
from app.services.inbox.senders import open_sender
from app.services.inbox.writes import Received
from app.services.privacy import fan_tombstones

PACE_S = 0.5
"""Meta takes two calls a second of this kind for an account."""
MARGIN = timedelta(hours=1)
"""So much earlier than the last repair began it is looked again: a conversation's time may lag."""
MOST_ASKED = 5
"""Messages of a conversation whose end is asked for in one go."""
SAME_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Step:
    """One page of conversations: how much was new there, and what the next is asked with; none when it was the last."""

    found: int
    after: str | None


def since_of(connection: Doc, now: datetime) -> datetime:
    """From when on there may be gaps: a little before the last repair; never longer ago than what may be kept."""
    earliest = now - CONTENT_LIFE
    last: datetime | None = connection.get("repaired_at")
    return max(earliest, last - MARGIN) if last else earliest


async def repair_page(hands: Hands, connection: Doc, *, since: datetime, after: str | None, job: str) -> Step:
    """Fill the gaps of one page of conversations. Doing it again changes nothing.

    Raises `GraphError`, `NotAllowed`, `NoSecret`, `SealBroken`.
    """
    sender = await open_sender(hands, connection, job=job)
    listed, following = await meta.conversations_since(sender, since=since, after=after)
    found = 0
    for conversation in listed:
        await asyncio.sleep(PACE_S)
        found += await _repair_conversation(hands, connection, sender, conversation)
    return Step(found, following)


async def _repair_conversation(hands: Hands, connection: Doc, sender: Sender, listed: RemoteConversation) -> int:
    fans = [one for one, _ in listed.participants if one not in connection["account_ids"]]
    if len(fans) != 1:  # a group, or the account by itself
        return 0
    [fan_id], now = fans, hands.clock()
    shown = await meta.messages_of(sender, listed.id)
    if not shown:
        return 0
    known = await _known(hands, connection, fan_id, shown)
    key = derive(hands.settings, "webhook dedupe")
    mids = {one["provider_id"] for one in known}
    received = remote.changes_of(connection, fan_id, shown, known=mids, key=key, now=now)
    received += await _unsent(hands, connection, sender, fan_id, shown, known, key=key)
    fresh = await store.need(hands.db, connection["label_id"], connection["_id"])
    if not received or not store.is_usable(fresh, "messages"):  # switched off while we read
        return 0
    await store_received(hands.db, received, now=now, key=fan_tombstones.key_of(hands.settings))
    return sum(one.incoming.kind != "reaction" for one in received)


async def _known(hands: Hands, connection: Doc, fan_id: str, shown: list[RemoteMessage]) -> list[Doc]:
    """The messages that are here already: those that Meta shows, and what else is as new as the oldest of them."""
    owner = {"label_id": connection["label_id"], "connection_id": connection["_id"]}
    fields = {"provider_id": 1, "deleted_at": 1, "sent_at": 1, "direction": 1}
    messages = hands.db.open("messages")
    named = owner | {"provider_id": {"$in": [one.mid for one in shown]}}
    found = await messages.find(named, fields).to_list()
    conversation = await hands.db.open("conversations").find_one(
        owner | {"participant.provider_id": fan_id}, {"_id": 1}
    )
    if conversation:
        oldest = min(one.created_at for one in shown)
        since = {"label_id": owner["label_id"], "conversation_id": conversation["_id"], "ordered_at": {"$gt": oldest}}
        found += await messages.find(since | {"provider_id": {"$exists": True}}, fields).to_list()
    return list({one["_id"]: one for one in found}.values())


async def _unsent(
    hands: Hands,
    connection: Doc,
    sender: Sender,
    fan_id: str,
    shown: list[RemoteMessage],
    known: list[Doc],
    *,
    key: bytes,
) -> list[Received]:
    """Unsends whose webhook was lost: what is here and should be among what Meta shows, and is not, is asked for."""
    there, oldest = {one.mid for one in shown}, min(one.created_at for one in shown) + SAME_SECOND
    missing = [
        one
        for one in known
        if one["provider_id"] not in there and "deleted_at" not in one and one.get("sent_at", oldest) > oldest
    ]
    found = []
    for one in missing[:MOST_ASKED]:
        await asyncio.sleep(PACE_S)
        try:
            await meta.is_there(sender, one["provider_id"])
        except Refused as exc:
            if exc.reason == "message_gone":
                out = one.get("direction") == "out"
                gone = remote.unsend_of(
                    connection, fan_id, one["provider_id"], outgoing=out, key=key, now=hands.clock()
                )
                found.append(gone)
    return found
