"""Answering a fan: the reply and the intent to send it are written together. `sending.py` is the worker's half."""

from collections.abc import Collection
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session
from app.errors import (
    Conflict,
    ConnectionNotActive,
    HumanAgentNotAllowed,
    NotFound,
    NotThreadOwner,
    Problem,
    RecipientUnavailable,
    ReplyWindowClosed,
    SendingPaused,
)
from app.ids import new_id
from app.models.data_map import CONTENT_LIFE
from app.models.reply_window import Blocked
from app.services import operations
from app.services.assets import reading as assets
from app.services.audit import Audit, By
from app.services.connections import store
from app.services.inbox import outcomes
from app.services.inbox.conversations import need_conversation, need_message
from app.services.inbox.eligibility import Eligibility, decide, facts_of
from app.services.inbox.outgoing import Outgoing
from app.services.inbox.reconcile import adopt, find_echo

REFUSED: dict[Blocked, type[Problem]] = {
    "connection_not_active": ConnectionNotActive,
    "feature_off": ConnectionNotActive,
    "sending_paused": SendingPaused,
    "another_app_owns_the_thread": NotThreadOwner,
    "recipient_unavailable": RecipientUnavailable,
    "never_written": ReplyWindowClosed,
    "window_closed": ReplyWindowClosed,
}
"""How a caller is told why nothing can be sent."""


async def eligibility_of(
    db: Database, label_id: str, conversation_id: str, *, by: By, app_ids: Collection[str], now: datetime
) -> Eligibility:
    """Whether whoever asks could write to the fan now. Raises `NotFound`."""
    conversation = await need_conversation(db, label_id, conversation_id, now=now)
    connection = await store.need(db, label_id, conversation["connection_id"])
    return decide(facts_of(connection, conversation, app_ids=app_ids), by_person=by.kind == "person", now=now)


async def queue_reply(
    db: Database,
    label_id: str,
    conversation_id: str,
    *,
    content: Outgoing,
    by: By,
    human_agent: bool,
    intent: str | None,
    now: datetime,
    app_ids: Collection[str] = (),
) -> Doc:
    """Write down a reply and the intent to send it, both or neither. The same `intent` twice is the same reply.

    `human_agent` says that the person stands for it, so that Meta takes it for 7 days; of nobody else it is taken.
    Raises `NotFound`, `InvalidInput`, `HumanAgentNotAllowed`, `AssetNotFound`, `AssetNotReady`, and those of `REFUSED`.
    """
    if human_agent and by.kind != "person":
        raise HumanAgentNotAllowed
    conversation = await need_conversation(db, label_id, conversation_id, now=now)
    if intent and (earlier := await _of_intent(db, label_id, f"send_reply:{intent}")):
        return earlier
    connection = await store.need(db, label_id, conversation["connection_id"])
    content.check(connection["network"])
    check(connection, conversation, by_person=human_agent, app_ids=app_ids, now=now)
    message = _queued(conversation, content, by=by, human_agent=human_agent, now=now)
    key = f"send_reply:{intent or message['_id']}"

    async def both(session: Session) -> None:
        what: Doc = {"kind": "send_reply", "target": message["_id"], "key": key, "queue": conversation_id}
        what |= {"label_id": label_id, "connection_id": connection["_id"]}
        operation = await operations.add(db, **what, now=now, session=session)
        message["operation_id"] = operation["_id"]
        if content.file:
            await assets.use(db, label_id, [content.file.asset_id], now=now, session=session)
        await db.open("messages").insert_one(message, session=session)

    try:
        await db.in_transaction(both)
    except DuplicateKeyError:
        if earlier := await _of_intent(db, label_id, key):
            return earlier
        raise
    return message


async def _of_intent(db: Database, label_id: str, key: str) -> Doc | None:
    """The reply that was queued for this intent before, whatever became of it or of the window since."""
    operation = await operations.by_key(db, label_id, key)
    known = {"_id": operation["target"], "label_id": label_id} if operation else None
    return await db.open("messages").find_one(known) if known else None


def check(connection: Doc, conversation: Doc, *, by_person: bool, app_ids: Collection[str], now: datetime) -> None:
    """Raise what `REFUSED` names where Meta would take no message at this moment."""
    found = decide(facts_of(connection, conversation, app_ids=app_ids), by_person=by_person, now=now)
    if found.blocked_reason:
        raise REFUSED[found.blocked_reason]


def is_persons(message: Doc) -> bool:
    """Whether a person sends it and stands for it as a human agent."""
    return bool(message["human_agent"]) and message.get("sent_by", {}).get("kind") == "person"


def _queued(conversation: Doc, content: Outgoing, *, by: By, human_agent: bool, now: datetime) -> Doc:
    return {
        "_id": new_id("msg"),
        "label_id": conversation["label_id"],
        "connection_id": conversation["connection_id"],
        "conversation_id": conversation["_id"],
        "provider": conversation["provider"],
        "direction": "out",
        "state": "queued",
        "sent_by": {"kind": by.kind, "id": by.id},
        "human_agent": human_agent,
        "ordered_at": now,
        "created_at": now,
        "expires_at": now + CONTENT_LIFE,
        "content": content.stored(),
    } | ({"asset_id": content.file.asset_id} if content.file else {})


async def mark_sent(db: Database, audit: Audit, label_id: str, message_id: str, *, by: By, now: datetime) -> Doc:
    """Take a reply whose outcome stays unknown as sent, as somebody says who has looked at Meta; the message then.

    Raises `NotFound`, `Conflict` for any other message.
    """
    message = await need_message(db, label_id, message_id, now=now)
    if "operation_id" not in message:
        raise Conflict("Only of what was sent from here can somebody say that it went out")
    operation = await operations.need(db, label_id, message["operation_id"])
    if await _has_come_back(db, operation, message, now=now):
        return await need_message(db, label_id, message_id, now=now)
    key = {"_id": message_id, "label_id": label_id, "state": "unknown"}
    sent_at: datetime = message.get("calling_at") or message["ordered_at"]
    update: Doc = {"$set": {"state": "sent", "sent_at": sent_at, "expires_at": sent_at + CONTENT_LIFE}}
    update["$unset"] = {"problem": ""}

    async def all_of_it(session: Session) -> None:
        await operations.decided(db, operation, result=outcomes.result(message), now=now, session=session)
        await db.open("messages").update_one(key, update, session=session)
        what = "message.marked_sent"
        await audit.record(by, what, label_id=label_id, target=message_id, now=now, session=session)

    await db.in_transaction(all_of_it)
    await outcomes.sent(db, message, now=now)
    return await need_message(db, label_id, message_id, now=now)


async def end_queued(db: Database, label_id: str, message_ids: list[str], *, problem: str, session: Session) -> None:
    """Say of replies whose operations were ended before they began that they will not be sent, and why."""
    query = {"label_id": label_id, "_id": {"$in": message_ids}, "state": "queued"}
    await db.open("messages").update_many(query, {"$set": {"state": "failed", "problem": problem}}, session=session)


async def retry(
    db: Database, label_id: str, message_id: str, *, by: By, app_ids: Collection[str], now: datetime
) -> Doc:
    """Send one again; the message as it is then. Raises what `begin_anew` raises."""
    message = await need_message(db, label_id, message_id, now=now)
    if "operation_id" not in message:
        raise Conflict("Only what was sent from here can be sent again")
    operation = await operations.need(db, label_id, message["operation_id"])
    await begin_anew(db, operation, by=by, app_ids=app_ids, now=now)
    return await need_message(db, label_id, message_id, now=now)


async def _has_come_back(db: Database, operation: Doc, message: Doc, *, now: datetime) -> bool:
    """Whether its echo has come since: then it was sent, and is not sent again."""
    found = await find_echo(db, message) if message.get("calling_at") and operations.is_open(operation) else None
    if found is None:
        return False
    await adopt(db, message, provider_id=found.provider_id, sent_at=found.sent_at)
    result = outcomes.result(message | {"provider_id": found.provider_id})
    await db.in_transaction(lambda session: operations.decided(db, operation, result=result, now=now, session=session))
    await outcomes.sent(db, message, now=now)
    return True


async def begin_anew(db: Database, operation: Doc, *, by: By, now: datetime, app_ids: Collection[str] = ()) -> None:
    """Send again, as somebody decided who knows that the first call may have gone out. The window is asked anew.

    Raises `Conflict` unless the operation failed or its outcome is unknown; `NotFound`, `HumanAgentNotAllowed`,
    `AssetNotFound` where its file was deleted, and what `REFUSED` names.
    """
    label_id = operation["label_id"]
    key = {"_id": operation["target"], "label_id": label_id, "expires_at": {"$gt": now}}
    message = await db.open("messages").find_one(key)
    operations.check_retry(operation)
    if message is None:
        raise NotFound
    if message["human_agent"] and by.kind != "person":
        raise HumanAgentNotAllowed
    if await _has_come_back(db, operation, message, now=now):
        return
    conversation = await need_conversation(db, label_id, message["conversation_id"], now=now)
    connection = await store.need(db, label_id, message["connection_id"])
    check(connection, conversation, by_person=is_persons(message), app_ids=app_ids, now=now)
    unsent = {"_id": message["_id"], "label_id": label_id, "state": {"$ne": "sent"}}
    update = {"$set": {"state": "queued"}, "$unset": {"calling_at": "", "calling_fence": "", "problem": ""}}

    async def both(session: Session) -> None:
        if "asset_id" in message:
            await assets.use(db, label_id, [message["asset_id"]], now=now, session=session)
        await operations.retry(db, operation, now=now, session=session)
        await db.open("messages").update_one(unsent, update, session=session)

    await db.in_transaction(both)
