"""Beginning to connect an account anew in place: for which connections, with which scopes, and what it changes."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.house import House

WHERE = "https://app.example.com/settings"


@pytest.mark.parametrize("status", ["active", "needs_reauth"])
async def test_renewing(house: House, status: str) -> None:
    """A log-in of its own begins, for the features that are on; the connection stays as it is until it is done."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id, status=status, features=["messages"])
    path = f"/v1/labels/{label_id}/connections"
    before = (await owner.get(f"{path}/{connection['_id']}")).json()
    begun = await owner.post(f"{path}/{connection['_id']}/reconnect", json={"return_to": WHERE})
    assert begun.status_code == 201, begun.text
    found = begun.json()
    assert (found["status"], found["renews"], found["features"]) == ("pending", connection["_id"], ["messages"])
    assert begun.headers["Location"] == f"{path}/{found['id']}"
    scope = parse_qs(urlsplit(found["authorize_url"]).query)["scope"]
    assert scope == ["instagram_business_basic,instagram_business_manage_messages"]
    assert (await owner.get(f"{path}/{connection['_id']}")).json() == before
    [row] = [one async for one in house.db.open("audit_log").find({"label_id": label_id, "action": "connection.begun"})]
    assert row["details"]["renews"] == connection["_id"]


async def test_renewing_with_other_features(house: House) -> None:
    """What is named is asked for."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id, features=["messages"])
    path = f"/v1/labels/{label_id}/connections/{connection['_id']}/reconnect"
    found = (await owner.post(path, json={"features": ["comments", "insights"]})).json()
    assert found["features"] == ["comments", "insights"]
    assert "instagram_business_manage_messages" not in found["asked_scopes"]
    refused = await owner.post(path, json={"features": ["catalogue"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    refused = await owner.post(path, json={"return_to": "javascript:alert(1)"})
    assert refused.status_code == 422


@pytest.mark.parametrize("status", ["pending", "revoked", "error"])
async def test_what_cannot_be_renewed(house: House, status: str) -> None:
    """A log-in that is under way, and a connection that has ended."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id, status=status)
    refused = await owner.post(f"/v1/labels/{label_id}/connections/{connection['_id']}/reconnect", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert len((await owner.get(f"/v1/labels/{label_id}/connections")).json()["data"]) == 1
