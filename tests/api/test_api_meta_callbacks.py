"""Meta's deauthorize and data-deletion callbacks, and the page that tells a person how far their deletion is (R-43)."""

import asyncio
import itertools
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.db import Doc
from tests.house import APP_SECRET, PUBLIC_URL, House, signed_request

DEAUTHORIZE, DELETION = "/v1/webhooks/meta/deauthorize", "/v1/webhooks/meta/data-deletion"
META_SECRET = "soundops-test-meta-secret-01"
PERSON, OTHER = "7000000000000011", "7000000000000022"
AS_JSON = {"Accept": "application/json"}


@pytest.fixture
def both_apps(house: House) -> House:
    """With an app for Facebook Login beside the one for Instagram Login."""
    house.api.app_secrets = house.api.app_secrets | {"facebook": [META_SECRET.encode(), b"an-older-meta-secret"]}
    return house


async def told(
    house: House, path: str, person: str = PERSON, *, secret: str = APP_SECRET, at: datetime | None = None
) -> httpx.Response:
    """Meta posts the callback, about what happened `at`."""
    text = signed_request(secret, person, at=at or house.clock())
    return await house.http.post(path, data={"signed_request": text})


async def status_of(house: House, code: str) -> Doc:
    """How far the deletion is, as JSON."""
    answer = await house.http.get(f"/data-deletion/{code}", headers=AS_JSON)
    assert answer.status_code == 200, answer.text
    found: Doc = answer.json()
    return found


async def statuses(house: House) -> dict[str, str]:
    """Of every connection."""
    found = house.db.open("connections").find({}, comment="all-labels: a test looks")
    return {doc["_id"]: doc["status"] async for doc in found}


async def stored(house: House) -> list[Doc]:
    """Every request that is remembered."""
    return await house.db.open("deletion_requests").find().sort("requested_at", 1).to_list()


async def finish(house: House, *connections: Doc) -> None:
    """As when the ends of these connections have been worked off."""
    for one in connections:
        place = {"_id": one["_id"], "label_id": one["label_id"]}
        await house.db.open("disconnections").update_one(place, {"$set": {"completed_at": house.clock()}})


async def two_labels(house: House) -> list[str]:
    """Of one owner."""
    owner = await house.person()
    return [await house.label(owner, slug) for slug in ("nightjar", "merle")]


async def test_deauthorize_ends_all_of_the_person_in_every_label(both_apps: House) -> None:
    """And nothing of another person, nor of the other app's person with the same id; each label's log tells it."""
    house = both_apps
    labels = await two_labels(house)
    for label, account in ((labels[0], "01"), (labels[1], "02")):
        await house.connection(label, f"178414000000000{account}", person_ids=[PERSON, f"178414000000000{account}"])
    other = await house.connection(labels[0], "17841400000000003", person_ids=[OTHER])
    page = {"provider": "facebook", "network": "facebook", "active_account_id": "page"}
    facebook = await house.connection(labels[0], "17841400000000004", person_ids=[PERSON], **page)
    answer = await told(house, DEAUTHORIZE)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    found = await statuses(house)
    assert [found.pop(one["_id"]) for one in (other, facebook)] == ["active", "active"]
    assert set(found.values()) == {"revoked"} and len(found) == 2
    for label in labels:
        query = {"label_id": label, "action": "connection.disconnecting"}
        [row] = await house.db.open("audit_log").find(query).to_list()
        assert (row["actor"]["id"], row["details"]["reason"]) == ("soundops", "deauthorized")
        assert row["request_id"].startswith("req_")
    assert (await told(house, DEAUTHORIZE, secret=META_SECRET)).status_code == 200
    assert (await statuses(house))[facebook["_id"]] == "revoked"
    assert (await statuses(house))[other["_id"]] == "active"


async def test_data_deletion_answers_exactly_what_meta_wants(house: House) -> None:
    """An address of ours that needs no log-in, and an alphanumeric code; the person's id is not kept."""
    connection = await house.connection((await two_labels(house))[0], person_ids=[PERSON])
    answer = await told(house, DELETION)
    body = answer.json()
    assert answer.status_code == 200 and set(body) == {"url", "confirmation_code"}
    code = body["confirmation_code"]
    assert body["url"] == f"{PUBLIC_URL}/data-deletion/{code}" and re.fullmatch("[A-Z2-7]{24}", code)
    assert (await statuses(house))[connection["_id"]] == "revoked"
    [request] = await stored(house)
    assert PERSON not in str(request) and request["expires_at"] - request["requested_at"] == timedelta(days=365)
    assert (await house.http.get(urlsplit(body["url"]).path)).status_code == 200


async def test_the_same_again_gets_the_same_code_and_does_nothing(house: House) -> None:
    """Also when the person has come back meanwhile: an old request does not end a new connection."""
    label = (await two_labels(house))[0]
    first = await house.connection(label, person_ids=[PERSON])
    text = {"signed_request": signed_request(APP_SECRET, PERSON, at=house.clock())}
    codes = {(await house.http.post(DELETION, data=text)).json()["confirmation_code"] for _ in range(3)}
    await finish(house, first)
    back = await house.connection(label, "17841400000000009", person_ids=[PERSON])
    codes.add((await house.http.post(DELETION, data=text)).json()["confirmation_code"])
    assert len(codes) == 1 and len(await stored(house)) == 1
    assert (await statuses(house))[back["_id"]] == "active"


async def test_the_same_at_once(house: House) -> None:
    """Twelve at a time, of two issues: one code, one request, one end of the connection."""
    await house.connection((await two_labels(house))[0], person_ids=[PERSON])
    now = house.clock()
    texts = [signed_request(APP_SECRET, PERSON, at=now - timedelta(seconds=n % 2)) for n in range(12)]
    answers = await asyncio.gather(*(house.http.post(DELETION, data={"signed_request": text}) for text in texts))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["confirmation_code"] for answer in answers}) == 1
    [request] = await stored(house)
    assert len(request["answered"]) == 2
    rows = (
        await house.db.open("audit_log")
        .find({"action": "connection.disconnecting"}, comment="all-labels: a test")
        .to_list()
    )
    assert len(rows) == 1


async def test_another_request_while_one_is_open(house: House) -> None:
    """Gets the same code, and ends what was connected since; after the end there is a code of its own."""
    label = (await two_labels(house))[0]
    first = await house.connection(label, person_ids=[PERSON])
    earlier, later = (house.clock() - timedelta(hours=hours) for hours in (2, 1))
    one = (await told(house, DELETION, at=earlier)).json()["confirmation_code"]
    second = await house.connection(label, "17841400000000009", person_ids=[PERSON])
    two = (await told(house, DELETION, at=later)).json()["confirmation_code"]
    assert one == two and set((await statuses(house)).values()) == {"revoked"}
    await finish(house, first)
    assert (await status_of(house, one))["state"] == "in_progress"
    await finish(house, second)
    assert (await status_of(house, one))["state"] == "done"
    await house.db.open("connections").delete_many({"label_id": label})
    third = await house.connection(label, "17841400000000010", person_ids=[PERSON])
    assert (await told(house, DELETION, at=later)).json()["confirmation_code"] == one
    assert (await statuses(house))[third["_id"]] == "active"
    other = (await told(house, DELETION)).json()["confirmation_code"]
    assert other != one and (await statuses(house))[third["_id"]] == "revoked"


async def test_after_the_app_was_removed(house: House) -> None:
    """Meta's usual order: what ended then is what the later request for deletion tells of."""
    connection = await house.connection((await two_labels(house))[0], person_ids=[PERSON])
    await told(house, DEAUTHORIZE, at=house.clock() - timedelta(minutes=1))
    await finish(house, connection)
    await house.db.open("connections").update_one(
        {"_id": connection["_id"], "label_id": connection["label_id"]}, {"$set": {"person_ids": []}}
    )
    code = (await told(house, DELETION)).json()["confirmation_code"]
    shown = await status_of(house, code)
    assert (shown["state"], shown["found"]) == ("done", True) and shown["completed_at"] >= shown["requested_at"]


@pytest.mark.parametrize("path", [DEAUTHORIZE, DELETION])
async def test_somebody_unknown(house: House, path: str) -> None:
    """Is answered as everybody is; nothing of anybody changes, and the page says that nothing is kept."""
    connection = await house.connection((await two_labels(house))[0], person_ids=[OTHER])
    answer = await told(house, path)
    assert answer.status_code == 200
    assert await statuses(house) == {connection["_id"]: "active"}
    if path == DELETION:
        code = answer.json()["confirmation_code"]
        shown = await status_of(house, code)
        assert (shown["state"], shown["found"], shown["deleted"]) == ("done", False, [])
        page = (await house.http.get(f"/data-deletion/{code}")).text
        assert "there was nothing to delete" in page and "keyed hash" in page


BAD: dict[str, Any] = {
    "nothing": {},
    "empty": {"data": {"signed_request": ""}},
    "another field": {"data": {"signed": "x.y"}},
    "twice": {"content": b"signed_request=a.b&signed_request=a.b"},
    "no form": {"content": b"%ff%fe"},
    "no signature": {"data": {"signed_request": "x.y"}},
    "as JSON": {"json": {"signed_request": "x.y"}},
    "long": {"data": {"signed_request": "a" * 9000}},
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_nonsense(house: House) -> None:
    """Is refused as 400 in our own form, whatever it is, and counted for no address."""
    for path, name in itertools.product((DEAUTHORIZE, DELETION), BAD):
        headers = FORM if "content" in BAD[name] else {}
        answer = await house.http.post(path, headers=headers, **BAD[name])
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signed_request"), (name, answer.text)
        assert "ratelimit" not in answer.headers
    assert await stored(house) == []


@pytest.mark.parametrize("path", [DEAUTHORIZE, DELETION])
async def test_forged_and_old(house: House, path: str) -> None:
    """Another secret, an app that we do not have, yesterday's, tomorrow's: refused, and nothing is done."""
    connection = await house.connection((await two_labels(house))[0], person_ids=[PERSON])
    for secret, ago in (
        ("somebody-else's-secret", timedelta()),
        ("the-secret-of-an-app-that-is-not-ours", timedelta()),
        (APP_SECRET, timedelta(hours=24, minutes=1)),
        (APP_SECRET, -timedelta(minutes=6)),
    ):
        answer = await told(house, path, secret=secret, at=house.clock() - ago)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signed_request")
    assert await statuses(house) == {connection["_id"]: "active"} and await stored(house) == []


async def test_how_far_it_is(house: House) -> None:
    """Received, being done, done: in words and as JSON, with the times."""
    connection = await house.connection((await two_labels(house))[0], person_ids=[PERSON])
    code = (await told(house, DELETION)).json()["confirmation_code"]
    place = {"_id": connection["_id"], "label_id": connection["label_id"]}
    for begun, state, words in (
        (("refuse_use",), "received", "Received."),
        (("refuse_use", "revoke"), "in_progress", "In progress."),
    ):
        steps: Doc = {"steps": {name: {"begun_at": house.clock()} for name in begun}}
        await house.db.open("disconnections").update_one(place, {"$set": steps})
        shown = await status_of(house, code)
        assert (shown["state"], shown["completed_at"]) == (state, None)
        assert f'<p role="status">{words}' in (await house.http.get(f"/data-deletion/{code}")).text
    await finish(house, connection)
    shown = await status_of(house, code)
    page = (await house.http.get(f"/data-deletion/{code}")).text
    assert shown["state"] == "done" and shown["completed_at"] in page and shown["requested_at"] in page
    assert all(words.replace("'", "&#39;") in page for words in (*shown["deleted"], *shown["kept"]))
    house.clock.offset += timedelta(days=364)
    assert (await status_of(house, code))["state"] == "done"
    house.clock.offset += timedelta(days=2)
    assert (await house.http.get(f"/data-deletion/{code}")).status_code == 404


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.mark.parametrize("known", [True, False])
async def test_the_page(house: House, known: bool) -> None:
    """Readable by anybody and by a screen reader, without scripts, confined, kept by no cache and no search engine."""
    connection = await house.connection((await two_labels(house))[0], person_ids=[PERSON])
    code = (await told(house, DELETION)).json()["confirmation_code"]
    answer = await house.http.get(f"/data-deletion/{code if known else 'A' * 24}")
    assert answer.status_code == (200 if known else 404)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["x-robots-tag"]) == ("no-store", "noindex")
    [policy] = answer.headers.get_list("content-security-policy")
    assert (
        "unsafe" not in policy
        and "script" not in policy
        and policy.startswith("default-src 'none'; style-src 'sha256-")
    )
    assert "Accept" in ", ".join(answer.headers.get_list("vary")) and "ratelimit" in answer.headers
    page = Page(answer.text)
    assert page.tags.count("h1") == page.tags.count("main") == page.tags.count("title") == 1
    assert "script" not in page.tags and "form" not in page.tags and "img" not in page.tags
    assert ("lang", "en") in page.attributes and ("name", "viewport") in page.attributes
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert "mailto:privacy@soundops.io" in answer.text
    for hidden in (PERSON, connection["_id"], connection["label_id"], "nightjar"):
        assert hidden not in answer.text.lower()


async def test_no_such_code(house: House) -> None:
    """A page of the same look, or a problem where JSON is wanted; it repeats nothing."""
    for code in (
        "x",
        "a" * 24,
        *("A" * n for n in (23, 24, 25, 5000)),
        "%00",
        "%F0%9F%8E%B5",
        "%3Cscript%3E",
        "1" * 24,
    ):
        page = await house.http.get(f"/data-deletion/{code}")
        assert page.status_code == 404 and "<h1>No such deletion request</h1>" in page.text
        assert "script" not in page.text and (code not in page.text or code == "x")
        problem = await house.http.get(f"/data-deletion/{code}", headers=AS_JSON)
        assert (problem.status_code, problem.json()["code"]) == (404, "not_found")
        assert problem.headers["content-type"] == "application/problem+json"


ACCEPTS = {
    "": False,
    "*/*": False,
    "application/json": True,
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": False,
    "application/json, text/plain, */*": True,
    "text/html;q=0.5, application/json;q=0.9": True,
    "text/html, application/json": False,
    "application/json;q=nonsense": False,
    "APPLICATION/JSON; charset=utf-8": True,
}
"""Whether JSON is preferred."""


async def test_page_or_json(house: House) -> None:
    """As `Accept` prefers; a page in doubt."""
    code = (await told(house, DELETION)).json()["confirmation_code"]
    for accept, is_json in ACCEPTS.items():
        answer = await house.http.get(f"/data-deletion/{code}", headers={"Accept": accept})
        assert answer.headers["content-type"].startswith("application/json" if is_json else "text/html"), accept


async def test_a_code_of_the_other_callback_is_no_page(house: House) -> None:
    """Who only removed the app has asked for no deletion: there is no page of it."""
    await told(house, DEAUTHORIZE)
    [request] = await stored(house)
    assert (await house.http.get(f"/data-deletion/{request['_id']}")).status_code == 404
