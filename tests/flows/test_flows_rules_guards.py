"""What rules must not do: answer what is old, answered or gone, hide what is new, or take more than their share."""

from app.db import Doc
from app.models.rules import RuleCreate
from app.services.audit import By
from app.services.comments.flags import set_flag
from app.services.connections import tending
from app.services.inbox import tending as conversations_tending
from app.services.rules import acting
from app.services.rules import store as rules_store
from tests.flows.comments_harness import change
from tests.flows.flows_harness import Desk, Meta
from tests.flows.rules_harness import comment, comments, message, rule, runs
from tests.flows.sending_harness import talk
from tests.flows.test_flows_repair import NO_WEBHOOKS, backfill, unheard
from tests.flows.test_flows_rules import decide_only
from tests.house import ACCOUNT, delivery, message_change
from workers import jobs, rules

REPLY = {"kind": "reply", "text": "Thank you!"}
PERSON = By("person", "usr_1", None, None)


async def test_what_somebody_has_answered_in_the_app_is_old(live_desk: Desk, meta: Meta) -> None:
    """Read back after a gap, and answered in Instagram's own app: no rule says anything to that."""
    await rule(live_desk, REPLY, when="message", cool_down_hours=0)
    await meta.control("PUT", "/delivery", **NO_WEBHOOKS)
    first = await unheard(meta, "jonas", "Hello?", at=live_desk.house.ms() - 36_000_000)
    [token] = [one["value"] for one in (await meta.control("GET", "/tokens"))["tokens"] if one["lifetime"] == "long"]
    body = {"recipient": {"id": first["igsid"]}, "message": {"text": "In the app"}}
    headers = {"Authorization": f"Bearer {token}"}
    (await meta.http.post("/graph.instagram.com/v26.0/me/messages", json=body, headers=headers)).raise_for_status()
    await backfill(live_desk)
    await live_desk.house.work()
    assert [run["actions"][0]["reason"] for run in await live_desk.stored("rule_runs")] == ["too_old"]
    assert [row["text"] for row in await meta.ledger("message_sent")] == ["In the app"]


async def test_a_mention_that_was_there_before_the_rule(live_desk: Desk, meta: Meta) -> None:
    """What somebody does with it here is no news of it."""
    house = live_desk.house
    told = await meta.control("POST", "/fans/mention", fan="mara", account="nightjar.records", text="ask @us")
    value = {name: told[name] for name in ("media_id", "comment_id") if name in told}
    await house.deliver(change(ACCOUNT, "mentions", value, house.ms()))
    await house.work()
    await tending.tend(house.db, house.api.audit, clock=house.clock)
    await house.work()
    [found] = await live_desk.all("/comments", kind="mention")
    assert found["text"] == "ask @us"
    body = RuleCreate.model_validate({"name": "Thanks", "when": "mention", "actions": [REPLY]}).stored()
    who: Doc = {"by": PERSON, "now": house.clock()}
    await rules_store.create_rule(house.db, house.api.audit, live_desk.label_id, body, **who)
    await set_flag(house.db, live_desk.label_id, found["id"], flagged=True, reason=None, **who)
    await house.work()
    assert await live_desk.stored("rule_runs") == []


async def test_nothing_new_is_closed_away(desk: Desk) -> None:
    """A fan thanks and asks something else in the next breath: the thanks close nothing."""
    house, thanks = desk.house, {"of": [{"kind": "words", "words": ["thanks"]}]}
    made = await rule(desk, {"kind": "close"}, when="message", conditions=thanks)
    now = house.ms()  # what would lie in the future is taken for now, and both would be as old
    await house.receive(
        message_change("m_1", text="thanks", ms=now - 2), message_change("m_2", text="but when?", ms=now - 1)
    )
    assert (await desk.conversation())["status"] == "open"
    [run] = await runs(desk, made["id"])
    assert (run["actions"][0]["state"], run["actions"][0]["reason"]) == ("skipped", "not_possible")


async def test_what_was_unsent_is_left_alone(desk: Desk) -> None:
    """Between the decision and the deed."""
    house = desk.house
    made = await rule(desk, REPLY, {"kind": "tag", "tag": "Presale"}, when="message")
    (await house.deliver(delivery(message("m_1", "Hello", house)))).raise_for_status()
    await jobs.drain_waiting(house.worker)
    await decide_only(desk)
    gone = message("m_1", "Hello", house)
    gone["message"] = {"mid": "m_1", "is_deleted": True}
    (await house.deliver(delivery(gone))).raise_for_status()
    await jobs.drain_waiting(house.worker)
    await rules.look_after(house.worker)
    [run] = await runs(desk, made["id"])
    assert [action["reason"] for action in run["actions"]] == ["item_gone", "item_gone"]


async def test_a_first_message_is_answered_by_name(live_desk: Desk, meta: Meta) -> None:
    """The name comes a moment after the message; what is not said starts no cool-down, and nobody is closed away."""
    house, path = live_desk.house, f"/v1/labels/{live_desk.label_id}"
    saved = await live_desk.owner.post(f"{path}/saved-replies", json={"name": "Hi", "text": "Hi {{fan.name|there}}!"})
    answer = {"kind": "saved_reply", "saved_reply_id": saved.raise_for_status().json()["id"]}
    made = await rule(live_desk, answer, {"kind": "close"}, when="message")
    found = await talk(live_desk)
    await conversations_tending.tend(house.db, now=house.clock())
    await house.work()
    house.clock.offset += acting.RETRY * 1.1
    await house.work()
    [sent] = await meta.texts_sent()
    name = (await live_desk.conversation(found.fan_id))["participant"]["name"]
    assert name and sent == f"Hi {name}!"
    [run] = await runs(live_desk, made["id"])
    assert [action["state"] for action in run["actions"]] == ["done", "done"]


async def test_patterns_have_a_size_together(desk: Desk) -> None:
    """Each rule looks at everything: what all of them take is bounded, and a dry run counts too."""
    large = {"of": [{"kind": "pattern", "pattern": f"[ab]*a[ab]{{250}}{n}"} for n in "cdef"]}
    answers = []
    for _ in range(12):
        body = {"name": "Large", "when": "comment", "actions": [{"kind": "notify"}], "conditions": large}
        answers.append(await desk.owner.post(f"/v1/labels/{desk.label_id}/rules", json=body))
    assert {answer.status_code for answer in answers} == {201, 422} and answers[-1].status_code == 422
    trial = await desk.owner.post(f"/v1/labels/{desk.label_id}/rules/test", json={"rule": body})
    assert trial.status_code == 422 and trial.json()["errors"][0]["pointer"] == "/rule/conditions"


async def test_a_budget_is_changed_by_field_and_begins_anew(desk: Desk) -> None:
    """What is left out stays; enabling a rule that has used it up gives it a fresh one."""
    house = desk.house
    made = await rule(desk, budget={"per_hour": 2, "per_day": 100})
    path = f"/v1/labels/{desk.label_id}/rules/{made['id']}"
    await comments(house, *(comment(number, f"Number {number}") for number in range(4)))
    await house.work()
    assert (await desk.get(f"/rules/{made['id']}"))["paused"]["reason"] == "budget_used_up"
    shown = (await desk.owner.patch(path, json={"enabled": True, "budget": {"per_day": 50}})).raise_for_status().json()
    assert (shown["paused"], shown["budget"]) == (None, {"per_hour": 2, "per_day": 50})
    await comments(house, comment(9, "Later"))
    await house.work()
    assert (await desk.get(f"/rules/{made['id']}"))["paused"] is None
    assert len(await runs(desk, made["id"])) >= 3


async def test_a_run_ends_with_what_it_is_about(desk: Desk) -> None:
    """It outlives no comment, however late that came."""
    house = desk.house
    await rule(desk)
    await comments(house, comment(1, "Late"), at_s=house.ms() // 1000 - 29 * 86400)
    await house.work()
    [run], [about] = await desk.stored("rule_runs"), await desk.stored("comments")
    assert run["expires_at"] <= about["expires_at"]
