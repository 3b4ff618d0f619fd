"""Doing what rules have decided. A run waits (`due_at`) until each of its actions has an outcome.

A notification is no effect outside, and is an event of the decision's own transaction (`running.py`).
Each effect has the natural key `rule:{rule_id}:{target}:{action}`: what is done here is written together with its
outcome, and what others do is an intent of theirs, the same however often it is asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clock import Clock
from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import Conflict, NotFound, Problem
from app.logs import get_logger
from app.models.conversations import TAGS
from app.models.rule_runs import RunState, Skipped
from app.models.rules import REPLIES, ActionKind
from app.services import events, operations
from app.services.audit import By
from app.services.comments import actions
from app.services.comments.flags import set_flag
from app.services.comments.reading import need_comment
from app.services.connections import store
from app.services.events import Event
from app.services.inbox import rendering, replies, saved_replies
from app.services.inbox.conversations import need_conversation
from app.services.inbox.outgoing import Outgoing
from app.services.labels import members
from app.services.privacy import standing
from app.services.rules.deciding import AT_META, fan_of
from app.services.rules.loading import Item

log = get_logger(__name__)
AT_ONCE = 50
RETRY = timedelta(seconds=30)
MOST_ATTEMPTS = 5
REASON = "rule"
"""Why, in the moderation log; which rule, the log says itself."""
PAUSES = ("rule_replies_paused_until", "sending_paused_until")
"""Until when Meta has restricted an account, as those noted it to whom Meta said so (368, 2207051)."""


@dataclass(frozen=True)
class Outcome:
    """What became of an action."""

    state: RunState
    reason: Skipped | None = None
    problem: str | None = None
    operation_id: str | None = None


NOT_ANSWERED = Outcome("skipped", "not_possible", "not_answered")
"""What becomes of closing a conversation whose fan the same run did not answer: nobody would see it any more."""


class _NameComes(Exception):
    """The fan has just written for the first time, and their name is being fetched."""


class _ValueMissing(Exception):
    """A saved reply has a place that nothing fills."""


def key_of(run: Doc, place: int) -> str:
    """The natural key of an effect; a rule may have several tags, and one of each other action."""
    action = run["actions"][place]
    number = f":{action['number']}" if action["kind"] == "tag" else ""
    return f"rule:{run['rule_id']}:{run['target']}:{action['kind']}{number}"


async def labels_waiting(db: Database, label_ids: list[str], *, now: datetime) -> set[str]:
    """Those of the labels that have runs which wait."""
    query = {"label_id": {"$in": label_ids}, "due_at": {"$lte": now}}
    why = f"{ALL_LABELS}whose rules have something left to do"
    return {run["label_id"] async for run in db.open("rule_runs").find(query, {"label_id": 1}, comment=why)}


async def resting(db: Database, label_id: str, *, now: datetime) -> set[str]:
    """The label's connections whose accounts Meta has restricted: nothing automatic happens there for now."""
    query = {"label_id": label_id, "$or": [{name: {"$gt": now}} for name in PAUSES]}
    return {doc["_id"] async for doc in db.open("connections").find(query, {"_id": 1})}


async def answered_lately(
    db: Database, rule: Doc, items: Sequence[Item], *, now: datetime
) -> dict[tuple[str, str], datetime]:
    """When the rule last answered the fans of these items, within its cool-down."""
    fans = sorted({fan_of(item.facts) for item in items})
    since = now - timedelta(hours=rule["cool_down_hours"])
    query = {
        "label_id": rule["label_id"],
        "rule_id": rule["_id"],
        "fan": {"$in": fans},
        "answered_at": {"$gt": since},
    }
    found = db.open("rule_runs").find(query, {"fan": 1, "answered_at": 1}).sort("answered_at", 1)
    return {(rule["_id"], run["fan"]): run["answered_at"] async for run in found}


async def act_on_waiting(db: Database, label_id: str, *, renew: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Do what the label's runs wait for. What cannot be done now waits on, and does not hold up the others.

    `renew` is called now and then, and ends this by what it raises.
    """
    while True:
        await renew()
        query = {"label_id": label_id, "due_at": {"$lte": clock()}}
        runs = await db.open("rule_runs").find(query).sort("due_at", 1).limit(AT_ONCE).to_list()
        if not runs:
            return
        ids = sorted({run["rule_id"] for run in runs})
        found = db.open("rules").find({"label_id": label_id, "_id": {"$in": ids}})
        rules = {rule["_id"]: rule async for rule in found}
        rest = await resting(db, label_id, now=clock())
        by_target: dict[str, list[Doc]] = {}
        for run in sorted(runs, key=lambda run: str(run["_id"])):
            by_target.setdefault(run["target"], []).append(run)
        await asyncio.gather(*(_act_in_order(db, some, rules, rest, clock=clock) for some in by_target.values()))


async def _act_in_order(
    db: Database, runs: Sequence[Doc], rules: dict[str, Doc], rest: set[str], *, clock: Clock
) -> None:
    """What several rules do to one item, they do one after the other."""
    for run in runs:
        await _act_on(db, run, rules.get(run["rule_id"]), rest, clock=clock)


async def _act_on(db: Database, run: Doc, rule: Doc | None, rest: set[str], *, clock: Clock) -> None:
    """Do what the run waits for, and write down what became of it, all at once.

    Whoever dies before that asks for the same again, which is the same intent. What is done here is noted with it.
    """
    outcomes: Doc = {}
    states = [action["state"] for action in run["actions"]]
    try:
        for place, action in enumerate(run["actions"]):
            if action["state"] != "pending":
                continue
            outcome: Outcome | None = NOT_ANSWERED
            if action["kind"] != "close" or not _is_unanswered(run, states):
                outcome = await _act(db, run, place, rule, rest, now=clock())
            states[place] = outcome.state if outcome else "done"
            outcomes |= _noted(place, outcome) if outcome else {}
    except _NameComes:
        await _put_off(db, run, now=clock())
        return
    except Exception:  # one run's edge: the next must not wait for a person
        log.exception("a rule's action was broken off", run=run["_id"])
        await _put_off(db, run, now=clock())
        return
    over = ["due_at", *(["answered_at"] if _is_unanswered(run, states) else [])]  # the next message may be answered
    update: Doc = {"$unset": dict.fromkeys(over, "")} | ({"$set": outcomes} if outcomes else {})
    await db.open("rule_runs").update_one(_this(run), update)


def _is_unanswered(run: Doc, states: Sequence[RunState]) -> bool:
    """Whether the run was to answer, and did not."""
    answers = [state for action, state in zip(run["actions"], states, strict=True) if action["kind"] in REPLIES]
    return bool(answers) and all(state in ("skipped", "failed") for state in answers)


async def _act(
    db: Database, run: Doc, place: int, rule: Doc | None, rest: set[str], *, now: datetime
) -> Outcome | None:
    """Do one action; what became of it, or none where that is noted. A problem that we know is an outcome."""
    action = run["actions"][place]
    if rule is None or not rule["enabled"] or rule["revision"] != run["revision"]:
        return Outcome("skipped", "rule_stopped")
    if action["kind"] in AT_META and run["connection_id"] in rest:
        return Outcome("skipped", "account_paused")
    told: Doc = rule["actions"][action["number"]]
    try:
        return await _DOINGS[action["kind"]](db, run, place, told, now)
    except NotFound:
        return Outcome("skipped", "item_gone")
    except _ValueMissing:
        return Outcome("skipped", "not_possible", "variable_missing")
    except Problem as problem:
        return Outcome("skipped", "not_possible", problem.code)


def _noted(place: int, outcome: Outcome) -> Doc:
    return {f"actions.{place}.{name}": value for name, value in vars(outcome).items()}


async def _put_off(db: Database, run: Doc, *, now: datetime) -> None:
    """Try again later, but not for ever."""
    if run["attempts"] + 1 < MOST_ATTEMPTS:
        later = {"$set": {"due_at": now + RETRY}, "$inc": {"attempts": 1}}
        await db.open("rule_runs").update_one(_this(run), later)
        return
    failed = Outcome("failed", problem="internal_error")
    waiting = [place for place, action in enumerate(run["actions"]) if action["state"] == "pending"]
    told: Doc = {name: value for place in waiting for name, value in _noted(place, failed).items()}
    await db.open("rule_runs").update_one(_this(run), {"$set": told, "$unset": {"due_at": ""}})


def _this(run: Doc) -> Doc:
    return {"_id": run["_id"], "label_id": run["label_id"]}


def _by(run: Doc) -> By:
    return By("rule", run["rule_id"], None, None)


async def _tag(db: Database, run: Doc, place: int, told: Doc, now: datetime) -> None:
    tag = told["tag"]
    room = {"$or": [{"tags": tag}, {f"tags.{TAGS - 1}": {"$exists": False}}]}
    await _change_conversation(db, run, place, {"$addToSet": {"tags": tag}}, only=room, now=now)


async def _assign(db: Database, run: Doc, place: int, told: Doc, now: datetime) -> None:
    membership = await members.membership_of(db, told["assignee"], run["label_id"])
    if membership is None or membership.get("leaving"):
        raise Conflict
    if await standing.restricted(db, told["assignee"]):
        raise Conflict
    await _change_conversation(db, run, place, {"$set": {"assignee": told["assignee"]}}, only={}, now=now)


async def _close(db: Database, run: Doc, place: int, told: Doc, now: datetime) -> None:
    closed: Doc = {"$set": {"status": "closed", "status_at": now, "snoozed_until": None}, "$unset": {"wake_at": ""}}
    sent_at = (await _need_message(db, run, now=now))["sent_at"]
    await _change_conversation(db, run, place, closed, only={"last_inbound_at": {"$lte": sent_at}}, now=now)


async def _need_message(db: Database, run: Doc, *, now: datetime) -> Doc:
    """The message that the run is about. Raises `NotFound` when it is gone, or was unsent."""
    key: Doc = {"_id": run["target"], "label_id": run["label_id"], "expires_at": {"$gt": now}}
    found = await db.open("messages").find_one(key | {"deleted_at": {"$exists": False}}, {"sent_at": 1})
    if found is None:
        raise NotFound
    return found


async def _change_conversation(db: Database, run: Doc, place: int, update: Doc, *, only: Doc, now: datetime) -> None:
    """Change the conversation and note that, both or neither. Raises `NotFound`, `Conflict` where `only` is not so."""
    await _need_message(db, run, now=now)
    key: Doc = {"_id": run["conversation_id"], "label_id": run["label_id"], "expires_at": {"$gt": now}}
    event = Event(run["label_id"], key_of(run, place), "conversation.changed", run["conversation_id"], now)

    async def both(session: Session) -> None:
        waits = _this(run) | {f"actions.{place}.state": "pending"}
        done = {"$set": _noted(place, Outcome("done"))}
        if (await db.open("rule_runs").update_one(waits, done, session=session)).modified_count == 0:
            return
        conversations = db.open("conversations")
        changed = await conversations.update_one(key | only, update | {"$inc": {"version": 1}}, session=session)
        if changed.matched_count == 0:
            raise NotFound if await conversations.find_one(key, {"_id": 1}, session=session) is None else Conflict
        await events.append(db, [event], session=session)

    await db.in_transaction(both)


async def _on_comment(db: Database, run: Doc, place: int, told: Doc, now: datetime) -> Outcome:
    """Hide it, show it, delete it or answer it, by an operation of its own."""
    text = await _words(db, run, told, now=now) if told["kind"] in REPLIES else None
    operation = await actions.queue_action(
        db,
        run["label_id"],
        run["target"],
        action="reply" if told["kind"] == "saved_reply" else told["kind"],
        text=text,
        by=_by(run),
        reason=REASON,
        intent=key_of(run, place),
        now=now,
    )
    return Outcome("done", operation_id=operation["_id"])


async def _flag(db: Database, run: Doc, place: int, told: Doc, now: datetime) -> Outcome:
    await set_flag(db, run["label_id"], run["target"], flagged=True, by=_by(run), reason=REASON, now=now)
    return Outcome("done")


async def _reply(db: Database, run: Doc, place: int, told: Doc, now: datetime) -> Outcome:
    """Below the comment, or in the conversation; there within Meta's 24 hours, for no person stands for it."""
    if run["target_kind"] == "comment":
        return await _on_comment(db, run, place, told, now)
    intent = key_of(run, place)
    earlier = await operations.by_key(db, run["label_id"], f"send_reply:{intent}")
    if earlier is not None:
        return Outcome("done", operation_id=earlier["_id"])
    await _need_message(db, run, now=now)
    message = await replies.queue_reply(
        db,
        run["label_id"],
        run["conversation_id"],
        content=Outgoing(text=await _words(db, run, told, now=now)),
        by=_by(run),
        human_agent=False,
        intent=intent,
        now=now,
    )
    return Outcome("done", operation_id=message["operation_id"])


async def _words(db: Database, run: Doc, told: Doc, *, now: datetime) -> str:
    """What to say. Raises `NotFound`, `_ValueMissing`, and `_NameComes` once."""
    if told.get("text"):
        return str(told["text"])
    saved = await saved_replies.need(db, run["label_id"], told["saved_reply_id"])
    values = await _values(db, run, now=now)
    if run["attempts"] == 0 and "{{fan." in saved["text"] and not (values["fan.name"] or values["fan.username"]):
        raise _NameComes
    rendered = rendering.render(saved["text"], values)
    if rendered.missing or not rendered.text.strip():
        raise _ValueMissing
    return rendered.text


async def _values(db: Database, run: Doc, *, now: datetime) -> dict[str, str | None]:
    if run["target_kind"] == "message":
        conversation = await need_conversation(db, run["label_id"], run["conversation_id"], now=now)
        return await rendering.values_for(db, conversation, by=_by(run))
    comment = await need_comment(db, run["label_id"], run["target"], now=now)
    connection = await store.need(db, run["label_id"], run["connection_id"])
    account = connection["account"] or {}
    username = comment["author"]["username"]
    named = {"account.name": account.get("name") or account.get("username")}
    return named | {"fan.name": username, "fan.username": username, "agent.name": None}


_DOINGS: dict[ActionKind, Callable[[Database, Doc, int, Doc, datetime], Awaitable[Outcome | None]]] = {
    **dict.fromkeys(("hide", "unhide", "delete", "private_reply"), _on_comment),
    "flag": _flag,
    "reply": _reply,
    "saved_reply": _reply,
    "tag": _tag,
    "assign": _assign,
    "close": _close,
}
