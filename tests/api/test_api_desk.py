"""The desk: what a team decides about conversations, notes to itself, saved replies, and finding by words."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.db import Doc
from app.models.base import rfc3339
from app.services import retention
from tests.api.people import join
from tests.api.test_api_lists import walk
from tests.flows.flows_harness import only_the_clock_decides, pass_by
from tests.house import PASSWORD, House, message_change
from workers import jobs


async def a_desk(house: House, *texts: str) -> tuple[httpx.AsyncClient, str]:
    """An owner, and the path of a label to whose account these were written, each by another fan, one a minute."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    ago = [timedelta(minutes=len(texts) - n) for n in range(len(texts))]
    await house.receive(
        *(message_change(f"m{n}", text=text, ms=house.ms(ago[n]), fan=f"9000{n}") for n, text in enumerate(texts))
    )
    return owner, f"/v1/labels/{label_id}"


async def first(owner: httpx.AsyncClient, path: str) -> Doc:
    """The conversation at the top of the list."""
    found: Doc = (await owner.get(f"{path}/conversations")).json()["data"][0]
    return found


async def log_in(house: House, owner: httpx.AsyncClient) -> None:
    """Log in again, after so much time that the token is over."""
    session = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    owner.headers["Authorization"] = f"Bearer {session.json()['access_token']}"


def pointers(answer: httpx.Response) -> list[str]:
    """What a refusal points to."""
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_a_snooze_ends_by_itself(house: House) -> None:
    """It needs an end in the future; at its end the conversation is open, and an event tells so."""
    owner, path = await a_desk(house, "hello")
    conversation = f"{path}/conversations/{(await first(owner, path))['id']}"
    soon = rfc3339(house.clock() + timedelta(hours=1))
    for body in ({"status": "snoozed"}, {"status": "snoozed", "snoozed_until": "2020-01-01T00:00:00Z"}):
        assert pointers(await owner.patch(conversation, json=body)) == ["/snoozed_until"]
    for body in ({"snoozed_until": soon}, {"status": "closed", "snoozed_until": soon}):
        assert pointers(await owner.patch(conversation, json=body)) == ["/snoozed_until"]
    snoozed = (await owner.patch(conversation, json={"status": "snoozed", "snoozed_until": soon})).json()
    assert (snoozed["status"], snoozed["snoozed_until"]) == ("snoozed", soon)
    await jobs.tend_conversations(house.worker)
    assert (await owner.get(conversation)).json()["status"] == "snoozed"
    pass_by(house, timedelta(hours=1, seconds=1))
    await log_in(house, owner)
    await jobs.tend_conversations(house.worker)
    woken = (await owner.get(conversation)).json()
    assert (woken["status"], woken["snoozed_until"]) == ("open", None)
    events = await house.db.open("events").find({"label_id": path[11:], "target": woken["id"]}).to_list()
    assert [event["type"] for event in events].count("conversation.changed") == 2


async def test_a_new_message_reopens(house: House) -> None:
    """Snoozed or closed: what the fan writes afterwards opens it, and the snooze is over for good."""
    owner, path = await a_desk(house, "hello")
    conversation = f"{path}/conversations/{(await first(owner, path))['id']}"
    later = {"status": "snoozed", "snoozed_until": rfc3339(house.clock() + timedelta(hours=1))}
    for n, body in enumerate((later, {"status": "closed"})):
        assert (await owner.patch(conversation, json=body)).status_code == 200
        pass_by(house, timedelta(seconds=1))
        await house.receive(message_change(f"again{n}", ms=house.ms(), fan="90000"))
        shown = (await owner.get(conversation)).json()
        assert (shown["status"], shown["snoozed_until"]) == ("open", None)
    [stored] = await house.db.open("conversations").find({"label_id": path[11:]}).to_list()
    assert "wake_at" not in stored


async def test_tags_are_normal(house: House) -> None:
    """Small letters, single spaces, each once; at most 20; found however they are written."""
    owner, path = await a_desk(house, "one", "two")
    conversation = f"{path}/conversations/{(await first(owner, path))['id']}"
    tagged = await owner.patch(conversation, json={"tags": ["VIP", " vip", "Tour  2026", "ｖｉｐ"]})
    assert tagged.json()["tags"] == ["vip", "tour 2026"]
    found = await owner.get(f"{path}/conversations", params={"tag": " Tour 2026"})
    assert [one["id"] for one in found.json()["data"]] == [tagged.json()["id"]]
    assert pointers(await owner.patch(conversation, json={"tags": [f"t{n}" for n in range(21)]})) == ["/tags"]
    assert pointers(await owner.patch(conversation, json={"tags": ["  "]})) == ["/tags/0"]


async def test_who_leaves_answers_nothing(house: House) -> None:
    """Conversations of somebody who is taken out of the label are nobody's, and are found as such."""
    owner, path = await a_desk(house, "one", "two")
    agent = await join(house, "agent@example.com", path[11:], "agent")
    me = (await agent.get("/v1/me")).json()["id"]
    mine = (await first(owner, path))["id"]
    taken = await owner.patch(f"{path}/conversations/{mine}", json={"assignee": me})
    assert taken.json()["assignee"] == me
    unassigned = await owner.get(f"{path}/conversations", params={"assignee": "none"})
    assert len(unassigned.json()["data"]) == 1
    (await agent.post(f"{path}/leave")).raise_for_status()
    assert (await owner.get(f"{path}/conversations/{mine}")).json()["assignee"] is None
    assert len((await owner.get(f"{path}/conversations", params={"assignee": "none"})).json()["data"]) == 2
    changed = {"label_id": path[11:], "type": "conversation.changed", "target": mine, "seq": {"$gt": 0}}
    assert await house.db.open("events").count_documents(changed) == 2, "taken, and left"


async def test_notes(house: House) -> None:
    """Written, changed under their version, listed newest first, taken away; everybody at the desk may."""
    owner, path = await a_desk(house, "hello")
    agent = await join(house, "agent@example.com", path[11:], "agent")
    notes = f"{path}/conversations/{(await first(owner, path))['id']}/notes"
    made = await agent.post(notes, json={"text": "asked about vinyl"})
    assert made.status_code == 201
    note = made.json()
    assert (note["text"], note["author"]["kind"]) == ("asked about vinyl", "person")
    pass_by(house, timedelta(seconds=1))
    second = (await owner.post(notes, json={"text": "second"})).json()
    assert [one["id"] for one in await walk(owner, notes, limit=1)] == [second["id"], note["id"]]
    one = f"{path}/notes/{note['id']}"
    stale = await owner.patch(one, json={"text": "x"}, headers={"If-Match": '"9"'})
    assert stale.status_code == 412
    changed = await owner.patch(one, json={"text": "asked twice"}, headers={"If-Match": made.headers["ETag"]})
    assert (changed.json()["text"], changed.json()["expires_at"]) == ("asked twice", note["expires_at"])
    assert pointers(await owner.post(notes, json={"text": "  "})) == ["/text"]
    assert (await owner.delete(one)).status_code == 204
    assert (await owner.get(one)).status_code == 404
    analyst = await join(house, "analyst@example.com", path[11:], "analyst")
    assert (await analyst.get(notes)).status_code == 403


async def test_a_note_ends_with_what_it_is_about(house: House) -> None:
    """A later message lengthens the conversation, not the note: 30 days after the message that was the newest then."""
    await only_the_clock_decides(house)
    owner, path = await a_desk(house, "hello")
    found = await first(owner, path)
    notes = f"{path}/conversations/{found['id']}/notes"
    note = (await owner.post(notes, json={"text": "a canary"})).json()
    assert note["expires_at"] == found["expires_at"]
    pass_by(house, timedelta(days=29))
    await log_in(house, owner)
    await house.receive(message_change("late", ms=house.ms(), fan="90000"))
    assert (await owner.patch(f"{path}/notes/{note['id']}", json={"text": "still"})).status_code == 200
    pass_by(house, timedelta(days=1))
    await log_in(house, owner)
    assert (await owner.get(f"{path}/notes/{note['id']}")).status_code == 404
    assert (await owner.get(notes)).json()["data"] == []
    assert (await owner.get(f"{path}/conversations/{found['id']}")).status_code == 200
    await retention.sweep(house.db, now=house.clock())
    assert await house.db.open("notes").find({"label_id": path[11:]}).to_list() == []


async def test_saved_replies(house: House) -> None:
    """Kept once by each name, changed, rendered for a conversation with its size, taken away."""
    owner, path = await a_desk(house, "hello")
    replies, conversation = f"{path}/saved-replies", (await first(owner, path))["id"]
    text = "Hi {{fan.name|there}}, {{fan.username}} {{account.name}} {{agent.name}}"
    made = await owner.post(replies, json={"name": "Hello", "text": text})
    assert (made.status_code, made.json()["variables"]) == (
        201,
        ["account.name", "agent.name", "fan.name", "fan.username"],
    )
    taken = await owner.post(replies, json={"name": " hello ", "text": "x"})
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    assert pointers(await owner.post(replies, json={"name": "Bad", "text": "{{fan.phone}}"})) == ["/text"]
    one = f"{replies}/{made.json()['id']}"
    rendered = await owner.post(f"{one}/render", json={"conversation_id": conversation})
    shown = "Hi there,  nightjar A Person"
    assert rendered.json() == {
        "text": shown,
        "size_bytes": len(shown),
        "limit_bytes": 1000,
        "fits": True,
        "missing": ["fan.username"],
    }
    long = await owner.patch(one, json={"text": "ü" * 501}, headers={"If-Match": made.headers["ETag"]})
    assert (long.json()["name"], long.json()["variables"]) == ("Hello", [])
    rendered = await owner.post(f"{one}/render", json={"conversation_id": conversation})
    assert (rendered.json()["size_bytes"], rendered.json()["fits"]) == (1002, False)
    assert (await owner.post(f"{one}/render", json={"conversation_id": "cnv_x"})).status_code == 404
    await owner.post(replies, json={"name": "Other", "text": "x"})
    assert [found["name"] for found in await walk(owner, replies, limit=1)] == ["Hello", "Other"]
    assert (await owner.delete(one)).status_code == 204
    assert (await owner.get(one)).status_code == 404


async def test_found_by_words(house: House) -> None:
    """All words, whole, in one message; the newest first; filters narrow it; an edit's words replace the first ones."""
    texts = ("the vinyl is late", "vinyl, please", "tour dates", "a late tour of vinyl")
    owner, path = await a_desk(house, *texts)

    async def found(**params: Any) -> list[str]:
        everything = await walk(owner, f"{path}/conversations", limit=1, **params)
        return [one["participant"]["provider_id"][-1] for one in everything]

    assert await found(q="VINYL") == ["3", "1", "0"]
    assert await found(q="late vinyl") == ["3", "0"]
    assert await found(q="vin") == []
    await house.receive(message_change("again", text="vinyl again", ms=house.ms(), fan="90000"))
    assert await found(q="vinyl") == ["0", "3", "1"]
    closed = await first(owner, path)
    await owner.patch(f"{path}/conversations/{closed['id']}", json={"status": "closed"})
    assert await found(q="vinyl", status="open") == ["3", "1"]
    who: Doc = {"sender": {"id": "90002"}, "recipient": {"id": "17841400000000001"}, "timestamp": house.ms()}
    await house.receive(who | {"message_edit": {"mid": "m2", "text": "vinyl instead", "num_edit": 1}})
    assert (await found(q="dates"), await found(q="instead")) == ([], ["2"])
    await house.receive(who | {"message": {"mid": "m2", "is_deleted": True}})
    assert await found(q="instead") == []
    assert pointers(await owner.get(f"{path}/conversations", params={"q": "?!"})) == ["/q"]


async def test_a_search_goes_on_while_more_is_written(house: House) -> None:
    """Many messages of few fans: each conversation once over all pages, whatever comes meanwhile."""
    owner, path = await a_desk(house)
    changes = [
        message_change(f"m{n}", text=f"word {n}", ms=house.ms(timedelta(minutes=n)), fan=f"9000{n % 7}")
        for n in range(60)
    ]
    await house.receive(*changes)
    page = (await owner.get(f"{path}/conversations", params={"q": "word", "limit": 3})).json()
    await house.receive(message_change("late", text="word", ms=house.ms(), fan="90005"))
    shown = [one["id"] for one in page["data"]]
    rest = await walk(owner, f"{path}/conversations", limit=3, q="word", cursor=page["next_cursor"])
    shown += [one["id"] for one in rest]
    assert len(shown) == len(set(shown)) and len(shown) >= 6


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
async def test_of_another_label_there_is_nothing(house: House, method: str) -> None:
    """A note and a saved reply of one label are not found under another of the same owner."""
    owner, path = await a_desk(house, "hello")
    other = f"/v1/labels/{await house.label(owner, 'other')}"
    conversation = (await first(owner, path))["id"]
    note = (await owner.post(f"{path}/conversations/{conversation}/notes", json={"text": "x"})).json()["id"]
    reply = (await owner.post(f"{path}/saved-replies", json={"name": "x", "text": "x"})).json()["id"]
    for place in (f"notes/{note}", f"saved-replies/{reply}"):
        body = {"text": "y"} if method == "patch" else None
        assert (await owner.request(method.upper(), f"{other}/{place}", json=body)).status_code == 404
