"""API clients as a label's people manage them: made, changed, deleted, decided on; and what is kept of it."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import bson
import httpx
import pytest
from structlog.testing import capture_logs

from app.db import Doc
from app.models.data_map import DATA_MAP
from app.services.audit_reading import check_chain
from tests.api.partners_harness import REASON, Partner, a_partner, another_client
from tests.api.people import join
from tests.house import House

KEY = {"Idempotency-Key": "1"}


async def audit_rows(house: House, label_id: str) -> list[Doc]:
    """The label's audit log, in its order."""
    return await house.db.open("audit_log").find({"label_id": label_id}).sort("seq", 1).to_list()


async def dump(house: House) -> bytes:
    """All that is in the database."""
    found = [house.db.raw[name].find({}, comment="all-labels: a dump") for name in DATA_MAP]
    return b"".join([bson.encode(document) for cursor in found async for document in cursor])


def forms_of(secret: str) -> list[bytes]:
    """The ways in which a secret could lie about."""
    raw = secret.encode()
    bare = secret.removeprefix("sok_").encode()
    return [
        form
        for part in (raw, bare, raw[:-6], bare[:-6])
        for form in (part, part.hex().encode(), part.hex().upper().encode(), base64.b64encode(part).rstrip(b"=")[:-2])
    ]


async def test_what_making_one_answers(house: House) -> None:
    """The secret, its hint and its end; the client as it is shown from then on, in order; nobody's decision yet."""
    partner = await a_partner(house, "label:read", "inbox:write", "inbox:read", days=7)
    made = partner.client
    assert made["client_id"] == made["id"] and made["name"] == "Help desk"
    assert made["scopes"] == ["inbox:read", "inbox:write", "label:read"]
    assert (made["granted_scopes"], made["meta_access"]) == (["label:read"], None)
    [key] = made["secrets"]
    assert set(key) == {"id", "hint", "created_at", "expires_at", "last_used_at", "created_by"}
    assert made["client_secret"].endswith(key["hint"]) and len(key["hint"]) == 4
    me = (await partner.owner.get("/v1/me")).json()["id"]
    assert (key["created_by"], made["created_by"], key["last_used_at"]) == (me, me, None)
    shown = await partner.owner.get(partner.path)
    assert shown.json() == {k: v for k, v in made.items() if k not in ("client_id", "client_secret")}
    listed = (await partner.owner.get(f"{partner.base}/api-clients")).json()
    assert listed == {
        "data": [{k: v for k, v in shown.json().items() if k != "meta_decisions"}],
        "next_cursor": None,
    }


async def test_no_later_answer_or_log_shows_a_secret(house: House) -> None:
    """Not one of any route of the client's, nor a line of the log, in any form; and no hash of it either."""
    with capture_logs() as logged:
        partner = await a_partner(house, "label:read", "inbox:read")
        second = (await partner.owner.post(f"{partner.path}/secrets", json={})).json()
        body = {"scopes": ["inbox:read"], "reason": REASON}
        answers = [
            await partner.owner.put(f"{partner.path}/meta-access", json=body),
            await partner.owner.patch(partner.path, json={"name": "Other"}),
            await partner.owner.get(partner.path),
            await partner.owner.get(f"{partner.base}/api-clients"),
            await partner.owner.post(f"{partner.path}/secrets", json={}),
            await partner.ask(),
            await house.http.post("/v1/oauth/introspect", data={"token": await partner.token()}, auth=partner.auth),
            await partner.ask(client_secret=second["client_secret"]),
            await (await partner.api()).get(partner.base),
            await partner.owner.delete(f"{partner.path}/secrets/{second['id']}"),
        ]
    shown = b"".join(answer.content + str(answer.headers).encode() for answer in answers) + str(logged).encode()
    stored = await house.db.open("api_clients").find_one({"label_id": partner.label_id})
    assert stored is not None
    for secret in (partner.client["client_secret"], second["client_secret"]):
        assert [form for form in forms_of(secret) if form in shown] == []
    assert stored["secrets"][0]["digest"].encode() not in shown and b"digest" not in shown


async def test_the_database_holds_no_usable_secret(house: House) -> None:
    """Not raw, in hex or in base64, not in a kept answer; nor a token that was given."""
    partner = await a_partner(house, "label:read")
    made = await partner.owner.post(f"{partner.path}/secrets", json={}, headers=KEY)
    auth, form = partner.auth, {"grant_type": "client_credentials"}
    token = (await house.http.post("/v1/oauth/token", data=form, auth=auth, headers=KEY)).json()["access_token"]
    held = await dump(house)
    assert partner.client["id"].encode() in held and made.json()["hint"].encode() in held
    for secret in (partner.client["client_secret"], made.json()["client_secret"], token):
        assert [form for form in forms_of(secret) if form in held] == []


BODIES: list[tuple[Doc, str]] = [
    ({"scopes": ["label:read"]}, "/name"),
    ({"name": "x"}, "/scopes"),
    ({"name": "x", "scopes": []}, "/scopes"),
    ({"name": "x", "scopes": ["label:write"]}, "/scopes/0"),
    ({"name": "x", "scopes": ["clients:write"]}, "/scopes/0"),
    ({"name": "x", "scopes": ["label:read", "label:read"]}, "/scopes"),
    ({"name": "x", "scopes": "label:read"}, "/scopes"),
    *(
        ({"name": "x", "scopes": ["label:read"], "expires_in_days": d}, "/expires_in_days")
        for d in (0, 366, -1, True, "9")
    ),
    ({"name": "x", "scopes": ["label:read"], "meta_access": {}}, ""),
    ({"name": "x", "scopes": ["label:read"], "client_secret": "x"}, ""),
]


@pytest.mark.parametrize(("body", "pointer"), BODIES, ids=str)
async def test_bad_clients(house: House, body: Doc, pointer: str) -> None:
    """Nothing is made of them."""
    owner = await house.person()
    label_id = await house.label(owner)
    answer = await owner.post(f"/v1/labels/{label_id}/api-clients", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await house.db.open("api_clients").count_documents({"label_id": label_id}) == 0


async def test_who_manages_clients(house: House) -> None:
    """Owners and admins, after a fresh log-in; on data from Meta owners alone decide."""
    partner = await a_partner(house, "label:read", "inbox:read")
    admin = await join(house, "admin@example.com", partner.label_id, "admin")
    editor = await join(house, "editor@example.com", partner.label_id, "editor")
    decision = {"scopes": ["inbox:read"], "reason": REASON}
    wishes: list[tuple[str, str, Any]] = [
        ("GET", f"{partner.base}/api-clients", None),
        ("GET", partner.path, None),
        ("PATCH", partner.path, {"name": "Other"}),
        ("POST", f"{partner.path}/secrets", {}),
    ]
    for method, path, body in wishes:
        assert (await admin.request(method, path, json=body)).status_code in (200, 201)
        assert (await editor.request(method, path, json=body)).json()["code"] == "forbidden"
    for method, body in (("PUT", decision), ("DELETE", None)):
        answer = await admin.request(method, f"{partner.path}/meta-access", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await partner.owner.put(f"{partner.path}/meta-access", json=decision)).status_code == 200
    await house.db.open("sessions").update_many(
        {}, {"$set": {"authenticated_at": house.clock() - timedelta(minutes=16)}}
    )
    for method, path, body in [
        *wishes[2:],
        ("DELETE", partner.path, None),
        ("DELETE", f"{partner.path}/meta-access", None),
    ]:
        answer = await partner.owner.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")
    assert (await partner.owner.get(partner.path)).status_code == 200


async def test_two_live_secrets(house: House) -> None:
    """Both work, a third is refused; one that was deleted or has ended gives way, and works no more."""
    partner = await a_partner(house, days=30)
    secrets = f"{partner.path}/secrets"
    second = (await partner.owner.post(secrets, json={"expires_in_days": 365})).json()
    assert second["client_secret"] != partner.client["client_secret"]
    third = await partner.owner.post(secrets, json={})
    assert (third.status_code, third.json()["code"]) == (409, "conflict")
    changed = Partner(
        house, partner.owner, partner.label_id, partner.client | {"client_secret": second["client_secret"]}
    )
    for one in (partner, changed):
        assert (await one.ask()).status_code == 200
    first_id = partner.client["secrets"][0]["id"]
    assert (await partner.owner.delete(f"{secrets}/{first_id}")).status_code == 204
    assert (await partner.owner.delete(f"{secrets}/{first_id}")).status_code == 404
    assert ((await partner.ask()).status_code, (await changed.ask()).status_code) == (401, 200)
    fourth = await partner.owner.post(secrets, json={"expires_in_days": 1})
    assert fourth.status_code == 201
    ended = {"$set": {"secrets.1.expires_at": house.clock()}}
    await house.db.open("api_clients").update_one({"label_id": partner.label_id, "_id": partner.client["id"]}, ended)
    fifth = await partner.owner.post(secrets, json={})
    assert fifth.status_code == 201
    left = [key["id"] for key in (await partner.owner.get(partner.path)).json()["secrets"]]
    assert left == [second["id"], fifth.json()["id"]]


async def test_five_secrets_at_once(house: House) -> None:
    """The database decides: one of them is the second, four are refused, again and again."""
    partner = await a_partner(house)
    for _ in range(3):
        answers = await asyncio.gather(*(partner.owner.post(f"{partner.path}/secrets", json={}) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
        assert len((await partner.owner.get(partner.path)).json()["secrets"]) == 2
        [made] = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        (await partner.owner.delete(f"{partner.path}/secrets/{made}")).raise_for_status()


async def test_the_first_clients_at_once(house: House) -> None:
    """Of a label whose audit log has no row yet: each is made, and each has its rows."""
    owner = await house.person()
    label_id = await house.label(owner)
    body = {"name": "x", "scopes": ["label:read"]}
    made = await asyncio.gather(*(owner.post(f"/v1/labels/{label_id}/api-clients", json=body) for _ in range(8)))
    assert [answer.status_code for answer in made] == [201] * 8
    actions = [row["action"] for row in await audit_rows(house, label_id)]
    assert (actions.count("client.made"), actions.count("secret.made")) == (8, 8)


async def test_a_wider_client_needs_a_wider_decision(house: House) -> None:
    """New scopes from Meta are not granted by an older decision; taken away and given back, neither."""
    partner = await a_partner(house, "inbox:read", "label:read")
    await partner.decide("inbox:read")

    async def granted(*scopes: str) -> list[str]:
        changed = await partner.owner.patch(partner.path, json={"scopes": list(scopes)})
        return list(changed.raise_for_status().json()["granted_scopes"])

    assert await granted("inbox:read", "comments:read", "label:read") == ["inbox:read", "label:read"]
    assert (await partner.ask("comments:read")).json()["code"] == "owner_decision_required"
    assert await granted("comments:read", "operations:read") == ["operations:read"]
    assert await granted("inbox:read", "comments:read") == []
    await partner.decide("comments:read", "inbox:read")
    assert (await partner.owner.get(partner.path)).json()["granted_scopes"] == ["comments:read", "inbox:read"]
    await partner.decide("comments:read")
    shown = (await partner.owner.get(partner.path)).json()
    assert shown["granted_scopes"] == ["comments:read"]
    assert shown["meta_access"].items() >= {"scopes": ["comments:read"], "reason": REASON}.items()


async def test_what_was_decided_is_kept(house: House) -> None:
    """With its reason and whose it was, also when it is withdrawn: the last 20 decisions, the newest last."""
    partner = await a_partner(house, "inbox:read", "comments:read")
    place = f"{partner.path}/meta-access"
    for number in range(22):
        body = {"scopes": ["inbox:read"], "reason": f"{REASON} {number}"}
        (await partner.owner.put(place, json=body)).raise_for_status()
    (await partner.owner.delete(place)).raise_for_status()
    shown = (await partner.owner.get(partner.path)).json()
    assert shown["meta_access"] is None
    assert [found["reason"] for found in shown["meta_decisions"]] == [f"{REASON} {number}" for number in range(2, 22)]
    assert {found["decided_by"] for found in shown["meta_decisions"]} == {shown["created_by"]}


async def test_a_second_secret_without_a_body(house: House) -> None:
    """It lives as long as usual."""
    partner = await a_partner(house)
    made = (await partner.owner.post(f"{partner.path}/secrets")).raise_for_status().json()
    assert made["expires_at"][:10] == f"{house.clock() + timedelta(days=90):%Y-%m-%d}"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["comments:read"], "reason": REASON}, "/scopes"),
        ({"scopes": ["label:read"], "reason": REASON}, "/scopes/0"),
        ({"scopes": [], "reason": REASON}, "/scopes"),
        ({"scopes": ["inbox:read"]}, "/reason"),
        ({"scopes": ["inbox:read"], "reason": "too short"}, "/reason"),
        ({"scopes": ["inbox:read"], "reason": "x" * 501}, "/reason"),
        ({"scopes": ["inbox:read"], "reason": REASON, "decided_by": "usr_1"}, ""),
    ],
    ids=str,
)
async def test_bad_decisions(house: House, body: Doc, pointer: str) -> None:
    """On what the client does not have or needs no decision, or without a reason: nothing is granted."""
    partner = await a_partner(house, "inbox:read", "label:read")
    answer = await partner.owner.put(f"{partner.path}/meta-access", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await partner.owner.get(partner.path)).json()["meta_access"] is None
    assert (await partner.owner.delete(f"{partner.path}/meta-access")).status_code == 404


async def test_if_match(house: House) -> None:
    """A change, a decision and a deletion can be bound to what was seen."""
    partner = await a_partner(house, "inbox:read")
    seen = (await partner.owner.get(partner.path)).headers["etag"]
    changed = await partner.owner.patch(partner.path, json={"name": "First"}, headers={"If-Match": seen})
    assert changed.headers["etag"] != seen
    decision = {"scopes": ["inbox:read"], "reason": REASON}
    late: list[tuple[str, str, Any]] = [
        ("PATCH", partner.path, {"name": "Second"}),
        ("PUT", f"{partner.path}/meta-access", decision),
        ("DELETE", f"{partner.path}/meta-access", None),
        ("DELETE", partner.path, None),
    ]
    for method, path, body in late:
        answer = await partner.owner.request(method, path, json=body, headers={"If-Match": seen})
        assert (answer.status_code, answer.json()["code"]) == (412, "stale_version")
    assert (await partner.owner.get(partner.path)).json() == changed.json()
    for method, path, body in late:
        tag = (await partner.owner.get(partner.path)).headers["etag"]
        answer = await partner.owner.request(method, path, json=body, headers={"If-Match": tag})
        assert answer.status_code in (200, 204), path
    assert (await partner.owner.get(partner.path)).status_code == 404


async def test_changes_at_once(house: House) -> None:
    """Ten of them, with one seen version: one goes through; without, all do, one after the other."""
    partner = await a_partner(house)
    seen = {"If-Match": (await partner.owner.get(partner.path)).headers["etag"]}
    names = [{"name": f"Name {number}"} for number in range(10)]
    bound = await asyncio.gather(*(partner.owner.patch(partner.path, json=name, headers=seen) for name in names))
    assert sorted(answer.status_code for answer in bound) == [200] + [412] * 9
    free = await asyncio.gather(*(partner.owner.patch(partner.path, json=name) for name in names))
    assert [answer.status_code for answer in free] == [200] * 10
    assert len({answer.headers["etag"] for answer in free}) == 10


async def test_every_change_is_in_the_audit_log(house: House) -> None:
    """Who, what, on what: ids and scopes, no names, no reason, no secret; in a chain that holds."""
    partner = await a_partner(house, "label:read", "inbox:read")
    key = partner.client["secrets"][0]["id"]
    second = (await partner.owner.post(f"{partner.path}/secrets", json={})).json()["id"]
    await partner.decide("inbox:read")
    await partner.owner.patch(partner.path, json={"name": "Some other name"})
    await partner.owner.patch(partner.path, json={})
    await partner.owner.delete(f"{partner.path}/meta-access")
    await partner.owner.delete(f"{partner.path}/secrets/{second}")
    await partner.owner.post(f"{partner.path}/secrets", json={"expires_in_days": 0})
    await partner.owner.delete(partner.path)
    client = partner.client["id"]
    rows = [row for row in await audit_rows(house, partner.label_id) if row["action"].split(".")[0] != "label"]
    assert [(row["action"], row["target"], row["details"]) for row in rows] == [
        ("client.made", client, {"scopes": "inbox:read label:read"}),
        ("secret.made", key, {"client": client}),
        ("secret.made", second, {"client": client}),
        ("meta_access.granted", client, {"scopes": "inbox:read"}),
        ("client.changed", client, {"fields": "name"}),
        ("meta_access.withdrawn", client, {"scopes": "inbox:read"}),
        ("secret.deleted", second, {"client": client}),
        ("client.deleted", client, {}),
    ]
    me = (await partner.owner.get("/v1/me")).json()["id"]
    assert {(row["actor"]["kind"], row["actor"]["id"]) for row in rows} == {("person", me)}
    place = {"label_id": partner.label_id, "chain": partner.label_id}
    assert (await check_chain(house.db, house.api.audit.key, **place, now=house.clock())).problem is None


async def test_owners_are_told_of_each_secret(house: House) -> None:
    """By a mail to each of them, with names and without a secret; of what was refused there is none."""
    owner = await house.person()
    label_id = await house.label(owner)
    await join(house, "second@example.com", label_id, "owner")
    admin = await join(house, "admin@example.com", label_id, "admin")
    partner = await another_client(house, admin, label_id)
    for _ in range(2):
        await admin.post(f"{partner.path}/secrets", json={})
    mails = await house.db.open("mails").find({"label_id": label_id, "template": "client_secret_made"}).to_list()
    assert len(mails) == 4
    facts = {"name": "A Person", "label": "Nightjar", "client": "Help desk"}
    assert [mail["facts"] for mail in mails] == [facts] * 4
    owners = await house.db.open("memberships").distinct("user_id", {"label_id": label_id, "role": "owner"})
    assert sorted(mail["user_id"] for mail in mails) == sorted(owners * 2)
    targets = await house.db.open("operations").distinct("target", {"label_id": label_id, "kind": "send_mail"})
    assert {mail["_id"] for mail in mails} <= set(targets)


async def test_other_labels_clients(house: House) -> None:
    """Are not there, for people of another label, under either label's path."""
    mine = await a_partner(house)
    theirs = await a_partner(house, email="other@example.com", slug="lowtide")
    before = await dump(house)
    secret_id = theirs.client["secrets"][0]["id"]
    for base in (mine.base, theirs.base):
        path = f"{base}/api-clients/{theirs.client['id']}"
        wishes: list[tuple[str, str, Any]] = [
            ("GET", path, None),
            ("PATCH", path, {"name": "Mine"}),
            ("POST", f"{path}/secrets", {}),
            ("DELETE", f"{path}/secrets/{secret_id}", None),
            ("PUT", f"{path}/meta-access", {"scopes": ["inbox:read"], "reason": REASON}),
            ("DELETE", f"{path}/meta-access", None),
            ("DELETE", path, None),
        ]
        for method, url, body in wishes:
            answer = await mine.owner.request(method, url, json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, url)
    assert await dump(house) == before


async def test_clients_are_listed_page_by_page(house: House) -> None:
    """The oldest first, each once; a cursor is good for its own label's list."""
    partner = await a_partner(house)
    made = [partner.client["id"]]
    made += [(await another_client(house, partner.owner, partner.label_id)).client["id"] for _ in range(4)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query: Doc = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await partner.owner.get(f"{partner.base}/api-clients", params=query)).raise_for_status().json()
        seen += [client["id"] for client in page["data"]]
        cursor = page["next_cursor"]
    assert seen == made
    bad: httpx.Response = await partner.owner.get(f"{partner.base}/api-clients", params={"cursor": "x"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_cursor")
