"""The end of a connection, as it is written down: at once for us, and step by step for what is still to be done.

`disconnecting.py` does those steps. See docs/leaving.md.
"""

from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session, TryTransactionAgain
from app.errors import NotFound, StaleVersion
from app.models.receipts import Reason, Result, Step
from app.services import operations
from app.services.audit import Audit, By
from app.services.connections import store
from app.services.connections.reauth import mail_managers
from app.services.events import Event, append
from app.services.inbox import replies
from app.services.publishing import ending as publications

LIFE = timedelta(days=365)
"""How long a receipt can be had, and an ended connection is shown."""
LEFT_AT_PROVIDER: tuple[Reason, ...] = ("deauthorized", "data_deletion")
"""The account's owner has removed our app: the label learns of it by a mail."""
STUMP = frozenset(
    (
        *("_id", "label_id", "provider", "network", "status", "problem", "features", "active_features", "asked_scopes"),
        *("granted_scopes", "account", "account_ids", "person_ids", "subscription_id", "subscribed_fields"),
        *("token_version", "token_issued_at", "token_expires_at", "access_ends_at", "renews", "replaced_by"),
        *("created_at", "version", "expires_at"),
    )
)
"""What an ended connection still has; of these, those that name an account or a person are empty."""
SCHEDULES = (
    *("active_account_id", "refresh_at", "warn_at", "check_at", "repair_at"),
    *("comments_at", "insights_at", "abandon_at"),
)
"""Without these the account can be connected anew, and no schedule finds the connection."""


async def disconnect(
    db: Database,
    audit: Audit,
    label_id: str,
    connection_id: str,
    *,
    versions: list[int] | None,
    by: By,
    now: datetime,
) -> Doc:
    """End a connection as a person wants it; the operation, each time the same. Raises `NotFound`, `StaleVersion`."""

    async def all_of_it(session: Session) -> Doc:
        connection = await _need(db, label_id, connection_id, session)
        known = await operations.by_key(db, label_id, _key(connection_id), session=session)
        if known is None and versions is not None and connection["version"] not in versions:
            raise StaleVersion
        return await begin(db, audit, connection, reason="disconnected", by=by, now=now, session=session)

    return await db.in_transaction(all_of_it)


async def begin(
    db: Database,
    audit: Audit,
    connection: Doc,
    *,
    reason: Reason,
    grant_ended: bool = False,
    by: By,
    now: datetime,
    session: Session,
) -> Doc:
    """Refuse every use of the connection from now on, and have the rest done; the operation, each time the same.

    `grant_ended`: the provider has ended the tokens and the webhooks by itself. The `session` must be one of
    `Database.in_transaction`: all is written, or nothing. Whatever of the connection has not begun ends as
    `disconnected`. Raises `NotFound`.
    """
    label_id, connection_id = connection["label_id"], connection["_id"]
    operation = await operations.by_key(db, label_id, _key(connection_id), session=session)
    if operation is not None:
        return operation
    fresh = await _need(db, label_id, connection_id, session)
    operation = await _add_operation(db, label_id, connection_id, now, session)
    place = {"_id": connection_id, "label_id": label_id}
    if await db.open("disconnections").find_one(place, {"_id": 1}, session=session):
        return operation  # it ended so long ago that its operation is forgotten
    await db.open("disconnections").insert_one(_record(fresh, reason, grant_ended, now), session=session)
    revoked: Doc = {"status": "revoked", "problem": "disconnecting", "active_features": []}
    unset = dict.fromkeys(SCHEDULES, "")
    await db.open("connections").update_one(
        place, {"$set": revoked, "$unset": unset, "$inc": {"version": 1}}, session=session
    )
    await _end_operations(db, fresh, but=operation["_id"], now=now, session=session)
    details = {"reason": reason}
    await audit.record(
        by,
        "connection.disconnecting",
        label_id=label_id,
        target=connection_id,
        details=details,
        now=now,
        session=session,
    )
    if reason in LEFT_AT_PROVIDER and fresh["account"]:
        await mail_managers(db, "connection_left", fresh, now=now, session=session)
    event = Event(label_id, f"connection:{connection_id}:disconnecting", "connection.changed", connection_id, now)
    await append(db, [event], session=session)
    return operation


async def _end_operations(db: Database, connection: Doc, *, but: str, now: datetime, session: Session) -> None:
    ended = await operations.end_of_connection(
        db,
        connection["label_id"],
        connection["_id"],
        but=but,
        code="disconnected",
        detail="The account was disconnected.",
        now=now,
        session=session,
    )
    unsent = [one["target"] for one in ended if one["kind"] == "send_reply"]
    await replies.end_queued(db, connection["label_id"], unsent, problem="disconnected", session=session)
    await publications.end_of_connection(db, connection["label_id"], connection["_id"], now=now, session=session)


async def begin_all(db: Database, audit: Audit, label_id: str, *, reason: Reason, by: By, now: datetime) -> bool:
    """End every connection of a label that lives; whether any is still being ended."""
    query = {"label_id": label_id, "status": {"$in": list(store.LIVE)}}
    for connection in await db.open("connections").find(query).to_list():

        async def one(session: Session, connection: Doc = connection) -> Doc:
            return await begin(db, audit, connection, reason=reason, by=by, now=now, session=session)

        await db.in_transaction(one)
    ending = {"label_id": label_id, "completed_at": None}
    return await db.open("disconnections").find_one(ending, {"_id": 1}) is not None


async def need_record(db: Database, label_id: str, connection_id: str, *, now: datetime) -> Doc:
    """How the connection's end stands. Raises `NotFound` where none has begun, or a year ago."""
    query = {"_id": connection_id, "label_id": label_id, "expires_at": {"$gt": now}}
    record = await db.open("disconnections").find_one(query)
    if record is None:
        raise NotFound
    return record


async def note_begun(db: Database, record: Doc, step: Step, *, now: datetime) -> None:
    """Record that a step begins; the first time counts."""
    query = _place(record) | {f"steps.{step}": {"$exists": False}}
    await db.open("disconnections").update_one(query, {"$set": {f"steps.{step}": {"begun_at": now}}})


async def note_result(db: Database, record: Doc, step: Step, *, result: Result, detail: str, now: datetime) -> None:
    """Record what came of a step; the first result stays."""
    query = _place(record) | {f"steps.{step}.result": {"$exists": False}}
    fields = {"result": result, "at": now, "detail": detail}
    changes = {f"steps.{step}.{name}": value for name, value in fields.items()}
    await db.open("disconnections").update_one(query, {"$set": changes})


async def complete(db: Database, audit: Audit, record: Doc, *, by: By, now: datetime) -> None:
    """Close the record, and take from the connection what still named the account. It may be done again."""
    place = _place(record)
    nothing: Doc = dict.fromkeys(("problem", "account", "subscription_id", "token_issued_at", "token_expires_at"))
    lists = ("account_ids", "person_ids", "subscribed_fields", "granted_scopes", "active_features")
    nothing |= {name: [] for name in lists}
    changes = nothing | {"access_ends_at": None, "status": "revoked", "expires_at": now + LIFE}

    async def all_of_it(session: Session) -> None:
        ended = {"$set": {"completed_at": now, "expires_at": now + LIFE}}
        query = place | {"completed_at": None}
        if (await db.open("disconnections").update_one(query, ended, session=session)).modified_count == 0:
            return
        stump = await db.open("connections").find_one(place, session=session)
        over = [name for name in stump or () if name not in STUMP]
        update = {"$set": changes, "$unset": dict.fromkeys(over, ""), "$inc": {"version": 1}}
        await db.open("connections").update_one(place, update, session=session)
        target = {"label_id": record["label_id"], "target": record["_id"]}
        await audit.record(by, "connection.disconnected", **target, now=now, session=session)
        key = f"connection:{record['_id']}:disconnected"
        event = Event(record["label_id"], key, "connection.disconnected", record["_id"], now)
        await append(db, [event], session=session)

    await db.in_transaction(all_of_it)


async def _need(db: Database, label_id: str, connection_id: str, session: Session) -> Doc:
    query = {"_id": connection_id, "label_id": label_id}
    connection = await db.open("connections").find_one(query, session=session)
    if connection is None:
        raise NotFound
    return connection


async def _add_operation(db: Database, label_id: str, connection_id: str, now: datetime, session: Session) -> Doc:
    try:
        return await operations.add(
            db,
            label_id=label_id,
            kind="disconnect",
            target=connection_id,
            connection_id=connection_id,
            key=_key(connection_id),
            now=now,
            session=session,
        )
    except DuplicateKeyError as exc:  # two at once: the other's is there now
        raise TryTransactionAgain from exc


def _record(connection: Doc, reason: Reason, grant_ended: bool, now: datetime) -> Doc:
    """Ids and codes: the receipt must not be what keeps a name."""
    account = connection["account"] or {}
    detail = "No call is made with the account, and nothing is taken in from it."
    return {
        "_id": connection["_id"],
        "label_id": connection["label_id"],
        "provider": connection["provider"],
        "provider_id": account.get("provider_id"),
        "kind": account.get("kind"),
        "reason": reason,
        "grant_ended": grant_ended,
        "begun_at": now,
        "completed_at": None,
        "steps": {"refuse_use": {"begun_at": now, "result": "done", "at": now, "detail": detail}},
        "expires_at": now + LIFE,
    }


def _key(connection_id: str) -> str:
    return f"disconnect:{connection_id}"


def _place(record: Doc) -> Doc:
    return {"_id": record["_id"], "label_id": record["label_id"]}
