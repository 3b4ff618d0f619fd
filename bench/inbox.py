"""The inbox at few and at many stored messages: how much longer its answers take, each in a database of its own."""

import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.crowd import AGENTS, FOUND, TAGS, fill
from bench.load import reads
from bench.measure import Plan, Target, take_turns
from bench.paths import short
from bench.report import Row, print_table
from bench.stage import Label, Stage, open_label, open_stage

FEW, MANY = 10_000, 1_000_000
GROWTH_GOAL = 1.3
ALONE = Plan(rounds=7, connections=1, warm_up_s=0.5, measured_s=2.0)


@dataclass(frozen=True)
class Crowd:
    """A stage whose database holds one label with this many messages."""

    stage: Stage
    label: Label
    messages: int

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.messages:,}"


def measure_growth(generator: Executor, home: Path, *, messages: int, quick: bool) -> list[Row]:
    """The 95th percentile at many messages beside that at few, for the same questions, whose pages are as full."""
    few, many = (500, 2_000) if quick else (FEW, messages)
    plan, rows = short(ALONE) if quick else ALONE, []
    with _crowd(home / "few", few) as small, _crowd(home / "many", many) as large:
        watched = {f"{what} {crowd.name}": pid for crowd in (small, large) for what, pid in crowd.stage.watched.items()}
        for title, path in _asked():
            targets = [_target(crowd, path) for crowd in (small, large)]
            found = take_turns(generator, targets, plan, watched=watched)
            print_table(f"{title}, at {small.name} and {large.name} messages", plan, found)
            before, after = (found[target.name].p95_ms for target in targets)
            rows.append(Row(f"{title} at {large.name}, p95 ms", after, before, GROWTH_GOAL, lower_is_better=True))
    return rows


def _asked() -> Iterator[tuple[str, str]]:
    yield "conversations", "{conversations}?limit=25"
    yield "conversations by status and assignee", f"{{conversations}}?limit=25&status=open&assignee={AGENTS[1]}"
    yield "conversations unread, by tag", f"{{conversations}}?limit=25&unread=true&tag={TAGS[3]}"
    yield "conversations by two words", f"{{conversations}}?limit=25&q={FOUND}"
    yield "one thread", "{messages}?limit=25"


def _target(crowd: Crowd, path: str) -> Target:
    asked = path.format(conversations=crowd.label.conversations, messages=crowd.label.messages)
    requests = partial(reads, asked.encode(), crowd.label.access_token.encode())
    port = crowd.stage.api.port
    return Target(f"{crowd.name} messages", f"API {crowd.name}", port, requests, f"database {crowd.name}")


@contextmanager
def _crowd(home: Path, messages: int) -> Iterator[Crowd]:
    home.mkdir()
    with open_stage(home) as stage:
        label_id, token = open_label(stage, "crowd")
        begun = time.monotonic()
        conversation_id = fill(stage.database.url, label_id, messages=messages)
        took_s = time.monotonic() - begun
        print(f"\n{messages:,} messages stored in {took_s:.0f} s ({messages / took_s:,.0f}/s)", flush=True)
        yield Crowd(stage, Label(label_id, conversation_id, token), messages)
