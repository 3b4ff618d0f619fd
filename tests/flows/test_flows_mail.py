"""Mails: each says what it should, its link works, and each is sent once, or its operation says why not."""

import re
from datetime import timedelta
from typing import Any, get_args

import httpx
import pytest
from bson import BSON
from prometheus_client import REGISTRY

from app.clients.mail import open_mailer
from app.db import ALL_LABELS, Doc, Session
from app.ids import new_id
from app.models.data_map import DATA_MAP
from app.services import single_use
from app.services.mail import outbox
from app.services.mail.letters import LETTERS
from app.services.mail.outbox import Template
from tests.flows.mail_facts import BILLING, ELSEWHERE, FACTS, LINKS, NEW, OLD, PAGES
from tests.house import NO_POSTBOX, House

HOSTILE = [
    "Mara\r\nBcc: everybody@example.com",
    "Mara\n\n[link]\n\nhttps://evil.example/",
    "=?utf-8?q?Mara=0D=0ABcc=3A_everybody=40example=2Ecom?=",
    '"Mara" <everybody@example.com>, "\\',
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{ token }}{% raw %}{label}",
    "\u202eevil.example/\u2028\x00\x1b[0m\ud800" + "ß" * 400,
]


async def make_person(house: House, email: str = "mara@example.com", user_id: str | None = None) -> str:
    """An account, past the API; its id."""
    person: Doc = {"_id": user_id or new_id("usr"), "name": "Mara", "email": email, "email_key": email.lower()}
    await house.db.open("users").insert_one(person)
    return str(person["_id"])


async def queue(house: House, template: Template, subject: str, **more: Any) -> str:
    """Queue a mail; its operation's id."""
    more = {"facts": FACTS.get(template)} | more

    async def work(session: Session) -> str:
        return await outbox.queue(house.db, template, subject=subject, now=house.clock(), session=session, **more)

    return await house.db.in_transaction(work)


async def stored(house: House, name: str) -> list[Doc]:
    """Every document of a collection."""
    return await house.db.open(name).find({}, comment=f"{ALL_LABELS}a test looks").to_list(None)


async def operation_of(house: House, operation_id: str) -> Doc:
    """The operation, as it is."""
    return next(found for found in await stored(house, "operations") if found["_id"] == operation_id)


async def mail_state(house: House, operation: Doc) -> str:
    """How the mail of this operation is."""
    return next(str(found["state"]) for found in await stored(house, "mails") if found["_id"] == operation["target"])


async def send(house: House, template: Template, subject: str, **more: Any) -> Doc:
    """Queue a mail and let the worker work once; its operation then."""
    operation_id = await queue(house, template, subject, **more)
    await house.work()
    return await operation_of(house, operation_id)


async def invite(house: House, label_id: str | None, email: str) -> str:
    """An invitation, past the API; its id."""
    ends = house.clock() + timedelta(days=7)
    invitation: Doc = {"_id": new_id("inv"), "label_id": label_id, "email": email, "email_key": email}
    await house.db.open("invitations").insert_one(invitation | {"role": "editor", "expires_at": ends})
    return str(invitation["_id"])


def test_every_template_is_tried() -> None:
    """A template without facts here would be one that nobody has seen arrive."""
    assert set(FACTS) | ELSEWHERE == set(LETTERS) == set(get_args(Template)) - {"none"}


@pytest.mark.parametrize("template", FACTS)
async def test_a_mail_arrives_and_its_link_works(house: House, template: Template) -> None:
    """As text and as HTML, with every fact in both; its token is the person's, for this purpose and no other."""
    invited = template == "invitation"
    subject = await invite(house, None, NEW) if invited else await make_person(house)
    to = {"change_email": NEW, "email_change_asked": OLD, "email_changed": OLD, "invitation": NEW}.get(template)
    operation = await send(house, template, subject, to=to)
    assert operation["state"] == "succeeded", operation
    assert await mail_state(house, operation) == "sent"
    [mail] = await house.mails(to or "mara@example.com")
    assert mail["from"] == "SoundOps <no-reply@soundops.io>"
    assert mail["message_id"] == f"<{operation['target']}@soundops.io>"
    assert ["Auto-Submitted", "auto-generated"] in mail["headers"]
    assert mail["subject"] and "{" not in mail["subject"] + mail["text"] + mail["html"].partition("</head>")[2]
    shown = [fact for name, fact in FACTS[template].items() if name != "token_email"]
    assert [fact for fact in shown if fact not in mail["text"] or fact not in mail["html"]] == []
    assert "<img" not in mail["html"] and mail["html"].startswith("<!DOCTYPE html>")
    if template not in LINKS:
        assert mail["token"] is None and "sot_" not in mail["text"] + mail["html"]
        link = f"{house.api.settings.app_url}/{PAGES.get(template, BILLING)}"
        shown_as_link = link in mail["text"].splitlines() and f'href="{link}"' in mail["html"]
        assert shown_as_link == (template in PAGES) and "paste this code" not in mail["text"]
        return
    purpose, page = LINKS[template]
    link = f"{house.api.settings.app_url}/{page}#token={mail['token']}"
    assert link in mail["text"].splitlines() and f'href="{link}"' in mail["html"]
    token = await single_use.look_up(house.db, purpose, mail["token"], now=house.clock())
    data = {"change_email": {"email": NEW}, "email_changed": {"email": OLD}}.get(template, {})
    assert (token["subject"], token["data"]) == (subject, data)


async def test_a_mail_to_nobody_succeeds(house: House) -> None:
    """`none` costs a request what another mail does, and goes nowhere."""
    operation = await send(house, "none", "usr_nobody", facts={})
    assert operation["state"] == "succeeded" and await stored(house, "single_use_tokens") == []


async def test_a_link_does_not_follow_the_requests_host(house: House) -> None:
    """Whatever `Host` and `X-Forwarded-Host` say, links lead where the settings say."""
    poison = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    await house.http.get("/v1/users", headers=poison)
    await send(house, "reset_password", await make_person(house))
    [mail] = await house.mails("mara@example.com")
    assert "evil" not in mail["text"] + mail["html"] and "http://127.0.0.1:8000/reset-password#" in mail["text"]


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
async def test_words_stay_words(house: House, words: str) -> None:
    """Whatever a name or a label is called: one recipient, one subject line, no markup, no link, no second code."""
    subject = await invite(house, None, NEW)
    plain = words.encode("utf-8", "replace").decode()  # as the database could hold it
    facts = {"label": plain, "role": "editor", "inviter": plain}
    operation = await send(house, "invitation", subject, to=NEW, facts=facts)
    assert operation["state"] == "succeeded", operation
    [mail] = await house.mails(NEW)
    assert await house.mails("everybody@example.com") == []
    names = [name for name, _ in mail["headers"]]
    wanted = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    assert names == wanted and dict(mail["headers"])["To"] == NEW
    assert "\n" not in mail["subject"] and mail["subject"].startswith("An invitation to ")
    assert len(mail["subject"]) < 230 and mail["text"].count(mail["token"]) == 2
    assert "<script" not in mail["html"] and "onerror" not in re.sub(r">[^<]*<", "><", mail["html"])
    assert mail["html"].count("<a ") == 1 and re.findall(r"\w+://[^\s/]+", mail["text"]) == ["http://127.0.0.1:8000"]
    assert "evil.example" not in mail["text"] and mail["text"].count("Or paste this code") == 1


async def test_an_address_of_any_script(house: House) -> None:
    """A domain goes out in ASCII; a name that is not ASCII goes by SMTPUTF8."""
    for address, arrives_at in {"mara@bücher.example": "mara@xn--bcher-kva.example", "mära@example.com": None}.items():
        operation = await send(house, "password_changed", await make_person(house, address))
        assert operation["state"] == "succeeded", operation
        assert len(await house.mails(arrives_at or address)) == 1


async def test_later_is_tried_again_for_a_day(house: House) -> None:
    """After longer and longer waits; each attempt's token is gone; then the operation says that it could not be."""
    subject = await make_person(house, "later@example.com")
    operation = await send(house, "verify_email", subject)
    attempts, waits = 1, []
    while operation["state"] == "queued":
        assert operation["problem"]["code"] == "mail_undelivered"
        waits.append(operation["due_at"] - house.clock())
        house.clock.offset += waits[-1] + timedelta(seconds=1)
        await house.work()
        operation, attempts = await operation_of(house, operation["_id"]), attempts + 1
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "mail_undeliverable")
    assert await mail_state(house, operation) == "failed"
    assert timedelta(hours=24) <= house.clock.offset < timedelta(hours=26) and 25 < attempts < 50
    assert max(waits) <= timedelta(hours=1) and waits[0] < timedelta(seconds=11) and waits[-1] > waits[15] > waits[0]
    assert await stored(house, "single_use_tokens") == []


async def test_a_refused_mail_fails_at_once(house: House) -> None:
    """It is reported and counted, its token is gone, and the reason names no address."""
    ended = {"kind": "send_mail", "state": "failed"}
    before = REGISTRY.get_sample_value("operations_total", ended) or 0
    operation = await send(house, "verify_email", await make_person(house, "refuse.me@example.com"))
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "mail_refused")
    assert REGISTRY.get_sample_value("operations_total", ended) == before + 1
    assert "@" not in operation["problem"]["detail"] and "550" in operation["problem"]["detail"]
    assert await mail_state(house, operation) == "failed" and await stored(house, "single_use_tokens") == []


@pytest.mark.parametrize("name", ["lost", "slow9"])
async def test_an_unknown_outcome_is_reported_and_not_repeated(house: House, name: str) -> None:
    """The answer to DATA is lost, or comes too late: it arrived once, and nobody sends it again by himself."""
    house.worker.mailer.timeout_s = 1
    operation = await send(house, "verify_email", await make_person(house, f"{name}@example.com"))
    assert (operation["state"], operation["problem"]["code"]) == ("unknown", "outcome_unknown")
    assert "due_at" not in operation and await mail_state(house, operation) == "unknown"
    for _ in range(3):
        house.clock.offset += timedelta(hours=30)
        await house.work()
    [mail] = await house.mails(f"{name}@example.com")
    [token] = await stored(house, "single_use_tokens")
    assert token["purpose"] == "verify_email" and mail["token"], "it may have arrived, so its link must work"


async def test_a_mark_of_another_worker_is_not_sent_over(house: House) -> None:
    """A worker died after it wrote down that it sends: the next one leaves the mail as it is, and says so."""
    operation_id = await queue(house, "verify_email", await make_person(house))
    mark = {"$set": {"state": "sending", "fence": 1}}
    await house.db.open("mails").update_many({}, mark, comment=f"{ALL_LABELS}a test")
    await house.work()
    operation = await operation_of(house, operation_id)
    assert operation["state"] == "unknown" and "interrupted" in operation["problem"]["detail"]
    assert await mail_state(house, operation) == "unknown" and await house.mails("mara@example.com") == []


async def test_the_mail_server_is_away_for_a_while(house: House) -> None:
    """Mails wait, none is tried in vain beside another, and each is delivered once when it is back."""
    there, house.worker.mailer = house.worker.mailer, open_mailer(NO_POSTBOX, tls_required=False, timeout_s=2)
    people = {f"waits{number}@example.com": "" for number in range(5)}
    for address in people:
        people[address] = await queue(house, "verify_email", await make_person(house, address))
    for _ in range(3):
        await house.work()
        house.clock.offset += timedelta(minutes=2)
    assert house.worker.mailer.away_until is not None and await stored(house, "single_use_tokens") == []
    house.worker.mailer = there
    house.clock.offset += timedelta(minutes=5)
    await house.work()
    for address, operation_id in people.items():
        assert (await operation_of(house, operation_id))["state"] == "succeeded"
        assert len(await house.mails(address)) == 1


async def test_a_pause_ends(house: House) -> None:
    """While the server is known to be away nobody tries; ten seconds later somebody does."""
    house.worker.mailer.away_until = house.clock() + timedelta(seconds=10)
    operation = await send(house, "verify_email", await make_person(house))
    assert operation["state"] == "queued" and await house.mails("mara@example.com") == []
    house.clock.offset += timedelta(seconds=11)
    await house.work()
    assert len(await house.mails("mara@example.com")) == 1


async def test_who_is_gone_gets_no_mail(house: House) -> None:
    """An account that was deleted, an invitation that was withdrawn or ran out while the mail waited."""
    lapsed = await invite(house, None, "lapsed@example.com")
    gone = [await queue(house, "password_changed", "usr_gone"), await queue(house, "invitation", "inv_gone", to=NEW)]
    gone.append(await queue(house, "invitation", lapsed, to="lapsed@example.com"))
    house.clock.offset += timedelta(days=8)
    await house.work()
    for operation_id in gone:
        operation = await operation_of(house, operation_id)
        assert (operation["state"], operation["problem"]["code"]) == ("failed", "recipient_gone")
        assert await mail_state(house, operation) == "failed"
    assert await house.mails(NEW) == [] and await house.mails("lapsed@example.com") == []


async def test_a_mail_that_cannot_be_written_fails_once(house: House) -> None:
    """A fact is missing: that is reported, not tried for ever, and leaves no token."""
    operation = await send(house, "verify_email", await make_person(house), facts={})
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "mail_unwritable")
    assert await stored(house, "single_use_tokens") == [] and await house.mails("mara@example.com") == []


async def test_only_hashes_of_tokens_are_stored(house: House) -> None:
    """A dump of the database, after every mail with a link was sent, holds none of their tokens."""
    tokens = []
    for template in LINKS:
        address = f"{template}@example.com"
        invited = template == "invitation"
        subject = await invite(house, None, address) if invited else await make_person(house, address)
        await send(house, template, subject, to=address)  # type: ignore[arg-type]
        tokens += [mail["token"] for mail in await house.mails(address)]
    dump = b"".join([BSON.encode(doc) for name in DATA_MAP for doc in await stored(house, name)])
    assert len(set(tokens)) == len(LINKS) and len(await stored(house, "single_use_tokens")) == len(LINKS)
    assert [token for token in tokens if token.encode() in dump or token[4:].encode() in dump] == []


async def test_a_person_has_an_invitation_sent_again(house: House) -> None:
    """A failed or unknown mail of a label can be begun anew through the API, and is tried for another day."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.work()
    invitation = await invite(house, label_id, NEW)
    house.worker.mailer.timeout_s = 1
    operation = await send(house, "invitation", invitation, to="lost@example.com", label_id=label_id)
    path = f"/v1/labels/{label_id}/operations/{operation['_id']}"
    shown = (await owner.get(f"/v1/operations/{operation['_id']}")).json()
    assert (shown["kind"], shown["state"], shown["due_at"]) == ("send_mail", "unknown", None)
    mended = {"$set": {"to": NEW}}
    await house.db.open("mails").update_one({"_id": operation["target"], "label_id": label_id}, mended)
    assert (await owner.post(f"{path}/retry")).status_code == 202
    await house.work()
    assert (await operation_of(house, operation["_id"]))["state"] == "succeeded"
    [mail] = await house.mails(NEW)
    [doubtful] = await house.mails("lost@example.com")
    assert mail["message_id"] == doubtful["message_id"], "a double can be recognised"
    assert (await owner.post(f"{path}/retry")).status_code == 409


async def test_the_postbox_shows_mails_without_running_them(house: House) -> None:
    """Its page lists them, shows one as text, and frames the HTML so that no script and nothing remote is loaded."""
    await send(house, "verify_email", await make_person(house, "shown@example.com"))
    [mail] = await house.mails("SHOWN@example.com")
    async with httpx.AsyncClient(base_url=house.postbox_url, trust_env=False) as http:
        assert f'href="/read/{mail["id"]}"' in (await http.get("/")).text
        page = await http.get(f"/read/{mail['id']}")
        html = await http.get(f"/read/{mail['id']}/html")
        assert (await http.get(f"/mails/{mail['id']}")).json() == mail
        assert (await http.get("/mails/0")).status_code == 404
    assert mail["token"] in page.text and 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    for answer in (page, html):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';") and "script" not in policy
    assert "sandbox allow-popups" in html.headers["content-security-policy"]
