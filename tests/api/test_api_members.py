"""Members, their roles, and the owner that a label always has."""

import asyncio

from tests.api.people import actions, join, mails, member_id, problem
from tests.house import House

OWNER, MARA, INES = "owner@example.com", "mara@example.com", "ines@example.com"


async def test_listing_members(house: House) -> None:
    """Everybody sees who they work with; a page at a time."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    mara = await join(house, MARA, label_id, "analyst")
    first = (await mara.get(f"/v1/labels/{label_id}/members?limit=1")).json()
    rest = (await mara.get(f"/v1/labels/{label_id}/members?cursor={first['next_cursor']}")).json()
    shown = [(one["email"], one["role"]) for one in first["data"] + rest["data"]]
    assert shown == [(OWNER, "owner"), (MARA, "analyst")] and rest["next_cursor"] is None
    one = await mara.get(f"/v1/labels/{label_id}/members/{rest['data'][0]['id']}")
    assert (one.json(), "etag" in one.headers) == (rest["data"][0], True)


async def test_admins_cannot_make_or_unmake_owners(house: House) -> None:
    """Nor take one out; all the rest they may."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    admin, base = await join(house, MARA, label_id, "admin"), f"/v1/labels/{label_id}/members"
    await join(house, INES, label_id, "agent")
    owners, ines = await member_id(house, label_id, OWNER), await member_id(house, label_id, INES)
    own = await member_id(house, label_id, MARA)
    for target, role in ((owners, "agent"), (ines, "owner"), (own, "owner")):
        assert problem(await admin.patch(f"{base}/{target}", json={"role": role})) == (403, "forbidden")
    assert problem(await admin.delete(f"{base}/{owners}")) == (403, "forbidden")
    assert (await admin.patch(f"{base}/{ines}", json={"role": "admin"})).json()["role"] == "admin"
    assert (await admin.delete(f"{base}/{ines}")).status_code == 204
    assert await actions(house, label_id) == ["label.made", "member.changed", "member.removed"]


async def test_a_stale_role_change_is_refused(house: House) -> None:
    """`If-Match` saves the later change."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    await join(house, MARA, label_id, "agent")
    path = f"/v1/labels/{label_id}/members/{await member_id(house, label_id, MARA)}"
    seen = (await owner.get(path)).headers["etag"]
    assert (await owner.patch(path, json={"role": "editor"}, headers={"If-Match": seen})).status_code == 200
    late = await owner.patch(path, json={"role": "admin"}, headers={"If-Match": seen})
    assert problem(late) == (412, "stale_version")
    assert (await owner.get(path)).json()["role"] == "editor"


async def test_the_last_owner_stays(house: House) -> None:
    """Neither leaving, nor being taken out, nor another role."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    own = f"/v1/labels/{label_id}/members/{await member_id(house, label_id, OWNER)}"
    assert problem(await owner.post(f"/v1/labels/{label_id}/leave")) == (409, "last_owner")
    assert problem(await owner.delete(own)) == (409, "last_owner")
    assert problem(await owner.patch(own, json={"role": "admin"})) == (409, "last_owner")
    await join(house, MARA, label_id, "owner")
    assert (await owner.post(f"/v1/labels/{label_id}/leave")).status_code == 204
    assert problem(await owner.get(f"/v1/labels/{label_id}")) == (404, "not_found")


async def test_of_owners_who_leave_at_once_one_stays(house: House) -> None:
    """Five at the same moment, each of whom sees four others."""
    people = [await house.person(OWNER)]
    label_id = await house.label(people[0])
    people += [await join(house, f"owner{n}@example.com", label_id, "owner") for n in range(4)]
    answers = await asyncio.gather(*(person.post(f"/v1/labels/{label_id}/leave") for person in people))
    assert sorted(answer.status_code for answer in answers) == [204] * 4 + [409]
    left = await house.db.open("memberships").find({"label_id": label_id}).to_list()
    assert [one["role"] for one in left] == ["owner"]


async def test_transferring_a_label(house: House) -> None:
    """In one step: the member owns it, the caller is an admin; both get word. To nobody or to oneself it is refused."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    mara = await join(house, MARA, label_id, "editor")
    new, path = await member_id(house, label_id, MARA), f"/v1/labels/{label_id}/transfer"
    assert problem(await owner.post(path, json={"member_id": "mbr_none"})) == (404, "not_found")
    assert problem(await mara.post(path, json={"member_id": new})) == (403, "forbidden")
    own = await member_id(house, label_id, OWNER)
    assert problem(await owner.post(path, json={"member_id": own})) == (409, "conflict")
    moved = await owner.post(path, json={"member_id": new})
    assert (moved.status_code, moved.json()["role"]) == (200, "owner")
    roles = {one["email"]: one["role"] for one in (await owner.get(f"/v1/labels/{label_id}/members")).json()["data"]}
    assert roles == {OWNER: "admin", MARA: "owner"}
    assert len(await mails(house, "owner_changed")) == 2
    assert problem(await owner.post(path, json={"member_id": new})) == (403, "forbidden")


async def test_who_goes_takes_their_invitations_along(house: House) -> None:
    """A dismissed admin leaves no way in behind."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    admin = await join(house, MARA, label_id, "admin")
    for client, email in ((admin, "friend@example.com"), (owner, "good@example.com")):
        body = {"email": email, "role": "admin"}
        assert (await client.post(f"/v1/labels/{label_id}/invitations", json=body)).status_code == 201
    await owner.delete(f"/v1/labels/{label_id}/members/{await member_id(house, label_id, MARA)}")
    open_ones = (await owner.get(f"/v1/labels/{label_id}/invitations")).json()["data"]
    assert [one["email"] for one in open_ones] == ["good@example.com"]
