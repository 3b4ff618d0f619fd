"""Consents: a ledger that only grows, visitors who are nobody until they say yes, and a signal that is heeded."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.db import Doc
from app.models import consent_texts
from app.models.consent_texts import TEXTS, current
from app.models.cookies import CHOICE_COOKIE, VISITOR_COOKIE
from app.services.consents import ledger
from app.services.consents.choosing import PURPOSES
from app.upgrade import upgrade
from tests.house import PASSWORD, House
from tests.watch import PLANTED

GPC = {"Sec-GPC": "1"}
PINNED = {
    ("analytics", "2026-11-30"): "0bc16cae0aed333feaf26f14fac426bfc4ef7170f66bb478d84443f754d981a2",
    ("analytics", "2026-11-29"): "02fc84d25fab84d5fd6085a10beb9044a432baf9e1be267378fb6ab6649af65a",
    ("marketing_mail", "2026-11-29"): "d47a0acb63eee0e3383d894224ede65c2ca1dd9efc4a4a4ea498a5f8688532ae",
}
"""Words that were shown are never changed: new ones are a new version."""


async def rows_of(house: House, subject: str | None = None) -> list[Doc]:
    """The ledger, the oldest first."""
    query = {"subject": subject} if subject else {}
    return await house.db.open("consents").find(query).sort([("subject", 1), ("seq", 1)]).to_list()


async def put(person: httpx.AsyncClient, headers: dict[str, str] | None = None, **wishes: Any) -> Doc:
    """What a person consents to, after deciding."""
    answer = await person.put("/v1/me/consents", json=wishes, headers=headers)
    assert answer.status_code == 200, answer.text
    found: Doc = answer.json()
    return found


async def choose(house: House, cookies: dict[str, str] | None = None, *, analytics: bool, **headers: str) -> Any:
    """A visitor's decision, by a browser with these cookies."""
    jar = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())
    told = headers | ({"Cookie": jar} if jar else {})
    answer = await house.http.post("/v1/consents", json={"analytics": analytics}, headers=told)
    house.http.cookies.clear()
    assert answer.status_code == 200, answer.text
    return answer


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """Name and value of each cookie that an answer sets; empty for one that it takes away."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        name, _, rest = line.partition("=")
        found[name] = "" if "Max-Age=0" in line else rest.partition(";")[0]
        assert all(word in line for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/")), line
    return found


def test_words_that_were_shown_stay() -> None:
    """A row names their hash: another word would be another consent."""
    assert {(text.purpose, text.version): text.sha256 for text in TEXTS} == PINNED
    for text in TEXTS:
        assert text.sha256 == hashlib.sha256(text.words.encode()).hexdigest()


async def test_giving_and_withdrawing(house: House) -> None:
    """Each is one call; the history has every decision, with the words, how, when and by which signal."""
    person = await house.person()
    before = (await person.get("/v1/me/consents")).json()
    assert (before["analytics"], before["marketing_mail"], before["decisions"]) == (False, False, [])
    assert [text["words"] for text in before["texts"]] == [current(purpose).words for purpose in PURPOSES]
    given = await put(person, analytics=True, marketing_mail=False)
    assert (given["analytics"], given["marketing_mail"]) == (True, False)
    assert (await put(person, analytics=False))["analytics"] is False
    history = (await person.get("/v1/me/consents/history")).json()["data"]
    shown = [(row["purpose"], row["decision"], row["how"], row["gpc"]) for row in history]
    assert shown == [
        ("analytics", "withdrawn", "settings", False),
        ("marketing_mail", "refused", "settings", False),
        ("analytics", "given", "settings", False),
    ]
    assert {row["text_sha256"] for row in history if row["purpose"] == "analytics"} == {current("analytics").sha256}
    pages = await person.get("/v1/me/consents/history", params={"limit": 2})
    following = await person.get("/v1/me/consents/history", params={"limit": 2, "cursor": pages.json()["next_cursor"]})
    assert [*pages.json()["data"], *following.json()["data"]] == history


async def test_the_same_again_adds_nothing(house: House) -> None:
    """A decision that stands is not written down a second time; and what is left out stays."""
    person = await house.person()
    await put(person, analytics=True)
    await put(person, analytics=True)
    await put(person)
    assert len(await rows_of(house)) == 1


async def test_only_present_words_count(house: House) -> None:
    """Who was shown older words, or others, has not consented to these; but a no is a no, whatever was shown."""
    person = await house.person()
    stale = {"analytics": True, "text_versions": {"analytics": "2020-01-01"}}
    answer = await person.put("/v1/me/consents", json=stale)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/text_versions/analytics")
    answer = await house.http.post("/v1/consents", json=stale)
    assert answer.status_code == 422 and "set-cookie" not in answer.headers
    assert await rows_of(house) == []
    version = current("analytics").version
    assert (await put(person, analytics=True, text_versions={"analytics": version}))["analytics"]
    cookie = cookies_of(await choose(house, analytics=True))[VISITOR_COOKIE]
    no: Doc = stale | {"analytics": False}
    assert (await person.put("/v1/me/consents", json=no)).json()["analytics"] is False
    jar = {"Cookie": f"{VISITOR_COOKIE}={cookie}"}
    assert (await house.http.post("/v1/consents", json=no, headers=jar)).status_code == 200
    ended = [row for row in await rows_of(house) if row["decision"] == "withdrawn"]
    assert [(row["text_version"], row["text_digest"]) for row in ended] == [(None, None)] * 2


async def test_a_stale_decision_is_refused(house: House) -> None:
    """`If-Match` names what was seen."""
    person = await house.person()
    seen = (await person.get("/v1/me/consents")).headers["etag"]
    await put(person, {"If-Match": seen}, analytics=True)
    late = await person.put("/v1/me/consents", json={"analytics": False}, headers={"If-Match": seen})
    assert (late.status_code, late.json()["code"]) == (412, "stale_version")
    assert (await person.get("/v1/me/consents")).json()["analytics"] is True


async def test_the_ledger_is_watched(house: House) -> None:
    """A command that would change a row is told by every test that has a house."""
    person = await house.person()
    await put(person, analytics=True)
    [row] = await rows_of(house)
    await house.db.open("consents").update_one({"_id": row["_id"]}, {"$set": {"decision": "refused"}})
    await house.db.open("consents").find_one_and_update({"_id": row["_id"]}, {"$set": {"decision": "given"}})
    assert [broken.split()[0] for broken in house.watch.broken] == ["update", "findAndModify"]
    house.watch.broken.clear()


async def test_two_at_once_are_one_after_the_other(house: House) -> None:
    """Ten decisions at the same moment: ten places in the ledger, none of them twice."""
    person = await house.person()
    await asyncio.gather(*(put(person, analytics=bool(n % 2), marketing_mail=bool(n % 3)) for n in range(10)))
    rows = await rows_of(house)
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    shown = (await person.get("/v1/me/consents")).json()
    for purpose in ("analytics", "marketing_mail"):
        newest = [row for row in rows if row["purpose"] == purpose][-1]
        assert shown[purpose] == (newest["decision"] == "given")


async def test_a_visitor_is_nobody_before_the_yes(house: House) -> None:
    """No cookie and no row before, after a refusal one that is the same for everybody; the banner stays away."""
    first = await house.http.get("/v1/consents")
    assert (first.json()["ask"], first.json()["analytics"]) == (True, False)
    assert "set-cookie" not in first.headers
    refusals = [cookies_of(await choose(house, analytics=False)) for _ in range(2)]
    assert refusals[0] == refusals[1] == {CHOICE_COOKIE: "refused"}
    assert await rows_of(house) == []
    again = await house.http.get("/v1/consents", headers={"Cookie": f"{CHOICE_COOKIE}=refused"})
    assert (again.json()["ask"], again.json()["analytics"]) == (False, False)


async def test_a_visitors_yes_and_no(house: House) -> None:
    """A signed random id after the yes, for six months; gone with the no. Two visitors are two."""
    answers = [await choose(house, {CHOICE_COOKIE: "refused"}, analytics=True) for _ in range(2)]
    ids = [cookies_of(answer)[VISITOR_COOKIE] for answer in answers]
    assert ids[0] != ids[1] and cookies_of(answers[0])[CHOICE_COOKIE] == ""
    assert f"Max-Age={180 * 24 * 3600}" in str(answers[0].headers.get_list("set-cookie"))
    mine = {VISITOR_COOKIE: ids[0]}
    jar = {"Cookie": f"{VISITOR_COOKIE}={ids[0]}"}
    seen = (await house.http.get("/v1/consents", headers=jar)).json()
    assert (seen["analytics"], seen["ask"]) == (True, False) and seen["asks_again_at"]
    left = await choose(house, mine, analytics=False)
    assert cookies_of(left) == {VISITOR_COOKIE: "", CHOICE_COOKIE: "refused"}
    decisions = [row["decision"] for row in await rows_of(house, ids[0].partition(".")[0])]
    assert decisions == ["given", "withdrawn"]
    other = {"Cookie": f"{VISITOR_COOKIE}={ids[1]}"}
    assert (await house.http.get("/v1/consents", headers=other)).json()["analytics"] is True


@pytest.mark.parametrize("forged", ["vis_01k9zv3t5w8x2m4c6d7f9g1h3j", "vis_01k9zv3t5w8x2m4c6d7f9g1h3j.00", "x", "."])
async def test_a_forged_visitor_is_nobody(house: House, forged: str) -> None:
    """Only our seal makes an id; a yes then makes a fresh one."""
    jar = {"Cookie": f"{VISITOR_COOKIE}={forged}"}
    assert (await house.http.get("/v1/consents", headers=jar)).json()["ask"] is True
    made = cookies_of(await choose(house, {VISITOR_COOKIE: forged}, analytics=True))[VISITOR_COOKIE]
    assert made.partition(".")[0] != forged.partition(".")[0]


async def test_a_visitor_is_asked_again_after_six_months(house: House) -> None:
    """The consent ends by itself, to the millisecond, whatever the browser keeps."""
    cookie = cookies_of(await choose(house, analytics=True))[VISITOR_COOKIE]
    subject = cookie.partition(".")[0]
    given_at = (await rows_of(house, subject))[0]["at"]
    end = given_at + timedelta(days=180)
    assert await ledger.may(house.db, subject, "analytics", now=end - timedelta(milliseconds=1))
    assert await ledger.may(house.db, subject, "analytics", now=end) is None
    house.clock.offset = timedelta(days=181)
    looked = await house.http.get("/v1/consents", headers={"Cookie": f"{VISITOR_COOKIE}={cookie}"})
    seen = looked.json()
    assert (seen["analytics"], seen["ask"]) == (False, True) and cookies_of(looked) == {VISITOR_COOKIE: ""}
    await choose(house, {VISITOR_COOKIE: cookie}, analytics=True)
    assert await ledger.may(house.db, subject, "analytics", now=house.clock())


async def test_the_signal_switches_off_what_was_given_without_it(house: House) -> None:
    """`Sec-GPC: 1` is a no, until its person says yes in spite of it; then it is not asked again."""
    person = await house.person()
    await put(person, analytics=True, marketing_mail=True)
    seen = (await person.get("/v1/me/consents", headers=GPC)).json()
    assert (seen["analytics"], seen["marketing_mail"], seen["gpc"]) == (False, False, True)
    newest = [row for row in await rows_of(house) if row["how"] == "gpc"]
    assert {(row["decision"], row["gpc"]) for row in newest} == {("withdrawn", True)} and len(newest) == 2
    assert (await put(person, GPC, analytics=True))["analytics"] is True
    after = (await person.get("/v1/me/consents", headers=GPC)).json()
    assert (after["analytics"], after["marketing_mail"]) == (True, False)
    for other in ("0", "true", ""):
        headers = {"Sec-GPC": other}
        assert (await person.get("/v1/me/consents", headers=headers)).json()["gpc"] is False


async def test_the_signal_ends_no_yes_that_was_given_with_it(house: House) -> None:
    """Whatever looks at the consent at the same moment; and a restored backup knows of what it has ended."""
    person = await house.person()
    begun, user_id = house.clock(), (await person.get("/v1/me")).json()["id"]
    for _ in range(6):
        await put(person, analytics=False)
        await put(person, analytics=True)
        looks = [person.get("/v1/me/consents", headers=GPC) for _ in range(4)]
        await asyncio.gather(*looks[:2], put(person, GPC, analytics=True), *looks[2:])
        assert (await person.get("/v1/me/consents")).json()["analytics"] is True
    await put(person, marketing_mail=True)
    await person.get("/v1/me/consents", headers=GPC)
    entries = await house.api.journal.read(since=begun, now=house.clock())
    ended = house.api.journal.hash_of(f"{user_id}:marketing_mail")
    assert [one.kind for one in entries if one.who == ended] == ["consent_ended"]


async def test_a_log_in_with_the_signal(house: House) -> None:
    """The browser says no at the door."""
    person = await house.person()
    await put(person, analytics=True)
    login = {"email": "owner@example.com", "password": PASSWORD}
    (await house.http.post("/v1/sessions", json=login)).raise_for_status()
    assert (await person.get("/v1/me/consents")).json()["analytics"] is True
    (await house.http.post("/v1/sessions", json=login, headers=GPC)).raise_for_status()
    assert (await person.get("/v1/me/consents")).json()["analytics"] is False


async def test_a_visitors_signal(house: House) -> None:
    """Of a visitor, too; a yes with the signal in view holds."""
    cookie = cookies_of(await choose(house, analytics=True))[VISITOR_COOKIE]
    jar = {"Cookie": f"{VISITOR_COOKIE}={cookie}"}
    looked = await house.http.get("/v1/consents", headers=jar)
    assert looked.json()["analytics"] is True and cookies_of(looked) == {}
    looked = await house.http.get("/v1/consents", headers=jar | GPC)
    assert looked.json()["analytics"] is False and cookies_of(looked) == {VISITOR_COOKIE: ""}
    await choose(house, {VISITOR_COOKIE: cookie}, analytics=True, **GPC)
    assert (await house.http.get("/v1/consents", headers=jar | GPC)).json()["analytics"] is True


async def test_a_visitor_joins_the_account_by_their_own_act_alone(house: House) -> None:
    """Logging in with the visitor's cookie joins nothing; the call does, and says nowhere who the visitor was."""
    cookie = cookies_of(await choose(house, analytics=True))[VISITOR_COOKIE]
    visitor = cookie.partition(".")[0]
    person = await house.person()
    jar = {"Cookie": f"{VISITOR_COOKIE}={cookie}"}
    login = {"email": "owner@example.com", "password": PASSWORD}
    (await house.http.post("/v1/sessions", json=login, headers=jar)).raise_for_status()
    assert (await person.get("/v1/me/consents", headers=jar)).json()["analytics"] is False
    assert (await person.post("/v1/me/consents/join")).status_code == 404
    joined = await person.post("/v1/me/consents/join", headers=jar)
    assert joined.json()["analytics"] is True and cookies_of(joined) == {VISITOR_COOKIE: ""}
    user_id = (await person.get("/v1/me")).json()["id"]
    [row] = await rows_of(house, user_id)
    assert row["how"] == "joined" and visitor not in str(row)
    assert row["text_digest"] == current("analytics").sha256
    assert [row["decision"] for row in await rows_of(house, visitor)] == ["given", "withdrawn"]
    forgets = {"label_id": None, "kind": "forget_usage"}
    assert await house.db.open("operations").count_documents(forgets) == 1
    assert (await person.post("/v1/me/consents/join", headers=jar)).status_code == 404


async def test_a_visitor_joins_with_the_words_and_the_signal_in_view(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account has consented to what the visitor was shown; and to nothing that the signal has switched off."""
    person = await house.person()
    cookie = cookies_of(await choose(house, analytics=True))[VISITOR_COOKIE]
    jar = {"Cookie": f"{VISITOR_COOKIE}={cookie}"}
    shown = current("analytics")
    monkeypatch.setattr(consent_texts, "TEXTS", (*TEXTS, replace(shown, version="2027-03-01", words="And clicks?")))
    assert (await person.post("/v1/me/consents/join", headers=jar)).json()["analytics"] is True
    user_id = (await person.get("/v1/me")).json()["id"]
    assert [row["text_digest"] for row in await rows_of(house, user_id)] == [shown.sha256]
    await put(person, marketing_mail=True)
    other = cookies_of(await choose(house, analytics=True))[VISITOR_COOKIE]
    signalled = {"Cookie": f"{VISITOR_COOKIE}={other}"} | GPC
    assert (await person.post("/v1/me/consents/join", headers=signalled)).status_code == 404
    seen = (await person.get("/v1/me/consents")).json()
    assert (seen["analytics"], seen["marketing_mail"]) == (False, False)


async def test_registering_may_opt_in(house: House) -> None:
    """The field of the form is a row of the ledger, with the words; the account holds no such field."""
    body = {"name": "M", "email": "m@example.com", "password": PASSWORD}
    body |= {"date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
    made = await house.http.post("/v1/users", json=body | {"marketing_opt_in": True}, headers=GPC)
    assert made.json()["marketing_opt_in"] is True
    [row] = await rows_of(house, made.json()["id"])
    assert (row["purpose"], row["decision"], row["how"], row["gpc"]) == ("marketing_mail", "given", "register", True)
    assert row["text_digest"] == current("marketing_mail").sha256
    stored = await house.db.open("users").find_one({"_id": made.json()["id"]})
    assert stored is not None and "marketing_opt_in" not in stored
    again = await house.http.post("/v1/users", json=body | {"marketing_opt_in": True})
    assert again.json()["marketing_opt_in"] is True and len(await rows_of(house)) == 1


async def test_opt_ins_of_an_older_release(house: House) -> None:
    """Each is a row that says that nobody kept the words; twice does no harm."""
    people = [await house.person(f"{name}@example.com") for name in ("yes", "no")]
    users = house.db.open("users")
    for name, wish in (("yes", True), ("no", False)):
        older = {"$set": {"marketing_opt_in": wish, "policy_version": "2026-01"}}
        gone = {"$unset": {"policy_noticed": "", "policy_acceptances": ""}}
        await users.update_one({"email_key": f"{name}@example.com"}, older | gone, comment=PLANTED)
    for _ in range(2):
        await upgrade(house.db)
    shown = [(await person.get("/v1/me")).json() for person in people]
    assert [one["marketing_opt_in"] for one in shown] == [True, False]
    [row] = await rows_of(house)
    assert (row["how"], row["text_version"], row["decision"]) == ("before_ledger", None, "given")
    stored = await users.find_one({"email_key": "yes@example.com"})
    assert stored is not None and "marketing_opt_in" not in stored
    assert stored["policy_acceptances"][0]["version"] == "2026-01" and stored["policy_noticed"] == "2026-03-13"


async def test_whoever_restricts_or_objects_allows_nothing(house: House) -> None:
    """The ledger keeps what they gave; nobody may use it meanwhile."""
    person = await house.person()
    await put(person, analytics=True, marketing_mail=True)
    user_id = (await person.get("/v1/me")).json()["id"]
    restrictions = house.db.open("restrictions")

    async def allowed() -> list[bool]:
        now = house.clock()
        return [
            await ledger.may(house.db, user_id, "analytics", now=now) is not None,
            await ledger.may(house.db, user_id, "marketing_mail", now=now) is not None,
        ]

    async def suspended() -> list[str]:
        found: list[str] = (await person.get("/v1/me/consents")).json()["suspended"]
        return found

    assert (await allowed(), await suspended()) == ([True, True], [])
    await restrictions.insert_one({"_id": user_id, "objections": {"analytics": house.clock()}})
    assert (await allowed(), await suspended()) == ([False, True], ["analytics"])
    await restrictions.update_one({"_id": user_id}, {"$set": {"objections": {}, "restricted_at": house.clock()}})
    assert (await allowed(), await suspended()) == ([False, False], ["analytics", "marketing_mail"])
    await restrictions.delete_one({"_id": user_id})
    assert await allowed() == [True, True]
