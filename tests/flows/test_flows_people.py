"""What people do with the mails that they get, from the postbox: each link leads where it says, and works once."""

import httpx

from tests.house import PASSWORD, House

MARA, NEW = "mara@example.com", "another sentence of my own"


async def newest(house: House, to: str, words: str) -> str:
    """The token of the newest mail to this address whose subject has these words."""
    await house.work()
    found = [mail for mail in await house.mails(to) if mail["token"] and words in mail["subject"].lower()]
    assert found, [mail["subject"] for mail in await house.mails(to)]
    token = str(found[0]["token"])
    assert f"#token={token}" in found[0]["text"] and token.startswith("sot_")
    return token


async def test_a_persons_first_days(house: House) -> None:
    """Register, confirm, forget the password, move to another address, regret it: all by mail."""
    person = await house.person(MARA)
    token = await newest(house, MARA, "confirm")
    assert (await house.http.post("/v1/users/verify-email", json={"token": token})).json() == {"status": "verified"}
    await house.http.post("/v1/password-resets", json={"email": MARA})
    token = await newest(house, MARA, "password")
    body = {"token": token, "password": NEW}
    assert (await house.http.post("/v1/password-resets/confirm", json=body)).status_code == 204
    assert (await person.get("/v1/me")).status_code == 401
    await log_in(house, person, MARA, NEW)
    assert (await person.post("/v1/me/email", json={"email": "mara@new.example"})).status_code == 202
    token = await newest(house, "mara@new.example", "confirm")
    assert (await house.http.post("/v1/users/email-change/confirm", json={"token": token})).status_code == 204
    token = await newest(house, MARA, "moved")
    assert (await house.http.post("/v1/users/email-change/undo", json={"token": token})).status_code == 204
    token = await newest(house, MARA, "your account is back")
    body = {"token": token, "password": "and a third one of mine"}
    assert (await house.http.post("/v1/password-resets/confirm", json=body)).status_code == 204
    await log_in(house, person, MARA, body["password"])
    assert (await person.get("/v1/me")).json()["email"] == MARA


async def test_a_team_comes_together(house: House) -> None:
    """An owner asks somebody new and somebody known; both join from their mail."""
    owner, known = await house.person(), await house.person("known@example.com")
    label_id = await house.label(owner)
    for email in ("new@example.com", "known@example.com"):
        body = {"email": email, "role": "agent"}
        assert (await owner.post(f"/v1/labels/{label_id}/invitations", json=body)).status_code == 201
    account = {"name": "New", "password": PASSWORD, "date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
    token = await newest(house, "new@example.com", "nightjar")
    joined = await house.http.post("/v1/invitations/accept", json={"token": token, "account": account})
    assert (joined.status_code, joined.json()["role"]) == (200, "agent")
    token = await newest(house, "known@example.com", "nightjar")
    assert (await known.post("/v1/invitations/accept", json={"token": token})).status_code == 200
    members = (await owner.get(f"/v1/labels/{label_id}/members")).json()["data"]
    assert [member["email"] for member in members] == ["owner@example.com", "new@example.com", "known@example.com"]


async def log_in(house: House, person: httpx.AsyncClient, email: str, password: str) -> None:
    """A fresh session for this client."""
    answer = await house.http.post("/v1/sessions", json={"email": email, "password": password})
    person.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
