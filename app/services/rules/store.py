"""A label's rules, stored. Every query names `label_id`."""

from datetime import datetime
from typing import Any

from app.db import Database, Doc, Session, TryTransactionAgain
from app.errors import Conflict, FieldError, InvalidInput, NotFound, StaleVersion
from app.ids import new_id
from app.models.rules import Action, check_actions
from app.services import events
from app.services.audit import Audit, By
from app.services.rules.checking import check_references, check_size

MOST_RULES = 100
"""Of a label. Each of them looks at everything that comes."""


async def create_rule(db: Database, audit: Audit, label_id: str, body: Doc, *, by: By, now: datetime) -> Doc:
    """Make a rule. It looks at what comes from now on.

    Raises `InvalidInput` for what the label does not have, `Conflict` where it has too many rules.
    """
    await check_references(db, label_id, body)
    await check_size(db, label_id, body)
    since = await events.head_of(db, label_id)
    rule: Doc = {
        "_id": new_id("rul"),
        "label_id": label_id,
        **body,
        "paused": None,
        "since": since,
        "created_by": by.id,
        "created_at": now,
        "updated_at": now,
        "version": 1,
        "revision": 1,
    }

    async def all_of_it(session: Session) -> None:
        if await db.open("rules").count_documents({"label_id": label_id}, session=session) >= MOST_RULES:
            raise Conflict(f"A label has at most {MOST_RULES} rules")
        await _need_cursor(db, label_id, since, now=now, session=session)
        await db.open("rules").insert_one(rule, session=session)
        await audit.record(by, "rule.created", label_id=label_id, target=rule["_id"], now=now, session=session)

    await db.in_transaction(all_of_it)
    return rule


async def _need_cursor(db: Database, label_id: str, since: int, *, now: datetime, session: Session) -> None:
    """The label's place in its events. Two that make its first rule at once conflict here, and one comes second."""
    cursors = db.open("rule_cursors")
    changed = await cursors.update_one({"label_id": label_id}, {"$set": {"changed_at": now}}, session=session)
    if changed.matched_count == 0:
        first = {"seq": since, "fence": 0, "lease_until": now, "usage": {}, "changed_at": now}
        made = await cursors.update_one(
            {"label_id": label_id}, {"$setOnInsert": {"_id": label_id} | first}, upsert=True, session=session
        )
        if made.upserted_id is None:
            raise TryTransactionAgain


async def need_rule(db: Database, label_id: str, rule_id: str) -> Doc:
    """The rule. Raises `NotFound`."""
    rule = await db.open("rules").find_one({"_id": rule_id, "label_id": label_id})
    if rule is None:
        raise NotFound
    return rule


async def all_rules(db: Database, label_id: str, *, session: Session | None = None) -> list[Doc]:
    """Every rule of the label, in their order."""
    found = db.open("rules").find({"label_id": label_id}, session=session)
    return await found.sort([("position", 1), ("_id", 1)]).to_list()


async def page_of_rules(db: Database, label_id: str, *, after: tuple[int, str] | None, limit: int) -> list[Doc]:
    """In the order in which they are asked, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id}
    if after is not None:
        later = [{"position": {"$gt": after[0]}}, {"position": after[0], "_id": {"$gt": after[1]}}]
        query["$or"] = later
    return await db.open("rules").find(query).sort([("position", 1), ("_id", 1)]).limit(limit + 1).to_list()


async def change_rule(
    db: Database,
    audit: Audit,
    label_id: str,
    rule_id: str,
    *,
    changes: Doc,
    versions: list[int] | None,
    by: By,
    now: datetime,
) -> Doc:
    """Change a rule, if it still is of one of the `versions` seen. What it has planned and not done, it does not do.

    Raises `NotFound`, `StaleVersion`, `InvalidInput`.
    """
    rule = await need_rule(db, label_id, rule_id)
    await check_references(db, label_id, changes)
    if "conditions" in changes:
        await check_size(db, label_id, changes, instead_of=rule_id)
    changes |= {"budget": rule["budget"] | changes["budget"]} if "budget" in changes else {}
    _check_together(rule | changes)
    wakes = changes.get("enabled") and (not rule["enabled"] or rule["paused"])
    more: Doc = {"paused": None, "since": await events.head_of(db, label_id)} if wakes else {}
    update = {"$set": changes | more | {"updated_at": now}, "$inc": {"version": 1, "revision": 1}}
    key = {"_id": rule_id, "label_id": label_id, "version": rule["version"]}
    if versions is not None and rule["version"] not in versions:
        raise StaleVersion

    async def all_of_it(session: Session) -> bool:
        written = await db.open("rules").update_one(key, update, session=session)
        if written.matched_count:
            if wakes:
                afresh = {"$unset": {f"usage.{rule_id}": ""}}
                await db.open("rule_cursors").update_one({"label_id": label_id}, afresh, session=session)
            told: dict[str, Any] = {"label_id": label_id, "target": rule_id, "now": now, "session": session}
            await audit.record(by, "rule.changed", details={"fields": ",".join(sorted(changes))}, **told)
        return bool(written.matched_count)

    if not await db.in_transaction(all_of_it):
        raise StaleVersion  # somebody else was quicker
    return await need_rule(db, label_id, rule_id)


async def delete_rule(
    db: Database, audit: Audit, label_id: str, rule_id: str, *, versions: list[int] | None, by: By, now: datetime
) -> None:
    """Delete a rule, if it still is of one of the `versions` seen. What it has planned and not done, it does not do.

    Raises `NotFound`, `StaleVersion`.
    """
    rule = await need_rule(db, label_id, rule_id)
    if versions is not None and rule["version"] not in versions:
        raise StaleVersion
    key: Doc = {"_id": rule_id, "label_id": label_id}
    key |= {"version": rule["version"]} if versions is not None else {}

    async def all_of_it(session: Session) -> bool:
        gone = await db.open("rules").delete_one(key, session=session)
        if gone.deleted_count:
            spent = {"$unset": {f"usage.{rule_id}": ""}}
            await db.open("rule_cursors").update_one({"label_id": label_id}, spent, session=session)
            await audit.record(by, "rule.deleted", label_id=label_id, target=rule_id, now=now, session=session)
        return bool(gone.deleted_count)

    if not await db.in_transaction(all_of_it):
        raise StaleVersion


def _check_together(rule: Doc) -> None:
    """Raise `InvalidInput` where what was changed does not go with what was not."""
    try:
        check_actions(rule["when"], [Action.model_validate(action) for action in rule["actions"]])
    except ValueError as problem:
        raise InvalidInput(errors=(FieldError("/actions", str(problem)),)) from None
