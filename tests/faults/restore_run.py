"""The restore run: posts are published and people erased, a backup is made in the middle, and it is restored.

    python -m tests.faults.restore_run --publications 60 --seed 7

With the real commands (`backup`, `restore`, `lift`), worker and API, into an emptied database. Until it is lifted
nothing leaves. In the end no post and no comment is at Meta twice, every post is published or left to a person, nobody
who was erased is there, and no mail has arrived twice. The exit status is 0 only then.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from app import keys
from app.clock import utc_now
from app.db import Doc
from app.ids import new_id
from app.models.data_map import DATA_MAP
from tests.faults.plant import Plant
from tests.faults.press import Press
from tests.faults.publish_run import a_plant, open_press, undrilled
from tools.child import ROOT

FROM_S, WITHIN_S = 10.0, 60.0
LATEST_S = 900.0
QUIET_S = 15.0
PEOPLE = 5
DOMAIN = "erased.example"


@dataclass
class Outcome:
    """What was measured."""

    published_before: int = 0
    published_after_backup: int = 0
    told: Doc = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    shown: int = 0
    seconds: float = 0.0
    troubles: list[str] = field(default_factory=list)


def soundops(running: Plant, *arguments: str) -> Doc:
    """Run a command; what it tells."""
    command = [sys.executable, "-m", "workers.commands", *arguments, "--json"]
    env = os.environ | running.env
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]}: {done.stderr[-400:]}")
    found: Doc = json.loads(done.stdout)
    return found


def add_people(running: Plant) -> list[str]:
    """People with accounts; their ids."""
    made = []
    with running.store() as db:
        for number in range(PEOPLE):
            email = f"person{number}@{DOMAIN}"
            person = {"_id": new_id("usr"), "name": f"Person {number}", "email": email, "email_key": email}
            db["users"].insert_one(person | {"created_at": utc_now(), "version": 1, "worked_in": []})
            made.append(person["_id"])
    return made


def erase(running: Plant, people: Sequence[str]) -> None:
    """Have them erased, as if their week was over; returns when a worker has done it."""
    now = utc_now()
    with running.store() as db:
        for user_id in people:
            request = new_id("prq")
            db["users"].update_one({"_id": user_id}, {"$set": {"erasure_due_at": now - timedelta(seconds=1)}})
            asked: Doc = {"_id": request, "label_id": None, "user_id": user_id, "kind": "erasure", "state": "waiting"}
            asked |= {"received_at": now, "due_at": now, "evidence": []}
            db["privacy_requests"].insert_one(asked | {"receipt": None, "closed_at": None, "version": 1})
            operation: Doc = {"_id": new_id("op"), "label_id": None, "kind": "erase_person", "target": request}
            operation |= {"key": f"erase_person:{request}", "state": "queued", "attempts": 0, "fence": 0}
            operation |= {"due_at": now, "lease_until": None, "result": None, "problem": None}
            operation |= {"created_at": now, "updated_at": now, "expires_at": now + timedelta(days=90)}
            db["operations"].insert_one(operation)
        waited = time.monotonic() + LATEST_S
        while db["users"].count_documents({"_id": {"$in": list(people)}}) and time.monotonic() < waited:
            time.sleep(0.2)


def unsettled(running: Plant, ids: Sequence[str]) -> int:
    """How many posts are neither published nor left to a person."""
    with running.store() as db:
        targets = [doc["_id"] for doc in db["publication_targets"].find({"publication_id": {"$in": list(ids)}})]
        return db["operations"].count_documents({"target": {"$in": targets}, "due_at": {"$exists": True}})


def settle(running: Plant, ids: Sequence[str]) -> None:
    """Wait until none is."""
    waited = time.monotonic() + LATEST_S
    while unsettled(running, ids) and time.monotonic() < waited:
        time.sleep(0.5)


def restore_run(press: Press, folder: Path, *, publications: int, rng: random.Random) -> Outcome:
    """Publish, back up in the middle, publish on, lose everything, restore, and go on."""
    running, outcome, began = press.plant, Outcome(), time.monotonic()
    backups, backup_keys = folder / "backups", folder / "backup-keys"
    backups.mkdir()
    keys.create_backup_keys(backup_keys)
    people = add_people(running)
    ids = press.schedule("post", publications, rng, from_s=FROM_S, within_s=WITHIN_S)
    while len(press.shown()) < publications // 3:
        time.sleep(0.2)
    outcome.published_before = len(press.shown())
    made = soundops(running, "backup", str(backups), "--key", str(backup_keys / "backup.public.json"))
    erase(running, people)
    while len(press.shown()) < publications * 2 // 3:
        time.sleep(0.2)
    running.worker.end()
    running.api.end()
    before, mails = len(press.shown()), arrived(running)
    outcome.published_after_backup = before - outcome.published_before
    with running.store() as db:
        for name in DATA_MAP:
            db[name].delete_many({})
    private = str(backup_keys / "backup.private.json")
    outcome.told = soundops(running, "restore", made["file"], "--key", private)
    running.worker.env = undrilled(running)
    running.api.start()
    running.worker.start()
    time.sleep(QUIET_S)
    outcome.troubles += ["something left before it was lifted"] * (len(press.shown()) != before)
    soundops(running, "lift")
    settle(running, ids)
    outcome.seconds = time.monotonic() - began
    _judge(press, ids, people, mails, outcome)
    return outcome


def arrived(running: Plant) -> Counter[str]:
    """How many mails of each subject have arrived."""
    with httpx.Client(base_url=running.postbox.url, timeout=30, trust_env=False) as postbox:
        return Counter(mail["subject"] for mail in postbox.get("/mails").raise_for_status().json())


def _judge(press: Press, ids: Sequence[str], people: Sequence[str], mails: Counter[str], outcome: Outcome) -> None:
    shown, comments = Counter(press.shown()), Counter(press.comments())
    outcome.shown = shown.total()
    with press.plant.store() as db:
        targets = {doc["publication_id"]: doc for doc in db["publication_targets"].find()}
        everything = [doc for name in DATA_MAP for doc in db[name].find()]
    for publication_id in ids:
        target, words = targets[publication_id], press.words[publication_id]
        outcome.states[target["state"]] += 1
        outcome.troubles += [f"{words}: at Meta {shown[words]} times"] * (shown[words] > 1)
        outcome.troubles += [f"{words}: said to be published"] * (target["state"] == "published" and not shown[words])
        outcome.troubles += [f"{words}: {target['state']}"] * (target["state"] not in ("published", "unknown"))
    outcome.troubles += [f"comment {one} {count} times" for one, count in comments.items() if count > 1]
    held = repr(everything)
    outcome.troubles += [f"{one} has come back" for one in people if f"'_id': '{one}'" in held]
    outcome.troubles += ["an erased address has come back"] * (f"@{DOMAIN}" in held)
    again = arrived(press.plant)
    outcome.troubles += [f"mail {one!r} again" for one, count in mails.items() if again[one] > count]


def main(argv: Sequence[str]) -> int:
    """Run once; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.restore_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--publications", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args(argv)
    print(f"restore run with --publications {args.publications} --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name, a_plant(Path(name)) as running:
        press = open_press(running)
        found = restore_run(press, Path(name), publications=args.publications, rng=random.Random(args.seed))
    lost = found.published_after_backup
    print(f"  published: {found.published_before} before the backup, {lost} lost with it, {found.shown} in the end")
    print(f"  restore: in doubt {found.told['in_doubt']}, taken back {found.told['taken_back']}")
    print(f"  in the end {dict(found.states)}; {found.seconds:.0f} s; {len(found.troubles)} troubles")
    print("\n".join(f"    {trouble}" for trouble in found.troubles[:20]))
    good = not found.troubles and lost > 0 and found.told["taken_back"].get("people erased") == PEOPLE
    print("  GOOD" if good else "  BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
