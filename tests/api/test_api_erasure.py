"""The end of an account: access ends at once, a week to take it back, then nothing is left but what is declared."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from app.db import Doc
from app.derived_keys import derive
from app.ids import new_id
from app.models.collection import ERASED
from app.models.data_map import DATA_MAP
from app.receipts import verify
from app.services.consents import suppression
from app.services.labels import members
from app.services.privacy import erasing, erasure, requests
from tests.api.people import actions, join, link, mails, problem, user_of
from tests.house import PASSWORD, House, message_change

MARA, OWNER = "mara@example.com", "owner@example.com"
PATH = "/v1/me/erasure"
SETTLED = timedelta(minutes=2)


async def log_in(house: House, email: str) -> httpx.Response:
    """Try to log in."""
    return await house.http.post("/v1/sessions", json={"email": email, "password": PASSWORD})


async def begin(person: httpx.AsyncClient) -> Doc:
    """Ask for the erasure of this account."""
    answer = await person.post(PATH)
    assert answer.status_code == 202, answer.text
    found: Doc = answer.json()
    return found


async def to_the_end(house: House, begun: Doc) -> Doc:
    """Let the week pass and a worker do all of it; what the page says then."""
    house.clock.offset += erasure.GRACE + timedelta(seconds=1)
    for _ in range(3):
        await house.work()
        house.clock.offset += SETTLED
    shown: Doc = (await status(house, begun)).json()
    assert shown["state"] == "done", shown
    return shown


async def status(house: House, begun: Doc) -> httpx.Response:
    """What whoever has the code is told."""
    path = begun["receipt_url"].removeprefix("http://127.0.0.1:8000")
    return await house.http.get(path, headers={"Accept": "application/json"})


async def places_of(house: House, text: str) -> set[str]:
    """The collections in which these words stand anywhere."""
    found = set()
    for name in DATA_MAP:
        async for document in house.db.raw[name].find({}, comment="all-labels: a test"):
            if text in repr(document):
                found.add(name)
    return found


async def stored(house: House, name: str, **query: object) -> list[Doc]:
    """What a collection holds."""
    return await house.db.open(name).find(query, comment="all-labels: a test").to_list()


async def test_access_ends_at_once_and_a_link_takes_it_back(house: House) -> None:
    """Every session, every way in; the label's work stays; and after the link all is as it was."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    mara = await join(house, MARA, label_id, "admin")
    wish = {"name": "P", "scopes": ["label:read"]}
    client = (await mara.post(f"/v1/labels/{label_id}/api-clients", json=wish)).raise_for_status().json()
    basic = (client["client_id"], client["client_secret"])
    reset = await link(house, "reset_password", (await user_of(house, MARA))["_id"])
    preview = (await mara.get(PATH)).raise_for_status().json()
    assert preview["blocked_by"] == [] and preview["grace_days"] == 7
    begun = await begin(mara)
    assert {"users", "sessions", "memberships"} <= {one["what"] for one in begun["erases"]}
    assert {"audit_log", "privacy_requests"} <= {one["what"] for one in begun["keeps"]}
    assert all(one["why"] for one in begun["keeps"])
    assert problem(await mara.get("/v1/me")) == (401, "unauthenticated")
    assert problem(await log_in(house, MARA)) == (401, "invalid_credentials")
    new = {"token": reset, "password": "another sentence of mine"}
    assert (await house.http.post("/v1/password-resets/confirm", json=new)).json()["code"] == "invalid_token"

    async def grant() -> int:
        data = {"grant_type": "client_credentials"}
        return (await house.http.post("/v1/oauth/token", data=data, auth=basic)).status_code

    assert await grant() == 401
    await house.http.post("/v1/password-resets", json={"email": MARA})
    await house.work()
    sent = [mail["template"] for mail in await mails(house) if mail["state"] == "sent"]
    assert sent[-2:] == ["erasure_begun", "erasure_waits"]
    shown = (await status(house, begun)).json()
    assert (shown["state"], shown["erases_at"]) == ("waiting", begun["erases_at"])
    page = await house.http.get(begun["receipt_url"].removeprefix("http://127.0.0.1:8000"))
    assert "Will be erased on" in page.text and "Done at the latest" not in page.text
    token = next(mail["token"] for mail in await house.mails(MARA) if mail["token"])
    house.clock.offset += erasure.GRACE - timedelta(minutes=5)
    kept = await house.http.request("DELETE", PATH, json={"token": token})
    assert kept.status_code == 204, kept.text
    assert problem(await house.http.request("DELETE", PATH, json={"token": token})) == (400, "invalid_token")
    mara.headers["Authorization"] = f"Bearer {(await log_in(house, MARA)).json()['access_token']}"
    assert (await mara.get(f"/v1/labels/{label_id}")).json()["role"] == "admin"
    assert await grant() == 200
    after = (await status(house, begun)).json()
    assert (after["state"], after["erases_at"]) == ("cancelled", None)
    [shown] = (await mara.get("/v1/me/requests")).json()["data"]
    assert (shown["kind"], shown["state"], shown["receipt"]) == ("erasure", "cancelled", None)
    house.clock.offset += timedelta(days=2)
    await house.work()
    assert "erasure_due_at" not in await user_of(house, MARA)


async def test_after_a_week_nothing_is_left(house: House) -> None:
    """The account and its traces go; the label keeps its work without the person; the receipt is true and signed."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    mara = await join(house, MARA, label_id, "admin")
    user_id = (await user_of(house, MARA))["_id"]
    await house.connection(label_id)
    await house.receive(message_change("m_1", ms=house.ms()))
    path = f"/v1/labels/{label_id}"
    [conversation] = (await mara.get(f"{path}/conversations")).json()["data"]
    await mara.post(f"{path}/conversations/{conversation['id']}/notes", json={"text": "a note"})
    await mara.patch(f"{path}/conversations/{conversation['id']}", json={"assignee": user_id})
    await mara.post(f"{path}/saved-replies", json={"name": "hi", "text": "Hello"})
    await mara.post(f"{path}/publications", json={"kind": "feed", "caption": "words", "connection_ids": []})
    await mara.post(f"{path}/invitations", json={"email": "friend@example.com", "role": "agent"})
    other = await house.label(await house.person("other@example.com"), "elsewhere")
    (await house.db.open("invitations").insert_one(invitation(house, other, user_id)))
    begun = await begin(mara)
    shown = await to_the_end(house, begun)
    assert await places_of(house, MARA) == set()
    assert await places_of(house, user_id) <= {"audit_log", "audit_heads", "privacy_requests", "events"}
    [note] = await stored(house, "notes")
    assert (note["author"]["id"], note["text"]) == (ERASED, "a note")
    assert [one["assignee"] for one in await stored(house, "conversations")] == [None]
    assert await stored(house, "invitations") == []
    key = derive(house.worker.settings, suppression.PURPOSE)
    assert await suppression.suppressed(house.db, key, MARA.upper())
    signed = shown["receipt"]
    jwks = (await house.http.get("/.well-known/jwks.json")).json()
    assert verify(signed["jws"], jwks) == signed["receipt"]
    gone = {row["what"]: (row["action"], row["documents"]) for row in signed["receipt"]["erased"]}
    assert gone["users"] == ("deleted", 1) and gone["notes"] == ("unlinked", 1)
    told = repr(shown)
    assert user_id not in told and MARA not in told and "A Person" not in told
    assert (await actions(house, user_id))[-2:] == ["erasure.asked", "erasure.done"]
    house.clock.offset += erasing.LAST_LOOK
    await house.work()
    page = await house.http.get(begun["receipt_url"].removeprefix("http://127.0.0.1:8000"))
    assert page.status_code == 200 and "Done" in page.text and user_id not in page.text
    assert (await house.http.get("/erasure/AAAA", headers={"Accept": "text/html"})).status_code == 404


def invitation(house: House, label_id: str, user_id: str) -> Doc:
    """An invitation to Mara, of another label."""
    found: Doc = {"_id": new_id("inv"), "label_id": label_id, "email": "Mara@example.com", "email_key": MARA}
    found |= {"role": "agent", "invited_by": "usr_somebody", "created_at": house.clock()}
    return found | {"expires_at": house.clock() + timedelta(days=20)}


async def test_the_last_owner_makes_somebody_else_one_first(house: House) -> None:
    """Or deletes the label. Two owners cannot both go, also not at once."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    assert [one["label_id"] for one in (await owner.get(PATH)).json()["blocked_by"]] == [label_id]
    refused = await owner.post(PATH)
    assert problem(refused) == (409, "last_owner") and label_id in refused.json()["detail"]
    assert (await owner.get("/v1/me")).status_code == 200
    second = await join(house, MARA, label_id, "owner")
    answers = await asyncio.gather(owner.post(PATH), second.post(PATH))
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    gone, stays = (owner, second) if answers[0].status_code == 202 else (second, owner)
    shown = (await stays.get(f"/v1/labels/{label_id}/members")).json()["data"]
    assert sorted(one["leaving"] for one in shown) == [False, True]
    assert problem(await gone.get("/v1/me"))[0] == 401
    mine = await members.membership_of(house.db, await id_of(stays), label_id)
    assert mine is not None
    path = f"/v1/labels/{label_id}/members/{mine['_id']}"
    assert problem(await stays.delete(path)) == (409, "last_owner")
    assert problem(await stays.patch(path, json={"role": "admin"})) == (409, "last_owner")
    await stays.delete(f"/v1/labels/{label_id}")
    assert (await stays.post(PATH)).status_code == 202


async def id_of(person: httpx.AsyncClient) -> str:
    """Who it is."""
    return str((await person.get("/v1/me")).raise_for_status().json()["id"])


async def test_it_needs_a_fresh_log_in(house: House) -> None:
    """A stolen session is not enough."""
    owner = await house.person(OWNER)
    house.clock.offset += timedelta(minutes=14)
    session = await house.http.post("/v1/sessions/refresh", json={})
    assert session.status_code in (200, 401)
    await house.db.raw["sessions"].update_many({}, {"$set": {"authenticated_at": house.clock() - timedelta(hours=1)}})
    assert problem(await owner.post(PATH)) == (403, "reauthentication_required")


async def test_who_was_robbed_of_the_account_gets_it_back_whole(house: House) -> None:
    """A thief moves the account to another address and has it erased; the undo link calls both off."""
    mara = await house.person(MARA)
    user_id = (await user_of(house, MARA))["_id"]
    moved = await link(house, "change_email", user_id, email="thief@example.com")
    (await house.http.post("/v1/users/email-change/confirm", json={"token": moved})).raise_for_status()
    mara.headers["Authorization"] = f"Bearer {(await log_in(house, 'thief@example.com')).json()['access_token']}"
    begun = await begin(mara)
    undo = await link(house, "undo_email_change", user_id, email=MARA)
    (await house.http.post("/v1/users/email-change/undo", json={"token": undo})).raise_for_status()
    assert (await status(house, begun)).json()["state"] == "cancelled"
    house.clock.offset += timedelta(days=30)
    await house.work()
    assert (await user_of(house, MARA))["_id"] == user_id


@pytest.mark.parametrize("late", ["users", "sessions", "mails", "messages"])
async def test_what_comes_late_is_not_left(house: House, late: str) -> None:
    """Somebody who was under way writes of the person after their turn: it is found when everything is looked for."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    mara = await join(house, MARA, label_id, "agent")
    user = await user_of(house, MARA)
    begun = await begin(mara)
    house.clock.offset += erasure.GRACE + timedelta(seconds=1)
    await house.work()
    assert await house.db.raw["users"].find_one({"_id": user["_id"]}) is None
    ends: Doc = {"expires_at": house.clock() + timedelta(days=9)}
    mail = {"_id": new_id("mai"), "label_id": None, "user_id": user["_id"], "facts": {"name": "Mara"}} | ends
    sent_by = {"kind": "person", "id": user["_id"]}
    rows: dict[str, Doc] = {
        "users": {"_id": user["_id"], "email_key": MARA},
        "sessions": {"_id": new_id("ses"), "user_id": user["_id"]} | ends,
        "mails": mail,
        "messages": {"_id": new_id("msg"), "label_id": label_id, "sent_by": sent_by} | ends,
    }
    await house.db.raw[late].insert_one(rows[late])
    house.clock.offset += SETTLED
    await house.work()
    assert (await status(house, begun)).json()["state"] == "done"
    assert user["_id"] not in repr(await stored(house, late))
    await house.db.raw["mails"].insert_one(mail)
    house.clock.offset += erasing.LAST_LOOK
    await house.work()
    assert await stored(house, "mails", user_id=user["_id"]) == []
    request = await requests.need(house.db, begun["request_id"])
    assert not {"labels", "address_key", "steps"} & request.keys()


async def test_the_address_is_free_again(house: House) -> None:
    """Who registers with it meanwhile is somebody new, and keeps what is theirs."""
    mara = await house.person(MARA)
    begun = await begin(mara)
    house.clock.offset += erasure.GRACE + timedelta(seconds=1)
    await house.work()
    await house.work()
    again = await house.person(MARA)
    other = await house.label(await house.person("other@example.com"), "elsewhere")
    await house.db.open("invitations").insert_one(invitation(house, other, "x"))
    house.clock.offset += SETTLED
    await house.work()
    assert (await status(house, begun)).json()["state"] == "done"
    assert (await again.get("/v1/me")).status_code == 200
    assert len(await stored(house, "invitations", email_key=MARA)) == 1
