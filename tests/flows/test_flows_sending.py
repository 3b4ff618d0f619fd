"""Sending at the sandbox, in every form and on all three ways; what is refused, tried again, and decided by people."""

from datetime import timedelta

import pytest

from app.db import Doc
from app.errors import HumanAgentNotAllowed, ReplyWindowClosed
from app.models.base import rfc3339
from app.services.audit import By
from app.services.inbox import replies
from app.services.inbox.outgoing import Outgoing
from tests.api.people import join
from tests.flows.facebook_harness import NIGHTJAR, NIGHTJAR_IG
from tests.flows.flows_harness import Desk, Meta, pass_by, standing_rule
from tests.flows.sending_harness import IMAGE, WAYS, Talk, talk, talk_by
from tests.flows.test_flows_answering import echo_of
from tests.house import House, eventually

DAY, WEEK = timedelta(days=1), timedelta(days=7)
OWN_POST = "18000000000000001"
BUTTONS = [{"title": "Tour", "payload": "TOUR"}, {"title": "Merch", "payload": "MERCH"}]
LOOKS_BEFORE_THE_CALL = 9
"""How often a worker looks at its clock before it calls Meta, from zero on."""
RULE = "rul_01k9zv3t5w8x2m4c6d7f9g1h3j"


@pytest.mark.parametrize("way", WAYS)
async def test_everything_that_goes_out(live_house: House, meta: Meta, way: str) -> None:
    """Each form arrives at Meta as its documentation says, on each of the three ways."""
    found = await talk_by(way, live_house, meta)
    messenger = way == NIGHTJAR
    bodies: list[Doc] = [
        {"text": "Which?", "quick_replies": BUTTONS, "reply_to": found.mid},
        *({"attachment": {"type": kind, "url": f"https://cdn.example.test/a.{kind}"}} for kind in ("image", "file")),
        *({"media_id": OWN_POST}, {"sticker": "like_heart"}) * (not messenger),
    ]
    for body in bodies:
        message, operation = await found.send(body)
        assert (message["state"], operation["state"]) == ("sent", "succeeded"), (body, operation)
        assert message["sent_by"]["kind"] == "person" and message["sent_by"]["id"].startswith("usr_")
    sent = await meta.ledger("message_sent")
    assert [row["recipient_id"] for row in sent] == [found.fan_id] * len(bodies)
    assert {row["body"].get("messaging_type") for row in sent} == {"RESPONSE" if messenger else None}
    assert sent[0]["body"]["reply_to"] == {"mid": found.mid} and len(sent[0]["body"]["message"]["quick_replies"]) == 2
    kinds = ["image", "file", *([] if messenger else ["MEDIA_SHARE", "like_heart"])]
    assert [row["attachments"][0]["type"] for row in sent[1:]] == kinds
    shown = await found.desk.messages(found.fan_id)
    assert [one["provider_id"] for one in shown] == [*(row["message_id"] for row in reversed(sent)), found.mid]
    assert shown[-2]["quick_replies"] == BUTTONS


async def test_messengers_own_limits(live_house: House, meta: Meta) -> None:
    """2000 characters, and nothing that only Instagram has; an echo carries the operation's id back."""
    found = await talk_by(NIGHTJAR, live_house, meta)
    message, _ = await found.send({"text": "é" * 2000})
    assert message["state"] == "sent"
    [row] = await meta.ledger("message_sent")
    assert row["body"]["message"]["metadata"] == message["operation_id"]
    for body in ({"media_id": OWN_POST}, {"sticker": "like_heart"}):
        assert (await found.say(body, 422))["code"] == "invalid_input"
    too_long = await found.say({"text": "é" * 2001}, 422)
    assert too_long["errors"][0]["pointer"] == "/text"


async def test_what_cannot_be_sent_at_all(live_desk: Desk, meta: Meta) -> None:
    """No file that is not there, no address that is not public, no two contents; nothing is queued for them."""
    found = await talk(live_desk)
    assert (await found.say({"asset_id": "ast_01k9zv3t5w8x2m4c6d7f9g1h3j"}, 422))["code"] == "asset_not_found"
    private = {"attachment": {"type": "image", "url": "https://10.0.0.1/a.jpg"}}
    for body in ({}, {"text": "Hi", "sticker": "like_heart"}, private, {"text": "é" * 501}):
        assert (await found.say(body, 422))["code"] == "invalid_input"
    assert await live_desk.stored("operations", kind="send_reply") == []


async def test_the_api_says_what_sending_does(live_desk: Desk, meta: Meta) -> None:
    """The answer and the deed agree, in the window, after it for a person, and after it for nobody."""
    found = await talk(live_desk, ago=DAY - timedelta(minutes=5))
    [stored] = await live_desk.stored("conversations")
    may = await found.may()
    assert (may["allowed"], may["basis"], may["blocked_reason"]) == (True, "standard_window", None)
    assert may["expires_at"] == rfc3339(stored["last_inbound_at"] + DAY)
    pass_by(live_desk.house, timedelta(minutes=6))
    may = await found.may()
    assert (may["allowed"], may["basis"], may["expires_at"]) == (True, "human_agent", may["human_agent_until"])
    assert (await found.say({"text": "Late"}, 409))["code"] == "reply_window_closed"
    message, _ = await found.send({"text": "By a person", "human_agent": True})
    assert (message["state"], message["human_agent"]) == ("sent", True)
    await found.set(last_inbound_at=live_desk.house.clock() - WEEK)
    may = await found.may()
    assert (may["allowed"], may["blocked_reason"], may["human_agent_until"]) == (False, "window_closed", None)
    assert (await found.say({"text": "Too late", "human_agent": True}, 409))["code"] == "reply_window_closed"
    [row] = await meta.ledger("message_sent")
    assert row["body"]["tag"] == "HUMAN_AGENT"


async def test_inside_the_window_a_person_needs_no_tag(live_desk: Desk, meta: Meta) -> None:
    """The tag takes an approved feature: it goes out only where nothing else would do."""
    found = await talk(live_desk)
    await found.send({"text": "Hi", "human_agent": True})
    [row] = await meta.ledger("message_sent")
    assert "tag" not in row["body"] and "messaging_type" not in row["body"]


async def test_a_rule_is_no_human_agent(live_desk: Desk, meta: Meta) -> None:
    """It is refused when it is queued; and one that got past that, by the worker that would send it."""
    house = live_desk.house
    found = await talk(live_desk, ago=DAY - timedelta(minutes=5))

    async def queue(by: By, *, human_agent: bool) -> Doc:
        return await replies.queue_reply(
            house.db,
            live_desk.label_id,
            found.conversation_id,
            content=Outgoing(text="By a rule"),
            by=by,
            human_agent=human_agent,
            intent=None,
            now=house.clock(),
        )

    rule = await standing_rule(house, live_desk.label_id, RULE)
    for by in (rule, By("client", "cli_1", None, None), By("system", "soundops", None, None)):
        with pytest.raises(HumanAgentNotAllowed):
            await queue(by, human_agent=True)
    queued = await queue(rule, human_agent=False)
    forged = {"_id": queued["_id"], "label_id": live_desk.label_id}
    await house.db.open("messages").update_one(forged, {"$set": {"human_agent": True}})
    pass_by(house, timedelta(minutes=6))
    with pytest.raises(ReplyWindowClosed):
        await queue(rule, human_agent=False)
    message, operation = await found.after_work({"id": queued["_id"], "operation_id": queued["operation_id"]})
    assert (message["state"], operation["problem"]["code"]) == ("failed", "reply_window_closed")
    assert message["sent_by"] == {"kind": "rule", "id": RULE}
    assert await meta.texts_sent() == []


async def test_our_own_echoes_make_no_new_messages(live_desk: Desk, meta: Meta) -> None:
    """What a rule and a person sent comes back once each, twice delivered: no loop, no second message, no reopening."""
    house = live_desk.house
    found = await talk(live_desk)
    place = (house.db, live_desk.label_id, found.conversation_id)
    rule = await standing_rule(house, live_desk.label_id, RULE)
    await replies.queue_reply(
        *place, content=Outgoing(text="By a rule"), by=rule, human_agent=False, intent=None, now=house.clock()
    )
    await house.work()
    await found.send(IMAGE)
    rows = await meta.ledger("message_sent")
    echoes = [
        {
            "sender": {"id": row["account_id"]},
            "recipient": {"id": found.fan_id},
            "timestamp": row["sent_ms"],
            "message": {"mid": row["message_id"], "is_echo": True}
            | ({"text": row["text"]} if row["text"] else {"attachments": row["attachments"]}),
        }
        for row in rows
    ]
    before = {one["_id"] for one in await live_desk.stored("messages")}
    for _ in range(2):
        await live_desk.receive(*echoes)
    assert {one["_id"] for one in await live_desk.stored("messages")} == before
    assert len(await live_desk.stored("operations", kind="send_reply")) == 2
    types = [one["type"] for one in await live_desk.stored("events") if one["target"].startswith("msg_")]
    assert sorted(types) == ["message.echoed"] * 2 + ["message.received"] + ["message.sent"] * 2


async def lost_echo(found: Talk, row: Doc) -> Doc:
    """The echo of a row of the ledger, as Meta would deliver it."""
    message = {"mid": row["message_id"], "is_echo": True, "attachments": [{"type": "image", "payload": {"url": "x"}}]}
    sides = {"sender": {"id": row["account_id"]}, "recipient": {"id": found.fan_id}}
    return sides | {"timestamp": row["sent_ms"], "message": message}


@pytest.mark.parametrize("by", ["echo", "reading"])
async def test_a_lost_answer_to_an_attachment_is_found(live_desk: Desk, meta: Meta, by: str) -> None:
    """By the kind of what is attached, and by its time; it is one message, sent once."""
    found = await talk(live_desk)
    await meta.fault("lost", "/messages$")
    message, operation = await found.send(IMAGE)
    assert (message["state"], operation["state"]) == ("unknown", "unknown")
    [row] = await eventually(lambda: meta.ledger("message_sent"))
    if by == "echo":
        await meta.fault("http", "/conversations", code=500, times=None)
        await live_desk.receive(await lost_echo(found, row))
    pass_by(live_desk.house, timedelta(seconds=6))
    message, operation = await found.after_work(message)
    assert (message["state"], message["provider_id"], operation["state"]) == ("sent", row["message_id"], "succeeded")
    shown = await live_desk.messages(found.fan_id)
    assert [(one["direction"], len(one["attachments"])) for one in shown] == [("out", 1), ("in", 0)]
    assert shown[0]["attachments"][0]["url"] == IMAGE["attachment"]["url"]


async def test_two_images_in_doubt_are_told_apart_only_by_their_number(live_desk: Desk, meta: Meta) -> None:
    """Meta has one, we have begun two: which it is nobody knows. When it has both, their order tells."""
    found = await talk(live_desk)
    await meta.fault("http", "/messages$", code=500)
    await meta.fault("lost", "/messages$")
    first, second = await found.say(IMAGE), await found.say(IMAGE)
    for _ in range(2):
        await live_desk.house.work()
    pass_by(live_desk.house, timedelta(seconds=6))
    for _ in range(2):  # of a conversation's operations only the first begins in one round
        await live_desk.house.work()
    states = [(await live_desk.get(f"/messages/{one['id']}"))["state"] for one in (first, second)]
    assert states == ["unknown", "unknown"] and len(await meta.ledger("message_sent")) == 1
    await meta.fault("lost", "/messages$")
    third = await found.say(IMAGE)
    await live_desk.house.work()
    operation = await found.operation(third["operation_id"])
    assert (await live_desk.get(f"/messages/{third['id']}"))["state"] == "unknown", str(operation)


async def test_what_meta_refuses_is_remembered(live_desk: Desk, meta: Meta) -> None:
    """A fan who blocks, another app's thread, a barred account: said at once the next time, until it is over."""
    found = await talk(live_desk)
    order = {"fan": "mara", "account": "nightjar.records"}
    await meta.control("PUT", "/threads/blocked", **order)
    message, _ = await found.send(IMAGE)
    assert message["problem"] == "recipient_unavailable"
    assert (await found.may())["blocked_reason"] == "recipient_unavailable"
    assert (await found.say(IMAGE, 409))["code"] == "recipient_unavailable"
    await meta.control("PUT", "/threads/blocked", **order, blocked=False)
    await live_desk.house.fan_writes("mara", "Sorry", at=live_desk.house.ms() + 1)
    assert (await found.may())["allowed"]
    await meta.control("PUT", "/threads/owner", **order, to="another_app")
    message, _ = await found.send(IMAGE)
    assert message["problem"] == "not_thread_owner"
    assert (await found.say(IMAGE, 409))["code"] == "not_thread_owner"
    await live_desk.house.fan_writes("mara", "You again", at=live_desk.house.ms() + 1)
    await meta.control("PUT", "/options", sending_barred=True)
    message, _ = await found.send(IMAGE)
    assert message["problem"] == "sending_paused"
    assert (await found.may())["blocked_reason"] == "sending_paused"
    assert (await found.say(IMAGE, 409))["code"] == "sending_paused"
    assert await meta.ledger("message_sent") == []


async def test_standby_says_whose_thread_it_is(live_desk: Desk, meta: Meta) -> None:
    """What is delivered under `standby` belongs to another app; the next message to us makes it ours."""
    found = await talk(live_desk)
    item = {"sender": {"id": found.fan_id}, "recipient": {"id": "17841400000000001"}}
    standby = item | {"timestamp": live_desk.house.ms() + 5, "message": {"mid": "in-standby", "text": "hello?"}}
    entry = {"id": "17841400000000001", "time": 1, "standby": [standby]}
    await live_desk.house.deliver({"object": "instagram", "entry": [entry]})
    await live_desk.house.work()
    assert (await found.may())["blocked_reason"] == "another_app_owns_the_thread"
    to_us = {"mid": "to-us", "text": "hello!"}
    await live_desk.receive(item | {"timestamp": live_desk.house.ms() + 10, "message": to_us})
    assert (await found.may())["allowed"]


async def test_an_own_post_must_be_the_accounts(live_desk: Desk, meta: Meta) -> None:
    found = await talk(live_desk)
    message, _ = await found.send({"media_id": "18000000000000101"})
    assert (message["state"], message["problem"]) == ("failed", "media_refused")


async def test_a_failed_message_is_sent_again(live_desk: Desk, meta: Meta) -> None:
    """By its own route; the same message and operation, and the window is asked anew. A sent one is not."""
    found = await talk(live_desk, ago=DAY - timedelta(minutes=5))
    await meta.fault("error", "/messages$", code=100, subcode=2018047)
    message, _ = await found.send(IMAGE)
    assert (message["state"], message["problem"]) == ("failed", "attachment_refused")
    again = await found.do(f"/messages/{message['id']}/retry")
    assert (again["id"], again["state"], again["operation_id"]) == (message["id"], "queued", message["operation_id"])
    message, operation = await found.after_work(again)
    assert (message["state"], message["problem"], operation["state"]) == ("sent", None, "succeeded")
    assert (await found.do(f"/messages/{message['id']}/retry", status=409))["code"] == "conflict"
    await meta.fault("error", "/messages$", code=100)
    message, operation = await found.send({"text": "Once more"})
    pass_by(live_desk.house, timedelta(minutes=6))
    for path in (f"/messages/{message['id']}/retry", f"/operations/{operation['id']}/retry"):
        assert (await found.do(path, status=409))["code"] == "reply_window_closed"
    inbound = next(one for one in await live_desk.messages(found.fan_id) if one["direction"] == "in")
    assert (await found.do(f"/messages/{inbound['id']}/retry", status=409))["code"] == "conflict"
    assert len(await meta.ledger("message_sent")) == 1


async def test_a_person_says_that_it_went_out(live_desk: Desk, meta: Meta) -> None:
    """Only once nobody asks any more; then it is sent, the operation has ended well, and the audit log tells who."""
    found = await talk(live_desk)
    message, _ = await found.send({"text": "!!http:500"})
    path = f"/messages/{message['id']}/mark-sent"
    assert (await found.do(path, status=409))["code"] == "conflict"
    for seconds in (6, 15, 100, 490):
        pass_by(live_desk.house, timedelta(seconds=seconds))
        await live_desk.house.work()
    marked = await found.do(path, status=200)
    assert (marked["state"], marked["provider_id"], marked["problem"]) == ("sent", None, None)
    assert (await found.operation(message["operation_id"]))["state"] == "succeeded"
    assert [row["action"] for row in await live_desk.stored("audit_log") if row["target"] == message["id"]] == [
        "message.marked_sent"
    ]
    assert (await found.do(path, status=409))["code"] == "conflict"
    assert await meta.texts_sent() == []


@pytest.mark.parametrize("look", range(3, LOOKS_BEFORE_THE_CALL + 1))
async def test_a_worker_that_is_held_up_sends_nothing_late(live_desk: Desk, meta: Meta, look: int) -> None:
    """The window closes between any two of its looks at the clock, the last of them right before the call."""
    house = live_desk.house
    found = await talk(live_desk, ago=DAY - timedelta(minutes=5))
    queued = await found.say({"text": "Too late"})
    clock, looks = house.worker.clock, iter(range(1000))
    house.worker.clock = lambda: clock() + (timedelta(minutes=6) if next(looks) >= look else timedelta())
    message, operation = await found.after_work(queued)
    assert (message["state"], message["problem"]) == ("failed", "reply_window_closed"), operation
    assert next(looks) > look
    assert await meta.texts_sent() == []


async def test_through_facebook_instagram_is_sent_by_the_page(live_house: House, meta: Meta) -> None:
    """The Page's token, Facebook's host, and the window's tag."""
    found = await talk_by(NIGHTJAR_IG, live_house, meta)
    await found.set(last_inbound_at=live_house.clock() - timedelta(days=2))
    message, operation = await found.send({"text": "By a person", "human_agent": True})
    assert message["state"] == "sent", operation
    [row] = await meta.ledger("message_sent")
    assert (row["account_id"], row["body"]["tag"]) == (NIGHTJAR_IG, "HUMAN_AGENT")


async def test_who_was_removed_sends_no_more(live_desk: Desk, meta: Meta) -> None:
    """What they had queued is not sent: whoever stood for it has left."""
    house, found = live_desk.house, await talk(live_desk)
    agent = await join(house, "agent@example.com", live_desk.label_id, "agent")
    queued = (await agent.post(f"{found.path}/messages", json={"text": "By me"})).raise_for_status().json()
    user_id = (await agent.get("/v1/me")).json()["id"]
    await house.db.open("memberships").delete_one({"label_id": live_desk.label_id, "user_id": user_id})
    message, operation = await found.after_work(queued)
    assert (message["state"], operation["problem"]["code"]) == ("failed", "sender_removed")
    assert await meta.texts_sent() == []


@pytest.mark.parametrize("way", ["retry", "mark-sent"])
async def test_an_echo_that_comes_late_is_found_first(live_desk: Desk, meta: Meta, way: str) -> None:
    """Asking had ended, and then the echo came: whatever a person decides, it is one message at Meta and here."""
    found = await talk(live_desk)
    await meta.fault("http", "/conversations", code=500, times=None)
    message, _ = await found.send({"text": "Doors at 8 !!lost"})
    for seconds in (6, 15, 100, 490):
        pass_by(live_desk.house, timedelta(seconds=seconds))
        await live_desk.house.work()
    [sent] = await meta.ledger("message_sent")
    echo = await echo_of(live_desk, sent["message_id"], sent["text"])
    await live_desk.receive(echo | {"timestamp": sent["sent_ms"]})
    assert len([one for one in await live_desk.messages(found.fan_id) if one["direction"] == "out"]) == 2
    answer = await live_desk.owner.post(f"/v1/labels/{live_desk.label_id}/messages/{message['id']}/{way}")
    assert answer.is_success, answer.text
    await live_desk.house.work()
    [ours] = [one for one in await live_desk.messages(found.fan_id) if one["direction"] == "out"]
    assert (ours["state"], ours["provider_id"]) == ("sent", sent["message_id"])
    assert len(await meta.ledger("message_sent")) == 1


async def test_the_same_intent_after_the_window(live_desk: Desk, meta: Meta) -> None:
    """It is the reply that was queued in time, not a refusal."""
    house = live_desk.house
    found = await talk(live_desk, ago=DAY - timedelta(minutes=5))
    place = (house.db, live_desk.label_id, found.conversation_id)

    async def queue() -> Doc:
        told: Doc = {"content": Outgoing(text="In time"), "by": By("client", "cli_1", None, None), "intent": "once"}
        return await replies.queue_reply(*place, **told, human_agent=False, now=house.clock())

    first = await queue()
    await house.work()
    pass_by(house, timedelta(minutes=6))
    assert (await queue())["_id"] == first["_id"]
    await house.work()
    assert await meta.texts_sent() == ["In time"]
