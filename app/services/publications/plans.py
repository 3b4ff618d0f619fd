"""Release plans: a date, its zones, and whether it is a secret until then. `moving.py` moves the date."""

from datetime import datetime
from typing import Any

from app.db import Database, Doc, Session, TryTransactionAgain
from app.errors import Conflict, NotFound, StaleVersion
from app.ids import new_id
from app.publication_errors import Embargoed
from app.services.publications.embargo import embargo_problem
from app.services.publications.writing import Hand, actor

MOST_PLANS = 500


async def find(db: Database, label_id: str, plan_id: str, *, session: Session | None = None) -> Doc | None:
    """The plan, or none."""
    return await db.open("release_plans").find_one({"_id": plan_id, "label_id": label_id}, session=session)


async def need_plan(db: Database, label_id: str, plan_id: str, *, session: Session | None = None) -> Doc:
    """The plan. Raises `NotFound`."""
    plan = await find(db, label_id, plan_id, session=session)
    if plan is None:
        raise NotFound
    return plan


async def page_of_plans(db: Database, label_id: str, *, before: str | None, limit: int) -> list[Doc]:
    """Newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$lt": before}} if before else {})
    return await db.open("release_plans").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def create_plan(hand: Hand, body: Doc) -> Doc:
    """Make a plan. Raises `Conflict` where the label has too many."""
    plan: Doc = {"_id": new_id("rpl"), "label_id": hand.label_id, **body, "created_by": actor(hand.by)}
    plan |= {"created_at": hand.now, "updated_at": hand.now, "version": 1}

    async def all_of_it(session: Session) -> None:
        plans = hand.db.open("release_plans")
        if await plans.count_documents({"label_id": hand.label_id}, session=session) >= MOST_PLANS:
            raise Conflict(f"A label has at most {MOST_PLANS} release plans")
        await plans.insert_one(plan, session=session)
        await _record(hand, plan["_id"], "release_plan.made", session)

    await hand.db.in_transaction(all_of_it)
    return plan


async def change_plan(hand: Hand, plan_id: str, changes: Doc) -> Doc:
    """Change all but its date. Raises `NotFound`, `StaleVersion`, and `Embargoed` where something that is scheduled
    would go out too early by the new rule."""

    async def all_of_it(session: Session) -> Doc:
        plan = await need_plan(hand.db, hand.label_id, plan_id, session=session)
        if hand.versions is not None and plan["version"] not in hand.versions:
            raise StaleVersion
        if not changes:
            return plan
        for publication in await publications_of(hand.db, hand.label_id, plan_id, session=session):
            if publication["state"] == "scheduled":
                check_embargo(publication, plan | changes, publication["scheduled_at"])
        changed = await write_plan(hand, plan, changes, session)
        await _record(hand, plan_id, "release_plan.changed", session, fields=",".join(sorted(changes)))
        return changed

    return await hand.db.in_transaction(all_of_it)


async def write_plan(hand: Hand, plan: Doc, changes: Doc, session: Session) -> Doc:
    """Write these changes to a plan that is still as it was found; as it is then."""
    key = {name: plan[name] for name in ("_id", "label_id", "version")}
    update = {"$set": changes | {"updated_at": hand.now}, "$inc": {"version": 1}}
    if (await hand.db.open("release_plans").update_one(key, update, session=session)).matched_count == 0:
        raise TryTransactionAgain
    return plan | changes | {"version": plan["version"] + 1, "updated_at": hand.now}


async def delete_plan(hand: Hand, plan_id: str) -> None:
    """Delete a plan that nothing hangs on. Raises `NotFound`, `StaleVersion`, `Conflict`."""

    async def all_of_it(session: Session) -> None:
        plan = await need_plan(hand.db, hand.label_id, plan_id, session=session)
        if hand.versions is not None and plan["version"] not in hand.versions:
            raise StaleVersion
        of_it = {"label_id": hand.label_id, "plan_id": plan_id}
        if await hand.db.open("publications").find_one(of_it, {"_id": 1}, session=session):
            raise Conflict("Publications hang on this plan: take them off it first")
        await hand.db.open("release_plans").delete_one({"_id": plan_id, "label_id": hand.label_id}, session=session)
        await _record(hand, plan_id, "release_plan.deleted", session)

    await hand.db.in_transaction(all_of_it)


async def publications_of(db: Database, label_id: str, plan_id: str, *, session: Session | None = None) -> list[Doc]:
    """What hangs on the plan, oldest first."""
    query = {"label_id": label_id, "plan_id": plan_id}
    found = await db.open("publications").find(query, session=session).sort("_id", -1).to_list()
    return found[::-1]


async def hold(db: Database, label_id: str, plan_id: str | None, *, session: Session | None) -> Doc | None:
    """The plan, if one is named and is there, held as it is in the caller's transaction: who moves the date meanwhile
    conflicts there. Without a transaction it is only read."""
    if plan_id is None:
        return None
    if session is not None:
        key = {"_id": plan_id, "label_id": label_id}
        await db.open("release_plans").update_one(key, {"$inc": {"held": 1}}, session=session)
    return await find(db, label_id, plan_id, session=session)


def check_embargo(publication: Doc, plan: Doc | None, at: datetime) -> None:
    """Raise `Embargoed` where the publication must not go out then."""
    problem = embargo_problem(publication, plan, at)
    if problem is not None:
        raise Embargoed(problem.detail)


async def _record(hand: Hand, plan_id: str, action: str, session: Session, **details: str) -> None:
    told: dict[str, Any] = {"label_id": hand.label_id, "target": plan_id, "now": hand.now, "session": session}
    await hand.audit.record(hand.by, action, details=details, **told)
