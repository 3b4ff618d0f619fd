"""Many comments and many rules, made from a seed; and whether a dry run says what then happens."""

import random
from typing import Any

from app.db import Doc
from tests.flows.flows_harness import Desk
from tests.flows.rules_harness import comment, comments, rule, runs, tried

TEXTS = (
    *("Love it", "🔥🔥🔥", "❤️", "First!", "When is the vinyl out?", "Wann kommt die neue Platte?", "sooooooooo good"),
    *("Get free followers at bit.ly/x{n}", "check my profile for a giveaway", "got it at nightjar.bandcamp.com"),
    *("@a @b @c @d look at this", "Frее followers for everybody", "what a show in Oslo", "THIS IS THE BEST SONG"),
    *("Отличная песня, спасибо", "この曲大好き", "que bonito tema, me encanta", "presale code please"),
    "meet & greet {n}?",
)
Found = dict[str, dict[str, Any]]
"""Of each rule, by item: its conditions and its actions."""
CONDITIONS: tuple[Doc, ...] = (
    {"kind": "words", "words": ["vinyl", "presale", "platte"]},
    {"kind": "words", "words": ["free", "followers"], "match": "all"},
    {"kind": "pattern", "pattern": r"meet\s*&\s*greet|f[o0]ll[o0]wers?"},
    {"kind": "pattern", "pattern": "(a+)+$|(o|oo)+d"},
    {"kind": "links"},
    {"kind": "links", "hosts": ["bandcamp.com"], "hosts_are": "allowed"},
    {"kind": "emoji_only"},
    {"kind": "first_contact"},
    {"kind": "language", "languages": ["de", "es"]},
    {"kind": "language", "languages": ["en", "und"], "negated": True},
    {"kind": "hours", "hours": [{"days": ["mon", "wed", "fri", "sat"], "starts": "06:00", "ends": "19:00"}]},
    {"kind": "author", "handles": ["fan.7", "fan.8", "fan.9"]},
    {"kind": "spam", "score": 35},
    {"kind": "spam", "score": 60, "negated": True},
)
RARE: tuple[Doc, ...] = (
    *({"kind": "words", "words": [word]} for word in ("vinyl", "platte", "oslo", "presale", "tema", "5", "17", "33")),
    *({"kind": "pattern", "pattern": rf"greet [{n}]\d?\?"} for n in range(1, 5)),
    {"kind": "links", "hosts": ["bandcamp.com"], "hosts_are": "denied"},
    {"kind": "author", "handles": [f"fan.{n}" for n in range(7, 60)]},
)
"""One of them in each rule, so that most rules match, and few comments each: as rules do."""
ACTIONS = ("hide", "delete", "flag", "notify", "notify", "reply", "private_reply")


def comment_changes(rng: random.Random, count: int) -> list[Doc]:
    """So many comments, of a quarter as many fans."""
    found = []
    for number in range(count):
        fan = rng.randrange(max(count // 4, 20))
        text = rng.choice(TEXTS).format(n=rng.randrange(50))
        found.append(comment(number, text, fan=f"9{fan:014d}", username=f"fan.{fan}"))
    return found


def rule_bodies(rng: random.Random, count: int, *, rare: bool = False) -> list[Doc]:
    """So many rules, whose budgets and cool-downs are no matter; `rare` ones match few comments each."""
    return [_body(rng, number, rare=rare) for number in range(count)]


def _body(rng: random.Random, number: int, *, rare: bool) -> Doc:
    kinds = rng.sample(ACTIONS, rng.randint(1, 3))
    actions: list[Doc] = []
    for kind in dict.fromkeys(kinds):
        if kind in ("reply", "private_reply") and any("text" in action for action in actions):
            continue
        if kind in ("hide", "delete") and any(action["kind"] in ("hide", "delete") for action in actions):
            continue
        actions.append({"kind": kind} | ({"text": "Thank you"} if "reply" in kind else {}))
    groups = [{"match": "any", "negated": rng.random() < 0.3, "of": rng.sample(CONDITIONS, 2)}]
    conditions = {
        "match": "all" if rare else rng.choice(("all", "any")),
        "of": [rng.choice(RARE)] if rare else rng.sample(CONDITIONS, rng.randint(1, 2)),
        "groups": groups if rng.random() < 0.5 else [],
    }
    more: Doc = {"position": rng.randrange(10), "stop": rng.random() < 0.05, "cool_down_hours": 0}
    more |= {"budget": {"per_hour": 100_000, "per_day": 1_000_000}}
    return {"name": f"Rule {number}", "actions": actions, "conditions": conditions} | more


async def make_rules(desk: Desk, bodies: list[Doc]) -> list[Doc]:
    """Make them."""
    return [await rule(desk, *body["actions"], **{k: v for k, v in body.items() if k != "actions"}) for body in bodies]


async def expected(desk: Desk, made: list[Doc]) -> Found:
    """What dry runs say of each rule: by item, its conditions and actions; of those that match alone."""
    return {
        one["id"]: {
            item["target"]["id"]: (item["conditions"], [(a["kind"], a["skipped"]) for a in item["actions"]])
            for item in (await tried(desk, {"rule_id": one["id"], "limit": 1000}))["data"]
            if item["matched"]
        }
        for one in made
    }


async def happened(desk: Desk, made: list[Doc]) -> Found:
    """What the rules' histories say: by item, the conditions, and the actions with why one was held back."""
    found: Found = {}
    for one in made:
        whole = await runs(desk, one["id"])
        found[one["id"]] = {
            run["target"]["id"]: (run["conditions"], [_decided(a) for a in run["actions"]]) for run in whole
        }
        assert len(found[one["id"]]) == len(whole), "a rule acted twice on one item"
    return found


def _decided(action: Doc) -> tuple[str, str | None]:
    """`not_possible` and `item_gone` come from the doing: decided it was."""
    return action["kind"], None if action["reason"] in ("not_possible", "item_gone") else action["reason"]


async def deliver(desk: Desk, changes: list[Doc]) -> None:
    """Have Meta deliver them, now."""
    await comments(desk.house, *changes)
