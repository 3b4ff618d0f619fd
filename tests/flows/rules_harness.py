"""Makers for tests about rules at work: comments and messages as Meta delivers them, and rules over HTTP."""

import asyncio
from typing import Any

import httpx

from app.db import Doc
from tests.flows.flows_harness import Desk
from tests.house import ACCOUNT, FAN, House, message_change

ALL = "all-labels: a test"


def comment(number: int, text: str, *, fan: str = FAN, username: str = "fan") -> Doc:
    """One change of a comment that a fan wrote."""
    return {
        "field": "comments",
        "value": {
            "id": f"179{number:012d}",
            "text": text,
            "from": {"id": fan, "username": username},
            "media": {"id": "18000000000001", "media_product_type": "FEED"},
        },
    }


async def comments(house: House, *changes: Doc, at_s: int | None = None, account: str = ACCOUNT) -> None:
    """Deliver comments; nothing is worked off yet."""
    time = at_s or house.ms() // 1000
    for first in range(0, len(changes), 100):
        entry: Doc = {"id": account, "time": time, "changes": list(changes[first : first + 100])}
        (await house.deliver({"object": "instagram", "entry": [entry]})).raise_for_status()


async def rule(desk: Desk, *actions: Doc, conditions: Doc | None = None, **more: Any) -> Doc:
    """Make a rule about comments."""
    body: Doc = {"name": "A rule", "when": "comment", "actions": list(actions) or [{"kind": "notify"}]}
    body |= {"conditions": conditions} if conditions else {}
    made = await desk.owner.post(f"/v1/labels/{desk.label_id}/rules", json=body | more)
    found: Doc = made.raise_for_status().json()
    return found


async def tried(desk: Desk, body: Doc) -> Doc:
    """What a dry run says, over as many answers as it takes."""
    path = f"/v1/labels/{desk.label_id}/rules/test"
    whole: list[Doc] = []
    answer: Doc = {"next_cursor": None}
    while True:
        more = {"cursor": answer["next_cursor"]} if answer["next_cursor"] else {}
        answer = (await _patiently(desk, path, body | more)).raise_for_status().json()
        whole += answer["data"]
        if answer["next_cursor"] is None:
            return {"data": whole}


async def _patiently(desk: Desk, path: str, body: Doc) -> httpx.Response:
    """As a caller does who is told to come back soon: a store that many work on at once is short of time."""
    for _ in range(20):
        answer = await desk.owner.post(path, json=body)
        if answer.status_code != 503:
            break
        await asyncio.sleep(1)
    return answer


async def runs(desk: Desk, rule_id: str) -> list[Doc]:
    """Everything that the rule did, newest first."""
    return await desk.all(f"/rules/{rule_id}/runs")


def message(mid: str, text: str, house: House, *, fan: str = FAN, **more: Any) -> Doc:
    """One change of a message that a fan wrote."""
    change = message_change(mid, text=text, ms=house.ms(), fan=fan)
    change["message"] |= more
    return change
