"""The dry run: a rule, stored or not, on what is there. It reads and decides as the runner does, and writes nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc
from app.services.rules import store
from app.services.rules.checking import check_references, check_size
from app.services.rules.evaluating import Rule, Verdict, plan, prepared
from app.services.rules.facts import Facts
from app.services.rules.loading import LOOKED_AT, items_of
from app.services.rules.patterns import POOL
from app.services.rules.store import need_rule

UNSAVED = "rul_~"
"""Behind those of the same position, as it would be when it is made."""


@dataclass(frozen=True)
class Tried:
    """What the rule makes of one item, among the label's other rules; no verdict where one before it says `stop`."""

    facts: Facts
    verdict: Verdict


@dataclass(frozen=True)
class Trial:
    """What the rule makes of a stretch of the past, newest first."""

    tried: list[Tried]
    examined: int
    before: int | None
    """Where to go on, further back; none at the end."""


async def try_rule(
    db: Database,
    label_id: str,
    *,
    rule_id: str | None,
    body: Doc | None,
    before: int | None,
    limit: int,
    now: datetime,
) -> Trial:
    """Try the rule of this id, or an unsaved one (in its place), on the `limit` items before a place in the events.

    Raises `NotFound`, and `InvalidInput` for what the label does not have.
    """
    stored: Doc = {"_id": UNSAVED, "label_id": label_id, "version": 0}
    if rule_id is not None:
        stored = await need_rule(db, label_id, rule_id)
    if body is not None:
        stored |= body
        await check_references(db, label_id, body, at="/rule")
        await check_size(db, label_id, body, instead_of=rule_id, at="/rule")
    rules = await _beside(db, label_id, stored)
    told = await _events_before(db, label_id, before, limit=limit)
    items = await items_of(db, label_id, told, rules, now=now)
    facts = [item.facts for item in reversed(items)]
    loop = asyncio.get_running_loop()
    tried = await loop.run_in_executor(POOL, _verdicts, facts, rules, stored["_id"])
    return Trial(tried, len(items), told[0]["seq"] if len(told) == limit else None)


async def _events_before(db: Database, label_id: str, before: int | None, *, limit: int) -> list[Doc]:
    """The last `limit` events before a place that rules look at, in their order: one walk of an index for each type."""
    found: list[Doc] = []
    for kind in sorted(LOOKED_AT):
        query: Doc = {"label_id": label_id, "type": kind, "seq": {"$lt": before} if before else {"$gt": 0}}
        found += await db.open("events").find(query).sort("seq", -1).limit(limit).to_list()
    return sorted(found, key=lambda event: int(event["seq"]))[-limit:]


async def _beside(db: Database, label_id: str, stored: Doc) -> list[Rule]:
    """The rule behind those that look before it; what comes after it makes no difference to it."""
    others = [
        rule
        for rule in await store.all_rules(db, label_id)
        if rule["enabled"] and not rule["paused"] and rule["_id"] != stored["_id"]
    ]
    place = (stored["position"], stored["_id"])
    return [prepared(rule) for rule in [*(one for one in others if (one["position"], one["_id"]) < place), stored]]


def _verdicts(facts: Sequence[Facts], rules: Sequence[Rule], rule_id: str) -> list[Tried]:
    return [Tried(one, verdict) for one in facts for verdict in plan(rules, one) if verdict.rule.id == rule_id]
