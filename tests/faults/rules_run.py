"""`python -m tests.faults.rules_run`: many comments through many rules; what dry runs say is what happens.

The runner is broken off again and again at random moments, its lease left to run out, while the comments go through.
Then each rule's history is held beside its dry run, item by item, and each effect is counted.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from app.db import Doc, create_indexes
from app.services.rules import running
from tests.flows.flows_harness import Desk, sit_down
from tests.flows.rules_world import Found, comment_changes, deliver, expected, happened, make_rules, rule_bodies
from tests.house import PASSWORD, House, make_keys, open_house, settings_env
from tools import embedded
from workers import jobs


async def rules_run(folder: Path, *, comments: int, rules: int, breaks: int, seed: int) -> list[str]:
    """Do it once; what is wrong, a sentence each."""
    with embedded.mongodb(folder / "db") as mongodb_url, embedded.valkey(folder / "redis") as redis_url:
        keys = folder / "keys"
        keys.mkdir(parents=True)
        env = settings_env(make_keys(keys), mongodb_url=mongodb_url, redis_url=redis_url)
        async with open_house(env) as house:
            await create_indexes(house.db)
            return await _in(house, comments=comments, rules=rules, breaks=breaks, rng=random.Random(seed))


async def _in(house: House, *, comments: int, rules: int, breaks: int, rng: random.Random) -> list[str]:
    desk = await sit_down(house)
    made = await make_rules(desk, rule_bodies(rng, rules, rare=True))
    begun = time.monotonic()
    await deliver(desk, comment_changes(rng, comments))
    await jobs.drain_waiting(house.worker)
    begun = _tell(f"{comments} comments are taken in", begun)
    broken = await _through(desk, breaks=breaks, rng=rng)
    begun = _tell(f"they are through {rules} rules, whose runner was broken off {broken} times", begun)
    was: Found = {}
    said: Found = {}
    for one in made:
        await _log_in(desk)
        was |= await happened(desk, [one])
        said |= await expected(desk, [one])
    _tell(f"{rules} dry runs and histories are read, with {sum(map(len, was.values()))} matches", begun)
    return _differences(was, said) + await _effects(desk, was)


async def _through(desk: Desk, *, breaks: int, rng: random.Random) -> int:
    """Have the rules look at everything; how often their runner was broken off."""
    house, broken = desk.house, 0
    while await running.labels_behind(house.db, now=house.clock()):
        task = asyncio.create_task(running.run_label(house.db, desk.label_id, clock=house.clock))
        if broken < breaks:
            await asyncio.wait([task], timeout=rng.uniform(0, 2))
            broken += task.cancel()
            house.clock.offset += running.LEASE
        await asyncio.gather(task, return_exceptions=True)
    house.clock.offset = timedelta()
    return broken


async def _log_in(desk: Desk) -> None:
    """A log-in lasts for 15 minutes."""
    known = {"email": "owner@example.com", "password": PASSWORD}
    login = (await desk.house.http.post("/v1/sessions", json=known)).raise_for_status().json()
    desk.house.http.cookies.clear()
    desk.owner.headers["Authorization"] = f"Bearer {login['access_token']}"


def _differences(was: Found, said: Found) -> list[str]:
    return [
        f"rule {rule_id}, item {item}: it is {was[rule_id].get(item)}, and was said to be {said[rule_id].get(item)}"
        for rule_id in was
        for item in was[rule_id].keys() | said[rule_id].keys()
        if was[rule_id].get(item) != said[rule_id].get(item)
    ]


async def _effects(desk: Desk, was: Found) -> list[str]:
    """Each effect once: an operation and a row of the log for each action that has one, an event for each notice."""
    runs = await desk.stored("rule_runs")
    actions = [action for run in runs for action in run["actions"]]
    done = Counter(action["kind"] for action in actions if action["state"] == "done")
    begun = Counter(action["operation_id"] for action in actions if action["operation_id"])
    operations = {one["_id"] for one in await desk.stored("operations", kind="comment_action")}
    events = await desk.stored("events", type="rule.notified")
    log: list[Doc] = await desk.stored("moderation_actions")
    print(f"  effects: {dict(sorted(done.items()))}", flush=True)
    found = [f"{count} actions share an operation" for count in begun.values() if count > 1]
    found += ["operations and actions do not agree"] if begun.keys() != operations else []
    found += [f"{len(events)} notices for {done['notify']}"] if len(events) != done["notify"] else []
    kinds = Counter(row["action"] for row in log)
    found += [f"the log has {kinds}, the runs {done}"] if any(kinds[k] != done[k] for k in kinds) else []
    waiting = [action for action in actions if action["state"] == "pending"]
    found += [f"{len(waiting)} actions still wait"] if waiting else []
    return found + ([] if sum(map(len, was.values())) == len(runs) else ["the histories do not show every run"])


def _tell(what: str, begun: float) -> float:
    print(f"  {time.monotonic() - begun:7.1f} s: {what}", flush=True)
    return time.monotonic()


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.rules_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--comments", type=int, default=10_000)
    parser.add_argument("--rules", type=int, default=50)
    parser.add_argument("--breaks", type=int, default=100, help="how often the runner is broken off")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args(argv)
    print(f"rules run with --seed {args.seed}", flush=True)
    wish = {"comments": args.comments, "rules": args.rules, "breaks": args.breaks, "seed": args.seed}
    with tempfile.TemporaryDirectory() as folder:
        troubles = asyncio.run(rules_run(Path(folder), **wish))
    print("\n".join(troubles[:20]) or "  GOOD")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
