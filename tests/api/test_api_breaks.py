"""Ways in that were open once: each stays shut."""

from datetime import timedelta

import pyotp

from app.models.access import Role
from app.services.people import accounts
from tests.api.partners_harness import a_partner
from tests.api.people import join, link, member_id, problem, user_of, verified, with_second_factor
from tests.house import PASSWORD, House

OWNER, MARA = "owner@example.com", "mara@example.com"
NEW = "another sentence of my own"


async def asked(house: House, by: str, role: Role, email: str = "friend@example.com") -> tuple[str, str]:
    """An owner's label, and the token of an invitation that another owner, `by`, has sent."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    other = await join(house, by, label_id, "owner")
    sent = await other.post(f"/v1/labels/{label_id}/invitations", json={"email": email, "role": role})
    return label_id, await link(house, "invitation", sent.raise_for_status().json()["id"])


async def accept(house: House, token: str) -> tuple[int, str | None]:
    """What becomes of an invitation that somebody new accepts."""
    account = {"name": "F", "password": PASSWORD, "date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
    return problem(await house.http.post("/v1/invitations/accept", json={"token": token, "account": account}))


async def test_who_was_demoted_does_not_come_back_by_an_old_invitation(house: House) -> None:
    """Nor does a disabled account let anybody in."""
    label_id, token = await asked(house, MARA, "owner")
    change = {"$set": {"role": "analyst"}}
    mara = await user_of(house, MARA)
    await house.db.open("memberships").update_one({"label_id": label_id, "user_id": mara["_id"]}, change)
    assert await accept(house, token) == (400, "invalid_token")
    back = {"$set": {"role": "owner"}}
    await house.db.open("memberships").update_one({"label_id": label_id, "user_id": mara["_id"]}, back)
    await accounts.disable(house.db, house.api.audit, mara, now=house.clock())
    assert await accept(house, token) == (400, "invalid_token")
    await accounts.enable(house.db, house.api.audit, mara, now=house.clock())
    assert await accept(house, token) == (200, None)


async def test_an_admin_cannot_replace_or_withdraw_an_owners_invitation(house: House) -> None:
    """What they could not give, they cannot take."""
    label_id, _ = await asked(house, MARA, "owner")
    admin = await join(house, "admin@example.com", label_id, "admin")
    base = f"/v1/labels/{label_id}/invitations"
    [one] = (await admin.get(base)).json()["data"]
    assert problem(await admin.delete(f"{base}/{one['id']}")) == (403, "forbidden")
    again = await admin.post(base, json={"email": "friend@example.com", "role": "agent"})
    assert problem(again) == (403, "forbidden")


async def test_a_partner_lets_nobody_in_without_the_owners_decision(house: House) -> None:
    """Somebody in a role sees what fans write. With the decision, it is void when the client or its maker is gone."""
    partner = await a_partner(house, "members:invite", "label:read")
    wish = {"email": "friend@example.com", "role": "agent"}
    client, base = await partner.api(), f"{partner.base}/invitations"
    assert (await client.post(base, json=wish)).status_code == 403
    await partner.decide("members:invite")
    client = await partner.api()
    sent = (await client.post(base, json=wish)).raise_for_status().json()["id"]
    token = await link(house, "invitation", sent)
    await accounts.disable(house.db, house.api.audit, await user_of(house, OWNER), now=house.clock())
    assert (await client.get(partner.base)).status_code == 401
    assert await accept(house, token) == (400, "invalid_token")


async def test_an_old_session_cannot_give_the_label_away(house: House) -> None:
    """Neither by a role nor by an invitation; and every owner hears of a change of owners."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    await join(house, MARA, label_id, "admin")
    path = f"/v1/labels/{label_id}/members/{await member_id(house, label_id, MARA)}"
    await house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": house.clock() - timedelta(hours=1)}})
    assert problem(await owner.patch(path, json={"role": "owner"})) == (403, "reauthentication_required")
    asked = await owner.post(f"/v1/labels/{label_id}/invitations", json={"email": "x@example.com", "role": "owner"})
    assert problem(asked) == (403, "reauthentication_required")
    await house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": house.clock()}})
    assert (await owner.patch(path, json={"role": "owner"})).status_code == 200
    told = await house.db.open("mails").find({"label_id": label_id, "template": "owner_changed"}).to_list()
    assert {mail["user_id"] for mail in told} == {(await user_of(house, email))["_id"] for email in (OWNER, MARA)}


async def test_a_new_password_makes_an_old_session_no_fresher(house: House) -> None:
    """Or the password alone would do where the second factor is asked for."""
    person, _, _ = await with_second_factor(house, MARA)
    await house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": house.clock() - timedelta(hours=1)}})
    changed = await person.post("/v1/me/password", json={"current_password": PASSWORD, "password": NEW})
    person.headers["Authorization"] = f"Bearer {changed.json()['access_token']}"
    assert problem(await person.delete("/v1/me/totp")) == (403, "reauthentication_required")


async def test_a_second_factor_ends_sessions_without_one(house: House) -> None:
    """Only the one that switched it on goes on."""
    person, _, _ = await with_second_factor(house, "ines@example.com")
    ines = await user_of(house, "ines@example.com")
    await house.db.open("second_factors").delete_one({"_id": ines["_id"]})
    login = {"email": "ines@example.com", "password": PASSWORD}
    other = (await house.http.post("/v1/sessions", json=login)).json()["access_token"]
    seed = (await person.post("/v1/me/totp")).json()["totp_seed"]
    code = pyotp.TOTP(seed).at(house.clock())
    assert (await person.post("/v1/me/totp/confirm", json={"code": code})).status_code == 200
    assert (await house.http.get("/v1/me", headers={"Authorization": f"Bearer {other}"})).status_code == 401
    assert (await person.get("/v1/me")).status_code == 200


async def test_a_waiting_mail_brings_no_link_back(house: House) -> None:
    """A change of address that waits to be mailed is void with a new password."""
    person = await verified(house, MARA)
    await person.post("/v1/me/email", json={"email": "thief@example.com"})
    await person.post("/v1/me/password", json={"current_password": PASSWORD, "password": NEW})
    await house.work()
    assert [mail for mail in await house.mails("thief@example.com") if mail["token"]] == []
    waited = await house.db.open("mails").find_one({"label_id": None, "template": "change_email"})
    assert waited is not None and waited["state"] == "called_off"


async def test_a_used_cookie_is_known_for_as_long_as_its_session(house: House) -> None:
    """A thief who refreshed first is found out when the owner comes back days later."""
    await house.person(MARA)
    login = await house.http.post("/v1/sessions", json={"email": MARA, "password": PASSWORD})
    cookie = first = login.headers.get_list("set-cookie")[0].split(";")[0]
    for hours in (20, 40, 60):
        house.clock.offset = timedelta(hours=hours)
        stolen = await house.http.post("/v1/sessions/refresh", headers={"Cookie": cookie})
        cookie = stolen.headers.get_list("set-cookie")[0].split(";")[0]
    assert (await house.http.post("/v1/sessions/refresh", headers={"Cookie": first})).status_code == 401
    assert (await house.http.post("/v1/sessions/refresh", headers={"Cookie": cookie})).status_code == 401


async def test_recovery_codes_are_not_given_again_to_an_old_session(house: House) -> None:
    """The kept answer asks for what the first one asked for."""
    person, _, _ = await with_second_factor(house, MARA)
    key = {"Idempotency-Key": "codes"}
    assert (await person.post("/v1/me/totp/recovery-codes", headers=key)).status_code == 200
    await house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": house.clock() - timedelta(hours=1)}})
    again = await person.post("/v1/me/totp/recovery-codes", headers=key)
    assert problem(again) == (403, "reauthentication_required")
