"""Operations: the workers' durable to-do list, and what callers poll. Ids and codes only, never content.

`due_at` is when somebody should look at it next: to begin it, to take it over from a worker that died (the end of its
lease), or to ask what became of it. What has ended has none.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import Conflict, NotFound
from app.ids import new_id
from app.models.operations import OperationKind, OperationState

ENDED: frozenset[OperationState] = frozenset(("succeeded", "failed", "cancelled"))

LIFE = timedelta(days=90)
SHORT_LIFE = timedelta(days=2)
"""Of what comes by the thousand, and is of no interest once it is done."""
LONGER_LEASES: dict[OperationKind, timedelta] = {
    "check_asset": timedelta(minutes=4),
    "sum_usage": timedelta(minutes=10),
}
"""Of what takes longer than others: a video of 300 MB is fetched, read to its end, and stored anew; a month of usage
is counted and deleted."""
RENEWED: dict[OperationKind, timedelta] = dict.fromkeys(("export_person", "export_label"), timedelta(hours=2))
"""Of what renews its lease as it goes on (`keep`): how long it may take, all told."""
WAITED_FOR: tuple[OperationKind, ...] = ("billing_change", "billing_details")
"""Of these it must be known what became of it before the next of their queue begins: done later, it undoes that."""
STILL_DUE = {"$exists": True}
"""What has ended stays for long, and must not be passed by whoever looks for what waits."""
WAITING = "waiting"
"""Why work is put off that is as it should be, and whose time has not come."""


class TryAgain(Exception):
    """The work did not happen, and may at `at`."""

    def __init__(self, at: datetime, reason: str) -> None:
        self.at, self.reason = at, reason
        super().__init__(reason)


class GiveUp(Exception):
    """The work did not happen and will not."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(code)


class InDoubt(Exception):
    """It may have happened. `look_at` is when to ask again; none when asking has ended."""

    def __init__(self, look_at: datetime | None, reason: str) -> None:
        self.look_at, self.reason = look_at, reason
        super().__init__(reason)


async def add(
    db: Database,
    *,
    label_id: str | None,
    kind: OperationKind,
    target: str,
    key: str,
    now: datetime,
    due_at: datetime | None = None,
    queue: str | None = None,
    connection_id: str | None = None,
    life: timedelta = LIFE,
    session: Session | None = None,
) -> Doc:
    """Write down work to do, at once or at `due_at`. Raises `DuplicateKeyError` when the same intent (`key`) is there.

    `label_id` is none for what concerns an account alone. Operations of one `queue` begin in the order they were added.
    What needs a connection names it, and ends with it. It is shown for `life` after it was due first.
    """
    operation: Doc = {
        "_id": new_id("op"),
        "label_id": label_id,
        "kind": kind,
        "target": target,
        "key": key,
        "state": "queued",
        "attempts": 0,
        "fence": 0,
        "due_at": due_at or now,
        "lease_until": None,
        "result": None,
        "problem": None,
        "created_at": now,
        "updated_at": now,
        "expires_at": max(now, due_at or now) + life,
    }
    operation |= {"queue": queue} if queue else {}
    operation |= {"connection_id": connection_id} if connection_id else {}
    await db.open("operations").insert_one(operation, session=session)
    return operation


async def by_key(db: Database, label_id: str | None, key: str, *, session: Session | None = None) -> Doc | None:
    """The operation of this intent, or none."""
    return await db.open("operations").find_one({"label_id": label_id, "key": key}, session=session)


async def need(db: Database, label_id: str, operation_id: str) -> Doc:
    """The operation. Raises `NotFound`."""
    operation = await db.open("operations").find_one({"_id": operation_id, "label_id": label_id})
    if operation is None:
        raise NotFound
    return operation


async def find_anywhere(db: Database, operation_id: str) -> Doc | None:
    """The operation of whichever label; the caller decides who may see it."""
    return await db.open("operations").find_one(
        {"_id": operation_id}, comment=f"{ALL_LABELS}an operation by id, before its label is known"
    )


async def due(db: Database, *, now: datetime, limit: int, only: Collection[OperationKind] | None = None) -> list[str]:
    """Ids of what somebody should look at now, `limit` or a few more; of these kinds alone, where they are named.

    Of each queue only the first: the others wait for it, and must not take the places of what has no such reason.
    """
    first: dict[str, str] = {}
    kinds: Doc = {} if only is None else {"kind": {"$in": sorted(only)}}
    while len(first) < limit:
        place = {"queue": {"$nin": list(first)}, "_id": {"$nin": list(first.values())}}
        query = {"due_at": {"$lte": now}} | place | kinds
        cursor = db.open("operations").find(query, {"queue": 1}, comment=f"{ALL_LABELS}the workers' due list")
        found = await cursor.sort("due_at", 1).limit(limit).to_list()
        for doc in found:
            queue = str(doc.get("queue", doc["_id"]))
            first[queue] = min(doc["_id"], first.get(queue, doc["_id"]))
        if len(found) < limit:
            break
    return list(first.values())


async def claim(db: Database, operation_id: str, *, lease: timedelta, now: datetime) -> Doc | None:
    """Take the operation for the time of `lease`; none when it is not due, is another worker's, or waits for its turn.

    The answer is the operation as it was found, with the new `fence`: every later write must carry it.
    """
    operation = await find_anywhere(db, operation_id)
    if operation is None or operation.get("due_at") is None or operation["due_at"] > now:
        return None
    if not await _has_its_turn(db, operation):
        return None
    state = "unknown" if operation["state"] == "unknown" else "running"
    until = now + lease_of(operation["kind"], lease)
    taken = await db.open("operations").update_one(
        {"_id": operation_id, "label_id": operation["label_id"], "fence": operation["fence"], "due_at": {"$lte": now}},
        {
            "$set": {"state": state, "lease_until": until, "due_at": until, "updated_at": now},
            "$inc": {"fence": 1, "attempts": 1},
        },
    )
    if taken.modified_count == 0:
        return None
    return operation | {"fence": operation["fence"] + 1, "attempts": operation["attempts"] + 1}


def lease_of(kind: OperationKind, lease: timedelta) -> timedelta:
    """For how long a worker has an operation of this kind, where others are had for `lease`."""
    return max(lease, LONGER_LEASES.get(kind, lease))


def longest_run(kind: OperationKind, lease: timedelta) -> timedelta:
    """For how long a worker may be at an operation of this kind: it must end before another could take it over."""
    return RENEWED.get(kind) or lease_of(kind, lease) * 0.8


async def keep(db: Database, operation: Doc, *, lease: timedelta, now: datetime) -> bool:
    """Have it for the time of `lease` from now on; whether it is still ours."""
    until = now + lease
    mine = {"_id": operation["_id"], "label_id": operation["label_id"], "fence": operation["fence"], "state": "running"}
    kept = {"$set": {"lease_until": until, "due_at": until, "updated_at": now}}
    return (await db.open("operations").update_one(mine, kept)).matched_count == 1


async def _has_its_turn(db: Database, operation: Doc) -> bool:
    if "queue" not in operation:
        return True
    earlier = {
        "label_id": operation["label_id"],
        "queue": operation["queue"],
        "_id": {"$lt": operation["_id"]},
        "due_at": STILL_DUE,
        "$or": [{"state": {"$in": ["queued", "running"]}}, {"state": "unknown", "kind": {"$in": WAITED_FOR}}],
    }
    return await db.open("operations").find_one(earlier, {"_id": 1}) is None


async def next_in_queue(db: Database, operation: Doc) -> str | None:
    """The id of the operation whose turn comes after this one's, or none."""
    if "queue" not in operation:
        return None
    waiting = {"label_id": operation["label_id"], "queue": operation["queue"]}
    waiting |= {"due_at": STILL_DUE, "state": "queued"}
    found = await db.open("operations").find_one(waiting, {"_id": 1}, sort=[("_id", 1)])
    return str(found["_id"]) if found else None


async def waiting_in(
    db: Database, label_id: str, queue: str, *, kind: OperationKind, after: str = "", session: Session | None = None
) -> list[str]:
    """The targets of the queue's operations of this kind that have not ended, of those added after the one named."""
    query = {"label_id": label_id, "queue": queue, "_id": {"$gt": after}, "due_at": STILL_DUE, "kind": kind}
    found = await db.open("operations").find(query, {"target": 1}, session=session).to_list()
    return [str(one["target"]) for one in found]


async def ask_queue_now(db: Database, label_id: str, queue: str, *, now: datetime, session: Session) -> None:
    """Have what is in doubt in this queue asked at once, and not when it would be: somebody waits behind it."""
    in_doubt = {"label_id": label_id, "queue": queue, "due_at": STILL_DUE, "state": "unknown", "lease_until": None}
    await db.open("operations").update_many(in_doubt, {"$set": {"due_at": now}}, session=session)


async def succeed(db: Database, operation: Doc, *, result: Doc | None, now: datetime) -> bool:
    """End it well, if it is still ours."""
    return await _settle(db, operation, {"state": "succeeded", "result": result, "problem": None}, due_at=None, now=now)


async def fail(
    db: Database, operation: Doc, *, code: str, detail: str, now: datetime, session: Session | None = None
) -> bool:
    """End it badly, if it is still ours."""
    problem = {"code": code, "detail": detail}
    return await _settle(db, operation, {"state": "failed", "problem": problem}, due_at=None, now=now, session=session)


async def postpone(db: Database, operation: Doc, *, until: datetime, reason: str, now: datetime) -> bool:
    """Put it back to be begun at `until`, if it is still ours. To be `WAITING` is no problem."""
    problem = None if reason == WAITING else {"code": reason, "detail": "It is tried again by itself."}
    return await _settle(db, operation, {"state": "queued", "problem": problem}, due_at=until, now=now)


async def note_crash(db: Database, operation: Doc, *, again_at: datetime, now: datetime) -> bool:
    """Count that it ended by an error nobody expected, and put it back, if it is still ours.

    What may have happened already stays so until it is known.
    """
    problem = {"code": "internal_error", "detail": "It is tried again by itself."}
    changes: Doc = {"crashes": operation.get("crashes", 0) + 1, "problem": problem}
    changes |= {"state": "queued"} if operation["state"] != "unknown" else {}
    return await _settle(db, operation, changes, due_at=again_at, now=now)


async def leave_in_doubt(db: Database, operation: Doc, *, reason: str, look_at: datetime | None, now: datetime) -> bool:
    """Say that it may have happened, and when to ask again (never: a person decides), if it is still ours."""
    problem = {"code": "outcome_unknown", "detail": reason}
    return await _settle(db, operation, {"state": "unknown", "problem": problem}, due_at=look_at, now=now)


def check_retry(operation: Doc) -> None:
    """Raise `Conflict` unless it failed, or is in doubt with nobody asking any more."""
    if operation["state"] != "failed" and not is_open(operation):
        raise Conflict("Only an operation that has failed, or whose outcome stays unknown, can be retried")


def is_open(operation: Doc) -> bool:
    """Whether it stays unknown what became of it, so that a person decides."""
    return operation["state"] == "unknown" and not operation.get("due_at")


def is_over(operation: Doc) -> bool:
    """Whether nobody works on it any more, and nobody will by itself."""
    return operation["state"] in ENDED or is_open(operation)


async def decided(db: Database, operation: Doc, *, result: Doc, now: datetime, session: Session) -> None:
    """End well what stayed unknown, as a person says who has looked. Raises `Conflict` for anything else."""
    ended = {"state": "succeeded", "result": result, "problem": None, "fence": operation["fence"] + 1}
    if not is_open(operation) or not await _settle(db, operation, ended, due_at=None, now=now, session=session):
        raise Conflict("Only of what stays unknown can a person say that it happened")


async def disproved(db: Database, operation: Doc, *, code: str, detail: str, now: datetime, session: Session) -> None:
    """End badly what stayed unknown, as a person says who has looked. Raises `Conflict` for anything else."""
    ended = {"state": "failed", "problem": {"code": code, "detail": detail}, "fence": operation["fence"] + 1}
    if not is_open(operation) or not await _settle(db, operation, ended, due_at=None, now=now, session=session):
        raise Conflict("Only of what stays unknown can a person say that it did not happen")


async def retry(db: Database, operation: Doc, *, now: datetime, session: Session) -> None:
    """Begin it anew, as a person decided. Raises `Conflict` unless it failed or is in doubt with nobody asking."""
    check_retry(operation)
    begun = {"state": "queued", "problem": None, "crashes": 0, "fence": operation["fence"] + 1}
    if not await _settle(db, operation, begun, due_at=now, now=now, session=session):
        raise Conflict("The operation is being retried already")


async def cancel(
    db: Database, label_id: str | None, *, kind: OperationKind, targets: list[str], now: datetime, session: Session
) -> bool:
    """End the operations of this kind on these targets that have not begun; whether none has begun."""
    query = {"label_id": label_id, "kind": kind, "target": {"$in": targets}, "state": {"$in": ["queued", "running"]}}
    found = await db.open("operations").find(query, session=session).to_list()
    for operation in (one for one in found if one["state"] == "queued"):
        ended: Doc = {"state": "cancelled", "problem": None, "fence": operation["fence"] + 1}
        await _settle(db, operation, ended, due_at=None, now=now, session=session)
    return all(one["state"] == "queued" for one in found)


async def cancel_waiting(db: Database, operation: Doc, *, now: datetime, session: Session) -> None:
    """End this one, which has not begun. Raises `Conflict` when it has, or has ended."""
    ended = {"state": "cancelled", "problem": None, "fence": operation["fence"] + 1}
    waits = operation["state"] == "queued"
    if not waits or not await _settle(db, operation, ended, due_at=None, now=now, session=session):
        raise Conflict("Only an operation that waits to begin can be cancelled")


async def hasten(db: Database, operation: Doc, *, now: datetime, session: Session) -> None:
    """Have what waits for its day begun now."""
    query = {"_id": operation["_id"], "label_id": operation["label_id"], "state": "queued", "due_at": {"$gt": now}}
    await db.open("operations").update_one(query, {"$set": {"due_at": now, "updated_at": now}}, session=session)


async def withdraw(
    db: Database, label_id: str | None, *, kind: OperationKind, ids: list[str], now: datetime, session: Session
) -> None:
    """End these whether or not a worker is at one of them: it has lost its fence, and writes nothing more."""
    query = {"label_id": label_id, "_id": {"$in": ids}, "kind": kind, "state": {"$in": ["queued", "running"]}}
    for operation in await db.open("operations").find(query, session=session).to_list():
        ended: Doc = {"state": "cancelled", "problem": None, "fence": operation["fence"] + 1}
        await _settle(db, operation, ended, due_at=None, now=now, session=session)


async def end_of_connection(
    db: Database,
    label_id: str,
    connection_id: str,
    *,
    but: str,
    code: str,
    detail: str,
    now: datetime,
    session: Session,
    kinds: Collection[OperationKind] | None = None,
) -> list[Doc]:
    """End every operation of a connection that has not begun, except the one named `but`; which ones they were.

    `kinds` names those that it is about; without it, all are.

    One that runs at this moment ends by itself: the vault opens nothing for it any more.
    """
    query: Doc = {"label_id": label_id, "connection_id": connection_id, "state": "queued", "_id": {"$ne": but}}
    query |= {"kind": {"$in": sorted(kinds)}} if kinds is not None else {}
    found = await db.open("operations").find(query, session=session).to_list()
    for operation in found:
        ended = {"state": "failed", "problem": {"code": code, "detail": detail}, "fence": operation["fence"] + 1}
        await _settle(db, operation, ended, due_at=None, now=now, session=session)
    return found


async def ask_now(
    db: Database, label_id: str, *, kind: OperationKind, targets: list[str], now: datetime, session: Session
) -> None:
    """Have those of these that are in doubt asked at once, and not when they would be."""
    query: Doc = {"label_id": label_id, "kind": kind, "target": {"$in": targets}, "state": "unknown"}
    waiting = query | {"due_at": STILL_DUE, "lease_until": None}
    await db.open("operations").update_many(waiting, {"$set": {"due_at": now}}, session=session)


async def _settle(
    db: Database,
    operation: Doc,
    changes: Doc,
    *,
    due_at: datetime | None,
    now: datetime,
    session: Session | None = None,
) -> bool:
    update: Doc = {"$set": changes | {"lease_until": None, "updated_at": now}}
    if due_at is None:
        update["$unset"] = {"due_at": ""}
    else:
        update["$set"]["due_at"] = due_at
    mine = {"_id": operation["_id"], "label_id": operation["label_id"], "fence": operation["fence"]}
    return (await db.open("operations").update_one(mine, update, session=session)).modified_count == 1


async def page_of(
    db: Database, label_id: str, *, state: OperationState | None, before: str | None, limit: int
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more."""
    query: Doc = (
        {"label_id": label_id} | ({"state": state} if state else {}) | ({"_id": {"$lt": before}} if before else {})
    )
    return [doc async for doc in db.open("operations").find(query).sort("_id", -1).limit(limit + 1)]
