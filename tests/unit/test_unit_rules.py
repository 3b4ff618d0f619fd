"""What rules make of a message or comment: each condition, their algebra, and which of several rules acts."""

import copy
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.db import Doc
from app.errors import InvalidInput
from app.models.rules import ACTIONS_OF, RuleCreate
from app.services.rules import patterns
from app.services.rules.deciding import Asked, Ledger, decide
from app.services.rules.evaluating import Verdict, evaluate, plan
from app.services.rules.facts import Facts
from app.services.rules.loading import Item
from tests.unit.rules_makers import AT, HIDE, NOTIFY, REPLY, facts, one, rule, stored

TEXTS = st.text(alphabet="ab @#.!🔥❤️éЯ日\n", max_size=30)
OFFICE = {"days": ["mon", "tue", "wed", "thu", "fri"], "starts": "09:00", "ends": "17:00"}


def holds(conditions: Doc, found: Facts) -> bool:
    """Whether a rule of these conditions matches."""
    verdict = evaluate(rule(conditions), found)
    assert verdict is not None
    return verdict.matched


def doings(verdicts: list[Verdict]) -> dict[str, dict[str, str | None]]:
    """By rule, each action and why it is not done."""
    return {one.rule.id: {action.kind: action.skipped for action in one.actions} for one in verdicts}


@pytest.mark.parametrize(
    ("condition", "true", "false"),
    [
        (one("words", words=["Vinyl", "tour"]), "when is the VINYL out?", "vinyls are nice"),
        (one("words", words=["vinyl", "tour"], match="all"), "tour with vinyl", "only vinyl"),
        (one("words", words=["free followers"]), "Followers for FREE", "free for fans"),
        (one("words", words=["🔥"]), "so good 🔥🔥", "so good"),
        (one("words", words=["曲"]), "この曲大好き", "大好き"),
        (one("words", words=["#presale"]), "is there a #PreSale", "is there a presale"),
        (one("pattern", pattern=r"free\s+f[o0]ll[o0]wers"), "FREE  f0llowers!", "freefollowers"),
        (one("pattern", pattern="^first"), "First!", "who is first"),
        (one("links"), "see www.example.com/x", "see you at 8.30"),
        (one("links"), "nightjar.bandcamp.com rules", "Really?Yes.Good"),
        (one("links", hosts=["example.com"]), "https://shop.example.com", "https://badexample.com"),
        (one("links", hosts=["bandcamp.com"], hosts_are="allowed"), "http://evil.example", "nightjar.bandcamp.com"),
        (one("emoji_only"), " 🔥❤️👩‍👩‍👧🇳🇴👍🏽 ", "🔥 yes"),
        (one("emoji_only"), "🎉", "  "),
        (one("language", languages=["de"]), "Wann kommt die neue Platte?", "When is the new record out?"),
        (one("language", languages=["und"]), "🔥🔥 !!", "When is the new record out?"),
        (one("spam", score=60), "FREE FOLLOWERS at bit.ly/x", "Love it"),
    ],
)
def test_conditions_on_the_text(condition: Doc, true: str, false: str) -> None:
    """True of the first text and not of the second; negated, the other way round."""
    negated = {"of": [condition["of"][0] | {"negated": True}]}
    for text, expected in ((true, True), (false, False)):
        assert holds(condition, facts(text)) is expected, text
        assert holds(negated, facts(text)) is not expected, text


@pytest.mark.parametrize(
    ("condition", "true", "false"),
    [
        (one("first_contact"), {"first_contact": True}, {"first_contact": False}),
        (one("account", connection_ids=["con_1", "con_3"]), {}, {"connection_id": "con_2"}),
        (one("author", handles=["@Fan.One"]), {"author_handle": "fan.one"}, {"author_handle": None}),
        (one("hours", hours=[OFFICE]), {"sent_at": AT}, {"sent_at": AT - timedelta(hours=1)}),
        (one("hours", hours=[OFFICE]), {"sent_at": AT}, {"sent_at": AT - timedelta(days=1)}),
        (
            one("hours", hours=[OFFICE], timezone="Asia/Tokyo"),
            {"sent_at": AT - timedelta(hours=9)},
            {"sent_at": AT, "timezone": "UTC"},
        ),
        (one("hours", hours=[OFFICE]), {"timezone": "UTC"}, {"timezone": "Asia/Tokyo"}),
        (one("spam", score=40), {"text": "ok", "same_text": True, "first_contact": True}, {"text": "ok"}),
    ],
)
def test_conditions_on_the_rest(condition: Doc, true: dict[str, Any], false: dict[str, Any]) -> None:
    """Who wrote it, through what, when."""
    assert holds(condition, facts(**true)) and not holds(condition, facts(**false))


def test_what_rules_never_look_at() -> None:
    """What the account wrote itself, and items of another kind. A story reply is a message too."""
    assert evaluate(rule(), facts(own=True)) is None
    assert evaluate(rule(when="message"), facts()) is None
    story = facts(whens=frozenset(("message", "story_reply")))
    assert evaluate(rule(when="message"), story) and evaluate(rule(when="story_reply"), story)
    assert evaluate(rule(when="story_reply"), facts(whens=frozenset(("message",)))) is None


LEAVES = st.sampled_from(
    [
        {"kind": "words", "words": ["a"]},
        {"kind": "words", "words": ["a", "b"], "match": "all"},
        {"kind": "pattern", "pattern": "b+"},
        {"kind": "emoji_only"},
        {"kind": "links"},
        {"kind": "first_contact"},
        {"kind": "spam", "score": 10},
    ]
)
NEGATABLE = st.builds(lambda leaf, negated: leaf | {"negated": negated}, LEAVES, st.booleans())
MATCH = st.sampled_from(["all", "any"])
GROUPS = st.builds(
    lambda match, negated, of: {"match": match, "negated": negated, "of": of},
    MATCH,
    st.booleans(),
    st.lists(NEGATABLE, min_size=1, max_size=4),
)
TREES = st.builds(
    lambda match, of, groups: {"match": match, "of": of, "groups": groups},
    MATCH,
    st.lists(NEGATABLE, max_size=4),
    st.lists(GROUPS, max_size=3),
)
FACTS = st.builds(lambda text, first: facts(text, first_contact=first), TEXTS, st.booleans())


def opposite(tree: Doc) -> Doc:
    """The same by De Morgan: each part negated, `all` for `any`."""
    other = {"all": "any", "any": "all"}
    return {
        "match": other[tree["match"]],
        "of": [leaf | {"negated": not leaf["negated"]} for leaf in tree["of"]],
        "groups": [group | {"negated": not group["negated"]} for group in tree["groups"]],
    }


@given(TREES, FACTS)
def test_the_algebra_of_conditions(tree: Doc, found: Facts) -> None:
    """A tree is what its parts say, whatever the order; by De Morgan its opposite is true exactly when it is not."""
    parts = [holds({"of": [leaf]}, found) for leaf in tree["of"]]
    for group in tree["groups"]:
        inside = [holds({"of": [leaf]}, found) for leaf in group["of"]]
        together = all(inside) if group["match"] == "all" else any(inside)
        parts.append(together != group["negated"])
    expected = (all(parts) if tree["match"] == "all" else any(parts)) if parts else True
    assert holds(tree, found) is expected
    turned = tree | {"of": tree["of"][::-1], "groups": tree["groups"][::-1]}
    assert holds(turned, found) is expected
    if parts:
        assert holds(opposite(tree), found) is not expected


@given(TREES, FACTS)
def test_evaluating_is_pure(tree: Doc, found: Facts) -> None:
    """Twice the same, on facts made anew too, and neither the rule nor the facts are changed by it."""
    before = copy.deepcopy(tree)
    asked = rule(tree, HIDE, NOTIFY)
    first, shown = evaluate(asked, found), repr(found)
    again = facts(found.text, first_contact=found.first_contact)
    assert first == evaluate(asked, found) == evaluate(asked, again)
    assert tree == before and repr(found) == shown
    assert first is not None and len(first.conditions) == len(tree["of"]) + sum(len(g["of"]) for g in tree["groups"])


def test_which_rule_acts() -> None:
    """One answer and one hiding for an item, the first rule's; what excludes nothing is done by all; `stop` ends it."""
    rules = [
        rule(one("words", words=["free"]), HIDE, NOTIFY, rule_id="spam"),
        rule(None, REPLY, HIDE, NOTIFY, rule_id="thanks"),
        rule(None, {"kind": "private_reply", "text": "Hello"}, {"kind": "flag"}, rule_id="again", stop=True),
        rule(None, NOTIFY, rule_id="never"),
    ]
    assert doings(plan(rules, facts("free stuff"))) == {
        "spam": {"hide": None, "notify": None},
        "thanks": {"reply": None, "hide": "earlier_rule", "notify": None},
        "again": {"private_reply": "earlier_rule", "flag": None},
    }
    assert doings(plan(rules, facts("nice")))["thanks"] == {"reply": None, "hide": None, "notify": None}
    assert plan(rules, facts(own=True)) == []


def test_what_is_old_is_not_answered() -> None:
    """What was read back long after it was written: hidden it may be, answered it is not, and it takes no place."""
    late = facts(received_at=AT + timedelta(hours=2))
    rules = [rule(None, REPLY, HIDE, rule_id="a"), rule(None, REPLY, rule_id="b")]
    assert doings(plan(rules, late)) == {"a": {"reply": "too_old", "hide": None}, "b": {"reply": "too_old"}}


@given(st.integers(0, 366 * 24 * 4), st.sampled_from(["Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "UTC"]))
def test_hours_are_what_the_clock_on_the_wall_shows(quarter: int, zone: str) -> None:
    """Over a year and its changes of the clock, in steps of 15 minutes; and by night, too."""
    at = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")) + timedelta(minutes=15 * quarter)
    local = at.astimezone(ZoneInfo(zone))
    day = OFFICE | {"days": ["sat", "sun"], "starts": "02:00", "ends": "03:30"}
    night = {"days": ["fri"], "starts": "22:00", "ends": "02:30"}
    in_day = local.weekday() in (5, 6) and (2, 0) <= (local.hour, local.minute) < (3, 30)
    in_night = (local.weekday() == 4 and local.hour >= 22) or (
        local.weekday() == 5 and (local.hour, local.minute) < (2, 30)
    )
    for interval, expected in ((day, in_day), (night, in_night)):
        assert holds(one("hours", hours=[interval], timezone=zone), facts(sent_at=at)) is expected


@pytest.mark.parametrize(
    ("utc", "inside"),
    [
        ("2026-03-29T00:30", False),  # 01:30 in Oslo, an hour before the clocks go forward
        ("2026-03-29T01:00", True),  # 03:00: the hour from 02:00 does not happen
        ("2026-10-25T00:30", True),  # 02:30, summer time
        ("2026-10-25T01:30", True),  # 02:30 again, an hour later
        ("2026-10-25T02:30", False),  # 03:30
    ],
)
def test_hours_over_the_change_of_the_clock(utc: str, inside: bool) -> None:
    """An hour that comes twice counts twice; what begins in one that is skipped begins after it."""
    sundays = {"days": ["sun"], "starts": "02:00", "ends": "03:15"}
    at = datetime.fromisoformat(f"{utc}+00:00")
    assert holds(one("hours", hours=[sundays], timezone="Europe/Oslo"), facts(sent_at=at)) is inside


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*(.*)*(.*)*x", "(a?){200}a{200}", "(?:a{1,30}){1,30}b"])
def test_no_pattern_stalls(pattern: str) -> None:
    """Those that take a backtracking engine years on such a text: here 20 texts take a fraction of a second."""
    condition, text = one("pattern", pattern=pattern), "a" * 2_000 + "!"
    begun = time.process_time()
    try:
        asked = rule(condition)
    except patterns.BadPattern:
        return  # RE2 would need more steps than we give it
    for _ in range(20):
        evaluate(asked, facts(text))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(?<!a)b", "[", "(a{1000}){1000}", "(?P<x", "*"])
def test_patterns_that_are_refused(pattern: str) -> None:
    """What RE2 does not know, what is none, and what would not fit into memory."""
    with pytest.raises(InvalidInput):
        patterns.check(pattern, "/pattern")


@given(st.text(max_size=40))
def test_any_pattern_is_taken_or_refused(pattern: str) -> None:
    """Nothing else happens, whatever somebody writes."""
    try:
        found = patterns.compiled(pattern)
    except patterns.BadPattern:
        return
    found.search("Some text, with \U0001f525 in it")


@pytest.mark.parametrize(
    "change",
    [
        {"human_agent": True},
        {"actions": [REPLY | {"human_agent": True}]},
        {"actions": [REPLY | {"basis": "human_agent"}]},
        {"actions": [{"kind": "human_agent_reply", "text": "Hi"}]},
        {"actions": []},
        {"actions": [REPLY, {"kind": "saved_reply", "saved_reply_id": "srp_1"}]},
        {"actions": [HIDE, {"kind": "delete"}]},
        {"actions": [HIDE, HIDE]},
        {"actions": [{"kind": "tag", "tag": "vip"}]},
        {"actions": [{"kind": "private_reply"}]},
        {"actions": [HIDE | {"text": "Bye"}]},
        {"actions": [{"kind": "reply", "text": "é" * 501}]},
        {"when": "message"},
        {"when": "mention"},
        {"conditions": one("words")},
        {"conditions": one("emoji_only", words=["a"])},
        {"conditions": one("links", hosts_are="allowed")},
        {"conditions": one("spam", score=0)},
        {"conditions": one("hours", hours=[{"days": ["mon"], "starts": "9:00", "ends": "17:00"}])},
        {"conditions": one("hours", hours=[OFFICE], timezone="Mars/Base")},
        {"conditions": {"groups": [{"of": []}]}},
        {"conditions": {"groups": [{"of": [{"kind": "emoji_only"}], "groups": []}]}},
        {"budget": {"per_hour": 0}},
        {"cool_down_hours": -1},
    ],
)
def test_rules_that_are_refused(change: dict[str, Any]) -> None:
    """Above all one that asks for the human-agent basis, wherever it does."""
    good = {"name": "A rule", "when": "comment", "actions": [HIDE]}
    RuleCreate.model_validate(good)
    with pytest.raises(ValidationError):
        RuleCreate.model_validate(good | change)


def test_every_action_is_for_something() -> None:
    """Nobody hides a message, and a comment has no tags."""
    assert ACTIONS_OF["comment"] >= {"hide", "delete", "private_reply"}
    assert not {"hide", "delete", "private_reply"} & ACTIONS_OF["message"]


def test_what_may_have_been_answered_before_a_restore() -> None:
    """Written before a backup was restored: hidden again does no harm, answered again does."""
    asked, second = [Asked.of(stored(None, HIDE, REPLY))], timedelta(seconds=1)
    for sent_at, reason in ((AT - second, "too_old"), (AT, None)):
        ledger = Ledger({}, answers_from=AT)
        (run,) = decide([Item(1, facts(sent_at=sent_at))], asked, ledger, now=AT + second)
        assert [(one["kind"], one["reason"]) for one in run["actions"]] == [("hide", None), ("reply", reason)]
