"""Marketing mail: to who consents and nobody else, once, citing the consent; one click ends it, a look does not."""

import asyncio
import os
import re
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db import Doc, create_indexes
from app.models.drills import Point
from app.services.consents import suppression
from app.services.marketing import campaigns, links
from app.services.marketing.permits import campaigning
from tests.flows.flows_harness import pass_by
from tests.house import House, open_house, settings_env
from tools.child import ROOT
from workers import jobs, marketing

TITLE, BODY = "Rules that answer", ["Fans who write at night get an answer.", "Try it."]
LIST = "List-Unsubscribe"


async def reader(house: House, email: str, *, confirmed: bool = True, opted_in: bool = True) -> httpx.AsyncClient:
    """Somebody who wants such mails and has confirmed their address, or has not."""
    person = await house.person(email)
    if confirmed:
        now: Doc = {"$set": {"email_verified_at": house.clock()}}
        await house.db.open("users").update_one({"email_key": email}, now)
    if opted_in:
        (await person.put("/v1/me/consents", json={"marketing_mail": True})).raise_for_status()
    return person


async def campaign(house: House) -> str:
    """Start one."""
    return await campaigns.start(house.db, TITLE, BODY, now=house.clock())


async def send_all(house: House, times: int = 4) -> None:
    """Let the worker work until nobody is left."""
    for _ in range(times):
        await house.work()
        pass_by(house, timedelta(seconds=11))


async def ads(house: House, email: str) -> list[Any]:
    """The marketing mails that have arrived."""
    return [mail for mail in await house.mails(email) if mail["subject"] == TITLE]


def link_in(mail: Doc) -> str:
    """Where the one click goes."""
    found = re.fullmatch(r"<(http\S+)>", re.sub(r"\s", "", dict(mail["headers"])[LIST]))
    assert found
    return found[1]


def path_of(link: str) -> str:
    """The same, without the host."""
    return httpx.URL(link).path


async def test_only_confirmed_opt_ins_are_mailed(house: House) -> None:
    """Each once; unconfirmed, unasked, withdrawn, disabled and suppressed ones never; each mail cites its consent."""
    yes = await reader(house, "yes@example.com")
    await reader(house, "unconfirmed@example.com", confirmed=False)
    await reader(house, "unasked@example.com", opted_in=False)
    no = await reader(house, "no@example.com")
    (await no.put("/v1/me/consents", json={"marketing_mail": False})).raise_for_status()
    await reader(house, "away@example.com")
    await house.db.open("users").update_one({"email_key": "away@example.com"}, {"$set": {"disabled_at": house.clock()}})
    await reader(house, "gone@example.com")
    key = campaigning(house.worker.settings).suppression_key
    await suppression.suppress(house.db, key, "Gone@Example.com", now=house.clock() + timedelta(seconds=1))
    made = await campaign(house)
    await send_all(house)
    [mail] = await ads(house, "yes@example.com")
    for name in ("unconfirmed", "unasked", "no", "away", "gone"):
        assert await ads(house, f"{name}@example.com") == [], name
    [row] = (await yes.get("/v1/me/consents")).json()["decisions"]
    assert all(part in mail["text"] and part in mail["html"] for part in (*BODY, row["id"], row["at"][:10]))
    stored = await house.db.open("mails").find({"label_id": None, "campaign_id": made}).to_list()
    assert [(one["consent_id"], one["state"]) for one in stored] == [(row["id"], "sent")]
    assert (await marketing.run(house.db, "show", made, agreed=True))[1] == "sent: 1 sent."


async def test_one_click_works_at_once_and_again(house: House) -> None:
    """The headers of RFC 8058; POST without a cookie, in either kind of form; a scanner's GET changes nothing."""
    person = await reader(house, "mara@example.com")
    await campaign(house)
    await send_all(house)
    [mail] = await ads(house, "mara@example.com")
    headers = dict(mail["headers"])
    assert headers[f"{LIST}-Post"] == "List-Unsubscribe=One-Click"
    link = link_in(mail)
    assert link.startswith("http://127.0.0.1:8000/v1/unsubscribe/sot_") and link in mail["text"].split()
    for method in ("GET", "HEAD"):
        looked = await house.http.request(method, path_of(link))
        assert looked.status_code == 200 and "set-cookie" not in looked.headers
    page = (await house.http.get(path_of(link))).text
    assert '<form method="post"><button type="submit">' in page and "<script" not in page
    assert (await person.get("/v1/me/consents")).json()["marketing_mail"] is True
    click = {LIST: "One-Click"}
    for form in ({"data": click}, {"files": {LIST: (None, "One-Click")}}, {}):
        done = await house.http.post(path_of(link), **form)
        assert done.status_code == 200 and "unsubscribed" in done.text and "set-cookie" not in done.headers
    told = await house.http.post(path_of(link), headers={"Accept": "application/json"})
    assert told.json() == {"unsubscribed": True}
    shown = (await person.get("/v1/me/consents/history")).json()["data"]
    assert [(row["decision"], row["how"]) for row in shown] == [("withdrawn", "mail_link"), ("given", "settings")]
    await campaign(house)
    await send_all(house)
    assert len(await ads(house, "mara@example.com")) == 1


async def test_the_page_is_strict(house: House) -> None:
    """No script, no other address, a form to itself alone; a wrong token is told apart, and names nobody."""
    token = links.token_of(house.api.link_key, links.Recipient("usr_1", "ab" * 32))
    page = await house.http.get(f"/v1/unsubscribe/{token}")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "form-action 'self'" in policy and "script" not in policy
    for wrong in ("sot_", "x", token[:-2] + "AA", "sot_" + "A" * 80, "sot_é"):
        for method in ("GET", "POST"):
            answer = await house.http.request(method, f"/v1/unsubscribe/{wrong}")
            assert answer.status_code == 404 and "not one of ours" in answer.text, wrong
    json = await house.http.post("/v1/unsubscribe/x", headers={"Accept": "application/json"})
    assert json.json()["code"] == "not_found"
    assert await house.db.open("suppressions").count_documents({}) == 0


async def test_what_is_queued_stops(house: House) -> None:
    """A withdrawal, a suppression, an objection, another consent, a stop: each before the mail goes."""
    names = ("withdraws", "objects", "again", "suppressed", "stays")
    people = {name: await reader(house, f"{name}@example.com") for name in names}
    made = await campaign(house)
    operation = await house.db.open("operations").find_one({"label_id": None, "target": made})
    assert operation is not None
    await jobs.run_operation({"parts": house.worker}, operation["_id"])
    assert await house.db.open("mails").count_documents({"label_id": None, "campaign_id": made}) == 5
    for name in ("withdraws", "again"):
        (await people[name].put("/v1/me/consents", json={"marketing_mail": False})).raise_for_status()
    (await people["again"].put("/v1/me/consents", json={"marketing_mail": True})).raise_for_status()
    user_id = (await people["objects"].get("/v1/me")).json()["id"]
    objects: Doc = {"_id": user_id, "objections": {"marketing_mail": house.clock()}}
    await house.db.open("restrictions").insert_one(objects)
    key = campaigning(house.worker.settings).suppression_key
    await suppression.suppress(house.db, key, "suppressed@example.com", now=house.clock())
    await send_all(house, 2)
    assert [name for name in names if await ads(house, f"{name}@example.com")] == ["stays"]
    states = await campaigns.outcome(house.db, made)
    assert states == {"sent": 1, "called_off": 4}


async def test_a_stopped_campaign_sends_nothing_more(house: House) -> None:
    """Neither what is queued, nor to whom comes next."""
    await reader(house, "mara@example.com")
    made = await campaign(house)
    assert await campaigns.stop(house.db, made) and not await campaigns.stop(house.db, made)
    await send_all(house)
    assert await ads(house, "mara@example.com") == []


async def test_a_later_consent_is_stronger_than_an_older_no(house: House) -> None:
    """Who unsubscribed and says yes again, by an address that they have confirmed, gets mails again."""
    person = await reader(house, "mara@example.com")
    await campaign(house)
    await send_all(house)
    [mail] = await ads(house, "mara@example.com")
    await house.http.post(path_of(link_in(mail)))
    (await person.put("/v1/me/consents", json={"marketing_mail": True})).raise_for_status()
    await campaign(house)
    await send_all(house)
    assert len(await ads(house, "mara@example.com")) == 2


async def test_a_link_outlives_the_account(house: House) -> None:
    """The account is gone and the address comes back with an old opt-in: it is not mailed."""
    await reader(house, "mara@example.com")
    await campaign(house)
    await send_all(house)
    [mail] = await ads(house, "mara@example.com")
    for name in ("users", "consents"):
        await house.db.open(name).delete_many({})
    assert (await house.http.post(path_of(link_in(mail)))).status_code == 200
    [row] = await house.db.open("suppressions").find({}).to_list()
    assert "mara" not in str(row) and re.fullmatch("[0-9a-f]{64}", row["_id"])
    assert await house.db.open("consents").count_documents({}) == 0


async def test_many_are_mailed_in_steps(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few at a time, none left out, none twice; then the campaign is over."""
    monkeypatch.setattr(campaigns, "AT_ONCE", 2)
    for number in range(5):
        await reader(house, f"p{number}@example.com")
    made = await campaign(house)
    await send_all(house, 6)
    assert [len(await ads(house, f"p{number}@example.com")) for number in range(5)] == [1] * 5
    found = await campaigns.get_campaign(house.db, made)
    assert found is not None and (found["state"], found["queued"]) == ("sent", 5)


POINTS: tuple[tuple[Point, int], ...] = (
    ("campaign_committed", 1),
    ("campaign_committed", 2),
    ("campaign_written", 1),
)


@pytest.mark.timeout(240)
async def test_wherever_the_sender_dies(
    brief_mongodb_url: str, redis_url: str, key_folder: Path, postbox: str, smtp_url: str
) -> None:
    """Killed in and between the steps: each person has one mail of the campaign."""
    env = settings_env(key_folder, mongodb_url=brief_mongodb_url, redis_url=redis_url, smtp_url=smtp_url)
    async with open_house(env, postbox_url=postbox) as house:
        await create_indexes(house.db)
        for number in range(4):
            await reader(house, f"p{number}@example.com")
        made = await campaign(house)
        operations = house.db.open("operations")
        operation = await operations.find_one({"label_id": None, "target": made})
        assert operation is not None
        for point, after in POINTS:
            drill = {"SOUNDOPS_KILL_AT": point, "SOUNDOPS_KILL_AFTER": str(after)}
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.dying_worker", operation["_id"]),
                cwd=ROOT,
                env=os.environ | env | drill,
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await process.wait() == -signal.SIGKILL, point
            back: Doc = {"$set": {"due_at": house.clock()}}
            await operations.update_one({"label_id": None, "_id": operation["_id"]}, back)
        await send_all(house)
        assert [len(await ads(house, f"p{number}@example.com")) for number in range(4)] == [1] * 4


def test_a_file_is_a_subject_and_paragraphs() -> None:
    """Anything else is refused with a sentence."""
    assert marketing.read("Hello\n\nOne\ntwo.\n\n\n\nThree.\n") == ("Hello", ["One two.", "Three."])
    for bad in ("", "Only a subject", "x" * 121 + "\n\ny", "\n\n"):
        with pytest.raises(marketing.BadText):
            marketing.read(bad)
