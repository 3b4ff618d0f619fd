"""What a batch of items leads to: the verdicts, less what a rule may not do now. Pure, but for its ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b

from app.db import Doc
from app.ids import new_id
from app.models.rule_runs import Skipped
from app.models.rules import REPLIES, ActionKind
from app.services.rules.evaluating import Condition, Planned, Rule, Verdict, plan, prepared
from app.services.rules.facts import Facts
from app.services.rules.loading import Item

RUN_LIFE = timedelta(days=30)
"""From when the item was written: a run ends with what it is about."""
AT_META: frozenset[ActionKind] = REPLIES | {"hide", "unhide", "delete"}
"""What calls Meta, and rests while it restricts the account."""


@dataclass(frozen=True)
class Asked:
    """A stored rule and how it is asked."""

    stored: Doc
    rule: Rule

    @classmethod
    def of(cls, stored: Doc) -> "Asked":
        """Raises `BadPattern`."""
        return cls(stored, prepared(stored))


@dataclass
class Ledger:
    """What rules have done lately. `decide` writes into it what it lets them do."""

    usage: dict[str, Doc]
    """By rule: the hour and the day it counts, and how many actions there were in them."""
    answered: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When a rule last answered a fan."""
    resting: Collection[str] = ()
    """The connections whose accounts Meta has restricted."""
    done: Collection[tuple[str, str]] = ()
    """What a rule has acted on: never again."""
    answers_from: datetime | None = None
    """What was written before a backup was restored may have been answered: of that, nobody knows here."""
    used_up: set[str] = field(default_factory=set)
    """The rules whose budget did not last."""

    def take(self, stored: Doc, *, now: datetime) -> bool:
        """Spend one action of the rule's budget; false when it is used up."""
        hour, day = now.strftime("%Y%m%d%H"), now.strftime("%Y%m%d")
        spent = self.usage.get(stored["_id"], {})
        in_hour = spent["in_hour"] if spent.get("hour") == hour else 0
        in_day = spent["in_day"] if spent.get("day") == day else 0
        if in_hour >= stored["budget"]["per_hour"] or in_day >= stored["budget"]["per_day"]:
            self.used_up.add(stored["_id"])
            return False
        self.usage[stored["_id"]] = {"hour": hour, "in_hour": in_hour + 1, "day": day, "in_day": in_day + 1}
        return True


def decide(items: Sequence[Item], asked: Sequence[Asked], ledger: Ledger, *, now: datetime) -> list[Doc]:
    """The runs of these items, to be written down: one for each rule that matches, with what is to be done and why."""
    runs: list[Doc] = []
    by_id = {one.rule.id: one.stored for one in asked}
    for item in items:
        looking = [one.rule for one in asked if one.stored["since"] < item.seq and one.rule.id not in ledger.used_up]
        for verdict in plan(looking, item.facts):
            if verdict.matched and (verdict.rule.id, item.facts.target) not in ledger.done:
                runs.append(_run(verdict, by_id[verdict.rule.id], item.facts, ledger, now=now))
    return runs


def fan_of(facts: Facts) -> str:
    """Who wrote it, as a run remembers: enough to know them again on this account, and nothing else."""
    return blake2b(f"{facts.connection_id}:{facts.author_id}".encode(), digest_size=12).hexdigest()


def conditions_of(verdict: Verdict) -> list[Doc]:
    """Each condition, and whether it was true."""

    def told(condition: Condition, true: bool) -> Doc:
        return {"at": condition.at, "kind": condition.kind, "true": true}

    return [told(condition, true) for condition, true in verdict.conditions]


def _run(verdict: Verdict, stored: Doc, facts: Facts, ledger: Ledger, *, now: datetime) -> Doc:
    fan = fan_of(facts)
    actions: list[Doc] = []
    answers = False
    for action in verdict.actions:
        reason = action.skipped or _held_back(action, stored, facts, fan, ledger, now=now)
        answers |= reason is None and action.kind in REPLIES
        state = "skipped" if reason else "done" if action.kind == "notify" else "pending"
        told = {"number": action.number, "kind": action.kind, "state": state, "reason": reason}
        actions.append(told | {"problem": None, "operation_id": None})
    if answers:
        ledger.answered[stored["_id"], fan] = now
    run: Doc = {
        "_id": new_id("run"),
        "label_id": facts.label_id,
        "rule_id": stored["_id"],
        "rule_version": stored["version"],
        "revision": stored["revision"],
        "when": stored["when"],
        "target_kind": facts.target_kind,
        "target": facts.target,
        "connection_id": facts.connection_id,
        "conversation_id": facts.conversation_id,
        "fan": fan,
        "conditions": conditions_of(verdict),
        "actions": actions,
        "attempts": 0,
        "at": now,
        "expires_at": min(now, facts.sent_at) + RUN_LIFE,
    }
    run |= {"answered_at": now} if answers else {}
    return run | ({"due_at": now} if any(one["state"] == "pending" for one in actions) else {})


def _held_back(
    action: Planned, stored: Doc, facts: Facts, fan: str, ledger: Ledger, *, now: datetime
) -> Skipped | None:
    if action.kind in AT_META and facts.connection_id in ledger.resting:
        return "account_paused"
    if action.kind in REPLIES and ledger.answers_from and facts.sent_at < ledger.answers_from:
        return "too_old"
    if action.kind in REPLIES:
        last = ledger.answered.get((stored["_id"], fan))
        if last is not None and now - last < timedelta(hours=stored["cool_down_hours"]):
            return "cool_down"
    return None if ledger.take(stored, now=now) else "budget_used_up"
