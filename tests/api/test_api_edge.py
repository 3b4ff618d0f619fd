"""What every answer carries, and from which other sites a browser may call."""

import json
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
JSON = {"Content-Type": "application/json"}
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
        await house.http.post("/v1/sessions", content=b"{", headers=JSON),
        await house.http.post("/v1/sessions", content=b" " * (1024 * 1024 + 1), headers=JSON),
        await house.http.post("/v1/sessions", content=b"a=b"),
        await house.http.get("/healthz?" + "x" * 9000),
        await house.http.get("/healthz", headers={"X-Long": "x" * 17_000}),
        await house.deliver(delivery(message_change("mid-1", ms=house.ms()))),
        await house.deliver(b"{}", signed="sha256=00"),
        await owner.delete("/v1/sessions/current"),
    ]
    assert {answer.status_code for answer in found} == {200, 201, 204, 400, 401, 404, 405, 413, 414, 415, 422, 431}
    return found


async def test_every_answer_carries_the_same_protection(house: House) -> None:
    """Successes, refusals of every layer, the hot path, an answer without a body, and one of our own making."""
    answers = await one_of_each_kind(house)
    for answer in answers:
        assert {name: answer.headers.get_list(name) for name in ALWAYS} == {k: [v] for k, v in ALWAYS.items()}
        assert {name: answer.headers.get_list(name) for name in UNLESS_SAID} == {k: [v] for k, v in UNLESS_SAID.items()}
        assert answer.headers["vary"].split(", ").count("Origin") == 1
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
    assert not {"actor", "problem"} & set(line)


async def test_the_log_says_who_was_refused_and_why(house: House) -> None:
    """By the account's id and the problem's code; by the code alone where nobody is known."""
    owner = await house.person()
    with capture_logs() as logged:
        me = (await owner.get("/v1/me")).json()["id"]
        await owner.get("/v1/labels/lbl_none")
        await house.http.post("/v1/users", content=b"{", headers=JSON)
        await house.http.get("/v1/me")
    told = [(line.get("actor"), line.get("problem")) for line in logged if line["event"] == "request"]
    assert told == [(me, None), (me, "not_found"), (None, "invalid_json"), (None, "unauthenticated")]


async def test_head_is_get_without_a_body(house: House) -> None:
    """The same status and headers, on good answers and on refusals; the server sends no body of it."""
    owner = await house.person()
    for path in ("/healthz", "/openapi.json", "/docs", "/v1/me", "/v1/labels", "/v1/labels/lbl_none", "/nothing"):
        got, asked = await owner.get(path), await owner.head(path)
        assert asked.status_code == got.status_code
        hidden = {"x-request-id", "ratelimit"}  # another request, which was counted too
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
        assert "Origin" in answer.headers["vary"]


async def test_answers_are_shared_with_our_app_alone(shared_house: House) -> None:
    """Refusals of every layer too, or the app could not tell its user what went wrong."""
    house = shared_house
    owner = await house.person()
    label = f"/v1/labels/{await house.label(owner)}"
    await house.db.open("labels").update_one({"_id": label[11:]}, {"$unset": {"slug": 1}})
    wanted = {
        "ETag",
        "Location",
        "Retry-After",
        "X-Request-Id",
        "Idempotency-Replayed",
        "RateLimit",
        "RateLimit-Policy",
    }
    for origin in (APP, BETA, *FOREIGN):
        sent = {"Origin": origin}
        with capture_logs():
            broken = await owner.get(label, headers=sent)
        answers = [
            await owner.get("/v1/me", headers=sent),
            await house.http.get("/v1/me", headers=sent),
            await house.http.get("/nothing", headers=sent),
            await house.http.get("/healthz?" + "x" * 9000, headers=sent),
            await house.http.post("/v1/sessions/refresh", content=b"{", headers=sent | JSON),
            broken,
        ]
        assert [answer.status_code for answer in answers] == [200, 401, 404, 414, 400, 500]
        for answer in answers:
            told = sharing(answer)
            assert "Origin" in answer.headers["vary"]  # also where nothing is shared: a cache must not mix the two up
            if origin in FOREIGN:
                assert "access-control-allow-origin" not in told
                continue
            assert (told["access-control-allow-origin"], told["access-control-allow-credentials"]) == (origin, "true")
            assert set(told["access-control-expose-headers"].split(", ")) >= wanted


async def test_the_cookie_works_from_our_own_sites_only(shared_house: House) -> None:
    """A browser says where a request comes from: logging in, refreshing and logging out from elsewhere are refused."""
    house = shared_house
    bearer, cookie = await log_in(house)
    for origin in FOREIGN:
        await check_refused(house, bearer, cookie, {"Origin": origin} | JSON)
    for origin in (APP, BETA, PUBLIC_URL):
        answer = await house.http.post("/v1/sessions/refresh", headers=cookie | JSON | {"Origin": origin})
        assert answer.status_code == 200  # the refusals above did not use the cookie up
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    ended = await house.http.delete("/v1/sessions/current", headers=bearer | JSON | {"Origin": APP})
    assert ended.status_code == 204


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "cross-site"} | JSON,
        {"Sec-Fetch-Site": "same-site"} | JSON,  # a sibling's subdomain
        {"Sec-Fetch-Site": "odd"} | JSON,
        {"Sec-Fetch-Site": ""} | JSON,
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"} | JSON,
        {"Origin": "https://blog.example.com", "Sec-Fetch-Site": "same-site"} | JSON,
        {"Origin": f"{APP}/"} | JSON,
        {"Origin": APP},
        {"Origin": APP, "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Content-Type": ""},
        *(
            {"Origin": APP, "Content-Type": kind}
            for kind in (
                "text/plain",
                "text/plain; application/json",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=application/json",
                "application/jsonp",
            )
        ),
    ],
)
async def test_a_browsers_request_that_no_app_of_ours_makes(shared_house: House, sent: dict[str, str]) -> None:
    """A sibling's, one without an origin, a form's: refused, and the session lives on as it was."""
    bearer, cookie = await log_in(shared_house)
    await check_refused(shared_house, bearer, cookie, sent)
    answer = await shared_house.http.post("/v1/sessions/refresh", headers=cookie)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": APP, "Sec-Fetch-Site": "same-site"} | JSON,
        {"Origin": APP, "Content-Type": "Application/JSON; charset=utf-8"},
        {"Sec-Fetch-Site": "same-origin"} | JSON,
        {"Sec-Fetch-Site": "none"} | JSON,
        {},  # no browser's: curl, a partner
    ],
)
async def test_a_request_that_the_cookie_is_for(shared_house: House, sent: dict[str, str]) -> None:
    """Our app on its other subdomain, pages of our own, and programs that attach no cookie by themselves."""
    _, cookie = await log_in(shared_house)
    assert (await shared_house.http.post("/v1/sessions/refresh", headers=cookie | sent)).status_code == 200


async def test_a_form_that_posts_json_as_text(shared_house: House) -> None:
    """What a page without any script can send to log its visitor in as somebody else is refused."""
    await shared_house.person()
    body = b'{"email":"owner@example.com","password":"' + PASSWORD.encode() + b'"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        sent = {"Origin": "null", "Sec-Fetch-Site": "cross-site", "Content-Type": kind}
        answer = await shared_house.http.post("/v1/sessions", content=body, headers=sent)
        assert answer.status_code == 415 and "set-cookie" not in answer.headers
    refresh = await shared_house.http.post("/v1/sessions/refresh", headers=sent)  # without a body, the origin decides
    sent |= JSON
    for answer in (refresh, await shared_house.http.post("/v1/sessions", content=body, headers=sent)):
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin")


@pytest.mark.parametrize("shown", [{"SOUNDOPS_DOCS": "false"}, {"SOUNDOPS_DOCS": "true"}, {}])
async def test_the_manual_is_there_only_where_it_is_shown(
    mongodb_url: str, redis_url: str, key_folder: Path, shown: dict[str, str]
) -> None:
    """Switched off, its page and its files are nowhere; the contract is always there."""
    async with open_house(settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, **shown)) as house:
        wanted = 404 if shown == {"SOUNDOPS_DOCS": "false"} else 200
        for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"):
            assert (await house.http.get(path)).status_code == wanted
            assert (await house.http.head(path)).status_code == wanted
        assert (await house.http.get("/openapi.json")).status_code == 200


async def log_in(house: House) -> tuple[dict[str, str], dict[str, str]]:
    """The headers of a person's access token, and of their cookie."""
    await house.person()
    login = await house.http.post("/v1/sessions", json=LOGIN)
    token, cookie = login.json()["access_token"], login.headers["set-cookie"].partition(";")[0]
    return {"Authorization": f"Bearer {token}"}, {"Cookie": cookie}


async def check_refused(house: House, bearer: dict[str, str], cookie: dict[str, str], sent: dict[str, str]) -> None:
    """Neither logging in nor refreshing nor logging out works like this, and no cookie is given."""
    answers = [
        await house.http.post("/v1/sessions", content=json.dumps(LOGIN), headers=sent),
        await house.http.post("/v1/sessions/refresh", headers=sent | cookie),
        await house.http.delete("/v1/sessions/current", headers=sent | bearer),
    ]
    is_json = sent.get("Content-Type") == "application/json"  # what is not comes from a page of ours here
    codes = [answer.json()["code"] for answer in answers]
    assert codes == ["wrong_origin" if is_json else "unsupported_media_type"] * 3, sent
    assert is_json or "application/json" in answers[1].json()["detail"]
    assert not any("set-cookie" in answer.headers for answer in answers)
