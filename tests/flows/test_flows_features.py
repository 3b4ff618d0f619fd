"""Features switched off and on: what is off stops at once, in both directions."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.db import Doc
from app.services.vault.opening import NotAllowed
from tests.flows.flows_harness import PAYLOADS_AT, Desk, Meta, move_to, pass_by, sit_down
from tests.house import ACCOUNT, House, message_change


async def switch(desk: Desk, *features: str, status: int = 200) -> Doc:
    """Have exactly these features on."""
    path = f"/v1/labels/{desk.label_id}/connections/{desk.connection_id}"
    tag = (await desk.owner.get(path)).headers["ETag"]
    answer = await desk.owner.patch(path, json={"features": features}, headers={"If-Match": tag})
    assert answer.status_code == status, answer.text
    found: Doc = answer.json()
    return found


async def answer_fan(desk: Desk, igsid: str) -> httpx.Response:
    """Answer a fan who has written."""
    conversation = await desk.conversation(igsid)
    path = f"/v1/labels/{desk.label_id}/conversations/{conversation['id']}/messages"
    return await desk.owner.post(path, json={"text": "Hi"})


async def test_what_is_off_stops_both_ways(live_desk: Desk, meta: Meta) -> None:
    """Queued replies end, new ones are refused, nothing is sent or opened, and what still comes is not stored."""
    fan = await live_desk.house.fan_writes("mara", "Hello")
    queued = await answer_fan(live_desk, fan["igsid"])
    assert queued.status_code == 202
    changed = await switch(live_desk, "comments")
    assert (changed["features"], changed["active_features"]) == (["comments"], ["comments"])
    operation = (await live_desk.owner.get(f"/v1/operations/{queued.json()['operation_id']}")).json()
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "feature_off")
    assert {message["state"] for message in await live_desk.messages(fan["igsid"])} == {None, "failed"}
    refused = await answer_fan(live_desk, fan["igsid"])
    assert (refused.status_code, refused.json()["code"]) == (409, "connection_not_active")
    await live_desk.house.work()
    assert await meta.texts_sent() == []
    [connection] = await live_desk.stored("connections")
    with pytest.raises(NotAllowed):
        await live_desk.house.worker.hands.open(connection, "access_token", used_for="messages", job="test")
    assert "messages" not in connection["subscribed_fields"] and "comments" in connection["subscribed_fields"]
    before = await live_desk.messages(fan["igsid"])
    change = message_change("mid.off", ms=live_desk.house.ms(), fan=fan["igsid"], account=fan["account_id"])
    await live_desk.receive(change, account=fan["account_id"])
    assert (await live_desk.messages(fan["igsid"]), await live_desk.undrained()) == (before, [])
    rows = await live_desk.stored("audit_log", action="connection.features_changed")
    assert [row["details"] for row in rows] == [{"from": "comments messages", "to": "comments"}]


async def test_a_granted_feature_is_on_again_at_once(live_desk: Desk, meta: Meta) -> None:
    """Without a log-in; one that was not granted stays inactive, and what it lacks is told."""
    await switch(live_desk, "comments")
    await live_desk.house.work()
    changed = await switch(live_desk, "comments", "messages", "publishing")
    assert changed["active_features"] == ["comments", "messages"]
    assert changed["missing_scopes"] == ["instagram_business_content_publish"]
    await live_desk.house.work()
    [connection] = await live_desk.stored("connections")
    assert {"messages", "comments"} <= set(connection["subscribed_fields"])
    pass_by(live_desk.house, timedelta(seconds=1))
    fan = await live_desk.house.fan_writes("mara", "Hello")
    assert (await answer_fan(live_desk, fan["igsid"])).status_code == 202


async def test_another_label_still_gets_them(live_desk: Desk, meta: Meta) -> None:
    """The provider goes on sending what any label has on, and only that one stores it."""
    house = live_desk.house
    other = await house.person("other@example.com")
    other_label = await house.label(other, "lowtide")
    await house.connect(other, other_label)
    await switch(live_desk, "comments")
    await house.work()
    [connection] = await live_desk.stored("connections", _id=live_desk.connection_id)
    assert "messages" in connection["subscribed_fields"]
    await house.fan_writes("mara", "Hello")
    assert await live_desk.conversations() == []
    theirs = (await other.get(f"/v1/labels/{other_label}/conversations")).json()["data"]
    assert len(theirs) == 1


async def test_what_cannot_be_switched(house: House) -> None:
    """A connection that has ended, one that is of another version, and a feature that its provider has not."""
    owner = await house.person()
    label_id = await house.label(owner)
    for number, status in enumerate(("revoked", "error")):
        ended = await house.connection(label_id, f"{ACCOUNT[:-1]}{number + 2}", status=status)
        path = f"/v1/labels/{label_id}/connections/{ended['_id']}"
        answer = await owner.patch(path, json={"features": ["messages"]}, headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.json()["code"]) == (409, "connection_not_active")
    live = await house.connection(label_id)
    path = f"/v1/labels/{label_id}/connections/{live['_id']}"
    assert (await owner.patch(path, json={"features": []}, headers={"If-Match": '"7"'})).status_code == 412
    assert (await owner.patch(path, json={"features": ["catalogue"]})).status_code == 422


OF_MESSAGES = (
    *("text", "images", "ig_reel", "inline_reply", "story_reply", "story_mention", "quick_reply", "unsupported"),
    *("postback", "referral", "ad_referral", "echo", "standby", "react", "seen", "unsend", "edit"),
)
OF_COMMENTS = ("comment", "comment_flat", "comment_on_ad", "live_comment")


@pytest.mark.parametrize("name", [*OF_MESSAGES, *OF_COMMENTS])
async def test_no_kind_of_webhook_comes_in_for_a_feature_that_is_off(timeless_house: House, name: str) -> None:
    """Taken from Meta with 200 and worked off, and nothing of it is kept; with the feature on it is."""
    house = timeless_house
    move_to(house, PAYLOADS_AT)
    feature, other = ("messages", "comments") if name in OF_MESSAGES else ("comments", "messages")
    desk = await sit_down(house, active_features=[other])
    await desk.give(name)
    kept = ("conversations", "messages", "comments", "parked_changes", "events")
    assert [one for one in kept if await desk.stored(one)] == []
    assert await desk.undrained() == []
    assert not any("change" in row for row in await desk.stored("webhook_inbox"))
    on = await sit_down_again(house, active_features=[feature])
    await house.db.open("webhook_inbox").delete_many({})
    await on.give(name)
    assert any([await on.stored(one) for one in ("conversations", "messages", "comments")])


async def sit_down_again(house: House, **connection: Any) -> Desk:
    """Another label's desk, with the same account."""
    owner = await house.person("second@example.com")
    label_id = await house.label(owner, "second")
    found = await house.connection(label_id, **connection)
    return Desk(house, owner, label_id, found["_id"])
