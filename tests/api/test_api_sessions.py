"""Where somebody is logged in, how it ends at once, and what dangerous work asks for."""

from datetime import timedelta

import httpx

from app.deps import DEVICE_COOKIE, REFRESH_COOKIE
from app.services.people import accounts
from tests.api.people import actions, join, mails, member_id, problem, user_of, verified
from tests.house import PASSWORD, PUBLIC_URL, House

MARA = "mara@example.com"
LOGIN = {"email": MARA, "password": PASSWORD}


async def another_session(house: House, **headers: str) -> tuple[httpx.AsyncClient, httpx.Response]:
    """The same person in another browser, and the answer of the log-in."""
    answer = await house.http.post("/v1/sessions", json=LOGIN, headers=headers)
    house.http.cookies.clear()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url=PUBLIC_URL)
    client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
    return client, answer


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """The cookies that an answer sets."""
    return dict(line.split(";")[0].split("=", 1) for line in answer.headers.get_list("set-cookie"))


async def test_listing_and_ending_sessions(house: House) -> None:
    """Each with its browser and network; others end at once, one by one or all together; this one stays."""
    here = await house.person(MARA)
    for name in ("One", "Two", "Three"):
        await another_session(house, **{"User-Agent": f"{name}\t/1.0"})
    listed = (await here.get("/v1/sessions")).json()["data"]
    assert [(one["user_agent"], one["current"]) for one in listed[:3]] == [
        ("Three/1.0", False),
        ("Two/1.0", False),
        ("One/1.0", False),
    ]
    assert [one["current"] for one in listed] == [False, False, False, True]
    assert all(one["network"] in (None, "127.0.0.0/24") for one in listed)
    assert (await here.delete(f"/v1/sessions/{listed[0]['id']}")).status_code == 204
    assert problem(await here.delete(f"/v1/sessions/{listed[0]['id']}")) == (404, "not_found")
    assert (await here.delete("/v1/sessions")).status_code == 204
    assert [one["id"] for one in (await here.get("/v1/sessions")).json()["data"]] == [listed[3]["id"]]
    page = await here.get("/v1/sessions?limit=1")
    assert page.json()["next_cursor"] is None


async def test_a_refreshed_session_shows_its_latest_use(house: House) -> None:
    """And lives a day from then."""
    await house.person(MARA)
    client, answer = await another_session(house)
    house.clock.offset = timedelta(minutes=14)
    token = cookies_of(answer)[REFRESH_COOKIE]
    await house.http.post("/v1/sessions/refresh", headers={"Cookie": f"{REFRESH_COOKIE}={token}"})
    [shown] = [one for one in (await client.get("/v1/sessions")).json()["data"] if one["current"]]
    assert shown["last_used_at"] > shown["created_at"]


async def test_a_new_device_is_told(house: House) -> None:
    """Not the first log-in ever, not a browser that has logged in before; any other is, with what it said of itself."""
    await house.person(MARA)
    assert await mails(house, "new_device") == []
    _, first = await another_session(house, **{"User-Agent": "Elsewhere/1.0"})
    [told] = await mails(house, "new_device")
    assert (told["facts"]["device"], told["to"]) == ("Elsewhere/1.0", None)
    device = {"Cookie": f"{DEVICE_COOKIE}={cookies_of(first)[DEVICE_COOKIE]}"}
    _, known = await another_session(house, **device)
    assert len(await mails(house, "new_device")) == 1 and DEVICE_COOKIE not in cookies_of(known)
    _, forged = await another_session(house, Cookie=f"{DEVICE_COOKIE}=made.up")
    assert len(await mails(house, "new_device")) == 2 and DEVICE_COOKIE in cookies_of(forged)


async def test_a_device_is_known_to_its_own_account_alone(house: House) -> None:
    """Another account's cookie is nothing, and a new password makes all devices unknown."""
    mara, _ = await house.person(MARA), await house.person("ines@example.com")
    _, answer = await another_session(house)
    cookie = {"Cookie": f"{DEVICE_COOKIE}={cookies_of(answer)[DEVICE_COOKIE]}"}
    before = len(await mails(house, "new_device"))
    ines = {"email": "ines@example.com", "password": PASSWORD}
    await house.http.post("/v1/sessions", json=ines, headers=cookie)
    assert len(await mails(house, "new_device")) == before + 1
    change = {"current_password": PASSWORD, "password": "another sentence of mine"}
    assert (await mara.post("/v1/me/password", json=change)).status_code == 200
    await house.http.post("/v1/sessions", json=LOGIN | {"password": change["password"]}, headers=cookie)
    assert len(await mails(house, "new_device")) == before + 2


async def test_dangerous_work_needs_a_fresh_log_in(house: House) -> None:
    """After 15 minutes the password is asked for again; confirming it ends the session and begins a new one."""
    mara = await verified(house, MARA)
    label_id = await house.label(mara)
    await house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": house.clock() - timedelta(hours=1)}})
    for method, path in (("DELETE", f"/v1/labels/{label_id}"), ("POST", "/v1/me/totp")):
        assert problem(await mara.request(method, path)) == (403, "reauthentication_required")
    assert (await mara.get(f"/v1/labels/{label_id}")).status_code == 200
    wrong = await mara.post("/v1/sessions/reauthenticate", json={"password": "not the right one"})
    assert problem(wrong) == (401, "invalid_credentials")
    assert (await mara.get("/v1/me")).status_code == 200
    right = await mara.post("/v1/sessions/reauthenticate", json={"password": PASSWORD})
    assert right.status_code == 200 and REFRESH_COOKIE in cookies_of(right)
    assert (await mara.get("/v1/me")).status_code == 401
    mara.headers["Authorization"] = f"Bearer {right.json()['access_token']}"
    assert (await mara.delete(f"/v1/labels/{label_id}")).status_code == 202
    assert await mails(house, "new_device") == []


async def test_who_is_disabled_is_out_at_once(house: House) -> None:
    """Every session ends, none begins, with the right password too, and it looks like a wrong one; until enabled."""
    mara = await house.person(MARA)
    user = await user_of(house, MARA)
    await accounts.disable(house.db, house.api.audit, user, now=house.clock())
    assert (await mara.get("/v1/me")).status_code == 401
    assert problem(await house.http.post("/v1/sessions", json=LOGIN)) == (401, "invalid_credentials")
    await house.http.post("/v1/password-resets", json={"email": MARA})
    assert await mails(house, "reset_password") == []
    await accounts.enable(house.db, house.api.audit, user, now=house.clock())
    assert (await house.http.post("/v1/sessions", json=LOGIN)).status_code == 200


async def test_losing_a_role_works_at_once(house: House) -> None:
    """The access token lives for minutes more; the role does not."""
    owner = await house.person("owner@example.com")
    label_id = await house.label(owner)
    admin = await join(house, MARA, label_id, "admin")
    path = f"/v1/labels/{label_id}/members/{await member_id(house, label_id, MARA)}"
    assert (await admin.patch(f"/v1/labels/{label_id}", json={"name": "Mine"})).status_code == 200
    assert (await owner.patch(path, json={"role": "analyst"})).status_code == 200
    assert problem(await admin.patch(f"/v1/labels/{label_id}", json={"name": "Mine"})) == (403, "forbidden")
    assert (await owner.delete(path)).status_code == 204
    assert problem(await admin.get(f"/v1/labels/{label_id}")) == (404, "not_found")


async def test_a_kept_answer_is_not_given_to_who_lost_the_right(house: House) -> None:
    """The same Idempotency-Key, after the role is gone: refused like a fresh request."""
    owner = await house.person("owner@example.com")
    label_id = await house.label(owner)
    admin = await join(house, MARA, label_id, "admin")
    path, key = f"/v1/labels/{label_id}/invitations", {"Idempotency-Key": "once"}
    body = {"email": "ines@example.com", "role": "agent"}
    assert (await admin.post(path, json=body, headers=key)).status_code == 201
    again = await admin.post(path, json=body, headers=key)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    member = f"/v1/labels/{label_id}/members/{await member_id(house, label_id, MARA)}"
    await owner.patch(member, json={"role": "analyst"})
    assert problem(await admin.post(path, json=body, headers=key)) == (403, "forbidden")
    await owner.delete(member)
    assert problem(await admin.post(path, json=body, headers=key)) == (404, "not_found")


async def test_what_people_do_is_on_record(house: House) -> None:
    """In the account's own chain: logging in, failing to, ending sessions; without addresses."""
    mara = await house.person(MARA)
    await house.http.post("/v1/sessions", json=LOGIN | {"password": "not the right one"})
    await mara.delete("/v1/sessions/current")
    chain = (await user_of(house, MARA))["_id"]
    assert await actions(house, chain) == ["account.made", "session.started", "session.refused", "session.ended"]
    rows = await house.db.open("audit_log").find({}, comment="all-labels: a test").to_list()
    assert "example.com" not in str(rows)
