"""The drain: takes waiting changes in batches, and makes messages, comments and events of them.

A batch is leased, so that two workers do not do the same work; it may be done twice all the same (a worker dies before
it marks its rows), and nothing differs: every write has a natural key or commutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ulid import ULID

from app.db import ALL_LABELS, Database, Doc
from app.logs import get_logger
from app.models.data_map import DEDUPE_LIFE
from app.services import events
from app.services.comments import intake as comments_intake
from app.services.connections import store
from app.services.events import Event
from app.services.inbox import meta_comments, writes
from app.services.inbox.bulk import write_all as _bulk
from app.services.inbox.meta import OF_COMMENTS, Kind, NotForUs, understand
from app.services.inbox.parking import form_of
from app.services.inbox.unread import settle
from app.services.inbox.writes import Received
from app.services.privacy import fan_tombstones
from app.services.webhooks.changes import parse_raw

log = get_logger(__name__)

BATCH = 200
LEASE = timedelta(seconds=20)
ALONE_AFTER = 3
"""A change that was begun so often is done by itself, so that it cannot hold up others."""
STAYS = timedelta(hours=1)
"""A conversation that lasts for so long is there while a batch is worked off: it needs no write of its own."""
PARK_AFTER = 8
PARKED_LIFE = timedelta(days=7)
_COMMENT = f"{ALL_LABELS}the webhook inbox, before a change's label is known"
EVENT_TYPES: dict[Kind, events.Type] = {
    "message": "message.received",
    "postback": "message.received",
    "unsend": "message.deleted",
    "edit": "message.edited",
    "reaction": "message.reacted",
    "read": "message.read",
    "referral": "conversation.changed",
    "handover": "conversation.changed",
    "comment": "comment.received",
    "mention": "comment.received",
    "comment_edited": "comment.changed",
    "comment_hidden": "comment.changed",
    "comment_unhidden": "comment.changed",
    "comment_removed": "comment.deleted",
}

NETWORK_OF = {"instagram": "instagram", "page": "facebook"}
"""Where the accounts live that a webhook's object is about."""
OF_PAGES = {"messaging": "messages", "standby": "messages", "feed": "comments", "mention": "comments"}
"""The feature that a Page's change belongs to, by its channel."""


async def drain_batch(db: Database, *, now: datetime, key: bytes) -> int:
    """Work off one batch; 0 when nothing waits. `key` is that of the fans whom labels have erased."""
    rows = await _claim(db, now=now)
    if not rows:
        return 0
    connections = await store.live_connections(db, {row["account_id"] for row in rows})
    received: list[Received] = []
    parked: list[Doc] = []
    outcomes: dict[str, list[str]] = {}
    for row in rows:
        reached = connections.get(row["account_id"], [])
        done = "no_connection" if not reached else "done"
        for connection in reached:
            found = _read(row, connection, now)
            if isinstance(found, Received):
                received.append(found)
            else:
                done = found.reason
                parked += [_parked(row, connection, found.reason, now)] if found.parked else []
        outcomes.setdefault(done, []).append(row["_id"])
    await store_received(db, received, now=now, key=key)
    await store.note_webhooks(db, [one.connection for one in received], now=now)
    await _park(db, parked)
    await _finish(db, rows[0]["lease"], outcomes, now=now)
    return len(rows)


async def _claim(db: Database, *, now: datetime) -> list[Doc]:
    inbox = db.open("webhook_inbox")
    waiting = inbox.find({"due_at": {"$lte": now}}, {"attempts": 1}, comment=_COMMENT).sort("due_at", 1).limit(BATCH)
    found = await waiting.to_list()
    suspects = [row["_id"] for row in found if row["attempts"] >= ALONE_AFTER]
    ids = [row["_id"] for row in found if row["attempts"] < ALONE_AFTER] or suspects[:1]
    if not ids:
        return []
    lease = str(ULID())
    await inbox.update_many(
        {"_id": {"$in": ids}, "due_at": {"$lte": now}},
        {"$set": {"due_at": now + LEASE, "lease": lease}, "$inc": {"attempts": 1}},
        comment=_COMMENT,
    )
    mine = await inbox.find({"_id": {"$in": ids}, "lease": lease}, comment=_COMMENT).to_list()
    return mine


def _read(row: Doc, connection: Doc, now: datetime) -> Received | NotForUs:
    if row["attempts"] > PARK_AFTER:
        return NotForUs("poison", parked=True)
    if row["object"] == "page" and _is_off(OF_PAGES.get(row["channel"]), connection):
        return NotForUs("feature_off", parked=False)
    if NETWORK_OF.get(row["object"]) != connection["network"]:
        return NotForUs("unknown_object", parked=True)
    item: Any = parse_raw(row["change"])
    read = meta_comments.understand if row["channel"] in meta_comments.CHANNELS else understand
    incoming = read(row["channel"], item, account_ids=set(connection["account_ids"]), at=row["at"])
    if isinstance(incoming, NotForUs):
        return incoming
    if incoming.feature not in connection["active_features"]:
        return NotForUs("feature_off", parked=False)
    received = Received(row["_id"], connection, incoming)
    return received if received.expires_at > now else NotForUs("expired", parked=False)


def _is_off(feature: str | None, connection: Doc) -> bool:
    """Whether the change belongs to a feature that is off; what belongs to none is for an engineer to look at."""
    return feature is not None and feature not in connection["active_features"]


async def store_received(db: Database, received: Sequence[Received], *, now: datetime, key: bytes) -> None:
    """Make messages, comments and events of what came, by a webhook or by reading back. It may be done twice.

    What a fan wrote before the label erased them is left out.
    """
    received = await fan_tombstones.let_through(db, key, received)
    comments = [r for r in received if r.incoming.kind in OF_COMMENTS]
    talk = await _with_conversations(db, [r for r in received if r.incoming.kind not in OF_COMMENTS], now=now)
    about = [number for number, r in enumerate(talk) if r.incoming.provider_id]
    made = await _bulk(db, "messages", [writes.message_upsert(talk[number], now=now) for number in about])
    for place, message_id in made.items():
        talk[about[place]] = replace(talk[about[place]], made=message_id)
    rest = [talk[number] for number in about if not talk[number].is_new_message]
    await _bulk(db, "messages", [write for r in rest if (write := writes.message_content(r))])
    await _bulk(db, "messages", [write for r in rest if (write := writes.original_of_edited(r))])
    await comments_intake.store(db, comments, now=now)
    await _append_events(db, [*talk, *comments], now=now)
    came: dict[str, dict[str, list[Received]]] = {}
    for r in talk:
        if r.conversation_id:
            came.setdefault(r.connection["label_id"], {}).setdefault(r.conversation_id, []).append(r)
    for label_id, of_label in came.items():
        await settle(db, label_id, of_label, now=now)


async def _with_conversations(db: Database, received: Sequence[Received], *, now: datetime) -> list[Received]:
    with_fan = [r for r in received if r.incoming.fan_id]
    in_order = sorted(with_fan, key=lambda r: r.incoming.at)
    latest = {(r.connection["_id"], str(r.incoming.fan_id)): r for r in in_order}
    found = await _conversations(db, latest, alive_at=now + STAYS)
    fresh = {key: r for key, r in latest.items() if key not in found}
    if fresh:
        await _bulk(db, "conversations", [writes.conversation_upsert(r, now=now) for r in fresh.values()])
        found |= await _conversations(db, fresh, alive_at=now)
    return [replace(r, conversation_id=found.get((r.connection["_id"], r.incoming.fan_id or ""))) for r in received]


async def _conversations(
    db: Database, wanted: Mapping[tuple[str, str], Received], *, alive_at: datetime
) -> dict[tuple[str, str], str]:
    """The ids of the conversations with these fans, by connection and fan, that do not end before `alive_at`."""
    found: dict[tuple[str, str], str] = {}
    for label_id, connection_id in {(r.connection["label_id"], r.connection["_id"]) for r in wanted.values()}:
        fans = [fan for connection, fan in wanted if connection == connection_id]
        query: Doc = {"label_id": label_id, "connection_id": connection_id, "participant.provider_id": {"$in": fans}}
        query["expires_at"] = {"$gt": alive_at}
        async for doc in db.open("conversations").find(query, {"participant.provider_id": 1}):
            found[connection_id, doc["participant"]["provider_id"]] = doc["_id"]
    return found


async def _append_events(db: Database, received: Sequence[Received], *, now: datetime) -> None:
    targets = {("messages", r.connection["_id"], r.incoming.provider_id or ""): r.made for r in received if r.made}
    for name, kinds in (("comments", OF_COMMENTS), ("messages", set(EVENT_TYPES) - OF_COMMENTS)):
        wanted = [r for r in received if r.incoming.kind in kinds and r.incoming.provider_id and not r.made]
        for label_id, connection_id in {(r.connection["label_id"], r.connection["_id"]) for r in wanted}:
            ids = [r.incoming.provider_id for r in wanted if r.connection["_id"] == connection_id]
            query = {"label_id": label_id, "connection_id": connection_id, "provider_id": {"$in": ids}}
            async for doc in db.open(name).find(query, {"provider_id": 1}):
                targets[name, connection_id, doc["provider_id"]] = doc["_id"]
    rows = []
    for r in received:
        name = "comments" if r.incoming.kind in OF_COMMENTS else "messages"
        target = targets.get((name, r.connection["_id"], r.incoming.provider_id or ""), r.conversation_id or "")
        kind: events.Type = EVENT_TYPES[r.incoming.kind]
        if kind == "message.received" and r.incoming.outgoing:
            kind = "message.echoed"
        once = kind in ("comment.received", "comment.deleted")  # a look at Meta may have told of it before
        key = f"{target}:{kind}" if once else f"{r.key}:{r.connection['_id']}"
        rows.append(Event(r.connection["label_id"], key, kind, target, now))
    await events.append(db, rows)


def _parked(row: Doc, connection: Doc, reason: str, now: datetime) -> Doc:
    return {
        "_id": f"{row['_id']}:{connection['_id']}",
        "label_id": connection["label_id"],
        "connection_id": connection["_id"],
        "channel": row["channel"],
        "change": form_of(row["change"]),
        "reason": reason,
        "at": row["at"],
        "expires_at": min(row["expires_at"], now + PARKED_LIFE),
    }


async def _park(db: Database, parked: Sequence[Doc]) -> None:
    for document in parked:
        log.warning("change parked", change=document["_id"], reason=document["reason"], channel=document["channel"])
        key = {"_id": document["_id"], "label_id": document["label_id"]}
        await db.open("parked_changes").update_one(key, {"$setOnInsert": document}, upsert=True)


async def _finish(db: Database, lease: str, outcomes: dict[str, list[str]], *, now: datetime) -> None:
    for outcome, ids in outcomes.items():
        await db.open("webhook_inbox").update_many(
            {"_id": {"$in": ids}, "lease": lease},
            {
                "$set": {"outcome": outcome, "done_at": now, "expires_at": now + DEDUPE_LIFE},
                "$unset": {"change": "", "due_at": "", "lease": "", "account_id": "", "channel": ""},
            },
            comment=_COMMENT,
        )
