"""OAuth for API clients: client credentials, revocation, introspection, as the RFCs have them."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from structlog.testing import capture_logs

from app.db import Database
from app.errors import InvalidClient
from app.models.oauth import FORM
from app.services.partners import client_secrets, clients
from tests.api.partners_harness import a_partner, another_client, bearer
from tests.house import House

TOKEN, REVOKE, INTROSPECT = "/v1/oauth/token", "/v1/oauth/revoke", "/v1/oauth/introspect"
GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    """The header of HTTP Basic, of these as they are."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and OAuth's error of a problem."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["error_description"] and body["status"] == answer.status_code
    return answer.status_code, body["code"], body["error"]


async def test_a_token_by_each_way_to_ask(house: House) -> None:
    """A form or JSON, HTTP Basic or the body: the same answer, which nobody may cache, and a token that works."""
    partner = await a_partner(house, "label:read", "operations:read")
    client_id, secret = partner.auth
    named = GRANT | {"client_id": client_id, "client_secret": secret}
    for answer in (
        await house.http.post(TOKEN, data=GRANT, auth=partner.auth),
        await house.http.post(TOKEN, json=GRANT, auth=partner.auth),
        await house.http.post(TOKEN, data=GRANT | {"client_id": client_id}, auth=partner.auth),
        await house.http.post(TOKEN, data=named),
        await house.http.post(TOKEN, json=named),
        await house.http.post(TOKEN, data=named | {"scope": "", "audience": "x", "resource": "y"}),
        await house.http.post(
            TOKEN, content=urlencode(named), headers={"Content-Type": f"{FORM.title()}; charset=utf-8"}
        ),
    ):
        body = answer.raise_for_status().json()
        assert answer.headers["cache-control"] == "no-store"
        assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
        assert (body["token_type"], body["scope"]) == ("Bearer", "label:read operations:read")
        assert 899 <= body["expires_in"] <= 900
        assert (await bearer(house, body["access_token"]).get(partner.base)).status_code == 200


async def test_special_characters_in_basic(house: House) -> None:
    """Id and secret are form-encoded first (RFC 6749, 2.3.1): every character may be written as `%XX`."""
    partner = await a_partner(house)
    written = ["".join(f"%{byte:02X}" for byte in part.encode()) for part in partner.auth]
    assert (await house.http.post(TOKEN, data=GRANT, headers=basic(*written))).status_code == 200
    lower = basic(*written)["Authorization"].replace("Basic", "basic")
    assert (await house.http.post(TOKEN, data=GRANT, headers={"Authorization": lower})).status_code == 200
    client_id, secret = partner.auth
    texts = ["", ":", client_id, f"{client_id}:", f":{secret}", f"{client_id}:{secret}:", f"{client_id}:%ff", "%00:x"]
    texts += [f"{client_id}:{secret} ", f"{client_id}%3A{secret}", f"ü:ß{secret}", "\0", "x" * 9000]
    given = [base64.b64encode(text.encode()).decode() for text in texts] + ["***", "=", "", "ab\u0020cd", "_-_-"]
    given.append(base64.b64encode(b"\xff:\xff").decode())
    for value in given:
        answer = await house.http.post(TOKEN, data=GRANT, headers={"Authorization": f"Basic {value}"})
        assert refusal(answer) == (401, "invalid_client", "invalid_client"), value
        assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_one_way_to_authenticate(house: House) -> None:
    """Both at once, two headers, two clients, or anything in the address: `400`. None, or another scheme: `401`."""
    partner = await a_partner(house)
    other = await another_client(house, partner.owner, partner.label_id)
    client_id, secret = partner.auth
    named, header = {"client_id": client_id, "client_secret": secret}, basic(*partner.auth)
    twice = httpx.Headers([("Authorization", header["Authorization"])] * 2)
    bad = [
        await house.http.post(TOKEN, data=GRANT | named, headers=header),
        await house.http.post(TOKEN, json=GRANT | named, headers=header),
        await house.http.post(TOKEN, data=GRANT | {"client_secret": secret}, headers=header),
        await house.http.post(TOKEN, data=GRANT | {"client_id": other.client["id"]}, headers=header),
        await house.http.post(TOKEN, data=GRANT | named, headers={"Authorization": "Bearer x"}),
        await house.http.post(TOKEN, data=GRANT, headers=twice),
        await house.http.post(f"{TOKEN}?{urlencode(named)}", data=GRANT),
        await house.http.post(f"{TOKEN}?scope=label:read", data=GRANT, headers=header),
        await house.http.post(f"{REVOKE}?token=x", data={"token": "x"}, headers=header),
    ]
    for number, answer in enumerate(bad):
        assert refusal(answer) == (400, "invalid_request", "invalid_request"), number
    for answer in (
        await house.http.post(TOKEN, data=GRANT),
        await house.http.post(TOKEN, data=GRANT | {"client_id": client_id}),
        await house.http.post(TOKEN, data=GRANT | {"client_secret": secret}),
        await house.http.post(TOKEN, data=GRANT, headers={"Authorization": "Bearer x"}),
    ):
        assert refusal(answer) == (401, "invalid_client", "invalid_client")


FORMS: list[tuple[bytes, str, int]] = [
    (b"", FORM, 400),
    (b"scope=label:read", FORM, 400),
    (b"grant_type=", FORM, 400),
    (b"grant_type=client_credentials&grant_type=client_credentials", FORM, 400),
    (b"grant_type=client_credentials&x=1&x=2", FORM, 400),
    (b"grant_type=client_credentials&grant%5Ftype=password", FORM, 400),
    (b"&".join(b"f%d=1" % number for number in range(21)), FORM, 400),
    (b"grant_type", FORM, 400),
    (b"grant_type=client_credentials&scope=%ff", FORM, 400),
    (b"grant_type=client_credentials&scope=\xff", FORM, 400),
    (b"grant_type=client_credentials&scope=%00", FORM, 400),
    (b'{"grant_type": "client_credentials"}', FORM, 400),
    (b"grant_type=client_credentials", "application/json", 400),
    (b'{"grant_type": "client_credentials", "grant_type": "password"}', "application/json", 400),
    (b"grant_type=client_credentials&x=" + b"x" * 17_000, FORM, 413),
    (b'{"grant_type": "' + b"x" * 17_000 + b'"}', "application/json", 413),
    (b"grant_type=client_credentials", "text/plain", 415),
    (b"grant_type=client_credentials", "", 415),
    (
        b'--x\r\ncontent-disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
        415,
    ),
    (b'{"grant_type": "client_credentials", "more": 1}', "application/json", 422),
    (b'{"grant_type": 5}', "application/json", 422),
    (b"[]", "application/json", 422),
    (b"grant_type=client_credentials&scope=" + b"x" * 1001, FORM, 422),
]


@pytest.mark.parametrize(("body", "kind", "status"), FORMS, ids=lambda part: str(part)[:40])
async def test_bad_bodies(house: House, body: bytes, kind: str, status: int) -> None:
    """Refused before anybody is looked up, as a problem that OAuth libraries understand."""
    headers = {"Content-Type": kind} if kind else {}
    partner = await a_partner(house)
    answer = await house.http.post(TOKEN, content=body, headers=headers | basic(*partner.auth))
    assert refusal(answer)[::2] == (status, "invalid_request")


async def test_a_partner_is_told_what_is_wrong(house: House) -> None:
    """What may be sent and where; that a token has ended, rather than to log in; scopes, rather than a role."""
    partner = await a_partner(house, "label:read")
    token = (await partner.ask()).json()["access_token"]
    text = await house.http.post(TOKEN, content=b"grant_type=x", headers={"Content-Type": "text/plain"})
    nothing = await house.http.post(TOKEN, headers=basic(*partner.auth))
    address = await house.http.post(f"{TOKEN}?client_secret={partner.auth[1]}")
    told = bearer(house, token)
    scope = await told.get(f"{partner.base}/members")
    await house.http.post(REVOKE, data={"token": token}, auth=partner.auth)
    revoked, unknown = await told.get(partner.base), await bearer(house, "x.y.z").get(partner.base)
    for answer, code, detail in (
        (text, "unsupported_media_type", "Send a form or JSON"),
        (nothing, "invalid_request", "The body is missing"),
        (address, "invalid_request", "Credentials do not belong into the address: send everything in the body"),
        (scope, "forbidden", "This API client does not have the scope for this"),
        (revoked, "unauthenticated", "The token has ended or was revoked"),
        (unknown, "unauthenticated", "The token has ended or was revoked"),
    ):
        assert (answer.json()["code"], answer.json()["detail"]) == (code, detail)
    assert "role" not in scope.json()["title"]


async def test_only_these_routes_take_forms(house: House) -> None:
    """Everywhere else a form is no JSON."""
    await house.person()
    for path in ("/v1/sessions", "/v1/users", "/v1/oauth/other", "/v1/oauth/token/"):
        answer = await house.http.post(path, data={"email": "owner@example.com"})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert "error" not in answer.json()


async def test_other_grants_and_scopes(house: House) -> None:
    """Only client credentials; a scope of the client's; what the owner has not decided on is told apart."""
    partner = await a_partner(house, "label:read", "inbox:read")
    for grant in ("password", "authorization_code", "refresh_token", "Client_Credentials"):
        answer = await partner.ask(grant_type=grant)
        assert refusal(answer) == (400, "unsupported_grant_type", "unsupported_grant_type")
    for scope in (
        "members:read",
        "label:read members:read",
        "label:write",
        "*",
        "label:read  inbox:read",
        "LABEL:READ",
    ):
        assert refusal(await partner.ask(scope)) == (400, "invalid_scope", "invalid_scope"), scope
    for scope in ("inbox:read", "inbox:read label:read"):
        assert refusal(await partner.ask(scope)) == (403, "owner_decision_required", "invalid_scope")
    assert (await partner.ask()).json()["scope"] == "label:read"
    assert (await partner.ask("label:read label:read")).json()["scope"] == "label:read"
    await partner.decide("inbox:read")
    assert (await partner.ask()).json()["scope"] == "inbox:read label:read"
    assert (await partner.ask("label:read inbox:read")).json()["scope"] == "inbox:read label:read"
    assert (await partner.ask("label:read")).json()["scope"] == "label:read"


async def test_a_client_of_undecided_scopes_alone(house: House) -> None:
    """Gets no token at all, not one without scopes."""
    partner = await a_partner(house, "inbox:read")
    assert refusal(await partner.ask()) == (403, "owner_decision_required", "invalid_scope")


async def test_an_unknown_client_and_a_wrong_secret_look_alike(house: House) -> None:
    """In status, body and headers. Each is a line in the log, which names a known client, and not what was sent."""
    partner = await a_partner(house)
    wrong, _ = client_secrets.make("usr_1", life=timedelta(days=1), now=house.clock())
    with capture_logs() as logged:
        answers = [
            await house.http.post(TOKEN, data=GRANT, auth=(client_id, wrong))
            for client_id in (partner.client["id"], "cli_01k9zv3t5w8x2m4c6d7f9g1h3j", "x", partner.label_id)
        ]
        answers.append(await house.http.post(TOKEN, data=GRANT, auth=(partner.client["id"], wrong[:-1])))
    hidden = {"x-request-id", "ratelimit"}
    shown = {
        (
            answer.status_code,
            json.dumps(answer.json() | {"request_id": ""}),
            str(sorted((k, v) for k, v in answer.headers.items() if k not in hidden)),
        )
        for answer in answers
    }
    assert len(shown) == 1 and answers[0].status_code == 401
    told = [entry for entry in logged if entry["event"] == "an API client was refused"]
    assert [entry["client_id"] for entry in told] == [partner.client["id"], None, None, None]
    assert [entry["request_id"] for entry in told] == [answer.json()["request_id"] for answer in answers[:4]]
    assert wrong not in str(logged)


class Commands(CommandListener):
    """Notes what a database is asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        """Note it."""
        self.seen.append(f"{event.command_name} {event.command.get(event.command_name)}")

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to do."""


async def test_an_unknown_client_costs_what_a_wrong_secret_does(house: House, mongodb_url: str) -> None:
    """One look-up each; with the right secret there is more to look up."""
    partner = await a_partner(house)
    wrong, _ = client_secrets.make("usr_1", life=timedelta(days=1), now=house.clock())
    commands = Commands()
    db = Database(mongodb_url, listeners=(commands,))
    for client_id in (partner.client["id"], "cli_01k9zv3t5w8x2m4c6d7f9g1h3j"):
        with pytest.raises(InvalidClient):
            await clients.prove(db, client_id, wrong, now=house.clock(), request_id="req_1")
        assert commands.seen == ["find api_clients"]
        commands.seen.clear()
    await clients.prove(db, *partner.auth, now=house.clock(), request_id="req_1")
    assert commands.seen[0] == "find api_clients" and set(commands.seen[1:]) == {"find memberships", "find users"}
    db.close()


async def test_revocation(house: House) -> None:
    """A token of one's own is dead at the next request, however often it is revoked; all else is answered alike."""
    partner = await a_partner(house)
    other = await another_client(house, partner.owner, partner.label_id)
    token, kept = await partner.token(), await partner.token()
    api = bearer(house, token)
    assert (await api.get(partner.base)).status_code == 200
    foreign = await house.http.post(REVOKE, data={"token": token}, auth=other.auth)
    assert (foreign.status_code, (await api.get(partner.base)).status_code) == (200, 200)
    form = {"token": token, "token_type_hint": "refresh_token"}
    answers = await asyncio.gather(*(house.http.post(REVOKE, data=form, auth=partner.auth) for _ in range(20)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, foreign.content)}
    assert await house.db.open("revoked_tokens").count_documents({"label_id": partner.label_id}) == 1
    dead = await api.get(partner.base)
    assert (dead.status_code, dead.json()["code"]) == (401, "unauthenticated")
    assert (await bearer(house, kept).get(partner.base)).status_code == 200
    person = partner.owner.headers["Authorization"].removeprefix("Bearer ")
    for unknown in ("x", person, token[:-1], "x" * 8000):
        answer = await house.http.post(REVOKE, json={"token": unknown}, auth=partner.auth)
        assert (answer.status_code, answer.content) == (200, foreign.content)
    assert (await partner.owner.get("/v1/me")).status_code == 200
    nothing = await house.http.post(REVOKE, data={"x": "1"}, auth=partner.auth)
    assert refusal(nothing) == (400, "invalid_request", "invalid_request")
    assert refusal(await house.http.post(REVOKE, data=form)) == (401, "invalid_client", "invalid_client")


async def test_introspection(house: House) -> None:
    """Of a token of one's own: what it is good for now. Of all else only that it is not active."""
    partner = await a_partner(house, "label:read", "inbox:read")
    other = await another_client(house, partner.owner, partner.label_id)
    await partner.decide("inbox:read")
    token = await partner.token()

    async def look(shown: str, auth: tuple[str, str] = partner.auth) -> Any:
        answer = await house.http.post(INTROSPECT, data={"token": shown}, auth=auth)
        return answer.raise_for_status().json()

    seen = await look(token)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert seen == {
        "active": True,
        "scope": "inbox:read label:read",
        "client_id": partner.client["id"],
        "sub": partner.client["id"],
        "label_id": partner.label_id,
        "iss": claims["iss"],
        "exp": claims["exp"],
        "jti": claims["jti"],
    }
    person = partner.owner.headers["Authorization"].removeprefix("Bearer ")
    gone = {"active": False}
    assert [await look(shown) for shown in ("x", person, token[:-2])] == [gone] * 3
    assert await look(token, other.auth) == gone
    (await partner.owner.delete(f"{partner.path}/meta-access")).raise_for_status()
    assert (await look(token))["scope"] == "label:read"
    await house.http.post(REVOKE, data={"token": token}, auth=partner.auth)
    assert await look(token) == gone
    late = await partner.token()
    house.clock.offset += timedelta(minutes=15, seconds=11)
    assert await look(late) == gone
    refused = await house.http.post(INTROSPECT, data={"token": token})
    assert refusal(refused) == (401, "invalid_client", "invalid_client")


async def test_last_used_is_coarse(house: House) -> None:
    """To the minute: of ten requests at once one is written, and none changes the version."""
    partner = await a_partner(house)
    before = await partner.owner.get(partner.path)
    assert before.json()["secrets"][0]["last_used_at"] is None
    await asyncio.gather(*(partner.ask() for _ in range(10)))
    first = await partner.owner.get(partner.path)
    used = first.json()["secrets"][0]["last_used_at"]
    assert used is not None and first.headers["etag"] == before.headers["etag"]
    house.clock.offset += timedelta(seconds=50)
    await partner.ask()
    assert (await partner.owner.get(partner.path)).json() == first.json()
    house.clock.offset += timedelta(seconds=15)
    await partner.ask()
    assert (await partner.owner.get(partner.path)).json()["secrets"][0]["last_used_at"] > used


async def test_a_token_ends_with_its_secret(house: House) -> None:
    """One that is asked for in a secret's last minutes says so."""
    partner = await a_partner(house, days=1)
    house.clock.offset += timedelta(days=1) - timedelta(minutes=5)
    body = (await partner.ask()).json()
    assert 295 <= body["expires_in"] <= 300
    api = bearer(house, body["access_token"])
    assert (await api.get(partner.base)).status_code == 200
    house.clock.offset += timedelta(minutes=5)
    assert (await api.get(partner.base)).status_code == 401
    assert refusal(await partner.ask()) == (401, "invalid_client", "invalid_client")
