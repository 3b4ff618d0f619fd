"""Data of the first release go on to work: its accounts can log in, its sessions begin anew."""

from app.upgrade import upgrade
from tests.house import PASSWORD, House


async def test_an_account_of_the_first_release(house: House) -> None:
    """Without the fields that this release added; twice does no harm, and changes no account of this release's."""
    old, new = await house.person("old@example.com"), await house.person("new@example.com")
    users = house.db.open("users")
    gone = {"password_changed_at": "", "email_verified_at": "", "last_login_at": ""}
    await users.update_one({"email_key": "old@example.com"}, {"$unset": gone})
    await house.db.open("sessions").update_one({}, {"$unset": {"authenticated_at": "", "ends_at": ""}})
    before = await users.find_one({"email_key": "new@example.com"})
    for _ in range(2):
        await upgrade(house.db)
    assert await users.find_one({"email_key": "new@example.com"}) == before
    assert ((await old.get("/v1/me")).status_code, (await new.get("/v1/me")).status_code) == (401, 200)
    answer = await house.http.post("/v1/sessions", json={"email": "old@example.com", "password": PASSWORD})
    assert answer.status_code == 200
