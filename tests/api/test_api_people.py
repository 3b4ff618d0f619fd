"""People and their sessions."""

import re
from datetime import date, timedelta
from http.cookies import SimpleCookie

import bson
import httpx
import pytest

from app.deps import REFRESH_COOKIE
from app.models.data_map import DATA_MAP
from tests.house import PASSWORD, House

PERSON = {
    "name": "Mara Lind",
    "email": "Mara@Example.com",
    "password": PASSWORD,
    "date_of_birth": "1990-05-17",
    "policy_version": "2026-03-13",
}


def cookie_of(answer: httpx.Response) -> SimpleCookie:
    """The refresh cookie that an answer sets."""
    return SimpleCookie("; ".join(answer.headers.get_list("set-cookie")[:1]))


async def refresh(house: House, token: str, **headers: str) -> httpx.Response:
    """Use a refresh token."""
    return await house.http.post("/v1/sessions/refresh", headers={"Cookie": f"{REFRESH_COOKIE}={token}"} | headers)


async def dump(house: House) -> bytes:
    """Everything that is stored."""
    found = b""
    for name in DATA_MAP:
        async for document in house.db.open(name).find({}, comment="all-labels: a test's dump"):
            found += bson.encode(document)
    return found


async def count(house: House, name: str) -> int:
    """How many documents a collection has."""
    return await house.db.open(name).count_documents({}, comment="all-labels: a test")


async def test_registering_shows_and_stores_no_more_than_needed(house: House) -> None:
    """The account comes back; neither password nor date of birth is stored anywhere."""
    answer = await house.http.post("/v1/users", json=PERSON)
    assert answer.status_code == 201
    assert answer.json().items() >= {"name": "Mara Lind", "email": "Mara@example.com"}.items()
    assert set(answer.json()) == {
        *("id", "name", "email", "email_verified_at"),
        *("policy_version", "policy_change", "marketing_opt_in", "created_at"),
    }
    stored = await dump(house)
    assert b"Mara Lind" in stored
    for never in (PASSWORD.encode(), b"1990-05-17", b"1990", b"date_of_birth"):
        assert never not in stored


@pytest.mark.parametrize(
    ("days", "status"), [(0, 201), (1, 403)], ids=["sixteen today, everywhere on earth", "sixteen tomorrow"]
)
async def test_the_age_gate(house: House, days: int, status: int) -> None:
    """Under 16, on the calendar of the last time zone, is refused, and nothing at all is stored."""
    today = (house.clock() - timedelta(hours=12)).date()
    birthday = date(today.year - 16, today.month, min(today.day, 28)) + timedelta(days=days)
    if today.day > 28:
        house.clock.offset = timedelta(days=28 - today.day)
    answer = await house.http.post(
        "/v1/users", json=PERSON | {"date_of_birth": birthday.isoformat()}, headers={"Idempotency-Key": "born"}
    )
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "age_requirement_not_met"
        assert await dump(house) == b""


async def test_a_known_address_is_answered_alike(house: House) -> None:
    """Who has an account is nobody's business: the same shape, another id, and the first account unchanged."""
    first = await house.http.post("/v1/users", json=PERSON)
    again = await house.http.post(
        "/v1/users",
        json=PERSON | {"email": "MARA@EXAMPLE.COM", "name": "Somebody", "password": "another sentence of mine"},
    )
    assert (again.status_code, set(again.json())) == (201, set(first.json()))
    assert again.json()["id"] != first.json()["id"]
    assert await count(house, "users") == 1
    login = await house.http.post("/v1/sessions", json={"email": "mara@example.com", "password": PASSWORD})
    assert login.status_code == 200


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"password": "x" * 14}, "/password"),
        ({"password": "x" * 129}, "/password"),
        ({"email": "not an address"}, "/email"),
        ({"name": "  "}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "x" * 121}, "/name"),
        ({"date_of_birth": "17 May"}, "/date_of_birth"),
        ({"policy_version": ""}, "/policy_version"),
        ({"admin": True}, ""),
    ],
)
async def test_bad_registrations_store_nothing(house: House, changes: dict[str, object], pointer: str) -> None:
    """Each names its place, and repeats nothing."""
    answer = await house.http.post("/v1/users", json=PERSON | changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert PASSWORD not in answer.text and "not an address" not in answer.text
    assert await count(house, "users") == 0


async def test_a_wrong_password_and_an_unknown_address_look_alike(house: House) -> None:
    """Neither the answer nor its headers tell which of the two it was."""
    await house.person("mara@example.com")
    answers = [
        await house.http.post("/v1/sessions", json={"email": email, "password": "not the right one"})
        for email in ("mara@example.com", "nobody@example.com")
    ]
    bodies = [{name: value for name, value in answer.json().items() if name != "request_id"} for answer in answers]
    assert bodies[0] == bodies[1]
    assert {answer.status_code for answer in answers} == {401} and bodies[0]["code"] == "invalid_credentials"
    assert all("set-cookie" not in answer.headers for answer in answers)


async def test_the_cookie_is_strict(house: House) -> None:
    """No script reads it, no other site sends it with a POST, no plain connection carries it."""
    await house.person("mara@example.com")
    answer = await house.http.post("/v1/sessions", json={"email": "mara@example.com", "password": PASSWORD})
    cookie = cookie_of(answer)[REFRESH_COOKIE]
    assert REFRESH_COOKIE.startswith("__Host-") and re.fullmatch(r"sor_[\w-]{43}", cookie.value)
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"].lower(), cookie["path"], cookie["domain"]) == (
        True,
        True,
        "lax",
        "/",
        "",
    )
    assert cookie.value not in answer.text
    assert cookie.value.encode() not in await dump(house)
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 900)


async def test_refreshing_rotates_and_a_replay_ends_the_session(house: House) -> None:
    """The second use of a token means that somebody else has it: everything of this session ends."""
    await house.person("mara@example.com")
    login = await house.http.post("/v1/sessions", json={"email": "mara@example.com", "password": PASSWORD})
    first = cookie_of(login)[REFRESH_COOKIE].value
    second_answer = await refresh(house, first)
    second = cookie_of(second_answer)[REFRESH_COOKIE].value
    assert second_answer.status_code == 200 and second != first
    bearer = {"Authorization": f"Bearer {second_answer.json()['access_token']}"}
    assert (await house.http.get("/v1/me", headers=bearer)).status_code == 200
    assert (await refresh(house, first)).status_code == 401
    assert (await refresh(house, second)).status_code == 401
    assert (await house.http.get("/v1/me", headers=bearer)).status_code == 401


async def test_sessions_end_after_thirty_days(house: House) -> None:
    """Refreshing does not prolong a session."""
    await house.person("mara@example.com")
    login = await house.http.post("/v1/sessions", json={"email": "mara@example.com", "password": PASSWORD})
    renewed = login
    for day in range(1, 30):
        house.clock.offset = timedelta(hours=23.9 * day)
        renewed = await refresh(house, cookie_of(renewed)[REFRESH_COOKIE].value)
        assert renewed.status_code == 200
    house.clock.offset = timedelta(days=29, hours=20)
    renewed = await refresh(house, cookie_of(renewed)[REFRESH_COOKIE].value)
    house.clock.offset = timedelta(days=30, minutes=1)
    assert (await refresh(house, cookie_of(renewed)[REFRESH_COOKIE].value)).status_code == 401


async def test_a_session_that_nobody_uses_ends_after_a_day(house: House) -> None:
    """Its cookie and its access token with it."""
    await house.person("mara@example.com")
    login = await house.http.post("/v1/sessions", json={"email": "mara@example.com", "password": PASSWORD})
    house.clock.offset = timedelta(hours=24, minutes=1)
    assert (await refresh(house, cookie_of(login)[REFRESH_COOKIE].value)).status_code == 401


async def test_logging_out_works_at_once(house: House) -> None:
    """The access token lives for minutes more, but its session does not; the cookie is taken away."""
    mara = await house.person("mara@example.com")
    assert (await mara.get("/v1/me")).json()["email"] == "mara@example.com"
    ended = await mara.delete("/v1/sessions/current")
    assert (ended.status_code, ended.content) == (204, b"")
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert (await mara.get("/v1/me")).status_code == 401
    assert await count(house, "refresh_tokens") == 0


async def test_only_own_sessions_can_be_ended(house: House) -> None:
    """Another's session does not exist for the caller."""
    mara, jonas = await house.person("mara@example.com"), await house.person("jonas@example.com")
    session = await house.db.open("sessions").find_one({}, sort=[("_id", 1)])
    assert session is not None
    assert (await jonas.delete(f"/v1/sessions/{session['_id']}")).status_code == 404
    assert (await mara.delete(f"/v1/sessions/{session['_id']}")).status_code == 204


async def test_an_old_access_token_is_refused(house: House) -> None:
    """After 15 minutes and the leeway."""
    mara = await house.person("mara@example.com")
    house.clock.offset = timedelta(minutes=15, seconds=11)
    answer = await mara.get("/v1/me")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
