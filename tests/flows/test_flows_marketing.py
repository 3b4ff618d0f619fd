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
from app.services import operations
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


async def campaign(house: House, *more: str) -> str:
    """Start one; with `more` words, another one."""
    return await campaigns.start(house.db, TITLE, [*BODY, *more], now=house.clock())


async def told(house: House, command: str, what: str) -> tuple[int, str]:
    """What the command says."""
    return await marketing.run(house.db, campaigning(house.worker.settings), command, what, agreed=True)


async def send_all(house: House, times: int = 4) -> None:
    """Let the worker work until nobody is left."""
    for _ in range(times):
        await house.work()
        pass_by(house, timedelta(seconds=11))


async def ads(house: House, email: str) -> list[Any]:
    """The marketing mails that have arrived."""
    return [mail for mail in await house.mails(email) if mail["subject"] == TITLE]


def link_in(mail: Doc) -> str:
    """Where the one click goes: mail programs take the header as it comes, and decode nothing in it."""
    found = re.fullmatch(r"<(http\S+)>", dict(mail["headers"])[LIST])
    assert found
    return found[1]


def path_of(link: str) -> str:
    """The same, without the host."""
    return httpx.URL(link).path


async def test_only_confirmed_opt_ins_are_mailed(house: House) -> None:
    """Each once; unconfirmed, unasked, withdrawn, disabled, leaving, suppressed ones never; each cites its consent."""
    yes = await reader(house, "yes@example.com")
    await reader(house, "unconfirmed@example.com", confirmed=False)
    await reader(house, "unasked@example.com", opted_in=False)
    no = await reader(house, "no@example.com")
    (await no.put("/v1/me/consents", json={"marketing_mail": False})).raise_for_status()
    await reader(house, "away@example.com")
    await reader(house, "leaving@example.com")
    for name, field in (("away", "disabled_at"), ("leaving", "erasure_due_at")):
        gone: Doc = {"$set": {field: house.clock() + timedelta(days=3)}}
        await house.db.open("users").update_one({"email_key": f"{name}@example.com"}, gone)
    await reader(house, "gone@example.com")
    key = campaigning(house.worker.settings).suppression_key
    await suppression.suppress(house.db, key, "Gone@Example.com", now=house.clock() + timedelta(seconds=1))
    assert await campaigns.audience(house.db, campaigning(house.worker.settings), now=house.clock()) == 1
    made = await campaign(house)
    await send_all(house)
    [mail] = await ads(house, "yes@example.com")
    for name in ("unconfirmed", "unasked", "no", "away", "leaving", "gone"):
        assert await ads(house, f"{name}@example.com") == [], name
    [row] = (await yes.get("/v1/me/consents")).json()["decisions"]
    assert all(part in mail["text"] and part in mail["html"] for part in (*BODY, row["id"], row["at"][:10]))
    stored = await house.db.open("mails").find({"label_id": None, "campaign_id": made}).to_list()
    assert [(one["consent_id"], one["state"]) for one in stored] == [(row["id"], "sent")]
    assert (await told(house, "show", made))[1] == f"{made} is sent: 1 sent."


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
    odd = {"content": b"\x00{", "headers": {"Content-Type": "application/json"}}
    for form in ({"data": click}, {"files": {LIST: (None, "One-Click")}}, {}, odd, {"params": {"utm_source": "mail"}}):
        done = await house.http.post(path_of(link), **form)
        assert done.status_code == 200 and "unsubscribed" in done.text and "set-cookie" not in done.headers
    told = await house.http.post(path_of(link), headers={"Accept": "application/json"})
    assert told.json() == {"unsubscribed": True}
    many = await asyncio.gather(*(house.http.post(path_of(link)) for _ in range(8)))
    assert {answer.status_code for answer in many} == {200}
    shown = (await person.get("/v1/me/consents/history")).json()["data"]
    assert [(row["decision"], row["how"]) for row in shown] == [("withdrawn", "mail_link"), ("given", "settings")]
    await campaign(house, "And again.")
    await send_all(house)
    assert len(await ads(house, "mara@example.com")) == 1


async def test_the_page_is_strict(house: House) -> None:
    """No script, no other address, a form to itself alone; a wrong token is told apart, and names nobody."""
    token = links.token_of(house.api.link_key, links.Recipient("usr_1", "ab" * 32))
    page = await house.http.get(f"/v1/unsubscribe/{token}")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "form-action 'self'" in policy and "script" not in policy
    for wrong in ("sot_", "x", token.removeprefix("sot_"), token[:-2] + "AA", "sot_" + "A" * 80, "sot_é"):
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
    for _ in range(2):
        assert (await told(house, "stop", made))[1] == f"{made} is stopped: no mails yet."
    assert (await told(house, "stop", "cmp_x"))[0] == 1
    await send_all(house)
    assert await ads(house, "mara@example.com") == []


async def test_a_withdrawal_calls_off_what_waits_for_the_mail_server(house: House) -> None:
    """At once, though nobody looks at the mail before the server is back."""
    person = await reader(house, "mara@example.com")
    made = await campaign(house)
    operation = await house.db.open("operations").find_one({"label_id": None, "target": made})
    assert operation is not None
    await jobs.run_operation({"parts": house.worker}, operation["_id"])
    (await person.put("/v1/me/consents", json={"marketing_mail": False})).raise_for_status()
    assert await campaigns.outcome(house.db, made) == {"called_off": 1}
    mail = await house.db.open("mails").find_one({"label_id": None, "campaign_id": made})
    assert mail is not None
    sending = await operations.by_key(house.db, None, f"send_mail:{mail['_id']}")
    assert sending is not None and sending["state"] == "cancelled"


async def test_two_clicks_and_a_campaign_at_the_same_moment(house: House) -> None:
    """Whoever comes first: each of them is unsubscribed once, by several clicks at once, and is mailed no more."""
    people = {name: await reader(house, f"{name}@example.com") for name in ("mara", "jonas", "teo")}
    keys = campaigning(house.worker.settings)
    paths = []
    for name, person in people.items():
        mark = suppression.mark_of(keys.suppression_key, f"{name}@example.com")
        recipient = links.Recipient((await person.get("/v1/me")).json()["id"], mark)
        paths.append(f"/v1/unsubscribe/{links.token_of(keys.link_key, recipient)}")
    made = await campaign(house)
    operation = await house.db.open("operations").find_one({"label_id": None, "target": made})
    assert operation is not None
    clicks = [house.http.post(path) for path in paths * 3]
    await asyncio.gather(jobs.run_operation({"parts": house.worker}, operation["_id"]), *clicks)
    for person in people.values():
        shown = (await person.get("/v1/me/consents/history")).json()["data"]
        assert [row["decision"] for row in shown] == ["withdrawn", "given"]
    before = [len(await ads(house, f"{name}@example.com")) for name in people]
    await send_all(house)
    assert [len(await ads(house, f"{name}@example.com")) for name in people] == before == [0, 0, 0]


async def test_the_same_words_are_the_same_campaign(house: House) -> None:
    """Whoever starts it does not know whether it has begun, and starts it again: each person is mailed once."""
    await reader(house, "mara@example.com")
    words = "\n\n".join((TITLE, *BODY))
    started = [(await told(house, "start", words))[1] for _ in range(2)]
    assert started[0] == started[1] and started[0].endswith("is sending: no mails yet.")
    await send_all(house)
    await told(house, "start", words)
    await send_all(house)
    assert len(await ads(house, "mara@example.com")) == 1


async def test_a_later_consent_is_stronger_than_an_older_no(house: House) -> None:
    """Who unsubscribed and says yes again, by an address that they have confirmed, gets mails again."""
    person = await reader(house, "mara@example.com")
    await campaign(house)
    await send_all(house)
    [mail] = await ads(house, "mara@example.com")
    await house.http.post(path_of(link_in(mail)))
    (await person.put("/v1/me/consents", json={"marketing_mail": True})).raise_for_status()
    await campaign(house, "And again.")
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
    assert found is not None and found["state"] == "sent"
    assert await campaigns.outcome(house.db, made) == {"sent": 5}


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
        todo = house.db.open("operations")
        operation = await todo.find_one({"label_id": None, "target": made})
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
            await todo.update_one({"label_id": None, "_id": operation["_id"]}, back)
        await send_all(house)
        assert [len(await ads(house, f"p{number}@example.com")) for number in range(4)] == [1] * 4


def test_a_file_is_a_subject_and_paragraphs() -> None:
    """Anything else is refused with a sentence. A line of spaces is empty, too."""
    assert marketing.read("Hello \n\nOne\ntwo.\n\n \t\nThree.\n") == ("Hello", ["One two.", "Three."])
    for bad in ("", "Only a subject", "x" * 121 + "\n\ny", "\n\n"):
        with pytest.raises(marketing.BadText):
            marketing.read(bad)
