"""One account, connected more than once: again, at two labels, and by an owner who first said no."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx

from app.db import ALL_LABELS, Doc
from tests.house import House

WISH = {"provider": "instagram", "features": ["messages", "comments"]}


async def log_in(house: House, person: httpx.AsyncClient, label_id: str, **form: str) -> Doc:
    """The connection as it is after a log-in with this form at the sandbox's dialog, and a worker's round."""
    path = f"/v1/labels/{label_id}/connections"
    begun = (await person.post(path, json=WISH)).raise_for_status().json()
    async with httpx.AsyncClient(trust_env=False) as browser:
        decided = await browser.post(begun["authorize_url"], data=form)
    back = urlsplit(decided.headers["location"])
    (await person.get(f"{back.path}?{back.query}")).raise_for_status()
    await house.work()
    found: Doc = (await person.get(f"{path}/{begun['id']}")).raise_for_status().json()
    return found


async def secrets_of(house: House, connection: Doc) -> list[str]:
    """What is sealed for it."""
    query = {"connection_id": connection["id"]}
    found = house.db.open("secrets").find(query, comment=f"{ALL_LABELS}a test looks")
    return sorted([doc["purpose"] async for doc in found])


async def test_connected_twice(connected_house: House) -> None:
    """The second ends with its reason and keeps no token; the first goes on."""
    house = connected_house
    owner = await house.person()
    label_id = await house.label(owner)
    first = await log_in(house, owner, label_id, account="nightjar.records", allow="1")
    assert (first["status"], await secrets_of(house, first)) == ("active", ["access_token"])
    second = await log_in(house, owner, label_id, account="nightjar.records", allow="1")
    assert (second["status"], second["problem"]) == ("error", "account_already_connected")
    assert await secrets_of(house, second) == []
    operations = (await owner.get(f"/v1/labels/{label_id}/operations")).json()["data"]
    assert [found["state"] for found in operations] == ["failed", "succeeded"]
    assert (await owner.get(f"/v1/labels/{label_id}/connections/{first['id']}")).json()["status"] == "active"


async def test_two_labels_share_an_account(connected_house: House) -> None:
    """Each has a connection of its own, and what a fan writes reaches both."""
    house = connected_house
    owner = await house.person()
    labels = [await house.label(owner, slug) for slug in ("nightjar", "owl")]
    for label_id in labels:
        found = await log_in(house, owner, label_id, account="nightjar.records", allow="1")
        assert found["status"] == "active"
    await house.fan_writes("mara", "Hello, both of you")
    for label_id in labels:
        assert len((await owner.get(f"/v1/labels/{label_id}/conversations")).json()["data"]) == 1


async def test_who_said_no_may_say_yes(connected_house: House) -> None:
    """The refused connection stays as it ended, without any secret; a new one becomes active."""
    house = connected_house
    owner = await house.person()
    label_id = await house.label(owner)
    refused = await log_in(house, owner, label_id, account="nightjar.records")
    assert (refused["status"], refused["problem"]) == ("error", "access_denied")
    assert await secrets_of(house, refused) == []
    assert (await log_in(house, owner, label_id, account="nightjar.records", allow="1"))["status"] == "active"
    assert (await owner.get(f"/v1/labels/{label_id}/connections/{refused['id']}")).json() == refused


async def test_a_box_that_was_unticked(connected_house: House) -> None:
    """Only the features whose scopes were granted are active."""
    house = connected_house
    owner = await house.person()
    label_id = await house.label(owner)
    ticked = {"scope": "instagram_business_manage_comments", "boxes": "1"}
    found = await log_in(house, owner, label_id, account="nightjar.records", allow="1", **ticked)
    assert (found["status"], found["features"], found["active_features"]) == (
        "active",
        ["comments", "messages"],
        ["comments"],
    )


async def test_a_new_log_in_revives_a_connection_with_a_dead_token(connected_house: House) -> None:
    """What fans write meanwhile is there, and their conversations can be answered again, in the same place."""
    house = connected_house
    owner = await house.person()
    label_id = await house.label(owner)
    first = await log_in(house, owner, label_id, account="nightjar.records", allow="1")
    await house.fan_writes("teo", "Are you there?")
    base = f"/v1/labels/{label_id}/conversations"
    conversation = (await owner.get(base)).json()["data"][0]["id"]
    await owner.post(f"{base}/{conversation}/messages", json={"text": "Yes !!error:190/460"})
    await house.work()
    house.clock.offset += timedelta(seconds=11)  # it is believed when it is said again
    await house.work()
    path = f"/v1/labels/{label_id}/connections"
    assert (await owner.get(f"{path}/{first['id']}")).json()["status"] == "needs_reauth"
    await house.fan_writes("teo", "Hello?")
    second = await log_in(house, owner, label_id, account="nightjar.records", allow="1")
    assert (second["status"], second["problem"], second["replaced_by"]) == ("revoked", "replaced", first["id"])
    assert (await secrets_of(house, first), await secrets_of(house, second)) == (["access_token"], [])
    revived = (await owner.get(f"{path}/{first['id']}")).json()
    assert (revived["status"], revived["problem"]) == ("active", None)
    operation = (await owner.get(f"/v1/labels/{label_id}/operations")).json()["data"][0]
    assert (operation["state"], operation["result"]) == ("succeeded", {"connection_id": first["id"]})
    assert [found["id"] for found in (await owner.get(base)).json()["data"]] == [conversation]
    await owner.post(f"{base}/{conversation}/messages", json={"text": "Now I am."})
    await house.work()
    messages = (await owner.get(f"{base}/{conversation}/messages")).json()["data"]
    assert [(found["text"], found["state"]) for found in messages] == [
        ("Now I am.", "sent"),
        ("Hello?", None),
        ("Yes !!error:190/460", "failed"),
        ("Are you there?", None),
    ]
