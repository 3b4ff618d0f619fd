"""What becomes of posts whose account is disconnected, or may not be published on any more."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.services import operations
from app.services.publishing import states
from app.services.publishing.states import WHAT_TO_DO

DETAILS = {
    "disconnected": "The account was disconnected before it was published.",
    "in_flight": f"The account could not be used any more while it was being published. {WHAT_TO_DO}",
    "feature_off": "Publishing was switched off before it was published.",
}


async def end_waiting(
    db: Database, label_id: str, target_ids: list[str], *, problem: str, now: datetime, session: Session
) -> None:
    """Say of targets whose operations were ended that they are not published, and why.

    One whose worker died at the call had an operation that waited to begin, too: it is `unknown`.
    """
    query: Doc = {"label_id": label_id, "_id": {"$in": target_ids}}
    await _end(db, query | {"state": {"$in": list(states.WAITING)}}, "failed", problem, now, session)
    await _end(db, query | {"state": "publishing"}, "unknown", "in_flight", now, session)


async def end_of_connection(
    db: Database, label_id: str, connection_id: str, *, now: datetime, session: Session
) -> None:
    """The same for all of a connection. Of one that may be published nothing more can be found out: it is `unknown`,
    and a person is asked as soon as its call is surely over."""
    query: Doc = {"label_id": label_id, "connection_id": connection_id}
    waiting = [*states.WAITING, "needs_decision", "to_do"]
    await _end(db, query | {"state": {"$in": waiting}}, "failed", "disconnected", now, session)
    await _end(db, query | {"state": "publishing"}, "unknown", "in_flight", now, session)
    in_doubt = await db.open("publication_targets").find(query | {"state": "unknown"}, session=session).to_list()
    ids = [target["_id"] for target in in_doubt]
    await operations.ask_now(db, label_id, kind="publish", targets=ids, now=now, session=session)


async def given_up(db: Database, operation: Doc, *, detail: str, now: datetime) -> bool:
    """Say of the target of an operation that is tried no more how it stands; whether it may have been published."""
    if operation["kind"] != "publish":
        return False
    place = {"_id": operation["target"], "label_id": operation["label_id"]}

    async def all_of_it(session: Session) -> bool:
        target = await db.open("publication_targets").find_one(place, session=session)
        if target is None or target["state"] not in (*states.WAITING, "publishing", "unknown"):
            return False
        in_doubt = target["state"] not in states.WAITING
        problem = {"code": "internal_error", "detail": WHAT_TO_DO if in_doubt else detail}
        told = {"state": "unknown" if in_doubt else "failed", "problem": problem}
        step = {"step": "end", "at": now, "outcome": "internal_error"}
        await db.open("publication_targets").update_one(
            place, {"$set": told, "$push": {"steps": step}}, session=session
        )
        await states.follow_targets(db, target, now=now, session=session)
        return in_doubt

    return await db.in_transaction(all_of_it)


async def _end(db: Database, query: Doc, state: str, problem: str, now: datetime, session: Session) -> None:
    targets = await db.open("publication_targets").find(query, session=session).to_list()
    told = {"state": state, "problem": {"code": problem, "detail": DETAILS[problem]}}
    step = {"step": "end", "at": now, "outcome": problem}
    for target in targets:
        key = {"_id": target["_id"], "label_id": target["label_id"]}
        ended: Doc = {"$set": told, "$unset": {"watch_at": ""}, "$push": {"steps": step}}
        await db.open("publication_targets").update_one(key, ended, session=session)
        await states.follow_targets(db, target, now=now, session=session)
