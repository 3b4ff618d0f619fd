"""A worker dies at each point around what it does to comments, and everything is done once."""

import time
from collections import Counter
from pathlib import Path
from typing import get_args

import httpx

from app.db import Doc
from app.models.drills import Point, SendPoint
from tests.faults.plant import Plant, plant
from tools.demo import ACCOUNT

SETTINGS = {"SOUNDOPS_LEASE_S": "2", "SOUNDOPS_GRAPH_TIMEOUT_S": "1", "SOUNDOPS_SWEEP_S": "0.5"}
POINTS: tuple[Point, ...] = get_args(SendPoint)
ACTIONS = {
    "reply": "comment_replied",
    "private_reply": "message_sent",
    "hide": "comment_hidden",
    "delete": "comment_deleted",
}
EACH = 5
KILLED_AT: dict[Point, str] = dict(zip(POINTS, ("3", "2", "4", "1", "5"), strict=True))
"""At which passing of each point the worker dies: at another kind of action each time."""


def comments_of(running: Plant) -> list[str]:
    """Have fans comment; our ids of the comments, once all are there."""
    count = EACH * len(ACTIONS)
    with httpx.Client(base_url=running.sandbox.url, timeout=30, trust_env=False) as sandbox:
        for number in range(20, 20 + count):
            order = {"fan": f"fan{number}", "account": ACCOUNT, "text": f"Comment {number}"}
            sandbox.post("/_sandbox/fans/comment", json=order).raise_for_status()
    found: list[str] = []
    with running.store() as db:
        while len(found) < count:
            time.sleep(0.1)
            found = [doc["_id"] for doc in db["comments"].find({"sent_at": {"$exists": True}})]
    return found


def ask_for_all(running: Plant, comments: list[str]) -> None:
    """Ask for each action on some of them, while no worker is there."""
    with running.owner() as http:
        for number, action in enumerate(ACTIONS):
            ids = comments[number * EACH : (number + 1) * EACH]
            order = {"action": action, "ids": ids} | ({"text": f"{action} text"} if "reply" in action else {})
            answer = http.post(f"/v1/labels/{running.label_id}/comments/bulk", json=order).raise_for_status()
            assert not any(one["problem"] for one in answer.json()["results"])


def die_at(running: Plant, point: Point) -> bool:
    """Start a worker that dies at this point; whether it did."""
    running.worker.env = running.env | {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": KILLED_AT[point]}
    running.worker.start()
    deadline = time.monotonic() + 10
    while running.worker.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    died = not running.worker.alive and running.worker.process.returncode == -9
    running.worker.end()
    return died


def settled(running: Plant) -> list[Doc]:
    """The operations, once none waits, and those in doubt have been looked at again."""
    deadline = time.monotonic() + 60
    with running.store() as db:
        while time.monotonic() < deadline:
            found = list(db["operations"].find({"kind": "comment_action"}))
            waits = [one for one in found if one["state"] in ("queued", "running")]
            doubts = {one["_id"] for one in db["moderation_actions"].find({"state": "unknown", "doubts": {"$lt": 2}})}
            if not waits and not doubts:
                break
            time.sleep(0.2)
    return found


def test_everything_is_done_once_wherever_the_worker_dies(tmp_path: Path) -> None:
    """Hidden, deleted and answered in private all the same; of replies one may stay in doubt that was never called."""
    with plant(tmp_path, transaction_s="4", **SETTINGS) as running:
        comments = comments_of(running)
        running.worker.end()
        ask_for_all(running, comments)
        died = [point for point in POINTS if die_at(running, point)]
        running.worker.env = running.env
        running.worker.start()
        operations = settled(running)
        with httpx.Client(base_url=running.sandbox.url, timeout=30, trust_env=False) as sandbox:
            rows = sandbox.get("/_sandbox/ledger").raise_for_status().json()["rows"]
        with running.store() as db:
            log = {row["_id"]: row for row in db["moderation_actions"].find()}
    assert len(died) >= 4, died
    ledger = Counter(row["kind"] for row in rows)
    ends = Counter((log[one["target"]]["action"], one["state"]) for one in operations)
    for action, kind in ACTIONS.items():
        doubts = ends[action, "unknown"]
        assert ends[action, "succeeded"] + doubts == EACH, (ends, ledger)
        assert ledger[kind] == EACH - doubts, (ends, ledger)
        assert not doubts or action == "reply", (ends, ledger)
