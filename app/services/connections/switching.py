"""Switching a connection's features on and off. What is off stops at once, both ways: no call, no webhook stored."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc, Session, TryTransactionAgain
from app.errors import ConnectionNotActive, NotFound, StaleVersion
from app.models.features import WITH_WEBHOOKS, Feature, granted_features
from app.models.operations import OperationKind
from app.services import operations
from app.services.audit import SYSTEM, Audit, By
from app.services.comments import log as actions_log
from app.services.connections.beginning import check_features
from app.services.events import Event, append
from app.services.inbox import replies
from app.services.publishing import ending as publications

CALLS: dict[OperationKind, Feature] = {
    "send_reply": "messages",
    "react": "messages",
    "show_typing": "messages",
    "stop_typing": "messages",
    "mark_seen": "messages",
    "comment_action": "comments",
    "switch_comments": "comments",
    "check_comments": "comments",
    "read_insights": "insights",
    "publish": "publishing",
    "delete_post": "publishing",
    "clear_prepared": "publishing",
    "read_quota": "publishing",
}
"""Which feature an operation needs that waits for its call."""


@dataclass(frozen=True)
class Switched:
    """A connection as it is now, and the operation that tells the provider of it, if there is anything to tell."""

    connection: Doc
    operation_id: str | None


@dataclass(frozen=True)
class _Change:
    connection: Doc
    operation_id: str | None
    ended: list[Doc]


async def switch(
    db: Database,
    audit: Audit,
    label_id: str,
    connection_id: str,
    *,
    features: list[Feature],
    versions: list[int] | None,
    by: By,
    now: datetime,
) -> Switched:
    """Have exactly these features on, if the connection still is of one of the `versions` seen.

    In one write what is off is off for the vault and for the drain, and what waited for it ends as `feature_off`. None
    at all is a choice too: the account stays connected, and nothing is done with it. A feature whose scopes were not
    granted stays inactive. Raises `NotFound`, `StaleVersion`, `InvalidInput`, `ConnectionNotActive`.
    """
    key = {"_id": connection_id, "label_id": label_id}

    async def all_of_it(session: Session) -> _Change:
        found = await db.open("connections").find_one(key, session=session)
        if found is None:
            raise NotFound
        if versions is not None and found["version"] not in versions:
            raise StaleVersion
        if found["status"] not in ("active", "needs_reauth"):
            raise ConnectionNotActive("Features are switched of an account that is connected")
        check_features(found["provider"], features)
        changed = found | {"features": features}
        if sorted(found["features"]) == features and sorted(found["active_features"]) == sorted(active_of(changed)):
            return _Change(found, None, [])
        changed |= {"active_features": active_of(changed), "version": found["version"] + 1}
        fields = {name: changed[name] for name in ("features", "active_features", "version")} | {"features_at": now}
        fields |= {"insights_at": now} if "insights" in fields["active_features"] else {}
        same = key | {"version": found["version"]}
        if (await db.open("connections").update_one(same, {"$set": fields}, session=session)).matched_count == 0:
            raise TryTransactionAgain
        details = {"from": " ".join(found["features"]), "to": " ".join(features)}
        where = {"label_id": label_id, "target": connection_id}
        await audit.record(by, "connection.features_changed", **where, details=details, now=now, session=session)
        before: list[Feature] = found["active_features"]
        ended = await end_calls(db, changed, set(before), now=now, session=session)
        operation_id = await _tell_provider(db, changed, set(before), now=now, session=session)
        return _Change(changed, operation_id, ended)

    change = await db.in_transaction(all_of_it)
    await tell(db, change.connection, change.ended, now=now)
    return Switched(change.connection, change.operation_id)


def active_of(connection: Doc) -> list[Feature]:
    """The features that are switched on, granted, and not withdrawn by the account's owner since."""
    kind, granted = connection["account"]["kind"], connection["granted_scopes"]
    withdrawn = (connection.get("checks") or {}).get("withdrawn") or {}
    wanted = [feature for feature in connection["features"] if feature not in withdrawn]
    return granted_features(connection["provider"], kind, wanted, granted)


async def withdraw(
    db: Database,
    audit: Audit,
    connection: Doc,
    withdrawn: dict[Feature, datetime],
    *,
    lost_scopes: list[str],
    now: datetime,
) -> None:
    """Note which features' permissions the account's owner has withdrawn, and since when: those are off, like others.

    One whose permission is there again is on again.
    """
    key = {"_id": connection["_id"], "label_id": connection["label_id"]}

    async def all_of_it(session: Session) -> _Change | None:
        found = await db.open("connections").find_one(key, session=session)
        if found is None or found["token_version"] != connection["token_version"]:
            return None
        changed = found | {"checks": (found.get("checks") or {}) | {"withdrawn": withdrawn}}
        changed |= {"active_features": active_of(changed), "version": found["version"] + 1}
        fields: Doc = {"checks.withdrawn": withdrawn, "checks.lost_scopes": lost_scopes}
        fields |= {"active_features": changed["active_features"], "features_at": now}
        update = {"$set": fields, "$inc": {"version": 1}}
        same = key | {"version": found["version"]}
        if (await db.open("connections").update_one(same, update, session=session)).matched_count == 0:
            raise TryTransactionAgain
        details = {"features": " ".join(withdrawn)}
        where = {"label_id": found["label_id"], "target": found["_id"]}
        await audit.record(SYSTEM, "connection.permissions_read", **where, details=details, now=now, session=session)
        before: list[Feature] = found["active_features"]
        ended = await end_calls(db, changed, set(before), now=now, session=session)
        operation_id = await _tell_provider(db, changed, set(before), now=now, session=session)
        return _Change(changed, operation_id, ended)

    change = await db.in_transaction(all_of_it)
    if change:
        await tell(db, change.connection, change.ended, now=now)


async def end_calls(
    db: Database, connection: Doc, before: Collection[Feature], *, now: datetime, session: Session
) -> list[Doc]:
    """End what waits for a feature that was active `before`, and is not any more; which operations they were."""
    off = set(before) - set(connection["active_features"])
    kinds = [kind for kind, feature in CALLS.items() if feature in off]
    if not kinds:
        return []
    ended = await operations.end_of_connection(
        db,
        connection["label_id"],
        connection["_id"],
        but="",
        kinds=kinds,
        code="feature_off",
        detail="The feature was switched off before its turn came.",
        now=now,
        session=session,
    )
    messages = [operation["target"] for operation in ended if operation["kind"] == "send_reply"]
    await replies.end_queued(db, connection["label_id"], messages, problem="feature_off", session=session)
    actions = [operation["target"] for operation in ended if operation["kind"] in ("comment_action", "switch_comments")]
    await actions_log.end_queued(db, connection["label_id"], actions, problem="feature_off", now=now, session=session)
    targets = [operation["target"] for operation in ended if operation["kind"] == "publish"]
    await publications.end_waiting(db, connection["label_id"], targets, problem="feature_off", now=now, session=session)
    return ended


async def _tell_provider(
    db: Database, connection: Doc, before: Collection[Feature], *, now: datetime, session: Session
) -> str | None:
    changed = set(before) ^ set(connection["active_features"])
    if connection["subscription_id"] is None or not changed & WITH_WEBHOOKS:
        return None
    operation = await operations.add(
        db,
        label_id=connection["label_id"],
        kind="sync_webhooks",
        target=connection["_id"],
        connection_id=connection["_id"],
        key=f"sync_webhooks:{connection['_id']}:{connection['version']}",
        now=now,
        session=session,
    )
    return str(operation["_id"])


async def tell(db: Database, connection: Doc, ended: list[Doc], *, now: datetime) -> None:
    """Append the events of a change of features: the connection's, and those of the messages that are not sent."""
    label_id = connection["label_id"]
    key = f"connection:{connection['_id']}:features:{connection['version']}"
    told = [Event(label_id, key, "connection.changed", connection["_id"], now)]
    for message_id in (operation["target"] for operation in ended if operation["kind"] == "send_reply"):
        when = f"message:{message_id}:failed:{now.isoformat()}"
        told.append(Event(label_id, when, "message.failed", message_id, now))
    await append(db, told)
