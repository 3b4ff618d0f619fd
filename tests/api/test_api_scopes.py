"""What an API client may do: scope by operation, from the contract; and how it ends, at the very next request."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import bson
import httpx
import pytest

from app.db import Doc
from app.models.access import META_SCOPES, PERMISSIONS, Scope
from tests.api.partners_harness import Partner, a_partner, another_client, bearer
from tests.api.people import join
from tests.api.served import child_env
from tests.house import House, message_change
from tools import embedded
from tools.child import running

SCOPES: tuple[Scope, ...] = get_args(Scope)
OPEN = ("anybody", "signed")
Operation = tuple[str, str, str]
"""Method, path and access."""


async def operations_of(house: House) -> list[Operation]:
    """Every operation that needs somebody, as the contract that is served has it."""
    contract = (await house.http.get("/openapi.json")).json()
    return [
        (method.upper(), path, operation["x-access"])
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
        if operation.get("x-access", "signed") not in OPEN
    ]


async def test_the_contract_names_each_scope(house: House) -> None:
    """`x-partner-scope` is the permission where partners may have it; generated clients find it as an OAuth scope."""
    contract = (await house.http.get("/openapi.json")).json()
    flow = contract["components"]["securitySchemes"]["client_credentials"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) == set(SCOPES) and flow["tokenUrl"] == "/v1/oauth/token"
    used = set()
    for path, methods in contract["paths"].items():
        for operation in methods.values():
            access = operation.get("x-access", "signed")
            scope = access if access in SCOPES else None
            assert operation.get("x-partner-scope") == scope, path
            schemes = {name: scopes for one in operation.get("security", []) for name, scopes in one.items()}
            assert schemes.get("client_credentials") == ([scope] if scope else None), path
            used |= {scope} if scope else set()
    assert used >= {"label:read", "connections:read", "inbox:read", "inbox:write", "comments:read", "operations:read"}


async def filled(house: House, partner: Partner, path: str) -> str:
    """The path, with the label's own id, an operation of the label's, and ids of nothing."""
    operation = await house.db.open("operations").find_one({"label_id": partner.label_id})
    assert operation is not None
    path = path.replace("{label_id}", partner.label_id).replace("{operation_id}", operation["_id"])
    return "/".join("none" if part.startswith("{") else part for part in path.split("/"))


async def test_each_scope_against_each_operation(house: House) -> None:
    """With one scope alone a client may do what needs it, and nothing else of the label's or of people's."""
    partner = await a_partner(house, *SCOPES)
    await partner.decide(*META_SCOPES)
    tried = 0
    for scope in SCOPES:
        api = await partner.api(scope)
        for method, path, access in await operations_of(house):
            answer = await api.request(method, await filled(house, partner, path))
            tried += 1
            if access == scope:
                assert answer.status_code not in (401, 403), (scope, method, path)
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (scope, method, path)
    assert tried == len(SCOPES) * len(await operations_of(house)) and tried > 200


async def test_other_labels_are_not_there(house: House) -> None:
    """With every scope: each operation of another label answers `404`, and the other label is as it was."""
    partner = await a_partner(house, *SCOPES)
    await partner.decide(*META_SCOPES)
    theirs = await a_partner(house, email="other@example.com", slug="lowtide")
    api, before = await partner.api(), await of_label(house, theirs.label_id)
    tried = 0
    for method, path, access in await operations_of(house):
        if access != "person":
            answer = await api.request(method, await filled(house, theirs, path))
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
            tried += 1
    assert tried > 20
    assert await of_label(house, theirs.label_id) == before


async def of_label(house: House, label_id: str) -> list[bytes]:
    """All that is stored of a label."""
    names = ("memberships", "api_clients", "operations", "mails", "audit_log", "connections", "conversations")
    found = [house.db.open(name).find({"label_id": label_id}).sort("_id", 1) for name in names]
    return [bson.encode(document) for cursor in found async for document in cursor]


@pytest.fixture
async def second(
    house: House, tmp_path: Path, key_folder: Path, mongodb_url: str, redis_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Another API, a process of its own on the same database."""
    child = embedded.api_child(child_env(key_folder, mongodb_url, redis_url), log=tmp_path / "api.log")
    with running(child):
        async with httpx.AsyncClient(base_url=child.url, trust_env=False, timeout=30) as http:
            yield http


@dataclass
class Ending:
    """What ends a client's access, and how it is refused then."""

    how: Callable[[Partner], Awaitable[Any]]
    refusal: tuple[int, str]
    token: int
    """The status of a new request for a token."""


async def _store(partner: Partner, name: str, query: Doc, change: Doc) -> None:
    place = query | {"label_id": partner.label_id}
    assert (await partner.house.db.open(name).update_one(place, {"$set": change})).modified_count == 1


async def _creator_becomes(partner: Partner, change: Doc) -> None:
    user_id = partner.client["created_by"]
    await _store(partner, "memberships", {"user_id": user_id}, change)


async def _creator_leaves(partner: Partner) -> None:
    gone = {"label_id": partner.label_id, "user_id": partner.client["created_by"]}
    assert (await partner.house.db.open("memberships").delete_one(gone)).deleted_count == 1


async def _secret_ends(partner: Partner) -> None:
    ended = {"secrets.0.expires_at": partner.house.clock()}
    await _store(partner, "api_clients", {"_id": partner.client["id"]}, ended)


async def _token_is_revoked(partner: Partner) -> None:
    form = {"token": partner.client["token"]}
    answer = await partner.house.http.post("/v1/oauth/revoke", data=form, auth=partner.auth)
    answer.raise_for_status()


ENDED = (401, "unauthenticated")
ENDINGS = {
    "secret deleted": Ending(
        lambda partner: partner.owner.delete(f"{partner.path}/secrets/{partner.client['secrets'][0]['id']}"), ENDED, 401
    ),
    "secret expired": Ending(_secret_ends, ENDED, 401),
    "client deleted": Ending(lambda partner: partner.owner.delete(partner.path), ENDED, 401),
    "creator gone": Ending(_creator_leaves, ENDED, 401),
    "creator demoted": Ending(lambda partner: _creator_becomes(partner, {"role": "editor"}), ENDED, 401),
    "token revoked": Ending(_token_is_revoked, ENDED, 200),
    "decision withdrawn": Ending(
        lambda partner: partner.owner.delete(f"{partner.path}/meta-access"), (403, "owner_decision_required"), 403
    ),
    "decision narrowed": Ending(lambda partner: partner.decide("inbox:read"), (403, "owner_decision_required"), 403),
    "scope taken away": Ending(
        lambda partner: partner.owner.patch(partner.path, json={"scopes": ["inbox:read"]}), (403, "forbidden"), 400
    ),
    "label deleting": Ending(
        lambda partner: _creator_becomes(partner, {"label_deleting": True}), (409, "label_deleting"), 200
    ),
}


async def test_what_ends_a_client_ends_it_at_once(house: House, second: httpx.AsyncClient) -> None:
    """Each at the next request (at most a second later), in this process and in another one."""
    owner = await house.person()
    label_id = await house.label(owner)
    slowest = 0.0
    for number, (name, ending) in enumerate(ENDINGS.items()):
        admin = await join(house, f"admin{number}@example.com", label_id, "admin")
        made = await another_client(house, admin, label_id, "connections:read", "inbox:read")
        partner = Partner(house, owner, label_id, made.client)
        await partner.decide("connections:read", "inbox:read")
        partner.client["token"] = await partner.token("connections:read")
        auth = {"Authorization": f"Bearer {partner.client['token']}"}
        path = f"{partner.base}/connections"
        for http in (house.http, second):
            assert (await http.get(path, headers=auth)).status_code == 200, name
        await ending.how(partner)
        ended = time.monotonic()
        for http in (second, house.http):
            refused = await http.get(path, headers=auth)
            assert (refused.status_code, refused.json()["code"]) == ending.refusal, name
        slowest = max(slowest, time.monotonic() - ended)
        form = {"grant_type": "client_credentials", "scope": "connections:read"}
        for http in (second, house.http):
            asked = await http.post("/v1/oauth/token", data=form, auth=partner.auth)
            assert asked.status_code == ending.token, name
    assert slowest <= 1


async def test_while_a_label_is_being_deleted(house: House) -> None:
    """What people may still read, a client with that scope may too."""
    partner = await a_partner(house, "label:read", "members:read")
    await _creator_becomes(partner, {"label_deleting": True})
    api = await partner.api()
    for method, path, access in await operations_of(house):
        if access in ("label:read", "members:read"):
            answer = await api.request(method, await filled(house, partner, path))
            refused = answer.status_code == 409 and answer.json()["code"] == "label_deleting"
            assert refused is not PERMISSIONS[access].while_deleting, path  # type: ignore[index]


async def a_desk(house: House) -> tuple[Partner, str]:
    """A partner who may answer fans, and the path of a conversation's messages."""
    partner = await a_partner(house, "inbox:read", "inbox:write")
    await partner.decide("inbox:read", "inbox:write")
    await house.connection(partner.label_id)
    await house.receive(message_change("m_1", ms=house.ms()))
    [conversation] = (await partner.owner.get(f"{partner.base}/conversations")).json()["data"]
    return partner, f"{partner.base}/conversations/{conversation['id']}/messages"


async def sent(house: House, partner: Partner) -> int:
    """How many answers there are to send or were sent."""
    query = {"label_id": partner.label_id, "direction": "out"}
    return int(await house.db.open("messages").count_documents(query))


async def test_fifty_times_one_key(house: House) -> None:
    """Fifty at once with one key and body are one message; another body is refused, another client's key is its own."""
    partner, path = await a_desk(house)
    api, key = await partner.api(), {"Idempotency-Key": "order-1"}
    answers = await asyncio.gather(*(api.post(path, json={"text": "On Friday."}, headers=key) for _ in range(50)))
    told = [answer.status_code for answer in answers]
    assert set(told) <= {202, 409} and 202 in told
    assert await sent(house, partner) == 1
    fresh = await partner.api()  # another token of the same client
    again = await fresh.post(path, json={"text": "On Friday."}, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert {answer.content for answer in answers if answer.status_code == 202} == {again.content}
    other = await fresh.post(path, json={"text": "On Sunday."}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    neighbour = await another_client(house, partner.owner, partner.label_id, "inbox:write")
    await neighbour.decide("inbox:write")
    theirs = await (await neighbour.api()).post(path, json={"text": "On Sunday."}, headers=key)
    assert theirs.status_code == 202 and "idempotency-replayed" not in theirs.headers
    assert await sent(house, partner) == 2


async def test_no_kept_answer_for_who_may_no_longer(house: House) -> None:
    """After a revocation, or without the decision, the key opens nothing; with a new token it does again."""
    partner, path = await a_desk(house)
    token, key = await partner.token(), {"Idempotency-Key": "order-1"}
    api = bearer(house, token)
    assert (await api.post(path, json={"text": "On Friday."}, headers=key)).status_code == 202
    await house.http.post("/v1/oauth/revoke", data={"token": token}, auth=partner.auth)
    refused = await api.post(path, json={"text": "On Friday."}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    api = await partner.api()
    assert (await api.post(path, json={"text": "On Friday."}, headers=key)).headers["idempotency-replayed"] == "true"
    await partner.owner.delete(f"{partner.path}/meta-access")
    refused = await api.post(path, json={"text": "On Friday."}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "owner_decision_required")
    assert await sent(house, partner) == 1


async def test_a_tokens_answer_is_kept_for_its_own_secret(house: House) -> None:
    """By header or body: repeated it is the same token, for another client another one, and for a dead secret none."""
    partner = await a_partner(house)
    other = await another_client(house, partner.owner, partner.label_id)
    key, form = {"Idempotency-Key": "1"}, {"grant_type": "client_credentials"}

    async def ask(one: Partner, way: str) -> httpx.Response:
        named = dict(zip(("client_id", "client_secret"), one.auth, strict=True))
        if way == "header":
            return await house.http.post("/v1/oauth/token", data=form, auth=one.auth, headers=key)
        return await house.http.post("/v1/oauth/token", data=form | named, headers=key)

    for way in ("header", "body"):
        first, theirs, again = await ask(partner, way), await ask(other, way), await ask(partner, way)
        assert [answer.status_code for answer in (first, theirs, again)] == [200] * 3
        assert again.content == first.content and again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in theirs.headers and theirs.content != first.content
    secret_id = partner.client["secrets"][0]["id"]
    (await partner.owner.delete(f"{partner.path}/secrets/{secret_id}")).raise_for_status()
    for way in ("header", "body"):
        dead = await ask(partner, way)
        assert (dead.status_code, dead.json()["error"]) == (401, "invalid_client")
        assert (await ask(other, way)).headers["idempotency-replayed"] == "true"
