"""Our support looks into a label for a reason, for a while and visibly; and nobody else does."""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from app.accounts import change, main
from app.contract import generate
from app.db import Doc
from app.main import create_routes
from app.models.access import PERMISSIONS, Permission
from app.services.tokens import Claims
from tests.house import PASSWORD, House
from tools.child import ROOT

REASON = "Case 4711: an account does not connect"
AGENT = "agent@soundops.example"


async def user_id_of(person: httpx.AsyncClient) -> str:
    """Whose client it is."""
    return str((await person.get("/v1/me")).json()["id"])


async def staff(house: House, email: str = AGENT, *, second_factor: bool = True) -> httpx.AsyncClient:
    """A person of our support, as the operator's command leaves them."""
    person = await house.person(email)
    user_id = await user_id_of(person)
    await house.db.open("users").update_one({"_id": user_id}, {"$set": {"email_verified_at": house.clock()}})
    assert (await command(house, "make-staff", email))[0] == 0
    if second_factor:
        await house.db.open("second_factors").insert_one({"_id": user_id, "confirmed_at": house.clock()})
    return person


async def command(house: House, name: str, email: str = AGENT) -> tuple[int, str]:
    """What `python -m app.accounts` does, on the test's database."""
    return await change(house.db, house.api.audit, house.api.journal, name, email)


async def enter(person: httpx.AsyncClient, label_id: str, **changes: Any) -> httpx.Response:
    """Ask for access."""
    wish = {"reason": REASON, "minutes": 30} | changes
    return await person.post(f"/v1/labels/{label_id}/support-access", json=wish)


async def told(person: httpx.AsyncClient, label_id: str) -> list[Doc]:
    """What the label's log tells of our support, oldest first."""
    rows = (await person.get(f"/v1/labels/{label_id}/audit-log?limit=100")).raise_for_status().json()["data"]
    return [row for row in reversed(rows) if row["action"].startswith("support.")]


async def test_the_whole_story(house: House) -> None:
    """Opened, used, seen by the owner with its reason, and over when its time is over."""
    owner, agent = await house.person(), await staff(house)
    label_id, agent_id = await house.label(owner), await user_id_of(agent)
    path = f"/v1/labels/{label_id}"
    assert (await agent.get(path)).status_code == 404
    answer = await enter(agent, label_id)
    opened = answer.json()
    assert answer.status_code == 201 and answer.headers["etag"]
    assert opened | {"id": "", "created_at": "", "ends_at": ""} == {
        "id": "",
        "label_id": label_id,
        "user_id": agent_id,
        "reason": REASON,
        "created_at": "",
        "ends_at": "",
        "ended_by": None,
    }
    shown = await agent.get(path)
    assert (shown.status_code, shown.json()["role"]) == (200, None)
    assert (await agent.get(f"{path}/connections")).status_code == 200
    assert (await owner.get(f"{path}/support-access")).json() == {"data": [opened], "next_cursor": None}
    rows = await told(owner, label_id)
    assert [(row["action"], row["details"]) for row in rows] == [
        ("support.opened", {"minutes": "30"}),
        ("support.used", {"permission": "label:read"}),
        ("support.used", {"permission": "connections:read"}),
    ]
    assert {(row["actor"]["kind"], row["actor"]["id"], row["target"]) for row in rows} == {
        ("support", agent_id, opened["id"])
    }
    assert all(row["request_id"] and row["network"] for row in rows) and REASON not in str(rows)
    assert rows[1]["request_id"] == shown.headers["x-request-id"]
    assert (await owner.get(f"{path}/audit-log/integrity")).json()["intact"] is True
    house.clock.offset = timedelta(minutes=14)
    assert (await agent.get(path)).status_code == 200
    house.clock.offset = timedelta(minutes=30, seconds=1)
    session = await house.db.open("sessions").find_one({"user_id": agent_id})
    assert session is not None
    later = house.api.signer.issue(Claims(agent_id, session["_id"]), now=house.clock())
    agent.headers["Authorization"] = f"Bearer {later}"
    assert (await agent.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"reason": "too short"}, "/reason"),
        ({"reason": " " * 20}, "/reason"),
        ({"reason": "two lines\nof a reason"}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"minutes": 4}, "/minutes"),
        ({"minutes": 61}, "/minutes"),
        ({"user_id": "usr_other"}, ""),
    ],
)
async def test_a_reason_and_a_time_are_needed(house: House, changes: Doc, pointer: str) -> None:
    """Without either nothing is opened; who it is for cannot be said."""
    owner, agent = await house.person(), await staff(house)
    label_id = await house.label(owner)
    refused = await enter(agent, label_id, **changes)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await agent.get(f"/v1/labels/{label_id}")).status_code == 404
    assert await told(owner, label_id) == []


async def test_for_everybody_else_there_is_nothing(house: House) -> None:
    """Strangers and the label's own people get the answer of a label that is not there; and so does staff for that."""
    owner, stranger, agent = await house.person(), await house.person("s@example.com"), await staff(house)
    label_id = await house.label(owner)
    answers = [
        await enter(person, where)
        for person, where in ((stranger, label_id), (stranger, "lbl_none"), (owner, label_id), (agent, "lbl_none"))
    ]
    seen = [answer.json() | {"request_id": ""} for answer in answers]
    assert all(answer.status_code == 404 and one == seen[0] for answer, one in zip(answers, seen, strict=True))
    assert (await enter(house.http, label_id)).status_code == 401
    assert (await stranger.get(f"/v1/labels/{label_id}/support-access")).status_code == 404
    assert await told(owner, label_id) == []


async def test_staff_need_a_second_factor(house: House) -> None:
    """A confirmed one: that they began to set one up is not enough."""
    owner, agent = await house.person(), await staff(house, second_factor=False)
    label_id, agent_id = await house.label(owner), await user_id_of(agent)
    factors = house.db.open("second_factors")
    assert (await enter(agent, label_id)).status_code == 403
    await factors.insert_one({"_id": agent_id, "confirmed_at": None})
    refused = await enter(agent, label_id)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await agent.get(f"/v1/labels/{label_id}")).status_code == 404
    await factors.update_one({"_id": agent_id}, {"$set": {"confirmed_at": house.clock()}})
    assert (await enter(agent, label_id)).status_code == 201


async def test_staff_need_a_fresh_login(house: House) -> None:
    """One of a quarter of an hour ago is none."""
    owner, agent = await house.person(), await staff(house)
    label_id = await house.label(owner)
    session = {"user_id": await user_id_of(agent)}
    earlier = {"$set": {"authenticated_at": house.clock() - timedelta(minutes=16)}}
    await house.db.open("sessions").update_many(session, earlier)
    refused = await enter(agent, label_id)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")


async def test_who_is_staff_no_more_is_out_at_once(house: House) -> None:
    """Their access ends, in every label's log, and does not come back when they are staff again."""
    owner, agent = await house.person(), await staff(house)
    label_id = await house.label(owner)
    assert (await enter(agent, label_id)).status_code == 201
    status, sentence = await command(house, "end-staff")
    assert status == 0 and "staff no more; 1 open access" in sentence
    assert (await agent.get(f"/v1/labels/{label_id}")).status_code == 404
    assert (await enter(agent, label_id)).status_code == 404
    last = (await told(owner, label_id))[-1]
    assert (last["action"], last["actor"]) == ("support.ended", {"kind": "system", "id": "soundops"})
    assert (await command(house, "make-staff"))[0] == 0
    assert (await agent.get(f"/v1/labels/{label_id}")).status_code == 404


async def test_the_flag_alone_decides(house: House) -> None:
    """An access that is open gives nothing to who is not staff, however that came about."""
    owner, agent = await house.person(), await staff(house)
    label_id = await house.label(owner)
    await enter(agent, label_id)
    await house.db.open("users").update_one({"_id": await user_id_of(agent)}, {"$set": {"staff": False}})
    assert (await agent.get(f"/v1/labels/{label_id}")).status_code == 404


@pytest.mark.parametrize("by_owner", [True, False])
async def test_it_can_be_ended_at_once(house: House, by_owner: bool) -> None:
    """By an owner, or by the person themselves; twice does no harm and is told once."""
    owner, agent = await house.person(), await staff(house)
    label_id = await house.label(owner)
    path = f"/v1/labels/{label_id}/support-access"
    opened = (await enter(agent, label_id)).json()
    ender = owner if by_owner else agent
    assert (await ender.delete(f"{path}/{opened['id']}")).status_code == 204
    assert (await agent.get(f"/v1/labels/{label_id}")).status_code == 404
    assert (await owner.delete(f"{path}/{opened['id']}")).status_code == 204
    ended = [row for row in await told(owner, label_id) if row["action"] == "support.ended"]
    assert [(row["actor"]["id"], row["target"]) for row in ended] == [(await user_id_of(ender), opened["id"])]
    [shown] = (await owner.get(path)).json()["data"]
    assert shown["ended_by"] == await user_id_of(ender) and shown["ends_at"] < opened["ends_at"]
    assert (await enter(agent, label_id)).status_code == 201


async def test_only_the_labels_own_can_be_ended(house: House) -> None:
    """Another label's access is not there, neither in the path of that label nor in that of one's own."""
    owner, jonas, agent = await house.person(), await house.person("jonas@example.com"), await staff(house)
    label_id, other = await house.label(owner), await house.label(jonas, "lowtide")
    opened = (await enter(agent, label_id)).json()
    for label in (label_id, other):
        answer = await jonas.delete(f"/v1/labels/{label}/support-access/{opened['id']}")
        assert answer.status_code == 404
    assert (await agent.get(f"/v1/labels/{label_id}")).status_code == 200
    assert (await agent.get(f"/v1/labels/{other}")).status_code == 404


async def test_one_access_at_a_time(house: House) -> None:
    """Of ten attempts at once one succeeds: so what the owner ends is all there is."""
    owner, agent = await house.person(), await staff(house)
    label_id = await house.label(owner)
    answers = await asyncio.gather(*(enter(agent, label_id) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert [row["action"] for row in await told(owner, label_id)] == ["support.opened"]


async def test_support_can_only_look(house: House) -> None:
    """Of every route of a label: what the table does not mark is refused, and only ending their own access writes."""
    owner, agent = await house.person(), await staff(house)
    label_id = await house.label(owner)
    opened = (await enter(agent, label_id)).json()
    tried, allowed = 0, set()
    for path, methods in generate(create_routes())["paths"].items():
        for method, operation in methods.items():
            if "{label_id}" not in path or operation["x-access"] not in PERMISSIONS:
                continue
            if operation["operationId"] == "endSupportAccess":
                continue  # last, or there would be nothing left to try
            rule = PERMISSIONS[cast(Permission, operation["x-access"])]
            url = path.replace("{label_id}", label_id).replace("{", "").replace("}", "")
            answer = await agent.request(method.upper(), url, json={} if method in ("post", "patch", "put") else None)
            assert (answer.status_code == 403) is not rule.support, (method, path, answer.status_code)
            tried += 1
            if rule.support:
                assert method == "get", (method, path)
                allowed.add(operation["x-access"])
    assert tried >= 15 and "inbox:read" not in allowed and "comments:read" not in allowed
    assert {"label:read", "audit:read", "connections:read", "operations:read"} <= allowed
    assert {name for name, rule in PERMISSIONS.items() if rule.support} - {"support:end"} <= {
        name for name in PERMISSIONS if name.endswith(":read")
    }
    assert (await agent.delete(f"/v1/labels/{label_id}/support-access/{opened['id']}")).status_code == 204


async def test_the_command_says_what_it_did(house: House) -> None:
    """And the account's own log does; an address that nobody has confirmed makes nobody staff."""
    person = await house.person(AGENT)
    user_id = await user_id_of(person)
    assert (await command(house, "make-staff", "nobody@example.com"))[0] == 1
    status, sentence = await command(house, "make-staff")
    assert status == 1 and "not confirmed" in sentence
    await house.db.open("users").update_one({"_id": user_id}, {"$set": {"email_verified_at": house.clock()}})
    said = [
        await command(house, name, "Agent@SoundOps.example")
        for name in ("make-staff", "make-staff", "end-staff", "end-staff")
    ]
    assert [status for status, _ in said] == [0, 0, 0, 0]
    for (_, sentence), words in zip(said, ("is staff now", "already", "no more", "was not staff"), strict=True):
        assert user_id in sentence and words in sentence and "@" not in sentence
    rows = (await person.get("/v1/me/audit-log")).json()["data"]
    told = [(row["action"], row["target"], row["actor"]["id"]) for row in rows if row["action"].startswith("staff.")]
    assert told == [("staff.revoked", user_id, "soundops"), ("staff.granted", user_id, "soundops")]


async def test_the_command_runs(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """From a shell, with the settings of the API; and explains itself to who does not know it."""
    await house.person(AGENT)
    await house.db.open("users").update_one({"email_key": AGENT}, {"$set": {"email_verified_at": house.clock()}})
    settings = house.api.settings
    told = {
        f"SOUNDOPS_{name.upper()}": value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in settings
        if value is not None
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.accounts", "make-staff", AGENT),
        cwd=ROOT,
        env=dict(os.environ) | told,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0 and b"is staff now" in said
    [row] = await house.db.open("audit_log").find({"label_id": None, "action": "staff.granted"}).to_list()
    person = await house.db.open("users").find_one({"email_key": AGENT})
    assert person is not None and row["chain"] == person["_id"] and person["staff"] is True
    assert [main(arguments) for arguments in ([], ["make-staff"], ["promote", AGENT])] == [2, 2, 2]
    assert "python -m app.accounts COMMAND EMAIL" in capsys.readouterr().err


async def test_the_command_disables_accounts_too(house: House) -> None:
    """From the next request on, until they are enabled; both are in the account's own chain."""
    person = await house.person(AGENT)
    assert (await command(house, "disable"))[0] == 0
    assert (await person.get("/v1/me")).status_code == 401
    assert (await command(house, "enable"))[0] == 0
    login = {"email": AGENT, "password": PASSWORD}
    assert (await house.http.post("/v1/sessions", json=login)).status_code == 200
    rows = await house.db.open("audit_log").find({"label_id": None}).sort("seq", 1).to_list()
    assert [row["action"] for row in rows if row["actor"]["kind"] == "system"] == [
        "account.disabled",
        "account.enabled",
    ]
