"""Cookies: a closed list, looked for in the answer of every route of the contract (privacy policy, section 9)."""

import re

import httpx
import pytest

from app.models.cookies import AGE_COOKIE, CHOICE_COOKIE, COOKIES, DEVICE_COOKIE, REFRESH_COOKIE, VISITOR_COOKIE
from tests.api.matrix_contract import NOT_OURS, Operation, operations
from tests.api.matrix_ready import good_call
from tests.api.matrix_world import World
from tests.house import House

PARTS = 4
KINDS = {kind.name: kind for kind in COOKIES}
SETS: dict[str, set[str]] = {
    "createSession": {REFRESH_COOKIE, DEVICE_COOKIE},
    "refreshSession": {REFRESH_COOKIE},
    "reauthenticate": {REFRESH_COOKIE, DEVICE_COOKIE},
    "changePassword": {REFRESH_COOKIE, DEVICE_COOKIE},
    "endSession": {REFRESH_COOKIE},
    "confirmPasswordReset": {DEVICE_COOKIE},
    "createUser": {AGE_COOKIE},
    "acceptInvitation": {AGE_COOKIE},
    "getVisitorConsents": {VISITOR_COOKIE},
    "decideVisitorConsents": {CHOICE_COOKIE, VISITOR_COOKIE},
    "joinVisitorConsent": {VISITOR_COOKIE},
}
"""Who may set which; whoever is not here sets none."""
LINE = re.compile(r"(?P<name>[^=]+)=(?P<value>[^;]*); (?P<rest>.*)")


def troubles_of(name: str, answer: httpx.Response) -> list[str]:
    """What is wrong with the cookies of an answer."""
    found = []
    for line in answer.headers.get_list("set-cookie"):
        cookie = LINE.fullmatch(line)
        assert cookie is not None, line
        kind = KINDS.get(cookie["name"])
        said = cookie["rest"].lower()
        age = re.search(r"max-age=(\d+)", said)
        if kind is None or cookie["name"] not in SETS.get(name, set()):
            found.append(f"{name} sets {cookie['name']}")
        elif age is None or int(age[1]) > kind.longest_s:
            found.append(f"{name} keeps {cookie['name']} too long: {said}")
        if "domain=" in said or not all(word in said for word in ("secure", "httponly", "samesite=lax", "path=/")):
            found.append(f"{name} sets {cookie['name']} as {said}")
    return found


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_route_sets_listed_cookies_alone(world: World, part: int) -> None:
    """Called well, by who may call it, as by anybody from a browser that has consented to nothing."""
    found: list[str] = []
    named: set[str] = set()
    for operation in operations()[part::PARTS]:
        if operation.name in NOT_OURS:
            continue
        named.add(operation.name)
        await world.restore(world.base)
        call = await good_call(world, world.a, operation)
        for client in (world.a.owner, world.house.http):
            answer = await call.by(client)
            found += troubles_of(operation.name, answer)
            if answer.cookies.get(VISITOR_COOKIE) and operation.name != "decideVisitorConsents":
                found.append(f"{operation.name} makes a visitor")
    assert found == []
    assert len(named) > 20


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/openapi.json", "/nowhere", "/v1/users"])
async def test_what_is_in_no_contract_sets_none(house: House, path: str) -> None:
    """The manual, and what is refused before or beside the routes."""
    for method in ("GET", "OPTIONS", "DELETE"):
        asked = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
        answer = await house.http.request(method, path, headers=asked)
        assert "set-cookie" not in answer.headers, method


def test_who_sets_cookies_is_there() -> None:
    """No name is left over in the table, and none is essential that is set after a consent."""
    known: set[str] = {operation.name for operation in operations()}
    assert set(SETS) <= known
    assert {kind.name for kind in COOKIES if kind.needs_consent} == {VISITOR_COOKIE}
    assert {name for names in SETS.values() for name in names} == set(KINDS)


def test_the_list_would_notice() -> None:
    """An analytics id that somebody adds is found, and so is one of ours that lasts too long."""
    operation: Operation = next(one for one in operations() if one.name == "getHealth")
    for line in ("_ga=GA1.1.1; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax", f"{REFRESH_COOKIE}=x; Path=/"):
        answer = httpx.Response(200, headers={"Set-Cookie": line})
        assert troubles_of(operation.name, answer)


async def test_the_list_can_be_read_by_anybody(house: House) -> None:
    """With what each is for, how long it is kept, and whether it needs a consent."""
    shown = (await house.http.get("/v1/privacy/cookies")).json()["data"]
    assert [one["name"] for one in shown] == list(KINDS)
    assert [one["name"] for one in shown if one["needs_consent"]] == [VISITOR_COOKIE]
