"""What is measured, beside what."""

from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from app.meta_webhook import PATH as WEBHOOK
from bench import bare
from bench.load import deliveries, reads
from bench.measure import Plan, Target, take_turns
from bench.report import Row, print_table, rows_of
from bench.stage import Stage, fill_label

MANY = Plan(rounds=5, connections=64, warm_up_s=0.4, measured_s=1.0)
ONE = Plan(rounds=3, connections=1, warm_up_s=0.3, measured_s=1.0)
PAGES = Plan(rounds=5, connections=16, warm_up_s=0.3, measured_s=1.1)
SLOW_PAGES = Plan(rounds=3, connections=4, warm_up_s=0.4, measured_s=1.2)
INTAKE_GOAL, LIST_GOAL = 0.9, 0.6
SMALL, LARGE = 50, 2_000
"""Conversations of a label. For each page the stand-in reads and sorts all of a label's, where MongoDB reads the page
by its index: the large label measures mostly that, the small one what the API itself adds."""


def measure_intake(stage: Stage, generator: Executor, *, quick: bool) -> list[Row]:
    """The webhook route beside (a), which shows what the generator can do, and (b), its ceiling."""

    def target(name: str, server: str, port: int, path: str) -> Target:
        return Target(name, server, port, partial(deliveries, path.encode(), stage.webhook_secret))

    read = target("(a) bare, reads the body", "bare", stage.bare.port, bare.READ)
    insert = target("(b) bare, signature and insert_many", "bare", stage.bare.port, bare.INSERT)
    ours = target(f"POST {WEBHOOK}", "API", stage.api.port, WEBHOOK)
    rows: list[Row] = []
    for title, plan, targets in (("intake", MANY, [read, insert, ours]), ("intake one by one", ONE, [insert, ours])):
        plan = short(plan) if quick else plan
        found = take_turns(generator, targets, plan, watched=stage.watched, before=stage.empty_inbox)
        print_table(title, plan, found)
        rows += rows_of(title, found[ours.name], found[insert.name], goal=INTAKE_GOAL)
    return rows


def measure_lists(stage: Stage, generator: Executor, *, quick: bool) -> list[Row]:
    """The inbox's lists beside the same find and orjson; the quick look leaves the large label out."""
    small = fill_label(stage, "small", size=SMALL)
    conversations, messages = bare.CONVERSATIONS + small.label_id, bare.MESSAGES + small.label_id
    lists = [
        (f"conversations of {SMALL}", PAGES, small, small.conversations, conversations),
        (f"messages of {SMALL}", PAGES, small, small.messages, f"{messages}/{small.conversation_id}"),
    ]
    if not quick:
        large = fill_label(stage, "large", size=LARGE)
        beside = bare.CONVERSATIONS + large.label_id
        lists.append((f"conversations of {LARGE:,}", SLOW_PAGES, large, large.conversations, beside))
    rows: list[Row] = []
    for title, plan, label, path, bare_path in lists:
        plan, token = short(plan) if quick else plan, label.access_token.encode()
        asked = partial(reads, f"{path}?limit={bare.PAGE}".encode(), token)
        ours = Target("GET /v1/labels/…", "API", stage.api.port, asked)
        ceiling = Target("bare, find and orjson", "bare", stage.bare.port, partial(reads, bare_path.encode(), token))
        found = take_turns(generator, [ceiling, ours], plan, watched=stage.watched)
        print_table(title, plan, found)
        rows += rows_of(title, found[ours.name], found[ceiling.name], goal=LIST_GOAL)
    return rows


def short(plan: Plan) -> Plan:
    """The same for a look whether it works."""
    return replace(plan, rounds=1, warm_up_s=0.1, measured_s=0.3)
