"""Data of the first release go on to work: its accounts can log in, its sessions begin anew."""

from app.upgrade import upgrade
from tests.house import PASSWORD, House, message_change


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


async def test_a_conversation_of_an_older_release(house: House) -> None:
    """It is listed, and found by what is unread."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    await house.receive(
        message_change("m_1", ms=house.ms()), message_change("m_2", ms=house.ms(), fan="800000000000001")
    )
    conversations, path = house.db.open("conversations"), f"/v1/labels/{label_id}/conversations"
    [first, _] = (await owner.get(path)).json()["data"]
    await owner.post(f"{path}/{first['id']}/read")
    older = {"$unset": {"network": "", "is_unread": ""}}
    await conversations.update_many({"label_id": label_id}, older)
    await upgrade(house.db)
    await upgrade(house.db)
    assert {one["network"] for one in (await owner.get(path)).json()["data"]} == {"instagram"}
    assert [one["id"] for one in (await owner.get(path, params={"unread": "false"})).json()["data"]] == [first["id"]]


async def test_a_publication_of_an_older_release(house: House) -> None:
    """It can be changed, and whoever changed it last is the one who may not approve it."""
    owner = await house.person()
    label_id = await house.label(owner)
    on = {"provider": "facebook", "network": "facebook", "features": ["publishing"], "active_features": ["publishing"]}
    connection = await house.connection(label_id, "30000000000001", **on)
    path = f"/v1/labels/{label_id}/publications"
    wish = {"kind": "page_post", "targets": [connection["_id"]], "caption": "On Friday."}
    made = (await owner.post(path, json=wish)).raise_for_status().json()
    stored = await house.db.open("publications").find_one({"_id": made["id"], "label_id": label_id})
    assert stored is not None
    older = {"$unset": {"authors": "", "shown": ""}, "$set": {"edited_by": stored["created_by"]}}
    await house.db.open("publications").update_one({"_id": made["id"], "label_id": label_id}, older)
    await upgrade(house.db)
    await upgrade(house.db)
    (await owner.patch(f"{path}/{made['id']}", json={"caption": "On Saturday."})).raise_for_status()
    label = {"publishing_approval": "four_eyes"}
    (await owner.patch(f"/v1/labels/{label_id}", json=label)).raise_for_status()
    (await owner.post(f"{path}/{made['id']}/submit")).raise_for_status()
    assert (await owner.post(f"{path}/{made['id']}/approve")).json()["code"] == "own_publication"
