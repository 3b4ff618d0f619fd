"""Labels, and who may do what in them."""

import httpx
import pytest

from tests.house import House, message_change


async def label_with_a_message(house: House, owner: httpx.AsyncClient) -> tuple[str, dict[str, str]]:
    """A label with one conversation; the ids to fill paths with."""
    label_id = await house.label(owner)
    await house.connection(label_id)
    await house.receive(message_change("m_roles", ms=house.ms()))
    base = f"/v1/labels/{label_id}/conversations"
    conversation = (await owner.get(base)).json()["data"][0]["id"]
    message = (await owner.get(f"{base}/{conversation}/messages")).json()["data"][0]["id"]
    return label_id, {"conversation": conversation, "message": message}


async def test_making_and_changing_a_label(house: House) -> None:
    """What was not named stays; the maker is its owner."""
    owner = await house.person()
    made = await owner.post("/v1/labels", json={"name": "Nightjar", "slug": "nightjar", "timezone": "Europe/Oslo"})
    assert made.status_code == 201 and made.headers["location"] == f"/v1/labels/{made.json()['id']}"
    assert made.json().items() >= {"role": "owner", "country": "GB", "timezone": "Europe/Oslo"}.items()
    path = made.headers["location"]
    shown = await owner.get(path)
    assert (shown.headers["etag"], shown.json()) == (made.headers["etag"], made.json())
    changed = await owner.patch(path, json={"branding": {"primary_colour": "#1a2b3c"}})
    assert changed.json() == made.json() | {
        "branding": {"primary_colour": "#1a2b3c", "secondary_colour": None, "logo_url": None}
    }


async def test_if_match_saves_the_later_change(house: House) -> None:
    """A stale version is refused, `*` and a list with the present one are not, and what is no entity tag is told so."""
    owner = await house.person()
    path = f"/v1/labels/{await house.label(owner)}"
    seen = (await owner.get(path)).headers["etag"]
    assert (await owner.patch(path, json={"name": "First"}, headers={"If-Match": seen})).status_code == 200
    late = await owner.patch(path, json={"name": "Second"}, headers={"If-Match": seen})
    assert (late.status_code, late.json()["code"]) == (412, "stale_version")
    assert (await owner.get(path)).json()["name"] == "First"
    for tag, status in (('"x"', 412), (f"W/{seen}", 412), (f'{seen}, "2", W/"x,y"', 200), ("*", 200)):
        assert (await owner.patch(path, json={}, headers={"If-Match": tag})).status_code == status, tag
    for tag in (seen.strip('"'), f"{seen} {seen}", '"', ""):
        answer = await owner.patch(path, json={}, headers={"If-Match": tag})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/header/If-Match"), tag


@pytest.mark.parametrize(
    "body", [{"name": None}, {"slug": "No Spaces"}, {"slug": "-x"}, {"country": "no"}, {"timezone": "Mars/Base"}]
)
async def test_bad_changes_change_nothing(house: House, body: dict[str, object]) -> None:
    """Null is no value of what must have one."""
    owner = await house.person()
    path = f"/v1/labels/{await house.label(owner)}"
    before = (await owner.get(path)).json()
    answer = await owner.patch(path, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{next(iter(body))}")
    assert (await owner.get(path)).json() == before


async def test_a_slug_has_one_owner(house: House) -> None:
    """The second label of a slug is refused, and leaves no membership behind."""
    mara, jonas = await house.person("mara@example.com"), await house.person("jonas@example.com")
    await house.label(mara, "nightjar")
    taken = await jonas.post("/v1/labels", json={"name": "Mine", "slug": "nightjar"})
    assert (taken.status_code, taken.json()["code"]) == (409, "slug_taken")
    assert (await jonas.get("/v1/labels")).json() == {"data": [], "next_cursor": None}
    other = await house.label(jonas, "lowtide")
    clash = await jonas.patch(f"/v1/labels/{other}", json={"slug": "nightjar"})
    assert (clash.status_code, clash.json()["code"]) == (409, "slug_taken")


async def test_another_labels_things_are_not_there(house: House) -> None:
    """With an own label in the path and another's id behind it: 404, as for an id that never was."""
    owner = await house.person()
    _, ids = await label_with_a_message(house, owner)
    jonas = await house.person("jonas@example.com")
    own = await house.label(jonas, "lowtide")
    for path in (f"conversations/{ids['conversation']}", f"messages/{ids['message']}", "conversations/cnv_none"):
        answer = await jonas.get(f"/v1/labels/{own}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    sent = await jonas.post(f"/v1/labels/{own}/conversations/{ids['conversation']}/messages", json={"text": "Hi"})
    assert sent.status_code == 404
