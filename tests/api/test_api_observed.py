"""What the API answers to bad callers is in its contract: each problem, of each operation, with its status and code."""

import json
import re
from typing import Any

import httpx
import pytest

from app import contract
from app.main import create_routes
from tests.api.matrix_contract import NOT_OURS
from tests.house import House

CONTRACT = json.loads(contract.document(create_routes()))
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in CONTRACT["paths"].items()
    for method, operation in methods.items()
}
CANARY = "canary7f3"
BODIES: list[tuple[bytes | None, str | None]] = [
    (None, None),
    (b"{}", "application/json"),
    (json.dumps({CANARY: CANARY}).encode(), "application/json"),
    (f'["{CANARY}"]'.encode(), "application/json"),
    (f'{{"{CANARY}'.encode(), "application/json"),
    (b'{"a": 1, "a": 2}', "application/json"),
    (f"{CANARY}=1".encode(), "application/x-www-form-urlencoded"),
    (b'"' + CANARY.encode() * 150_000 + b'"', "application/json"),
]
QUERIES = [f"limit={CANARY}", f"cursor={CANARY}", f"state={CANARY}&code={CANARY}", "x" * 9000]
HEADERS: list[dict[str, str]] = [
    {"Authorization": f"Bearer {CANARY}"},
    {"Idempotency-Key": ""},
    {"Idempotency-Key": CANARY},
    {"Origin": f"https://{CANARY}.example"},
    {"X-Padding": CANARY * 2000},
]


def asked(name: str, label_id: str) -> list[httpx.Request]:
    """Bad requests for an operation: each body, each query and each header beside a harmless rest."""
    method, template, operation = OPERATIONS[name]
    near = re.sub(r"{\w+}", CANARY, template.replace("{label_id}", label_id))
    far = re.sub(r"{\w+}", CANARY * 8, template)
    bodies = BODIES if "requestBody" in operation else BODIES[:1]
    told = [
        *((body, "", {}) for body in bodies),
        *((BODIES[0], query, {}) for query in QUERIES),
        *((BODIES[0], "", headers) for headers in HEADERS),
    ]
    return [
        httpx.Request(
            method,
            f"http://127.0.0.1:8000{path}?{query}",
            content=body,
            headers=headers | {"Accept": "application/json"} | ({"Content-Type": kind} if kind else {}),
        )
        for path in dict.fromkeys((near, far))
        for (body, kind), query, headers in told
    ]


def documented(name: str) -> set[tuple[int, str]]:
    """The problems of an operation, as the contract has them."""
    answers = OPERATIONS[name][2]["responses"]
    return {
        (int(status), code)
        for status, answer in answers.items()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }


def check(name: str, answer: httpx.Response, seen: dict[str, Any]) -> None:
    """One bad answer: a problem that is documented, in our words, and findable by its id."""
    told = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json", seen
    assert (told["status"], told["request_id"]) == (answer.status_code, answer.headers["X-Request-Id"]), seen
    assert (answer.status_code, told["code"]) in documented(name), seen
    assert CANARY not in answer.text + str(answer.headers), seen


@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_every_problem_is_documented(house: House, name: str) -> None:
    """For a person who is logged in, and for nobody."""
    owner = await house.person()
    label_id = await house.label(owner)
    problems = 0
    for client in (owner, house.http):
        for request in asked(name, label_id):
            for header, value in client.headers.items():
                request.headers.setdefault(header, value)
            answer = await client.send(request)
            seen = {"url": str(request.url)[:200], "status": answer.status_code, "text": answer.text[:300]}
            assert answer.status_code != 500, seen
            if answer.status_code >= 400:
                check(name, answer, seen)
                problems += 1
    assert problems >= 4


def test_what_cannot_be_provoked_is_documented_too() -> None:
    """The store may be away and we may be wrong, at any operation; a POST's key may be in use, or another's."""
    for name, (method, _, _) in OPERATIONS.items():
        assert {(500, "internal_error"), (503, "unavailable")} <= documented(name), name
        if method == "POST" and name not in NOT_OURS:
            assert {(409, "idempotency_key_in_use"), (422, "idempotency_key_reused")} <= documented(name), name
