"""Erasure of a fan: by the label itself, or asked for by our desk in each label; nothing comes back, nothing leaks."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from app.db import Doc
from app.fan_requests import ask, main
from app.models.data_map import DATA_MAP
from app.models.fan_requests import BEFORE_DUE
from app.receipts import verify
from app.services.privacy import fan_requests, fan_tombstones
from app.services.privacy.fan_requests import fan_of
from tests.api.people import actions, join, mails, problem
from tests.api.test_api_deleted_fans import GONE, STAYS, comment_of, two_labels
from tests.house import ACCOUNT, PASSWORD, House, delivery, message_change

SETTLED = timedelta(minutes=2)
HANDLE = "a.fan"


async def places_of(house: House, text: str, label_id: str | None = None) -> set[str]:
    """The collections in which these words stand, of one label or of all."""
    found = set()
    for name, collection in DATA_MAP.items():
        query: Doc = {"label_id": label_id} if label_id and collection.tenant else {}
        async for document in house.db.raw[name].find(query, comment="all-labels: a test"):
            if text in repr(document):
                found.add(name)
    return found


async def settle(house: House) -> None:
    """Have a worker do it, and look again when everything has ended."""
    await house.work()
    house.clock.offset += SETTLED
    await house.work()


async def test_a_label_erases_a_fan(house: House) -> None:
    """All of them in this label; the other fan and the other label keep everything; and the receipt is signed."""
    nightjar, merle = await two_labels(house)
    owner = await owner_of(house)
    path = f"/v1/labels/{nightjar}/privacy-requests"
    before = await places_of(house, GONE, merle), await places_of(house, STAYS)
    talks = (await owner.get(f"/v1/labels/{nightjar}/conversations")).json()["data"]
    talk = next(one for one in talks if one["participant"]["provider_id"] == GONE)
    await owner.post(f"/v1/labels/{nightjar}/conversations/{talk['id']}/notes", json={"text": "of a fan"})
    asked = await owner.post(path, json={"provider_id": GONE})
    assert asked.status_code == 202, asked.text
    request = asked.json()
    assert (request["state"], request["fan"]["provider_ids"]) == ("in_progress", [GONE])
    assert (await owner.post(path, json={"provider_id": GONE})).json()["id"] == request["id"]
    await settle(house)
    shown = (await owner.get(f"{path}/{request['id']}")).json()
    assert (shown["state"], shown["fan"]) == ("done", None)
    assert await places_of(house, GONE, nightjar) - {"webhook_inbox"} == set()
    assert (await places_of(house, GONE, merle), await places_of(house, STAYS)) == before
    receipt = shown["receipt"]
    jwks = (await house.http.get("/.well-known/jwks.json")).json()
    assert verify(receipt["jws"], jwks) == receipt["receipt"] and GONE not in repr(receipt)
    counts = {row["what"]: row["documents"] for row in receipt["receipt"]["erased"]}
    assert (counts["conversations"], counts["messages"], counts["notes"], counts["comments"]) == (1, 3, 1, 1)
    assert "fan.erased" in await actions(house, nightjar) and "fan.erased" not in await actions(house, merle)
    events = await house.db.open("events").find({"label_id": nightjar, "type": "conversation.erased"}).to_list()
    assert [event["target"] for event in events] == [talk["id"]]


async def owner_of(house: House) -> httpx.AsyncClient:
    """The owner of both labels, logged in again."""
    login = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    client = httpx.AsyncClient(transport=house.http._transport, base_url=house.http.base_url)
    client.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
    return client


async def test_what_the_fan_wrote_before_does_not_come_back(house: House) -> None:
    """A late webhook, another delivery, a reaction, a comment. What they write later is a new conversation."""
    nightjar, merle = await two_labels(house)
    owner = await owner_of(house)
    path = f"/v1/labels/{nightjar}"
    late = message_change("mid-late", ms=house.ms(), fan=GONE)
    await owner.post(f"{path}/privacy-requests", json={"provider_id": GONE})
    assert (await house.deliver(delivery(late))).status_code == 200  # waits while the operation runs
    await asyncio.gather(house.work(), house.work())
    reaction = {"sender": {"id": GONE}, "recipient": {"id": ACCOUNT}, "timestamp": house.ms()}
    reaction["reaction"] = {"mid": "mid-01-11-0", "action": "react", "reaction": "love", "emoji": "x"}
    read = {"sender": {"id": GONE}, "recipient": {"id": ACCOUNT}, "timestamp": house.ms(), "read": {"mid": "mid-late"}}
    earlier = house.ms(timedelta(minutes=30))
    for body in (
        delivery(late | {"message": {"mid": "mid-later", "text": "again"}}),
        delivery(reaction, read),
        comment_of(GONE, 77, ACCOUNT, earlier),
    ):
        assert (await house.deliver(body)).status_code == 200
    await settle(house)
    assert await places_of(house, GONE, nightjar) - {"webhook_inbox"} == set()
    assert "conversations" in await places_of(house, GONE, merle)
    key = fan_tombstones.key_of(house.worker.settings)
    gone = await fan_tombstones.erased(house.db, key, nightjar, [GONE, STAYS])
    assert set(gone) == {GONE} and not await fan_tombstones.erased(house.db, key, merle, [GONE])
    await house.receive(message_change("mid-new", text="I am back", ms=house.ms(), fan=GONE))
    log_in = await owner_of(house)
    talks = (await log_in.get(f"{path}/conversations")).json()["data"]
    [back] = [one for one in talks if one["participant"]["provider_id"] == GONE]
    shown = (await log_in.get(f"{path}/conversations/{back['id']}/messages")).json()["data"]
    assert [one["text"] for one in shown] == ["I am back"]


async def test_our_desk_asks_each_label_and_no_label_hears_of_another(house: House) -> None:
    """A request and a mail in each; one accepts, the other lets it be: both are done before a month is over."""
    nightjar, merle = await two_labels(house)
    third = await house.label(await house.person("third@example.com"), "third")
    status, told = await ask(house.db, house.api.audit, fan_of(None, f"@{HANDLE.upper()}"), apply=False)
    assert status == 0 and "2 labels" in told and await mails(house, "fan_erasure_asked") == []
    status, told = await ask(house.db, house.api.audit, fan_of(GONE, None), apply=True)
    again = await ask(house.db, house.api.audit, fan_of(GONE, None), apply=True)
    assert again == (status, told) and GONE not in told
    assert [mail["label_id"] for mail in await mails(house, "fan_erasure_asked")] == sorted([nightjar, merle])
    owner = await owner_of(house)
    agent = await join(house, "agent@example.com", nightjar, "agent")
    ids = {}
    for label_id in (nightjar, merle):
        [shown] = (await owner.get(f"/v1/labels/{label_id}/privacy-requests")).json()["data"]
        assert (shown["state"], shown["asked_by"]) == ("received", "desk")
        ids[label_id] = shown["id"]
    path = f"/v1/labels/{nightjar}/privacy-requests"
    assert problem(await owner.get(f"{path}/{ids[merle]}")) == (404, "not_found")
    assert problem(await agent.get(path)) == (403, "forbidden")
    stranger = await house.person("stranger@example.com")
    assert problem(await stranger.get(path)) == (404, "not_found")
    assert await house.db.raw["privacy_requests"].count_documents({"label_id": third}) == 0
    accepted = await owner.post(f"{path}/{ids[nightjar]}/accept")
    assert accepted.status_code == 202 and accepted.json()["state"] == "in_progress"
    assert problem(await owner.post(f"{path}/{ids[nightjar]}/refuse", json={"reason": "legal_claim"}))[0] == 409
    await settle(house)
    assert await places_of(house, GONE, nightjar) - {"webhook_inbox", "privacy_requests"} == set()
    assert "conversations" in await places_of(house, GONE, merle)
    due_at = accepted.json()["due_at"]
    request = await fan_requests.need(house.db, merle, ids[merle])
    house.clock.offset += request["due_at"] - house.clock() - BEFORE_DUE + timedelta(seconds=1)
    await settle(house)
    done = await fan_requests.need(house.db, merle, ids[merle])
    assert done["state"] == "done" and done["closed_at"] < done["due_at"] and due_at


async def test_a_label_may_refuse_for_a_reason_of_the_laws(house: House) -> None:
    """Then nothing is erased, the reason stays with the request, and it does not know whom it was about."""
    nightjar, _ = await two_labels(house)
    await ask(house.db, house.api.audit, fan_of(GONE, None), apply=True)
    owner = await owner_of(house)
    path = f"/v1/labels/{nightjar}/privacy-requests"
    [shown] = (await owner.get(path)).json()["data"]
    assert problem(await owner.post(f"{path}/{shown['id']}/refuse", json={"reason": "no"}))[0] == 422
    refused = (await owner.post(f"{path}/{shown['id']}/refuse", json={"reason": "legal_claim"})).json()
    assert (refused["state"], refused["refused_because"], refused["fan"]) == ("refused", "legal_claim", None)
    assert problem(await owner.post(f"{path}/{shown['id']}/accept"))[0] == 409
    house.clock.offset += timedelta(days=31) - timedelta(hours=30)
    await settle(house)
    assert (await fan_requests.need(house.db, nightjar, shown["id"]))["state"] == "refused"


async def test_by_a_handle(house: House) -> None:
    """Whoever has it in this label: their conversation, by the number that their comments are signed with, too."""
    nightjar, merle = await two_labels(house)
    owner = await owner_of(house)
    query = {"label_id": nightjar, "author.provider_id": STAYS}
    await house.db.raw["comments"].update_one(query, {"$set": {"author.username": "another"}})
    asked = await owner.post(f"/v1/labels/{nightjar}/privacy-requests", json={"handle": f"@{HANDLE.upper()}"})
    assert asked.json()["fan"] == {"provider_ids": [], "handle": HANDLE}
    await settle(house)
    assert await places_of(house, GONE, nightjar) - {"webhook_inbox"} == set()
    assert "conversations" in await places_of(house, STAYS, nightjar)
    assert HANDLE in repr(await house.db.raw["comments"].find({"label_id": merle}).to_list())


async def test_a_label_that_asks_for_what_our_desk_has_asked_accepts_it(house: House) -> None:
    """It is done at once, and not in a month; the request is the same."""
    nightjar, _ = await two_labels(house)
    await ask(house.db, house.api.audit, fan_of(GONE, None), apply=True)
    owner = await owner_of(house)
    path = f"/v1/labels/{nightjar}/privacy-requests"
    [waits] = (await owner.get(path)).json()["data"]
    assert waits["state"] == "received" and waits["decide_by"] < waits["due_at"]
    asked = (await owner.post(path, json={"provider_id": GONE})).json()
    assert (asked["id"], asked["state"], asked["asked_by"]) == (waits["id"], "in_progress", "desk")
    await settle(house)
    assert await places_of(house, GONE, nightjar) - {"webhook_inbox"} == set()
    assert "fan_erasure.accepted" in await actions(house, nightjar)


async def test_what_the_fan_writes_while_it_is_done_stays(house: House) -> None:
    """It is a new conversation; what comes late of the old one is found, and goes."""
    nightjar, _ = await two_labels(house)
    owner = await owner_of(house)
    path = f"/v1/labels/{nightjar}"
    query = {"label_id": nightjar, "participant.provider_id": GONE}
    old = await house.db.open("conversations").find_one(query)
    assert old is not None
    await owner.post(f"{path}/privacy-requests", json={"provider_id": GONE})
    await house.work()
    house.clock.offset += timedelta(seconds=5)
    await house.receive(message_change("mid-new", text="I am new", ms=house.ms(), fan=GONE))
    late: Doc = {"label_id": nightjar, "conversation_id": old["_id"], "connection_id": old["connection_id"]}
    late |= {"ordered_at": house.clock() - timedelta(hours=1), "expires_at": house.clock() + timedelta(days=9)}
    await house.db.open("messages").insert_one(late | {"_id": "msg_late", "content": {"text": "under way"}})
    await house.db.open("notes").insert_one(late | {"_id": "nte_late", "text": "under way"})
    await settle(house)
    [talk] = (await (await owner_of(house)).get(f"{path}/conversations")).json()["data"][:1]
    assert talk["participant"]["provider_id"] == GONE and talk["id"] != old["_id"]
    assert await places_of(house, "under way", nightjar) == set()
    assert "messages" in await places_of(house, "I am new", nightjar)
    [request] = await house.db.open("privacy_requests").find({"label_id": nightjar}).to_list()
    assert request["state"] == "done" and not {"fan", "names", "talks", "threads"} & request.keys()


async def test_an_edit_of_before_stays_away_from_what_is_new(house: House) -> None:
    """The fan has written since; words that they had changed before they were erased do not come with it."""
    nightjar, _ = await two_labels(house)
    owner = await owner_of(house)
    edit = {"sender": {"id": GONE}, "recipient": {"id": ACCOUNT}, "timestamp": house.ms()}
    edit["message_edit"] = {"mid": "mid-01-11-0", "text": "older words", "num_edit": 1}
    house.clock.offset += timedelta(seconds=5)
    await owner.post(f"/v1/labels/{nightjar}/privacy-requests", json={"provider_id": GONE})
    await settle(house)
    await house.receive(message_change("mid-new", text="I am new", ms=house.ms(), fan=GONE))
    await house.receive(edit)
    assert await places_of(house, "older words", nightjar) == set()
    assert "messages" in await places_of(house, "I am new", nightjar)


async def test_comments_without_an_id(house: House) -> None:
    """Meta withholds it at times: then the handle tells, of a fan who is known by the id, too."""
    nightjar, _ = await two_labels(house)
    owner = await owner_of(house)
    fields = {"author.provider_id": None, "content.text": "withheld"}
    query = {"label_id": nightjar, "author.provider_id": STAYS}
    await house.db.raw["comments"].update_one(query, {"$set": fields})
    await owner.post(f"/v1/labels/{nightjar}/privacy-requests", json={"provider_id": GONE})
    await settle(house)
    assert await places_of(house, "withheld", nightjar) == set()
    key, name = fan_tombstones.key_of(house.worker.settings), fan_tombstones.by_handle(HANDLE)
    assert set(await fan_tombstones.erased(house.db, key, nightjar, [name])) == {name}


async def test_a_label_is_deleted_while_a_fan_waits(house: House) -> None:
    """Its requests have gone with it: what was to be done ends, and is not tried for ever."""
    nightjar, _ = await two_labels(house)
    await ask(house.db, house.api.audit, fan_of(GONE, None), apply=True)
    await house.db.open("privacy_requests").delete_many({"label_id": nightjar})
    house.clock.offset += timedelta(days=30)
    await house.work()
    [operation] = await house.db.open("operations").find({"label_id": nightjar, "kind": "erase_fan"}).to_list()
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "label_deleted")


@pytest.mark.parametrize("body", [{"handle": "nobody.here"}, {"provider_id": "900000000000099"}])
async def test_of_a_fan_who_is_not_here_nothing_is_signed(house: House, body: Doc) -> None:
    """A slip of the finger is told, and not met with a receipt."""
    nightjar, _ = await two_labels(house)
    owner = await owner_of(house)
    assert problem(await owner.post(f"/v1/labels/{nightjar}/privacy-requests", json=body)) == (404, "not_found")
    assert await house.db.raw["privacy_requests"].count_documents({"label_id": nightjar}) == 0


BODIES = [
    {},
    {"provider_id": "1234567", "handle": "x"},
    {"provider_id": "abc"},
    *({"handle": odd} for odd in ("@", " ", "@ ", "mara sings", "ma\u200bra", "\uff4dara", "m" * 31, "a/b", "\u0130x")),
]


@pytest.mark.parametrize("body", BODIES)
async def test_a_fan_is_named_by_one_thing(house: House, body: Doc) -> None:
    """By a number or a handle that there can be: by another nobody is found, and nothing would be erased."""
    owner = await house.person()
    label_id = await house.label(owner)
    answer = await owner.post(f"/v1/labels/{label_id}/privacy-requests", json=body)
    assert problem(answer) == (422, "invalid_input")
    assert await house.db.raw["privacy_requests"].count_documents({"label_id": label_id}) == 0


@pytest.mark.parametrize("args", [[], ["--handle", ""], ["--handle", "@"], ["--id", ""], ["--id", "x", "--apply"]])
def test_the_command_says_how_it_is_used(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a fan it does nothing: an empty name would be everybody whose name is not known."""
    with pytest.raises(SystemExit) as exit_:
        main(args)
    assert exit_.value.code == 2 and "--handle" in capsys.readouterr().err
