"""What every answer carries, and from which other sites a browser may call."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from tests.house import PASSWORD, PUBLIC_URL, House, delivery, message_change, open_house, settings_env

APP, BETA = "https://app.example.com", "https://beta.example.com:8443"
FOREIGN = (
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com:444",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://APP.example.com",
    "null",
    "",
    f"{APP}, {BETA}",
)
ALWAYS = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-site",
}
UNLESS_SAID = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'", "cache-control": "no-store"}
LOGIN = {"email": "owner@example.com", "password": PASSWORD}


@pytest.fixture
async def shared_house(mongodb_url: str, redis_url: str, key_folder: Path) -> AsyncIterator[House]:
    """The product, with two origins of its app's."""
    origins = f"{APP}, {BETA}"
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, SOUNDOPS_APP_ORIGINS=origins)
    async with open_house(env) as found:
        yield found


def sharing(answer: httpx.Response) -> dict[str, str]:
    """The answer's CORS headers."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def one_of_each_kind(house: House) -> list[httpx.Response]:
    """Answers of every class of status, from every layer."""
    owner = await house.person()
    label = f"/v1/labels/{await house.label(owner)}"
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    json = {"Content-Type": "application/json"}
    found = [
        await house.http.get("/healthz"),
        await house.http.head("/healthz"),
        await owner.post("/v1/labels", json={"name": "Other", "slug": "other"}),
        await owner.get(f"{label}/conversations"),
        await house.http.options("/v1/labels"),
        await house.http.options("/v1/labels", headers=preflight),
        await house.http.get("/nothing"),
        await house.http.get("/v1/me"),
        await house.http.post("/v1/sessions", json={}),
        await house.http.post("/v1/sessions", content=b"{", headers=json),
        await house.http.post("/v1/sessions", content=b" " * (1024 * 1024 + 1), headers=json),
        await house.http.get("/healthz?" + "x" * 9000),
        await house.http.get("/healthz", headers={"X-Long": "x" * 17_000}),
        await house.deliver(delivery(message_change("mid-1", ms=house.ms()))),
        await house.deliver(b"{}", signed="sha256=00"),
        await owner.delete("/v1/sessions/current"),
    ]
    assert {answer.status_code for answer in found} == {200, 201, 204, 400, 401, 404, 405, 413, 414, 422, 431}
    return found


async def test_every_answer_carries_the_same_protection(house: House) -> None:
    """Successes, refusals of every layer, the hot path, an answer without a body, and one of our own making."""
    answers = await one_of_each_kind(house)
    for answer in answers:
        assert {name: answer.headers.get_list(name) for name in ALWAYS} == {k: [v] for k, v in ALWAYS.items()}
        assert {name: answer.headers.get_list(name) for name in UNLESS_SAID} == {k: [v] for k, v in UNLESS_SAID.items()}
        assert "server" not in answer.headers and "x-powered-by" not in answer.headers
    ids = [answer.headers.get_list("x-request-id") for answer in answers]
    assert all(len(found) == 1 and re.fullmatch(r"req_[0-9a-z]{26}", found[0]) for found in ids)
    assert len({found[0] for found in ids}) == len(answers)


async def test_a_request_id_is_ours_alone(house: House) -> None:
    """One that the caller sends is not taken; the log line of a request has the answer's, and no query."""
    with capture_logs() as logged:
        answer = await house.http.get("/healthz?who=me", headers={"X-Request-Id": "req_mine"})
    assert answer.headers["x-request-id"] != "req_mine"
    [line] = [entry for entry in logged if entry["event"] == "request"]
    assert (line["request_id"], line["path"]) == (answer.headers["x-request-id"], "/healthz")
    assert (line["method"], line["status"]) == ("GET", 200)
    assert "who" not in str(line)


async def test_head_is_get_without_a_body(house: House) -> None:
    """The same status and headers, on good answers and on refusals; the server sends no body of it."""
    owner = await house.person()
    for path in ("/healthz", "/openapi.json", "/docs", "/v1/me", "/v1/labels", "/v1/labels/lbl_none", "/nothing"):
        got, asked = await owner.get(path), await owner.head(path)
        assert asked.status_code == got.status_code
        hidden = {"x-request-id"}
        assert {k: v for k, v in asked.headers.items() if k not in hidden} == {
            k: v for k, v in got.headers.items() if k not in hidden
        }
    assert (await house.http.head("/v1/users")).status_code == 405


async def test_options_outside_of_cors_tells_what_is_allowed(house: House) -> None:
    """It is a method like any other that no route has."""
    answer = await house.http.options("/v1/labels")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert (await house.http.options("/nothing")).status_code == 404
    assert sharing(answer) == {}


async def test_a_preflight_of_our_own_app(shared_house: House) -> None:
    """Each of its origins is told exactly itself, what it may send, and for how long that holds."""
    for origin in (APP, BETA):
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
            asked = {
                "Origin": origin,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization, content-type, idempotency-key, if-match, prefer",
            }
            answer = await shared_house.http.options("/v1/labels", headers=asked)
            assert (answer.status_code, answer.content) == (204, b"")
            told = sharing(answer)
            assert told["access-control-allow-origin"] == origin
            assert told["access-control-allow-credentials"] == "true"
            assert method in told["access-control-allow-methods"].split(", ")
            assert "Idempotency-Key" in told["access-control-allow-headers"].split(", ")
            assert int(told["access-control-max-age"]) <= 7200
            assert "Origin" in answer.headers["vary"]


async def test_a_foreign_preflight_gets_no_permission(shared_house: House) -> None:
    """Nor does an unknown method or header of our own app's."""
    asked = {"Origin": APP, "Access-Control-Request-Method": "GET"}
    odd = ({"Access-Control-Request-Method": "TRACE"}, {"Access-Control-Request-Headers": "x-odd"})
    for change in (*({"Origin": origin} for origin in FOREIGN), *odd):
        answer = await shared_house.http.options("/v1/labels", headers=asked | change)
        assert answer.status_code < 500 and sharing(answer) == {}


async def test_answers_are_shared_with_our_app_alone(shared_house: House) -> None:
    """Refusals of every layer too, or the app could not tell its user what went wrong."""
    house = shared_house
    owner = await house.person()
    label = f"/v1/labels/{await house.label(owner)}"
    await house.db.open("labels").update_one({"_id": label[11:]}, {"$unset": {"slug": 1}})
    json = {"Content-Type": "application/json"}
    wanted = {"ETag", "Location", "Retry-After", "X-Request-Id", "Idempotency-Replayed"}
    for origin in (APP, BETA, *FOREIGN):
        sent = {"Origin": origin}
        with capture_logs():
            broken = await owner.get(label, headers=sent)
        answers = [
            await owner.get("/v1/me", headers=sent),
            await house.http.get("/v1/me", headers=sent),
            await house.http.get("/nothing", headers=sent),
            await house.http.get("/healthz?" + "x" * 9000, headers=sent),
            await house.http.post("/v1/sessions/refresh", content=b"{", headers=sent | json),
            broken,
        ]
        assert [answer.status_code for answer in answers] == [200, 401, 404, 414, 400, 500]
        for answer in answers:
            told = sharing(answer)
            if origin in FOREIGN:
                assert "access-control-allow-origin" not in told
                continue
            assert (told["access-control-allow-origin"], told["access-control-allow-credentials"]) == (origin, "true")
            assert set(told["access-control-expose-headers"].split(", ")) >= wanted
            assert "Origin" in answer.headers["vary"]


async def test_the_cookie_works_from_our_own_sites_only(shared_house: House) -> None:
    """A browser says where a request comes from: logging in, refreshing and logging out from elsewhere are refused."""
    house = shared_house
    await house.person()
    login = await house.http.post("/v1/sessions", json=LOGIN)
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    cookie = {"Cookie": login.headers["set-cookie"].partition(";")[0]}
    for origin in FOREIGN:
        sent = {"Origin": origin}
        for answer in (
            await house.http.post("/v1/sessions", json=LOGIN, headers=sent),
            await house.http.post("/v1/sessions/refresh", headers=sent | cookie),
            await house.http.delete("/v1/sessions/current", headers=sent | bearer),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin"), origin
            assert "set-cookie" not in answer.headers
    for origin in (APP, BETA, PUBLIC_URL):
        answer = await house.http.post("/v1/sessions/refresh", headers=cookie | {"Origin": origin})
        assert answer.status_code == 200  # the refusals above did not use the cookie up
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert (await house.http.post("/v1/sessions/refresh", headers=cookie)).status_code == 200  # no browser: no origin
    assert (await house.http.delete("/v1/sessions/current", headers=bearer | {"Origin": APP})).status_code == 204
