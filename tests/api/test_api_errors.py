"""Every refusal is a problem (RFC 9457) with a stable code, and none repeats what the caller sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.db import Doc
from app.ids import new_id
from app.services.tokens import Claims
from tests.house import House, delivery, message_change, open_house, settings_env

CANARY = "Canary(7fq9)secret;%<x>"
"""Long and odd enough to be nowhere by chance; its signs are ones that libraries like to repeat in their messages."""
TRACES = ("canary", "7fq9", "secret;", "'('", "';'")
JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024
UNKEEPABLE = (
    b"{",
    b'{"a":1}{}',
    b"\xff\xfe{}",
    b'{"email":"a","email":"b"}',
    b'{"a":{"b":1,"b":2}}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1e999}',
    b'{"a":9223372036854775808}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":"\\u0000"}',
    b'{"a\\u0000":1}',
    b'{"a":"\\ud800"}',
    b"[" * 34 + b"]" * 34,
    b"[" * 100_000,
)
NOWHERE = "mongodb://127.0.0.1:9/nothing?retryWrites=false"


def problem_in(answer: httpx.Response, status: int, code: str) -> Doc:
    """The problem that this answer must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: Doc = answer.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "code", "request_id"}
    assert (body["status"], body["code"], body["request_id"]) == (status, code, answer.headers["x-request-id"])
    assert body["type"].endswith(f"/{code}") and body["title"] and body["detail"]
    return body


async def refused(http: httpx.AsyncClient, status: int, code: str, method: str, path: str, **request: Any) -> Doc:
    """The problem that this request gets."""
    return problem_in(await http.request(method, path, **request), status, code)


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    """A body of this size whose length is not declared."""
    for _ in range(size // 4096 + 1):
        yield b" " * 4096


async def test_nothing_here_and_not_this_way(house: House) -> None:
    """404 and 405; the second says what would be allowed."""
    for path in ("/", "/v1", "/v1/nothing", "/v1/labels/", "/v1//labels", "/docs/../secret", "/metrics", "/docs/x.js"):
        await refused(house.http, 404, "not_found", "GET", path)
    for method, path, allowed in (
        ("DELETE", "/healthz", {"GET"}),
        ("PUT", "/v1/me", {"GET", "PATCH"}),
        ("PUT", "/v1/labels", {"GET", "POST"}),
        ("BREW", "/v1/users", {"POST"}),
    ):
        answer = await house.http.request(method, path)
        problem_in(answer, 405, "method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) == allowed


async def test_too_large_too_long_too_many(house: House) -> None:
    """Each limit is held before anything is parsed, and one step below it is not refused for its size."""
    post = ("POST", "/v1/sessions")
    await refused(house.http, 413, "body_too_large", *post, headers=JSON, content=b" " * (MIB + 1))
    await refused(house.http, 413, "body_too_large", *post, headers=JSON, content=in_pieces(MIB + 1))
    await refused(house.http, 400, "invalid_json", *post, headers=JSON, content=b" " * MIB)
    await refused(house.http, 414, "uri_too_long", "GET", "/healthz?" + "x" * 8192)
    assert (await house.http.get("/healthz?" + "x" * 8000)).status_code == 200
    await refused(house.http, 431, "headers_too_large", "GET", "/healthz", headers={"X-Long": "x" * 16_384})
    many = [(f"X-{number}", "x") for number in range(101)]
    await refused(house.http, 431, "headers_too_large", "GET", "/healthz", headers=many)
    assert (await house.http.get("/healthz", headers=many[:90])).status_code == 200


async def test_only_json_is_taken(house: House) -> None:
    """A form, which a foreign site could send without asking, is not."""
    form, json = "application/x-www-form-urlencoded", "application/json"
    for types in ([], ["text/plain"], [form], ["application/jsonp"], [json, json], [json, form]):
        headers = [("Content-Type", value) for value in types]
        await refused(house.http, 415, "unsupported_media_type", "POST", "/v1/sessions", headers=headers, content=b"{}")
    charset = {"Content-Type": "Application/JSON; charset=utf-8"}
    await refused(house.http, 422, "invalid_input", "POST", "/v1/sessions", headers=charset, content=b"{}")


async def test_json_that_no_part_of_the_house_could_keep(house: House) -> None:
    """Refused as it comes in, on a route that reads it and on one that does not."""
    for body in UNKEEPABLE:
        for path in ("/v1/sessions", "/v1/sessions/refresh"):
            await refused(house.http, 400, "invalid_json", "POST", path, headers=JSON, content=body)


async def test_who_may_not(house: House) -> None:
    """401 without a session that is good, 403 for a role that does not allow it, 404 for another's label."""
    owner, other = await house.person(), await house.person("other@example.com")
    label = f"/v1/labels/{await house.label(owner)}"
    for given in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic bWFyYTp4"}, {"Authorization": ""}):
        answer = await house.http.get("/v1/me", headers=given)
        problem_in(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    await refused(other, 404, "not_found", "GET", label)
    await house.db.open("memberships").update_one({"label_id": label[11:]}, {"$set": {"role": "analyst"}})
    assert (await owner.get(label)).json()["role"] == "analyst"
    await refused(owner, 403, "forbidden", "PATCH", label, json={"name": "Mine"})
    await refused(owner, 403, "forbidden", "GET", f"{label}/conversations")


async def test_invalid_input_points_at_each_place(house: House) -> None:
    """As JSON pointers, from a fixed list of words."""
    body = {"name": "", "email": "mara", "password": "short", "date_of_birth": "then", "more": 1}
    problem = await refused(house.http, 422, "invalid_input", "POST", "/v1/users", json=body)
    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/name", "/email", "/password", "/date_of_birth", "/policy_version", ""}
    owner = await house.person()
    problem = await refused(owner, 422, "invalid_input", "GET", "/v1/labels?limit=0")
    assert [error["pointer"] for error in problem["errors"]] == ["/query/limit"]
    deep = {"name": "N", "slug": "n", "branding": {"primary_colour": "red", "odd": 1}}
    problem = await refused(owner, 422, "invalid_input", "POST", "/v1/labels", json=deep)
    assert {error["pointer"] for error in problem["errors"]} == {"/branding/primary_colour", "/branding"}


WORDS: list[tuple[str, Any, dict[str, str]]] = [
    ("/v1/sessions", None, {"": "the body is missing"}),
    ("/v1/sessions", [], {"": "must be an object"}),
    (
        "/v1/sessions",
        {"email": 1, "password": "x" * 129, "totp": "12", "x": 1},
        {
            "/email": "must be text",
            "/password": "must have a length of at most 128",
            "/totp": "must have a length of at least 6",
            "": "holds a field that this request does not have; there are email, password, totp",
        },
    ),
    (
        "/v1/users",
        {"name": "", "date_of_birth": "then", "marketing_opt_in": "x"},
        {
            "/name": "must have a length of at least 1",
            "/date_of_birth": "must be a date since 1900, like 1990-04-01",
            "/marketing_opt_in": "must be true or false",
            "/email": "is missing",
            "/password": "is missing",
            "/policy_version": "is missing",
        },
    ),
    (
        "/v1/labels",
        {"name": "N", "slug": "A B", "country": "no", "branding": 1},
        {
            "/slug": "does not have the right form, ^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$",
            "/country": "does not have the right form, ^[A-Z]{2}$",
            "/branding": "must be an object",
        },
    ),
    (
        "/v1/labels",
        {"name": "N", "slug": "n", "branding": {"odd": 1}},
        {
            "/branding": "holds a field that this request does not have; "
            "there are primary_colour, secondary_colour, logo_url"
        },
    ),
]


@pytest.mark.parametrize(("path", "body", "words"), WORDS)
async def test_what_is_wrong_is_said_plainly(house: House, path: str, body: Any, words: dict[str, str]) -> None:
    """In our sentences, with the limit or the form that was missed."""
    owner = await house.person()
    problem = await refused(owner, 422, "invalid_input", "POST", path, json=body)
    assert {error["pointer"]: error["detail"] for error in problem["errors"]} == words


async def test_what_is_wrong_in_a_query_is_said_plainly(house: House) -> None:
    """Choices by name, numbers by their limits, instants by an example."""
    owner = await house.person()
    label = f"/v1/labels/{await house.label(owner)}"
    for place, words in (
        ("comments?status=gone", {"/query/status": "must be 'visible', 'hidden' or 'deleted'"}),
        ("comments?limit=101", {"/query/limit": "must be at most 100"}),
        ("comments?limit=x", {"/query/limit": "must be a whole number"}),
        ("audit-log?from=then", {"/query/from": "must be an instant like 2026-11-23T08:00:00Z"}),
        ("audit-log?to=2026-11-23T08:00:00", {"/query/to": "must be an instant like 2026-11-23T08:00:00Z"}),
    ):
        problem = await refused(owner, 422, "invalid_input", "GET", f"{label}/{place}")
        assert {error["pointer"]: error["detail"] for error in problem["errors"]} == words


async def test_a_query_that_a_request_does_not_have_is_refused(house: House) -> None:
    """A filter that is misspelt would answer everything. Probes, and who is sent back to us, may bring more."""
    owner = await house.person()
    label = f"/v1/labels/{await house.label(owner)}"
    for place, there in (
        (f"{label}/slots?limit=5&Limit=5", "limit, cursor"),
        (f"{label}?x", "none"),
        ("/v1/me?x=", "none"),
    ):
        problem = await refused(owner, 422, "invalid_input", "GET", place)
        told = f"holds a parameter that this request does not have; there are {there}"
        assert problem["errors"] == [{"pointer": "/query", "detail": told}]
    for place in (f"{label}/audit-log?limit=5&action=label.made", f"{label}?", "/healthz?x=1", "/docs?x=1"):
        assert (await owner.get(place)).status_code == 200, place


def silent_about_it(answer: httpx.Response) -> None:
    """Nothing of the canary is in the answer's body or headers."""
    assert answer.status_code >= 400, answer.text
    is_page = answer.request.url.path.startswith(("/data-deletion/", "/erasure/", "/v1/unsubscribe/"))
    pages = ("text/html; charset=utf-8",) if is_page else ()
    assert answer.headers["content-type"] in ("application/problem+json", *pages)
    said = (answer.text + json.dumps(list(answer.headers.items()))).lower()
    assert not [trace for trace in TRACES if trace in said.replace(answer.headers["x-request-id"], "")], said


def bodies_for(schema: Doc) -> list[Any]:
    """Bodies with the canary at every place of a schema: as value, as a value of the wrong type, as a name."""
    names = list(schema["properties"])
    return [
        CANARY,
        [CANARY],
        dict.fromkeys(names, CANARY) | {CANARY: CANARY},
        {name: {CANARY: [CANARY]} for name in names},
        {name: [{CANARY: CANARY}] for name in names},
        *({name: CANARY, CANARY: {CANARY: 1}} for name in names),
    ]


async def test_no_answer_repeats_what_was_sent(house: House) -> None:
    """The canary at every place of every operation of the contract, logged in and not: path, query, headers, body."""
    owner = await house.person()
    label_id = await house.label(owner)
    contract = (await house.http.get("/openapi.json")).json()
    headers = dict.fromkeys(("If-Match", "Prefer", "X-Request-Id", "Origin", "Accept", "X-Odd", "Forwarded"), CANARY)
    tried = 0
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            parameters = [found for found in operation.get("parameters", []) if found["in"] != "header"]
            query = {found["name"]: CANARY for found in parameters if found["in"] == "query"}
            place = path.replace("{label_id}", label_id if path.count("{") > 1 else CANARY)
            for name in [found["name"] for found in parameters if found["in"] == "path"]:
                place = place.replace(f"{{{name}}}", CANARY)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            schema = contract["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2])
            if path.startswith("/v1/"):
                silent_about_it(await owner.request(method, place, params={CANARY: CANARY}, headers=headers))
            for content in bodies_for(schema) if schema else [None]:
                for http in (owner, house.http):
                    answer = await http.request(method, place, params=query, headers=headers, json=content)
                    if answer.is_success and not parameters and content is None:
                        continue  # health, keys, logging out elsewhere: it takes nothing
                    silent_about_it(answer)
                    tried += 1
    assert tried > 100


async def test_no_answer_repeats_odd_requests(house: House) -> None:
    """Unknown paths and methods, cookies, bad tokens, mail addresses that their parser likes to quote."""
    silent_about_it(await house.http.get(f"/v1/{CANARY}", params={CANARY: CANARY}))
    silent_about_it(await house.http.request("CANARY7F", "/v1/users"))
    silent_about_it(await house.http.get("/v1/me", headers={"Authorization": f"Bearer {CANARY}", "Host": "canary.io"}))
    cookie = {"Cookie": f"__Host-soundops_refresh=sor_{CANARY}; odd={CANARY}"}
    silent_about_it(await house.http.post("/v1/sessions/refresh", headers=cookie))
    silent_about_it(await house.http.post("/v1/users", json={}, headers={"Idempotency-Key": CANARY * 20}))
    silent_about_it(await house.http.post("/v1/users", content=CANARY, headers={"Content-Type": CANARY}))
    silent_about_it(await house.http.post("/v1/users", content=f'{{"{CANARY}"', headers=JSON))
    for address in (
        f"{CANARY}@example.com",
        "mara@canary",
        "mara@can;ary.7f",
        "canary..7f@x.example",
        '"7f"@canary.test',
    ):
        silent_about_it(await house.http.post("/v1/users", json={"email": address}))
    unsigned = await house.deliver(CANARY.encode(), signed=CANARY)
    silent_about_it(unsigned)
    silent_about_it(await house.deliver(CANARY.encode()))


async def test_a_broken_document_is_our_trouble_alone(house: House) -> None:
    """A model that fails on what is stored: 500, a problem, and nothing of the document or of our code in it."""
    owner = await house.person()
    label_id = await house.label(owner)
    for broken in (
        {"$unset": {"slug": 1}},
        {"$set": {"slug": "s", "created_at": CANARY}},
        {"$set": {"created_at": house.clock(), "branding": {CANARY: CANARY}}},
        {"$set": {"branding": {}, "name": {CANARY: 1}}},
    ):
        await house.db.open("labels").update_one({"_id": label_id}, broken)
        with capture_logs() as logged:  # the default renderer takes seconds for a traceback
            answer = await owner.get(f"/v1/labels/{label_id}")
        problem_in(answer, 500, "internal_error")
        silent_about_it(answer)
        assert not [word for word in ("Traceback", "Error", "pydantic", ".py", label_id) if word in answer.text]
        [entry] = [entry for entry in logged if entry["event"] == "unhandled"]
        assert entry["request_id"] == answer.headers["x-request-id"]
    await house.db.open("labels").update_one({"_id": label_id}, {"$set": {"name": "Nightjar"}})
    assert (await owner.get(f"/v1/labels/{label_id}")).status_code == 200


async def test_without_the_store_come_back_soon(redis_url: str, key_folder: Path) -> None:
    """503 with `Retry-After` wherever the store is needed; being alive needs none."""
    async with open_house(settings_env(key_folder, mongodb_url=NOWHERE, redis_url=redis_url)) as house:
        token = house.api.signer.issue(Claims(new_id("usr"), new_id("ses")), now=house.clock())
        known = {"Authorization": f"Bearer {token}"}
        login = {"email": "mara@example.com", "password": "a long sentence only I know"}
        answers = await asyncio.gather(
            house.http.get("/v1/me", headers=known),
            house.http.post("/v1/sessions", json=login),
            house.http.post("/v1/labels", json={"name": "N", "slug": "n"}, headers=known | {"Idempotency-Key": "k"}),
            house.http.get("/v1/labels?limit=5", headers=known),
            house.deliver(delivery(message_change("mid-1", ms=house.ms()))),
        )
        for answer in answers:
            problem_in(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert "127.0.0.1" not in answer.text and "mongo" not in answer.text.lower()
        assert (await house.http.get("/healthz")).json() == {"status": "ok"}
