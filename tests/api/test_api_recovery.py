"""Confirming an address, forgotten passwords, other addresses: links that work once, for their owner, for a while."""

import asyncio
from datetime import timedelta

import pytest

from app.services.single_use import LIVES, Purpose
from tests.api.people import actions, link, mails, problem, user_of, verified
from tests.house import PASSWORD, House

NEW = "another sentence of my own"
MARA = "mara@example.com"
REDEEMED: dict[Purpose, tuple[str, dict[str, str]]] = {
    "verify_email": ("/v1/users/verify-email", {}),
    "reset_password": ("/v1/password-resets/confirm", {"password": NEW}),
    "change_email": ("/v1/users/email-change/confirm", {}),
    "undo_email_change": ("/v1/users/email-change/undo", {}),
}


async def login(house: House, email: str, password: str) -> int:
    """The status of a log-in."""
    return (await house.http.post("/v1/sessions", json={"email": email, "password": password})).status_code


async def test_registering_asks_to_confirm_the_address(house: House) -> None:
    """A mail is written down with the account; the token of it confirms the address, once."""
    person = await house.person(MARA)
    user = await user_of(house, MARA)
    assert [(mail["template"], mail["user_id"]) for mail in await mails(house)] == [("verify_email", user["_id"])]
    assert (await person.get("/v1/me")).json()["email_verified_at"] is None
    token = await link(house, "verify_email", user["_id"])
    first = await house.http.post("/v1/users/verify-email", json={"token": token})
    assert (first.status_code, first.json()) == (200, {"status": "verified"})
    assert (await person.get("/v1/me")).json()["email_verified_at"] is not None
    assert problem(await house.http.post("/v1/users/verify-email", json={"token": token})) == (400, "invalid_token")
    assert "email.verified" in await actions(house, user["_id"])


async def test_a_mail_to_confirm_can_be_had_again(house: House) -> None:
    """By the address alone; who is unknown or confirmed already gets none, and the answer is the same."""
    await house.person(MARA)
    await verified(house, "ines@example.com")
    answers = []
    for email in (MARA, "ines@example.com", "nobody@example.com"):
        answers.append(await house.http.post("/v1/users/verify-email", json={"email": email}))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"status":"accepted"}')}
    again = [mail["template"] for mail in (await mails(house))[2:]]
    assert again == ["verify_email", "none", "none"]
    for body in ({}, {"token": "sot_x", "email": MARA}):
        assert (await house.http.post("/v1/users/verify-email", json=body)).status_code == 422


async def test_a_forgotten_password(house: House) -> None:
    """The link sets a new one, ends every session, confirms the address, and voids the other links; word is sent."""
    person = await house.person(MARA)
    user = await user_of(house, MARA)
    asked = await house.http.post("/v1/password-resets", json={"email": "Mara@Example.com"})
    assert (asked.status_code, asked.json()) == (202, {"status": "accepted"})
    token, other = [await link(house, "reset_password", user["_id"]) for _ in range(2)]
    body = {"token": token, "password": NEW}
    assert (await house.http.post("/v1/password-resets/confirm", json=body)).status_code == 204
    assert (await person.get("/v1/me")).status_code == 401
    assert (await login(house, MARA, PASSWORD), await login(house, MARA, NEW)) == (401, 200)
    late = await house.http.post("/v1/password-resets/confirm", json=body | {"token": other})
    assert problem(late) == (400, "invalid_token")
    sent = [mail["template"] for mail in await mails(house)]
    assert sent == ["verify_email", "reset_password", "password_changed", "new_device"]
    assert (await user_of(house, MARA))["email_verified_at"] is not None
    assert "password.reset" in await actions(house, user["_id"])


async def test_a_weak_new_password_does_not_use_the_link_up(house: House) -> None:
    """It is told what is wrong, and may try again."""
    await house.person(MARA)
    token = await link(house, "reset_password", (await user_of(house, MARA))["_id"])
    for weak in ("passwordpassword", "mara@example.com", "123456789012345"):
        refused = await house.http.post("/v1/password-resets/confirm", json={"token": token, "password": weak})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/password")
        assert weak not in refused.text
    good = await house.http.post("/v1/password-resets/confirm", json={"token": token, "password": NEW})
    assert good.status_code == 204


@pytest.mark.parametrize("purpose", REDEEMED)
async def test_of_twenty_at_once_one_works(house: House, purpose: Purpose) -> None:
    """A link is used up in the transaction of its effect."""
    await house.person(MARA)
    user = await user_of(house, MARA)
    token = await link(house, purpose, user["_id"], email="new@example.com")
    path, body = REDEEMED[purpose]
    answers = await asyncio.gather(*(house.http.post(path, json=body | {"token": token}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers)[:2] == [200 if purpose == "verify_email" else 204, 400]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {"invalid_token"}


@pytest.mark.parametrize("purpose", REDEEMED)
async def test_links_end_and_are_for_one_thing(house: House, purpose: Purpose) -> None:
    """Too old, made up, or meant for something else: all alike."""
    await house.person(MARA)
    user = await user_of(house, MARA)
    path, body = REDEEMED[purpose]
    foreign = [await link(house, other, user["_id"], email="x@example.com") for other in LIVES if other != purpose]
    own = await link(house, purpose, user["_id"], email="x@example.com")
    for token in (*foreign, "sot_made-up", own[:-1]):
        assert problem(await house.http.post(path, json=body | {"token": token})) == (400, "invalid_token")
    house.clock.offset = LIVES[purpose]
    assert problem(await house.http.post(path, json=body | {"token": own})) == (400, "invalid_token")


async def test_a_link_leads_where_we_say(house: House) -> None:
    """Whatever `Host` or `X-Forwarded-Host` a caller invents, nothing of it is stored for the mail."""
    await house.person(MARA)
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    await house.http.post("/v1/password-resets", json={"email": MARA}, headers=headers)
    assert "evil" not in str(await mails(house))


async def test_another_address(house: House) -> None:
    """The new one confirms, the old one is told before and after; sessions end; the old one can undo it for 3 days."""
    person = await verified(house, MARA)
    user = await user_of(house, MARA)
    assert (await person.post("/v1/me/email", json={"email": "mara@new.example"})).status_code == 202
    asked = {mail["template"]: mail["to"] for mail in await mails(house)}
    assert asked.items() >= {"change_email": "mara@new.example", "email_change_asked": MARA}.items()
    assert (await user_of(house, MARA))["_id"] == user["_id"]
    token = await link(house, "change_email", user["_id"], email="mara@new.example")
    assert (await house.http.post("/v1/users/email-change/confirm", json={"token": token})).status_code == 204
    assert (await person.get("/v1/me")).status_code == 401
    assert (await login(house, MARA, PASSWORD), await login(house, "mara@new.example", PASSWORD)) == (401, 200)
    told = (await mails(house, "email_changed"))[0]
    assert (told["to"], told["facts"]["token_email"]) == (MARA, MARA)
    house.clock.offset = timedelta(days=2)
    undo = await link(house, "undo_email_change", user["_id"], email=MARA)
    assert (await house.http.post("/v1/users/email-change/undo", json={"token": undo})).status_code == 204
    assert (await login(house, MARA, PASSWORD), await login(house, "mara@new.example", PASSWORD)) == (401, 401)
    assert [mail["user_id"] for mail in await mails(house, "email_change_undone")] == [user["_id"]]
    reset = {"token": await link(house, "reset_password", user["_id"]), "password": NEW}
    assert (await house.http.post("/v1/password-resets/confirm", json=reset)).status_code == 204
    assert await login(house, MARA, NEW) == 200


async def test_asking_for_a_taken_address_tells_nothing(house: House) -> None:
    """The answer is the same; its owner gets word; and the link is void when the address was taken meanwhile."""
    person, _ = await verified(house, MARA), await house.person("ines@example.com")
    answers = [
        await person.post("/v1/me/email", json={"email": email}) for email in ("ines@example.com", "free@example.com")
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, '{"status":"accepted"}')}
    ines = await user_of(house, "ines@example.com")
    assert [mail["user_id"] for mail in await mails(house, "address_known")] == [ines["_id"]]
    user = await user_of(house, MARA)
    token = await link(house, "change_email", user["_id"], email="ines@example.com")
    refused = await house.http.post("/v1/users/email-change/confirm", json={"token": token})
    assert problem(refused) == (400, "invalid_token")
    assert (await person.get("/v1/me")).json()["email"] == MARA


async def test_a_thiefs_second_factor_goes_with_the_undo(house: House) -> None:
    """What was switched on since the address moved; one of the owner's own, from before, stays."""
    for before, enabled in ((False, False), (True, True)):
        email = f"mara{before}@example.com"
        person = await verified(house, email)
        user = await user_of(house, email)
        moved = await link(house, "change_email", user["_id"], email=f"thief{before}@example.com")
        at = house.clock() + timedelta(hours=-1 if before else 1)
        await house.db.open("second_factors").insert_one({"_id": user["_id"], "confirmed_at": at, "recovery": []})
        assert (await house.http.post("/v1/users/email-change/confirm", json={"token": moved})).status_code == 204
        undo = await link(house, "undo_email_change", user["_id"], email=email)
        assert (await house.http.post("/v1/users/email-change/undo", json={"token": undo})).status_code == 204
        assert (await house.db.open("second_factors").find_one({"_id": user["_id"]}) is not None) is enabled
        assert (await person.get("/v1/me")).status_code == 401


async def test_another_address_needs_a_fresh_log_in(house: House) -> None:
    """A stolen session of some age cannot take the account over."""
    person = await verified(house, MARA)
    await house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": house.clock() - timedelta(hours=1)}})
    refused = await person.post("/v1/me/email", json={"email": "thief@example.com"})
    assert problem(refused) == (403, "reauthentication_required")
    assert await mails(house, "change_email") == []


async def test_a_new_password_needs_the_present_one(house: House) -> None:
    """All sessions end, this one too; the answer begins a new one. Wrong ones are refused and change nothing."""
    person, other = (
        await house.person(MARA),
        await house.http.post("/v1/sessions", json={"email": MARA, "password": PASSWORD}),
    )
    wrong = await person.post("/v1/me/password", json={"current_password": "not this one, no", "password": NEW})
    assert problem(wrong) == (401, "invalid_credentials")
    weak = await person.post("/v1/me/password", json={"current_password": PASSWORD, "password": "a" * 20})
    assert (weak.status_code, weak.json()["errors"][0]["pointer"]) == (422, "/password")
    assert (await person.get("/v1/me")).status_code == 200
    good = await person.post("/v1/me/password", json={"current_password": PASSWORD, "password": NEW})
    assert good.status_code == 200
    for token, status in (
        (person.headers["Authorization"], 401),
        (f"Bearer {other.json()['access_token']}", 401),
        (f"Bearer {good.json()['access_token']}", 200),
    ):
        assert (await house.http.get("/v1/me", headers={"Authorization": token})).status_code == status
    assert (await login(house, MARA, PASSWORD), await login(house, MARA, NEW)) == (401, 200)
    assert [mail["template"] for mail in await mails(house, "password_changed")] == ["password_changed"]


async def test_correcting_the_profile(house: House) -> None:
    """What was not named stays; a stale version is refused; what is not the person's own to say cannot be said."""
    person = await house.person(MARA)
    seen = (await person.get("/v1/me")).headers["etag"]
    changed = await person.patch("/v1/me", json={"name": "Mara B."}, headers={"If-Match": seen})
    assert (changed.status_code, changed.json()["name"], changed.json()["email"]) == (200, "Mara B.", MARA)
    stale = await person.patch("/v1/me", json={"name": "Mara C."}, headers={"If-Match": seen})
    assert problem(stale) == (412, "stale_version")
    others: tuple[dict[str, object], ...] = (
        {"email": "x@example.com"},
        {"marketing_opt_in": True},
        {"email_verified_at": None},
    )
    for body in (*others, {"name": None}, {"name": "\u200b\u200d"}):
        assert (await person.patch("/v1/me", json=body)).status_code == 422, body
    assert (await person.get("/v1/me")).json()["name"] == "Mara B."


async def test_a_refused_browser_cannot_simply_be_older(house: House) -> None:
    """After a refusal the browser carries a flag that identifies nobody; with it, another birth date is no answer."""
    body = {"name": "Kid", "email": "kid@example.com", "password": PASSWORD, "policy_version": "2026-03-13"}
    refused = await house.http.post("/v1/users", json=body | {"date_of_birth": "2020-01-01"})
    assert problem(refused) == (403, "age_requirement_not_met")
    flag = refused.headers["set-cookie"]
    assert flag.startswith("__Host-soundops_age=1;") and "Secure" in flag and "HttpOnly" in flag
    again = await house.http.post(
        "/v1/users", json=body | {"date_of_birth": "1990-01-01"}, headers={"Cookie": flag.split(";")[0]}
    )
    assert problem(again) == (403, "age_requirement_not_met")
    assert await house.db.open("users").count_documents({}) == 0
