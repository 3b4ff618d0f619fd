"""Answering a fan at the sandbox: windows, order, each way that Meta refuses, and answers that got lost."""

from datetime import timedelta
from typing import Any

import pytest

from app.db import Doc
from app.models.base import rfc3339
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.house import eventually

DAY = timedelta(days=1)


async def fan_writes(desk: Desk, text: str = "Hello?", fan: str = "mara", ago: timedelta = timedelta()) -> str:
    """Have a fan write; the path of the conversation's messages."""
    written = await desk.house.fan_writes(fan, text, at=desk.house.ms(ago))
    return f"/conversations/{(await desk.conversation(written['igsid']))['id']}/messages"


async def answer(desk: Desk, path: str, text: str, status: int = 202, **more: Any) -> Doc:
    """Answer, and hand the API's answer back."""
    found = await desk.owner.post(f"/v1/labels/{desk.label_id}{path}", json={"text": text} | more)
    assert found.status_code == status, found.text
    shown: Doc = found.json()
    return shown


async def after_work(desk: Desk, message: Doc) -> tuple[Doc, Doc]:
    """Let the worker work once; the message and its operation as they are then."""
    await desk.house.work()
    operation = await desk.owner.get(f"/v1/operations/{message['operation_id']}")
    return await desk.get(f"/messages/{message['id']}"), operation.json()


async def echo_of(desk: Desk, mid: str, text: str) -> Doc:
    """The echo that Meta sends of a message of the account's."""
    [stored] = await desk.stored("conversations")
    sides = {"sender": {"id": "17841400000000001"}, "recipient": {"id": stored["participant"]["provider_id"]}}
    return sides | {"timestamp": desk.house.ms(), "message": {"mid": mid, "text": text, "is_echo": True}}


async def test_the_window_is_as_long_as_meta_says(live_desk: Desk, meta: Meta) -> None:
    """24 hours for everybody, 7 days for a person who says so; the moment of sending counts."""
    house = live_desk.house
    path = await fan_writes(live_desk, ago=DAY - timedelta(minutes=5))
    assert (await after_work(live_desk, await answer(live_desk, path, "In time")))[0]["state"] == "sent"
    pass_by(house, timedelta(minutes=6))
    assert (await answer(live_desk, path, "Late", 409))["code"] == "reply_window_closed"
    by_person = await answer(live_desk, path, "By a person", human_agent=True)
    assert (await after_work(live_desk, by_person))[0]["state"] == "sent"
    assert await meta.texts_sent() == ["In time", "By a person"]
    assert (await meta.ledger("message_sent"))[-1]["body"]["tag"] == "HUMAN_AGENT"


async def test_a_window_that_closes_while_the_reply_waits(live_desk: Desk, meta: Meta) -> None:
    """It is not sent any more, and both the message and the operation say why."""
    path = await fan_writes(live_desk, ago=DAY - timedelta(minutes=5))
    queued = await answer(live_desk, path, "Too late")
    pass_by(live_desk.house, timedelta(minutes=6))
    message, operation = await after_work(live_desk, queued)
    assert (message["state"], message["problem"]) == ("failed", "reply_window_closed")
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "reply_window_closed")
    assert await meta.texts_sent() == []


async def test_replies_of_a_conversation_keep_their_order(live_desk: Desk, meta: Meta) -> None:
    """Five at once go out one after the other, as they were written; another conversation does not wait for them."""
    path, other = await fan_writes(live_desk), await fan_writes(live_desk, fan="jonas")
    texts = [f"Part {n}" for n in range(5)]
    for text in texts:
        last = await answer(live_desk, path, text)
    await answer(live_desk, other, "To Jonas")
    for _ in texts:
        message, _ = await after_work(live_desk, last)
    assert message["state"] == "sent"
    assert [text for text in await meta.texts_sent() if text != "To Jonas"] == texts
    assert "To Jonas" in await meta.texts_sent()


async def test_a_text_of_a_thousand_bytes(live_desk: Desk, meta: Meta) -> None:
    """Meta counts bytes of UTF-8: 1,000 pass, 1,001 are refused here."""
    path = await fan_writes(live_desk)
    most = "é" * 499 + "xy"
    assert (await answer(live_desk, path, most + "z", 422))["code"] == "invalid_input"
    assert (await after_work(live_desk, await answer(live_desk, path, most)))[0]["state"] == "sent"
    assert await meta.texts_sent() == [most]


REFUSED = {
    "10/2534022": "reply_window_closed",
    "10/2018278": "reply_window_closed",
    "10": "permission_lost",
    "200": "permission_lost",
    "551": "recipient_unavailable",
    "100/2534014": "recipient_unavailable",
    "100/33": "recipient_unavailable",
    "100/2534037": "not_thread_owner",
    "368": "action_blocked",
    "4/2207051": "action_blocked",
    "100": "refused_by_provider",
    "99999": "refused_by_provider",
}


@pytest.mark.parametrize("code", REFUSED)
async def test_what_meta_refuses_ends_at_once(live_desk: Desk, meta: Meta, code: str) -> None:
    """The reply fails with our own stable code, the connection stays, and nothing is tried again."""
    path = await fan_writes(live_desk)
    message, operation = await after_work(live_desk, await answer(live_desk, path, f"!!error:{code}"))
    assert (message["state"], message["problem"]) == ("failed", REFUSED[code])
    assert (operation["state"], operation["problem"]["code"]) == ("failed", REFUSED[code])
    assert "Sandbox" not in str(operation) and "!!" not in str(operation)
    assert (await live_desk.get(f"/connections/{live_desk.connection_id}"))["status"] == "active"
    assert await meta.texts_sent() == []


DEAD = {"190/463": "token_expired", "190/460": "password_changed", "190": "token_invalid", "102": "token_invalid"}


@pytest.mark.parametrize("code", DEAD)
async def test_a_dead_token_stops_the_connection(live_desk: Desk, meta: Meta, code: str) -> None:
    """Once told twice, the account must be connected again; what is queued after it fails without a call."""
    path = await fan_writes(live_desk)
    first, second = await answer(live_desk, path, f"!!error:{code}"), await answer(live_desk, path, "Next")
    message, operation = await after_work(live_desk, first)
    assert (message["state"], operation["problem"]["code"]) == ("queued", "token_denied")
    pass_by(live_desk.house, timedelta(seconds=11))
    message, operation = await after_work(live_desk, first)
    assert (message["state"], operation["problem"]["code"]) == ("failed", "needs_reauth")
    connection = await live_desk.get(f"/connections/{live_desk.connection_id}")
    assert (connection["status"], connection["problem"]) == ("needs_reauth", DEAD[code])
    message, operation = await after_work(live_desk, second)
    assert (message["state"], operation["problem"]["code"]) == ("failed", "connection_not_active")
    assert (await answer(live_desk, path, "And now?", 409))["code"] == "connection_not_active"
    assert await meta.texts_sent() == []


@pytest.mark.parametrize("code", ["4", "17", "613", "80002"])
async def test_a_rate_limit_waits_and_goes_on(live_desk: Desk, meta: Meta, code: str) -> None:
    """It did not happen: the operation is due again when Meta says, not earlier."""
    path = await fan_writes(live_desk)
    usage = [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 7}]
    await meta.control("PUT", "/usage", business={"17841400000000001": usage})
    await meta.fault("error", "/messages$", code=int(code))
    message, operation = await after_work(live_desk, await answer(live_desk, path, "Patience"))
    assert (message["state"], operation["state"], operation["problem"]["code"]) == ("queued", "queued", "rate_limited")
    [stored] = await live_desk.stored("operations", kind="send_reply")
    wait = stored["due_at"] - live_desk.house.clock()
    assert timedelta(minutes=6, seconds=30) < wait <= timedelta(minutes=7)
    assert operation["due_at"] == rfc3339(stored["due_at"])
    await meta.control("PUT", "/usage")
    live_desk.house.worker.graph._paused_until.clear()
    pass_by(live_desk.house, timedelta(minutes=7))
    assert (await after_work(live_desk, message))[0]["state"] == "sent"
    assert await meta.texts_sent() == ["Patience"]


async def test_usage_headers_pause_the_account(live_desk: Desk, meta: Meta) -> None:
    """At 95 percent nothing more is sent until the window reopens; malformed headers pause nothing."""
    path = await fan_writes(live_desk)
    await meta.control("PUT", "/usage", app="{not json", business="[]")
    assert (await after_work(live_desk, await answer(live_desk, path, "One")))[0]["state"] == "sent"
    await meta.control("PUT", "/usage", app={"call_count": 96, "total_time": 1, "total_cputime": 1})
    assert (await after_work(live_desk, await answer(live_desk, path, "Two")))[0]["state"] == "sent"
    message, operation = await after_work(live_desk, await answer(live_desk, path, "Three"))
    assert (message["state"], operation["problem"]["code"]) == ("queued", "rate_limited")
    assert await meta.texts_sent() == ["One", "Two"]


LOST = ["!!lost", "!!500-executed", "!!slow:1.5"]
NOT_SENT = ["!!html", "!!empty", "!!http:500", "!!error:2", "!!error:1"]


@pytest.mark.parametrize("text", LOST)
@pytest.mark.parametrize("by", ["echo", "reading"])
async def test_a_lost_answer_is_found_and_not_sent_again(live_desk: Desk, meta: Meta, text: str, by: str) -> None:
    """Meta has it, we do not know: the echo tells, or the conversation read back. It is one message, sent once."""
    path = await fan_writes(live_desk)
    message, operation = await after_work(live_desk, await answer(live_desk, path, text))
    assert (message["state"], operation["state"]) == ("unknown", "unknown")
    assert operation["problem"]["code"] == "outcome_unknown"

    async def executed() -> list[Doc]:
        return await meta.ledger("message_sent")

    [sent] = await eventually(executed)
    if by == "echo":
        await meta.fault("http", "/conversations", code=500, times=None)
        await live_desk.receive(await echo_of(live_desk, sent["message_id"], text))
    pass_by(live_desk.house, timedelta(seconds=6))
    message, operation = await after_work(live_desk, message)
    assert (message["state"], message["provider_id"]) == ("sent", sent["message_id"])
    assert operation["state"] == "succeeded"
    shown = await live_desk.messages(sent["recipient_id"])
    assert [(found["direction"], found["text"]) for found in shown] == [("out", text), ("in", "Hello?")]
    assert len(await executed()) == 1


@pytest.mark.parametrize("text", NOT_SENT)
async def test_a_call_in_doubt_is_asked_about_and_never_repeated(live_desk: Desk, meta: Meta, text: str) -> None:
    """Meta does not show it however often we ask: it stays unknown, and a person decides."""
    path = await fan_writes(live_desk)
    message, operation = await after_work(live_desk, await answer(live_desk, path, text))
    for seconds in (6, 15, 100, 490):
        assert (operation["state"], bool(operation["due_at"])) == ("unknown", True)
        pass_by(live_desk.house, timedelta(seconds=seconds))
        message, operation = await after_work(live_desk, message)
    assert (message["state"], operation["state"], operation["due_at"]) == ("unknown", "unknown", None)
    assert operation["problem"]["code"] == "outcome_unknown"
    assert await meta.texts_sent() == []


async def test_the_echo_of_ours_merges_whenever_it_comes(live_desk: Desk, meta: Meta) -> None:
    """After the call's answer or twice: the same one message, ours."""
    path = await fan_writes(live_desk)
    message, _ = await after_work(live_desk, await answer(live_desk, path, "Ours"))
    item = await echo_of(live_desk, message["provider_id"], "Ours")
    for _ in range(2):
        await live_desk.receive(item)
    shown = await live_desk.all(path)
    assert [(found["id"], found["state"], found["text"]) for found in shown[:1]] == [(message["id"], "sent", "Ours")]
    assert len(shown) == 2


async def test_a_message_sent_elsewhere_is_the_labels_too(live_desk: Desk, meta: Meta) -> None:
    """What somebody types in the Instagram app becomes an outgoing message that no operation of ours has."""
    path = await fan_writes(live_desk)
    await live_desk.receive(await echo_of(live_desk, "typed-in-the-app", "From my phone"))
    [newest, _] = await live_desk.all(path)
    assert (newest["direction"], newest["text"]) == ("out", "From my phone")
    assert (newest["state"], newest["operation_id"]) == (None, None)
    events = {event["type"] for event in await live_desk.stored("events") if event["target"] == newest["id"]}
    assert events == {"message.echoed"}
