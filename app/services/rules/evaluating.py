"""What rules make of one message or comment: pure, and the only place that decides it, for previews and for real."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from app.models.base import Doc
from app.models.rule_runs import Skipped
from app.models.rules import REPLIES, ActionKind, ConditionKind, When
from app.services.inbox import words
from app.services.rules.facts import Facts
from app.services.rules.hours import Hours, within
from app.services.rules.patterns import compiled

Test = Callable[[Facts], bool]
_EXCLUSIVE: tuple[frozenset[ActionKind], ...] = (
    REPLIES,
    frozenset(("hide", "unhide", "delete")),
    frozenset(("assign",)),
    frozenset(("close",)),
    frozenset(("flag",)),
)
"""Of each of these, one is done to one item: the first rule's. A fan gets one answer, whatever matches."""


@dataclass(frozen=True)
class Condition:
    """A condition, ready to be tried."""

    at: str
    kind: ConditionKind
    negated: bool
    test: Test

    def holds(self, facts: Facts) -> bool:
        """Whether it is true of these."""
        return self.test(facts) is not self.negated


@dataclass(frozen=True)
class Group:
    """Conditions that count as one."""

    every: bool
    negated: bool
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Rule:
    """A rule, ready to be asked."""

    id: str
    version: int
    when: When
    every: bool
    conditions: tuple[Condition, ...]
    groups: tuple[Group, ...]
    actions: tuple[Doc, ...]
    stop: bool

    @property
    def all_conditions(self) -> tuple[Condition, ...]:
        """Those of its groups too."""
        return (*self.conditions, *(one for group in self.groups for one in group.conditions))


@dataclass(frozen=True)
class Planned:
    """An action of a rule that matched; `skipped` is why it is not to be done."""

    number: int
    kind: ActionKind
    skipped: Skipped | None


@dataclass(frozen=True)
class Verdict:
    """What a rule makes of an item. Every condition is told, also those that no longer mattered."""

    rule: Rule
    matched: bool
    conditions: tuple[tuple[Condition, bool], ...]
    actions: tuple[Planned, ...]


def prepared(rule: Doc) -> Rule:
    """A stored rule, ready to be asked. Raises `BadPattern` for a pattern that RE2 does not take."""
    told = rule["conditions"]
    return Rule(
        id=rule["_id"],
        version=rule["version"],
        when=rule["when"],
        every=told["match"] == "all",
        conditions=tuple(_conditions(told["of"], "of")),
        groups=tuple(
            Group(
                every=group["match"] == "all",
                negated=group["negated"],
                conditions=tuple(_conditions(group["of"], f"groups/{number}/of")),
            )
            for number, group in enumerate(told["groups"])
        ),
        actions=tuple(rule["actions"]),
        stop=rule["stop"],
    )


def evaluate(rule: Rule, facts: Facts) -> Verdict | None:
    """What the rule makes of this, were it the only one; none where it does not apply: to another kind of item, and
    to what the account wrote itself."""
    if facts.own or rule.when not in facts.whens:
        return None
    found = tuple((one, one.holds(facts)) for one in rule.conditions)
    truths = [true for _, true in found]
    for group in rule.groups:
        inside = tuple((one, one.holds(facts)) for one in group.conditions)
        truths.append(_combined(group.every, [true for _, true in inside]) is not group.negated)
        found += inside
    matched = _combined(rule.every, truths) if truths else True
    actions = tuple(_planned(rule, facts)) if matched else ()
    return Verdict(rule, matched, found, actions)


def plan(rules: Sequence[Rule], facts: Facts) -> list[Verdict]:
    """What the rules make of this together, in their order: what an earlier one does, a later one does not again."""
    taken: set[int] = set()
    verdicts: list[Verdict] = []
    for rule in rules:
        verdict = evaluate(rule, facts)
        if verdict is None:
            continue
        actions = tuple(_behind(one, taken) for one in verdict.actions)
        taken |= {place for one in actions if one.skipped is None and (place := _place(one.kind)) is not None}
        verdicts.append(Verdict(rule, verdict.matched, verdict.conditions, actions))
        if verdict.matched and rule.stop:
            break
    return verdicts


def _combined(every: bool, truths: Sequence[bool]) -> bool:
    return all(truths) if every else any(truths)


def _planned(rule: Rule, facts: Facts) -> Iterator[Planned]:
    for number, action in enumerate(rule.actions):
        kind: ActionKind = action["kind"]
        yield Planned(number, kind, "too_old" if kind in REPLIES and facts.old else None)


def _behind(action: Planned, taken: set[int]) -> Planned:
    place = _place(action.kind)
    if action.skipped is None and place is not None and place in taken:
        return Planned(action.number, action.kind, "earlier_rule")
    return action


def _place(kind: ActionKind) -> int | None:
    return next((number for number, kinds in enumerate(_EXCLUSIVE) if kind in kinds), None)


def _conditions(told: Sequence[Doc], where: str) -> Iterator[Condition]:
    for number, one in enumerate(told):
        yield Condition(f"{where}/{number}", one["kind"], one["negated"], _TESTS[one["kind"]](one))


def _words(told: Doc) -> Test:
    wanted = [frozenset(words.query(entry)) or frozenset((entry.casefold(),)) for entry in told["words"]]
    if told.get("match") == "all":
        return lambda facts: all(entry <= facts.words for entry in wanted)
    return lambda facts: any(entry <= facts.words for entry in wanted)


def _pattern(told: Doc) -> Test:
    pattern = compiled(told["pattern"])
    return lambda facts: pattern.search(facts.text) is not None


def _links(told: Doc) -> Test:
    hosts = tuple(told.get("hosts") or ())
    if not hosts:
        return lambda facts: bool(facts.hosts)
    if told.get("hosts_are") == "allowed":
        return lambda facts: not all(_is_of(host, hosts) for host in facts.hosts)
    return lambda facts: any(_is_of(host, hosts) for host in facts.hosts)


def _is_of(host: str, sites: tuple[str, ...]) -> bool:
    return any(host == site or host.endswith(f".{site}") for site in sites)


def _language(told: Doc) -> Test:
    wanted = frozenset(told["languages"])
    return lambda facts: not wanted.isdisjoint(facts.languages)


def _hours(told: Doc) -> Test:
    hours = [Hours(frozenset(one["days"]), one["starts"], one["ends"]) for one in told["hours"]]
    zone = told.get("timezone")
    return lambda facts: within(hours, facts.sent_at, ZoneInfo(zone or facts.timezone))


def _account(told: Doc) -> Test:
    ids = frozenset(told["connection_ids"])
    return lambda facts: facts.connection_id in ids


def _author(told: Doc) -> Test:
    handles = frozenset(told["handles"])
    return lambda facts: (facts.author_handle or "").casefold() in handles


def _spam(told: Doc) -> Test:
    least: int = told["score"]
    return lambda facts: facts.spam.score >= least


_TESTS: dict[ConditionKind, Callable[[Doc], Test]] = {
    "words": _words,
    "pattern": _pattern,
    "links": _links,
    "emoji_only": lambda told: lambda facts: facts.emoji_only,
    "first_contact": lambda told: lambda facts: facts.first_contact,
    "language": _language,
    "hours": _hours,
    "account": _account,
    "author": _author,
    "spam": _spam,
}
