"""The privacy policy: its text as published, who accepts which version, and a change that everybody hears of once."""

import asyncio
import html
import os
import re
import signal
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.db import create_indexes
from app.models.drills import Point
from app.models.policies import POLICIES, Policies, make_policy
from app.services.mail import letters
from app.services.policies import telling
from tests.house import PASSWORD, House, open_house, settings_env
from tools.child import ROOT

PINNED = {"2026-03-13": "ccca8b1df56dcac274556df955e5ad70f05aeec63f23727a9a4e2e19a71d5e87"}
"""What was published is never edited."""
NEXT: Policies = (*POLICIES, make_policy("2027-03-01", "Another text.", material=True, changes="We count clicks."))
THEN: Policies = (*NEXT, make_policy("2027-04-01", "A comma.", material=False, changes="A comma."))


def publish(house: House, policies: Policies) -> None:
    """Have these versions be the ones that there are, as a deployment would."""
    house.api.policies = house.worker.policies = policies


async def notices(house: House) -> list[str]:
    """Who was sent a mail about a change, each as often as it was."""
    found = house.db.open("mails").find({"label_id": None, "template": "policy_changed"})
    return sorted([mail["user_id"] async for mail in found])


async def id_of(person: httpx.AsyncClient) -> str:
    """The person's id."""
    return str((await person.get("/v1/me")).json()["id"])


def test_published_texts_stay() -> None:
    """Byte for byte; versions are days, in order; the day stands in the text; what has changed fits into the mail."""
    assert {policy.version: policy.sha256 for policy in POLICIES} == PINNED
    assert [policy.version for policy in POLICIES] == sorted(policy.version for policy in POLICIES)
    for policy in POLICIES:
        assert f"Last updated: {policy.updated_on:%-d %B %Y}" in policy.text
        assert letters.words_only(policy.changes) == policy.changes


async def test_versions_can_be_read_by_anybody(house: House) -> None:
    """With their hashes, and the text; kept by caches, and not sent again."""
    publish(house, NEXT)
    listed = await house.http.get("/v1/privacy/policies")
    shown = [(one["version"], one["current"], one["material"]) for one in listed.json()["data"]]
    assert shown == [("2027-03-01", True, True), ("2026-03-13", False, False)]
    text = await house.http.get(listed.json()["data"][1]["url"])
    assert text.json()["text"] == POLICIES[0].text and text.json()["sha256"] == PINNED["2026-03-13"]
    again = await house.http.get("/v1/privacy/policies", headers={"If-None-Match": listed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await house.http.get("/v1/privacy/policies/2020-01-01")).status_code == 404


async def test_the_policy_is_a_page(house: House) -> None:
    """Every line of it, the "Last updated" one too, in its place; without scripts; the current one."""
    page = await house.http.get("/privacy/policy")
    policy = page.headers["content-security-policy"]
    assert page.status_code == 200 and "default-src 'none'" in policy and "<script" not in page.text
    shown = re.sub(r"<[^>]+>", "", page.text.partition("<main>")[2].partition("</main>")[0])
    lines = [line.removeprefix("- ") for line in POLICIES[0].text.splitlines() if line]
    assert [html.unescape(line) for line in shown.splitlines() if line] == lines
    assert "<h2>5. Data from Meta Products" in page.text and "<h3>2.1 Information You Provide</h3>" in page.text
    publish(house, NEXT)
    assert "<h1>Another text.</h1>" in (await house.http.get("/privacy/policy")).text


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("2027-03-01", "2027-03-01"), ("2026-03-13", "2026-03-13"), ("2027-03-02", "0"), ("1", "0")],
)
async def test_an_account_has_accepted_what_was_posted_alone(house: House, version: str, accepted: str) -> None:
    """Who registers by an app that shows an older version, or none that was ever posted, is asked for the newest."""
    publish(house, NEXT)
    body = {"name": "M", "email": "m@example.com", "password": PASSWORD, "date_of_birth": "1990-05-17"}
    made = (await house.http.post("/v1/users", json=body | {"policy_version": version})).raise_for_status().json()
    assert made["policy_version"] == accepted
    asked = made["policy_change"]["version"] if made["policy_change"] else None
    assert asked == (None if version == "2027-03-01" else "2027-03-01")
    [stored] = await house.db.open("users").find({}).to_list()
    assert [one["version"] for one in stored["policy_acceptances"]] == ([] if accepted == "0" else [accepted])


async def test_who_has_accepted_nothing_is_asked_although_nothing_has_changed(house: House) -> None:
    """And has accepted it then."""
    asked = await house.person("m@example.com", policy_version="2026-11")
    assert (await asked.get("/v1/me")).json()["policy_change"]["version"] == "2026-03-13"
    (await asked.post("/v1/me/policy-acceptances", json={"version": "2026-03-13"})).raise_for_status()
    me = (await asked.get("/v1/me")).json()
    assert (me["policy_version"], me["policy_change"]) == ("2026-03-13", None)


async def test_a_material_change_is_told_once(house: House) -> None:
    """By mail and in the account, until it is accepted; whoever comes later has accepted it; a comma is not told."""
    mara, jonas = await house.person("mara@example.com"), await house.person("jonas@example.com")
    await house.work()
    assert await notices(house) == []
    publish(house, NEXT)
    shown = (await mara.get("/v1/me")).json()["policy_change"]
    assert (shown["version"], shown["noticed_at"]) == ("2027-03-01", None)
    for _ in range(3):
        await house.work()
    assert await notices(house) == sorted([await id_of(mara), await id_of(jonas)])
    [mail] = [one for one in await house.mails("mara@example.com") if "policy" in one["subject"]]
    assert "We count clicks." in mail["text"] and "privacy?version=2027-03-01" in mail["text"]
    assert (await mara.get("/v1/me")).json()["policy_change"]["noticed_at"]
    accepted = await mara.post("/v1/me/policy-acceptances", json={"version": "2027-03-01"})
    assert (accepted.status_code, accepted.json()["sha256"]) == (201, NEXT[-1].sha256)
    again = await mara.post("/v1/me/policy-acceptances", json={"version": "2027-03-01"})
    assert again.json() == accepted.json()
    me = (await mara.get("/v1/me")).json()
    assert (me["policy_version"], me["policy_change"]) == ("2027-03-01", None)
    for version in ("2026-03-13", "2030-01-01"):
        assert (await mara.post("/v1/me/policy-acceptances", json={"version": version})).status_code == 422
    stored = await house.db.open("users").find_one({"_id": me["id"]})
    assert stored is not None
    assert [one["version"] for one in stored["policy_acceptances"]] == ["2026-03-13", "2027-03-01"]
    publish(house, THEN)
    await house.work()
    assert len(await notices(house)) == 2
    assert (await jonas.get("/v1/me")).json()["policy_change"]["version"] == "2027-03-01"


@pytest.mark.parametrize("field", ["disabled_at", "erasure_due_at"])
async def test_who_is_away_is_told_when_they_are_back(house: House, field: str) -> None:
    """Who is disabled or going to be erased has no account that they could use; once they have, they are active."""
    user_id = await id_of(await house.person())
    users = house.db.open("users")
    await users.update_one({"_id": user_id}, {"$set": {field: house.clock() + timedelta(days=3)}})
    publish(house, NEXT)
    await house.work()
    assert await notices(house) == []
    await users.update_one({"_id": user_id}, {"$unset": {field: ""}})
    for _ in range(2):
        await house.work()
    assert await notices(house) == [user_id]


async def test_two_workers_tell_everybody_once(house: House) -> None:
    """At the same moment."""
    people = [await house.person(f"p{n}@example.com") for n in range(6)]
    await asyncio.gather(*(telling.tell(house.db, NEXT, now=house.clock()) for _ in range(4)))
    assert await notices(house) == sorted([await id_of(person) for person in people])


@pytest.mark.timeout(240)
async def test_wherever_the_teller_dies(
    brief_mongodb_url: str, redis_url: str, key_folder: Path, postbox: str, smtp_url: str
) -> None:
    """Killed at every step, again and again: each person has one notice, of one operation."""
    env = settings_env(key_folder, mongodb_url=brief_mongodb_url, redis_url=redis_url, smtp_url=smtp_url)
    async with open_house(env, postbox_url=postbox) as house:
        await create_indexes(house.db)
        people = [await house.person(f"p{n}@example.com") for n in range(4)]
        points: tuple[Point, ...] = ("notice_committed", "notice_committed", "notice_written")
        for point in points:
            drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": "1"}
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.dying_teller"), cwd=ROOT, env=os.environ | env | drill
            )
            assert await process.wait() == -signal.SIGKILL, point
        publish(house, NEXT)
        await house.work()
        assert await notices(house) == sorted([await id_of(person) for person in people])
        for n in range(4):
            mails = await house.mails(f"p{n}@example.com")
            assert len([mail for mail in mails if "policy" in mail["subject"]]) == 1
