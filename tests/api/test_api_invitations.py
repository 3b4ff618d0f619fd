"""Invitations: for one address, once, for a week; and every new account passes the age gate."""

import asyncio
from datetime import timedelta
from typing import Any

import bson
import httpx

from app.models.data_map import DATA_MAP
from tests.api.people import join, link, mails, problem, user_of
from tests.house import PASSWORD, House

OWNER, MARA = "owner@example.com", "mara@example.com"
ACCOUNT = {"name": "Mara Lind", "password": PASSWORD, "date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}


async def invited(house: House, email: str = MARA, role: str = "agent") -> tuple[httpx.AsyncClient, str, str, str]:
    """An owner, the label, an invitation of it, and the token of its mail."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    answer = await owner.post(f"/v1/labels/{label_id}/invitations", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    invitation_id = answer.json()["id"]
    return owner, label_id, invitation_id, await link(house, "invitation", invitation_id)


async def accept(house: House, token: str, client: httpx.AsyncClient | None = None, **account: Any) -> httpx.Response:
    """Accept, as somebody logged in, or with a new account."""
    body = {"token": token} | ({"account": ACCOUNT | account} if client is None else {})
    return await (client or house.http).post("/v1/invitations/accept", json=body)


async def test_somebody_new_joins(house: House) -> None:
    """The account is made with the membership; its address is confirmed by the mail; the invitation is gone."""
    owner, label_id, invitation_id, token = await invited(house)
    [mail] = await mails(house, "invitation")
    assert (mail["to"], mail["facts"]["label"], mail["facts"]["role"]) == (MARA, "Nightjar", "agent")
    joined = await accept(house, token)
    assert (joined.status_code, joined.json()["label_id"], joined.json()["role"]) == (200, label_id, "agent")
    assert (await user_of(house, MARA))["email_verified_at"] is not None
    login = await house.http.post("/v1/sessions", json={"email": MARA, "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    assert (await house.http.get(f"/v1/labels/{label_id}", headers=bearer)).json()["role"] == "agent"
    assert problem(await owner.get(f"/v1/labels/{label_id}/invitations/{invitation_id}")) == (404, "not_found")
    assert problem(await accept(house, token)) == (400, "invalid_token")


async def test_under_sixteen_nothing_is_stored(house: House) -> None:
    """The same gate as registering; the invitation stays open."""
    owner, label_id, _, token = await invited(house)

    async def dump() -> bytes:
        found = b""
        for name in DATA_MAP:
            async for document in house.db.open(name).find({}, comment="all-labels: a test's dump").sort("_id", 1):
                found += bson.encode(document)
        return found

    before = await dump()
    refused = await accept(house, token, date_of_birth="2015-01-01", name="A Child")
    assert problem(refused) == (403, "age_requirement_not_met")
    assert await dump() == before
    assert len((await owner.get(f"/v1/labels/{label_id}/invitations")).json()["data"]) == 1


async def test_somebody_known_joins(house: House) -> None:
    """With a session of the invited address; with another's it is refused, and not used up."""
    _, label_id, _, token = await invited(house)
    mara, other = await house.person(MARA), await house.person("other@example.com")
    assert problem(await accept(house, token, other)) == (403, "invitation_for_another_address")
    assert problem(await accept(house, token)) == (409, "account_exists")
    seen = (await house.http.post("/v1/invitations/look-up", json={"token": token})).json()
    assert (seen["label_name"], seen["role"], seen["email"], seen["has_account"]) == ("Nightjar", "agent", MARA, True)
    nobody = await house.http.post("/v1/invitations/accept", json={"token": token})
    assert problem(nobody) == (401, "unauthenticated")
    assert (await accept(house, token, mara)).status_code == 200
    assert (await mara.get(f"/v1/labels/{label_id}")).json()["role"] == "agent"


async def test_of_twenty_at_once_one_joins(house: House) -> None:
    """One account, one membership."""
    _, label_id, _, token = await invited(house)
    answers = await asyncio.gather(*(accept(house, token) for _ in range(20)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 200 and set(codes[1:]) <= {400, 409, 503}, codes
    assert await house.db.open("memberships").count_documents({"label_id": label_id}) == 2
    assert await house.db.open("users").count_documents({"email_key": MARA}) == 1


async def test_they_end(house: House) -> None:
    """After a week, when withdrawn, when asked anew, and when the label is going to be deleted."""
    owner, label_id, invitation_id, token = await invited(house)
    base = f"/v1/labels/{label_id}/invitations"
    house.clock.offset = timedelta(days=7)
    assert problem(await accept(house, token)) == (400, "invalid_token")
    house.clock.offset = timedelta()
    again = await owner.post(base, json={"email": "Mara@Example.com", "role": "editor"})
    assert again.status_code == 201 and problem(await accept(house, token)) == (400, "invalid_token")
    fresh = await link(house, "invitation", again.json()["id"])
    assert problem(await owner.get(f"{base}/{invitation_id}")) == (404, "not_found")
    assert (await owner.delete(f"{base}/{again.json()['id']}")).status_code == 204
    assert problem(await accept(house, fresh)) == (400, "invalid_token")
    third = (await owner.post(base, json={"email": MARA, "role": "agent"})).json()["id"]
    token = await link(house, "invitation", third)
    await owner.delete(f"/v1/labels/{label_id}")
    assert problem(await accept(house, token)) == (400, "invalid_token")
    assert await house.db.open("users").count_documents({"email_key": MARA}) == 0


async def test_who_may_invite_whom(house: House) -> None:
    """Nobody gives a role above their own; who is there already cannot be asked; wrong addresses and roles are told."""
    owner, label_id, _, _ = await invited(house)
    base = f"/v1/labels/{label_id}/invitations"
    admin = await join(house, "admin@example.com", label_id, "admin")
    assert problem(await admin.post(base, json={"email": "x@example.com", "role": "owner"})) == (403, "forbidden")
    assert (await owner.post(base, json={"email": "x@example.com", "role": "owner"})).status_code == 201
    there = await owner.post(base, json={"email": "ADMIN@example.com", "role": "agent"})
    assert problem(there) == (409, "already_member")
    for body in ({"email": "x", "role": "agent"}, {"email": "x@example.com", "role": "king"}, {}):
        assert (await owner.post(base, json=body)).status_code == 422


async def test_an_invitation_tells_nothing_of_accounts(house: House) -> None:
    """A known address and an unknown one: the same answer, the same mail."""
    owner, label_id, _, _ = await invited(house)
    await house.person("known@example.com")
    base = f"/v1/labels/{label_id}/invitations"
    answers = [
        await owner.post(base, json={"email": f"{who}@example.com", "role": "agent"}) for who in ("known", "new")
    ]
    shapes = [{**answer.json(), "id": "", "email": "", "created_at": "", "expires_at": ""} for answer in answers]
    assert shapes[0] == shapes[1] and [answer.status_code for answer in answers] == [201, 201]


async def test_a_weak_password_is_pointed_at(house: House) -> None:
    """Where it stands in this body."""
    _, _, _, token = await invited(house)
    refused = await accept(house, token, password="passwordpassword")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/account/password")
