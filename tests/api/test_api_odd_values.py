"""Values that pass one reader and break the next: each is refused as the caller's mistake, never a 500."""

from typing import Any

import pytest

from tests.house import ACCOUNT, FAN, PASSWORD, House, message_change

PERSON = {
    "name": "A Person",
    "email": "mara@example.com",
    "password": PASSWORD,
    "date_of_birth": "1990-05-17",
    "policy_version": "2026-03-13",
}
WISH = {"provider": "instagram", "features": ["messages"]}
ODD_ADDRESSES = [
    "http://[",
    "http://[::1",
    "https://a]b/",
    "//",
    "javascript:alert(1)",
    "http:///path",
    "http://\u2100/",
]
ODD_INSTANTS = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-24T08:00:00", "tomorrow"]
ODD_MAILS = ["canary(\u00fc)@example.com", "canary@exa mple.com", "canary@-example.com", "canary@", "@canary.com"]


async def refused(house: House, answer: Any, canary: str) -> None:
    """A problem of the caller's, without what they sent."""
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text
    assert canary not in answer.text


@pytest.mark.parametrize("return_to", ODD_ADDRESSES)
async def test_return_to(house: House, return_to: str) -> None:
    """It must be an address that a browser may be sent to; nothing is begun."""
    owner = await house.person()
    label_id = await house.label(owner)
    answer = await owner.post(f"/v1/labels/{label_id}/connections", json=WISH | {"return_to": return_to})
    await refused(house, answer, "[::1")
    assert await house.db.open("oauth_states").find_one({"label_id": label_id}) is None


@pytest.mark.parametrize("instant", ODD_INSTANTS)
async def test_instants(house: House, instant: str) -> None:
    """An instant has a zone, and lies inside the calendar in UTC too."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id, ACCOUNT)
    await house.receive(message_change("mid.1", ms=house.ms(), fan=FAN))
    path = f"/v1/labels/{label_id}/conversations"
    (conversation,) = (await owner.get(path)).json()["data"]
    answer = await owner.patch(f"{path}/{conversation['id']}", json={"snoozed_until": instant})
    await refused(house, answer, instant)
    assert (await owner.get(f"{path}/{conversation['id']}")).json() == conversation


@pytest.mark.parametrize("email", ODD_MAILS)
async def test_mail_addresses(house: House, email: str) -> None:
    """What is wrong with one is told in our words, which repeat no letter of it; the same where people log in."""
    for path, body in (("/v1/users", PERSON), ("/v1/sessions", {"password": PASSWORD})):
        answer = await house.http.post(path, json=body | {"email": email})
        await refused(house, answer, "canary")
        assert answer.json()["errors"] == [{"pointer": "/email", "detail": "does not have the right form"}]


@pytest.mark.parametrize(
    "email", ["mara@xn--bcher-kva.example", "ma\u0301ra@example.com", "Mara <mara@example.com>", "MARA@Example.com"]
)
async def test_who_registers_can_log_in(house: House, email: str) -> None:
    """With the address as it was typed, however it is stored."""
    (await house.http.post("/v1/users", json=PERSON | {"email": email})).raise_for_status()
    login = await house.http.post("/v1/sessions", json={"email": email, "password": PASSWORD})
    assert login.status_code == 200


async def test_indexes_are_looked_at_again(house: House) -> None:
    """Half a minute later, by the house's clock: what was dropped meanwhile is named, and is well when it is back."""
    assert (await house.http.get("/readyz")).json()["indexes"] == "ok"
    await house.db.raw["users"].drop_index("email_key_1")
    house.clock.offset += house.clock.offset.resolution * 31_000_000
    found = await house.http.get("/readyz")
    assert (found.status_code, found.json()["troubles"]) == (503, ["users.email_key_1 is missing"])
    await house.db.raw["users"].create_index([("email_key", 1)], unique=True, name="email_key_1")
    assert (await house.http.get("/readyz")).json()["indexes"] == "ok"
