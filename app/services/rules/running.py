"""The runner: reads a label's events in their order, and writes down what its rules make of them.

A label's cursor is leased. What a batch leads to and the cursor's next place are written in one transaction, on the
condition that the lease is still ours: of two runners, one's work counts. Acting comes after (`acting.py`): whoever
dies between leaves runs that wait, and each action has a natural key.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from app.clock import Clock
from app.db import ALL_LABELS, Database, Doc, Session
from app.logs import get_logger
from app.services import events
from app.services.events import Event
from app.services.rules import acting, store
from app.services.rules.deciding import Asked, Ledger, decide
from app.services.rules.loading import Item, items_of
from app.services.rules.patterns import POOL, BadPattern

log = get_logger(__name__)
BATCH = 100
LEASE = timedelta(seconds=60)
LABELS_AT_ONCE = 500


class Overtaken(Exception):
    """The lease ran out, and somebody else goes on. Nothing of this batch is written."""


async def labels_behind(db: Database, *, now: datetime) -> list[str]:
    """The labels with rules that have events which these have not seen, or something left to do."""
    why = f"{ALL_LABELS}whose rules have something to look at"
    cursors = await db.open("rule_cursors").find({"lease_until": {"$lte": now}}, {"seq": 1}, comment=why).to_list()
    found: list[str] = []
    for at in range(0, len(cursors), LABELS_AT_ONCE):
        places = {cursor["_id"]: cursor["seq"] for cursor in cursors[at : at + LABELS_AT_ONCE]}
        query = {"_id": {"$in": list(places)}}
        heads = {doc["_id"]: doc["seq"] async for doc in db.open("stream_heads").find(query, comment=why)}
        waiting = await acting.labels_waiting(db, list(places), now=now)
        found += [one for one, seq in places.items() if heads.get(one, 0) > seq or one in waiting]
    return found


async def run_label(db: Database, label_id: str, *, clock: Clock) -> int:
    """Look at every event that the label's rules have not seen, and do what follows; how many events there were.

    None when another runner is at it.
    """
    cursor = await _claim(db, label_id, now=clock())
    if cursor is None:
        return 0
    before: int = cursor["seq"]
    seen = before
    try:
        while True:
            seen = await _next_batch(db, cursor, clock=clock)
            await acting.act_on_waiting(db, label_id, renew=partial(_renew, db, cursor, clock), clock=clock)
            if seen == cursor["seq"]:
                break
            cursor |= {"seq": seen}
    except Overtaken:
        log.warning("rules overtaken", label=label_id)
        return seen - before
    await _release(db, cursor, now=clock())
    return seen - before


async def _claim(db: Database, label_id: str, *, now: datetime) -> Doc | None:
    cursors = db.open("rule_cursors")
    cursor = await cursors.find_one({"label_id": label_id, "lease_until": {"$lte": now}})
    if cursor is None:
        return None
    key = {"label_id": label_id, "fence": cursor["fence"], "lease_until": {"$lte": now}}
    taken = await cursors.update_one(key, {"$set": {"lease_until": now + LEASE}, "$inc": {"fence": 1}})
    return cursor | {"fence": cursor["fence"] + 1} if taken.modified_count else None


async def _renew(db: Database, cursor: Doc, clock: Clock) -> None:
    key = {"label_id": cursor["label_id"], "fence": cursor["fence"]}
    renewed = {"$set": {"lease_until": clock() + LEASE}}
    if (await db.open("rule_cursors").update_one(key, renewed)).matched_count == 0:
        raise Overtaken


async def _release(db: Database, cursor: Doc, *, now: datetime) -> None:
    key = {"label_id": cursor["label_id"], "fence": cursor["fence"]}
    await db.open("rule_cursors").update_one(key, {"$set": {"lease_until": now}})


async def _next_batch(db: Database, cursor: Doc, *, clock: Clock) -> int:
    """Decide on the next events, and write that down; the place of the last. Raises `Overtaken`."""
    label_id, now = cursor["label_id"], clock()
    head = await events.head_of(db, label_id)
    if head <= cursor["seq"]:
        return int(cursor["seq"])
    asked = await _asked(db, label_id, now=now)
    if not asked:
        await _write(db, cursor, head, [], Ledger(cursor["usage"]), now=now)
        return head
    last: int = min(head, cursor["seq"] + BATCH)
    told = await events.after(db, label_id, cursor["seq"], limit=BATCH)
    items = await items_of(db, label_id, told, [one.rule for one in asked], now=now)
    ledger = await _ledger(db, cursor, asked, items, now=now)
    runs = await asyncio.get_running_loop().run_in_executor(POOL, partial(decide, items, asked, ledger, now=now))
    await _write(db, cursor, last, runs, ledger, now=clock())
    return last


async def _asked(db: Database, label_id: str, *, now: datetime) -> list[Asked]:
    """The rules that look now. One that cannot be asked any more is paused, and the others go on."""
    found: list[Asked] = []
    for stored in await store.all_rules(db, label_id):
        if not stored["enabled"] or stored["paused"]:
            continue
        try:
            found.append(Asked.of(stored))
        except BadPattern:  # RE2 took it once: it is another version now

            async def pause(session: Session, stored: Doc = stored) -> None:
                await _pause(db, stored, "not_valid", now=now, session=session)

            await db.in_transaction(pause)
    return found


async def _ledger(db: Database, cursor: Doc, asked: Sequence[Asked], items: Sequence[Item], *, now: datetime) -> Ledger:
    """What these rules have done lately to those whom the items are about."""
    label_id = cursor["label_id"]
    ledger = Ledger(dict(cursor["usage"]), answers_from=cursor.get("answers_from"))
    ledger.resting = await acting.resting(db, label_id, now=now)
    targets = [item.facts.target for item in items]
    query: Doc = {"label_id": label_id, "target": {"$in": targets}}
    fields = {"rule_id": 1, "target": 1}
    ledger.done = {(run["rule_id"], run["target"]) async for run in db.open("rule_runs").find(query, fields)}
    for one in asked:
        if one.stored["cool_down_hours"]:
            ledger.answered |= await acting.answered_lately(db, one.stored, items, now=now)
    return ledger


async def _write(db: Database, cursor: Doc, last: int, runs: list[Doc], ledger: Ledger, *, now: datetime) -> None:
    label_id = cursor["label_id"]
    key = {"label_id": label_id, "fence": cursor["fence"], "seq": cursor["seq"]}
    moved = {"seq": last, "lease_until": now + LEASE, "usage": ledger.usage}

    async def all_of_it(session: Session) -> None:
        ours = await db.open("rule_cursors").update_one(key, {"$set": moved}, session=session)
        if ours.matched_count == 0:
            raise Overtaken
        if runs:
            await db.open("rule_runs").insert_many(runs, session=session)
            await events.append(db, _notifications(runs, now=now), session=session)
        for rule in await store.all_rules(db, label_id, session=session) if ledger.used_up else ():
            if rule["_id"] in ledger.used_up and not rule["paused"]:
                await _pause(db, rule, "budget_used_up", now=now, session=session)

    await db.in_transaction(all_of_it)
    cursor["usage"] = ledger.usage


def _notifications(runs: Sequence[Doc], *, now: datetime) -> list[Event]:
    """To be told of, and so done, by being written with the decision."""
    return [
        Event(run["label_id"], acting.key_of(run, place), "rule.notified", run["_id"], now)
        for run in runs
        for place, action in enumerate(run["actions"])
        if action["kind"] == "notify" and action["state"] == "done"
    ]


async def _pause(db: Database, rule: Doc, reason: str, *, now: datetime, session: Session) -> None:
    """Have the rule rest until somebody enables it again, and tell the label."""
    key = {"_id": rule["_id"], "label_id": rule["label_id"], "version": rule["version"]}
    paused = {"$set": {"paused": {"reason": reason, "at": now}, "updated_at": now}, "$inc": {"version": 1}}
    if (await db.open("rules").update_one(key, paused, session=session)).modified_count:
        told = Event(rule["label_id"], f"rule:{rule['_id']}:paused:{rule['version']}", "rule.paused", rule["_id"], now)
        await events.append(db, [told], session=session)
