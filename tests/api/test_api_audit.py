"""The audit log: readable by owners alone, without a word about anybody, and it tells of connections."""

import ast
import asyncio
import re
from datetime import timedelta
from typing import get_args

import bson
import httpx
import pytest

from app.contract import generate
from app.db import Doc
from app.ids import new_id
from app.main import create_routes
from app.models.access import Role
from app.services.audit import ACTION, SYSTEM, By
from app.services.connections import store
from tests.api.audit_chain import LABEL, add, check
from tests.house import House
from tools.child import ROOT


async def member(house: House, label_id: str, role: Role) -> httpx.AsyncClient:
    """A person who works for the label in this role."""
    person = await house.person(f"{role}@example.com")
    user_id = (await person.get("/v1/me")).json()["id"]
    await house.db.open("memberships").insert_one(
        {"_id": new_id("mbr"), "label_id": label_id, "user_id": user_id, "role": role, "created_at": house.clock()}
    )
    return person


async def test_owners_read_the_log(house: House) -> None:
    """Newest first, in pages that stay put; and by who, what and when."""
    owner = await house.person()
    label_id = await house.label(owner)
    path = f"/v1/labels/{label_id}/audit-log"
    first = len((await owner.get(path)).json()["data"])
    await add(house, 3, label_id=label_id, details={"role": "agent"})
    later = house.clock()
    await add(house, 2, label_id=label_id, by=SYSTEM, action="thing.undone", now=later + timedelta(seconds=1))
    rows: list[Doc] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await owner.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        rows, cursor = rows + page["data"], page["next_cursor"]
        await add(house, 1, label_id=label_id, by=SYSTEM)
    assert [found["seq"] for found in rows] == list(range(first + 5, 0, -1))
    shown = {key: value for key, value in rows[2].items() if key not in ("id", "at")}
    assert shown == {
        "seq": first + 3,
        "actor": {"kind": "person", "id": "usr_mara"},
        "action": "thing.done",
        "target": "thg_1",
        "details": {"role": "agent"},
        "network": "203.0.113.0/24",
        "request_id": "req_1",
    }
    asked: list[tuple[Doc, int]] = [
        ({"actor": "usr_mara"}, 3),
        ({"action": "thing.undone"}, 2),
        ({"actor": "usr_mara", "action": "thing.undone"}, 0),
        ({"actor": "usr_mara", "to": later.isoformat()}, 3),
        ({"action": "thing.undone", "from": later.isoformat()}, 2),
        ({"action": "thing.undone", "to": later.isoformat()}, 0),
    ]
    for query, count in asked:
        answer = await owner.get(path, params=query)
        assert len(answer.json()["data"]) == count, query
    part = (await owner.get(path, params={"limit": 1, "actor": "usr_mara"})).json()["next_cursor"]
    other = await owner.get(path, params={"limit": 1, "actor": "soundops", "cursor": part})
    assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")
    for query in ({"from": "yesterday"}, {"action": "DROP"}, {"actor": "x" * 65}):
        assert (await owner.get(path, params=query)).status_code == 422


async def test_owners_check_the_log(house: House) -> None:
    """And see where it was touched."""
    owner = await house.person()
    label_id = await house.label(owner)
    await add(house, 5, label_id=label_id)
    path = f"/v1/labels/{label_id}/audit-log/integrity"
    count = await house.db.open("audit_log").count_documents({"label_id": label_id})
    good = {"intact": True, "checked": count, "first_broken_seq": None, "problem": None}
    assert (await owner.get(path)).json() == good
    await house.db.open("audit_log").update_one({"label_id": label_id, "seq": 2}, {"$set": {"target": "thg_2"}})
    bad = {"intact": False, "checked": 1, "first_broken_seq": 2, "problem": "changed"}
    assert (await owner.get(path)).json() == bad


async def test_nobody_else_reads_it(house: House) -> None:
    """Other roles are refused; for strangers there is nothing, for nobody a log-in."""
    owner, stranger = await house.person(), await house.person("stranger@example.com")
    label_id = await house.label(owner)
    for path in (f"/v1/labels/{label_id}/audit-log", f"/v1/labels/{label_id}/audit-log/integrity"):
        assert (await stranger.get(path)).status_code == 404
        assert (await house.http.get(path)).status_code == 401
    for role in get_args(Role):
        person = owner if role == "owner" else await member(house, label_id, role)
        answers = [await person.get(f"/v1/labels/{label_id}/audit-log{end}") for end in ("", "/integrity")]
        assert {answer.status_code for answer in answers} == {200 if role == "owner" else 403}, role


async def test_people_read_what_happened_to_their_account(house: House) -> None:
    """Each their own alone: which log-in, from which network, when."""
    mara, jonas = await house.person("mara@example.com"), await house.person("jonas@example.com")
    user_id = (await mara.get("/v1/me")).json()["id"]
    by = By("person", user_id, "203.0.113.0/24", "req_9")
    told = {"chain": user_id, "target": "ses_1", "details": {"second_factor": "yes"}, "now": house.clock()}
    await house.api.audit.record(by, "session.observed", **told)
    seen = (await mara.get("/v1/me/audit-log", params={"action": "session.observed"})).json()["data"]
    assert [(row["actor"]["id"], row["target"], row["network"]) for row in seen] == [(user_id, "ses_1", by.network)]
    assert (await jonas.get("/v1/me/audit-log", params={"actor": user_id})).json()["data"] == []
    assert (await house.http.get("/v1/me/audit-log")).status_code == 401


async def test_no_row_says_who_somebody_is(connected_house: House) -> None:
    """After registering, logging in, connecting and answering: no name, address, host, slug or word in any row."""
    house = connected_house
    owner = await house.person("canary.person@example.com")
    label_id = await house.label(owner, "canary-slug")
    await house.connect(owner, label_id)
    written = await house.fan_writes("mara", "the canary words of a fan")
    path = f"/v1/labels/{label_id}/conversations"
    conversation = (await owner.get(path)).json()["data"][0]["id"]
    await owner.post(f"{path}/{conversation}/messages", json={"text": "the canary answer"})
    await house.work()
    await owner.patch(f"/v1/labels/{label_id}", json={"name": "Canary Records"})
    rows = [row async for row in house.db.open("audit_log").find({}, comment="all-labels: a test's dump")]
    assert len(rows) >= 2
    without_macs = [{name: value for name, value in row.items() if name not in ("mac", "before")} for row in rows]
    stored = b"".join(bson.encode(row) for row in without_macs)
    canaries = ["canary", "Canary", "A Person", "Nightjar", "nightjar.records", "mara", "127.0.0.1"]
    assert "@" not in repr(without_macs)  # of bytes, one in a hundred times or sizes has it by chance
    assert [one for one in [*canaries, written["igsid"], written["mid"]] if one.encode() in stored] == []


async def test_the_story_of_a_connection_is_told(connected_house: House) -> None:
    """Who began it, that it was connected, and that its token died; each once."""
    house = connected_house
    owner = await house.person()
    label_id = await house.label(owner)
    user_id = (await owner.get("/v1/me")).json()["id"]
    connection = await house.connect(owner, label_id)
    await house.fan_writes("mara", "Hello")
    await house.db.open("secrets").delete_many({"label_id": label_id})
    path = f"/v1/labels/{label_id}/conversations"
    conversation = (await owner.get(path)).json()["data"][0]["id"]
    for text in ("One", "Two"):
        await owner.post(f"{path}/{conversation}/messages", json={"text": text})
    for _ in range(3):
        await house.work()
    rows = (await owner.get(f"/v1/labels/{label_id}/audit-log")).json()["data"]
    told = [row for row in reversed(rows) if row["target"] == connection["id"]]
    assert [(row["action"], row["actor"]["id"], row["details"]) for row in told] == [
        ("connection.begun", user_id, {"provider": "instagram", "features": "comments messages"}),
        ("connection.connected", "soundops", {"features": "comments messages"}),
        ("connection.needs_reauth", "soundops", {"problem": "token_unreadable"}),
    ]
    assert (await check(house, label_id)).problem is None


async def test_a_dead_token_is_told_once(house: House) -> None:
    """However many messages find it dead: when they come at once, and later."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id)

    async def mark(found: Doc) -> bool:
        told: Doc = {"status": "needs_reauth", "problem": "token_dead", "by": SYSTEM, "now": house.clock()}
        return await store.mark(house.db, house.api.audit, found, **told)

    assert sorted(await asyncio.gather(*(mark(connection) for _ in range(5)))) == [False] * 4 + [True]
    assert await mark(await store.need(house.db, label_id, connection["_id"])) is False
    rows = (await owner.get(f"/v1/labels/{label_id}/audit-log?action=connection.needs_reauth")).json()["data"]
    assert [row["target"] for row in rows] == [connection["_id"]]


async def test_a_refused_connection_is_told(house: House) -> None:
    """The account's owner said no, from where."""
    owner = await house.person()
    label_id = await house.label(owner)
    wish = {"provider": "instagram", "features": ["messages"]}
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=wish)).raise_for_status().json()
    state = httpx.URL(begun["authorize_url"]).params["state"]
    answer = await owner.get("/v1/oauth/callback/instagram", params={"state": state, "error": "access_denied"})
    assert answer.status_code == 200
    [row] = (await owner.get(f"/v1/labels/{label_id}/audit-log?action=connection.refused")).json()["data"]
    assert (row["target"], row["details"], row["actor"]["kind"]) == (
        begun["id"],
        {"problem": "access_denied"},
        "person",
    )
    assert row["network"] and row["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("removed", {}),
        ("Member.removed", {}),
        ("member.removed", {"target": "mara@example.com"}),
        ("member.removed", {"details": {"to": "mara@example.com"}}),
        ("member.removed", {"details": {"text": "two\nlines"}}),
    ],
)
async def test_only_codes_are_recorded(house: House, action: str, more: Doc) -> None:
    """An action is `noun.verb`, and no address passes; what is refused leaves nothing behind."""
    with pytest.raises(ValueError, match="ids and codes"):
        await add(house, 1, action=action, **more)
    assert await house.db.open("audit_log").count_documents({"label_id": LABEL}) == 0


def test_every_action_is_a_noun_and_a_verb() -> None:
    """Of each call of `record` in the code that names its action itself."""
    found = []
    for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record"):
                continue
            given = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "action")]
            found += [str(one.value) for one in given if isinstance(one, ast.Constant)]
    assert len(found) >= 3 and [action for action in found if not ACTION.fullmatch(action)] == []


def test_no_route_changes_the_log() -> None:
    """What the contract has of it can be read, and nothing else."""
    paths = generate(create_routes())["paths"]
    methods = {path: set(found) for path, found in paths.items() if re.search("audit", path)}
    assert len(methods) == 3 and set().union(*methods.values()) == {"get"}
    assert {found["get"]["x-access"] for path, found in paths.items() if "audit" in path} == {"audit:read", "person"}
