"""Rules at work: what the dry run says happens, once, within the budget, and on nothing that we said ourselves."""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest

from app.db import Doc
from app.errors import HumanAgentNotAllowed
from app.services.audit import By
from app.services.connections.erasing import erase
from app.services.inbox.deleted_fans import Eraser
from app.services.inbox.outgoing import Outgoing
from app.services.inbox.replies import queue_reply
from app.services.rules import acting, running
from tests.flows.flows_harness import Desk
from tests.flows.rules_harness import comment, comments, message, rule, runs, tried
from tests.flows.rules_world import comment_changes, deliver, expected, happened, make_rules, rule_bodies
from tests.house import FAN, delivery, message_change
from workers import jobs, rules

HIDE, FLAG, NOTIFY = {"kind": "hide"}, {"kind": "flag"}, {"kind": "notify"}
REPLY = {"kind": "reply", "text": "Thank you!"}


async def events_of(desk: Desk, kind: str) -> list[Doc]:
    """The label's events of this type."""
    return await desk.stored("events", type=kind)


def states(run: Doc) -> dict[str, tuple[str, str | None]]:
    """Each action's state and reason."""
    return {action["kind"]: (action["state"], action["reason"]) for action in run["actions"]}


async def test_what_a_dry_run_says_is_what_happens(desk: Desk) -> None:
    """100 comments through 20 rules: each rule's history is what its dry run says, to the last condition.

    `python -m tests.faults.rules_run` does it with 10,000 and 50.
    """
    rng = random.Random(7)
    made = await make_rules(desk, rule_bodies(rng, 20))
    await deliver(desk, comment_changes(rng, 100))
    await jobs.drain_waiting(desk.house.worker)
    await rules.look_after(desk.house.worker)
    said, was = await expected(desk, made), await happened(desk, made)
    assert was == said
    assert sum(map(len, was.values())) > 300
    assert {reason for one in was.values() for _, actions in one.values() for _, reason in actions} >= {
        None,
        "earlier_rule",
    }


async def test_trying_changes_nothing_and_tells_no_text(desk: Desk) -> None:
    """An unsaved rule on what is there, page by page; the answer has ids and reasons, and no word of a fan's."""
    await comments(desk.house, *(comment(n, f"Free followers number {n}") for n in range(7)), comment(8, "Nice"))
    await desk.house.work()
    body = {"name": "Try", "when": "comment", "actions": [HIDE], "conditions": {"of": [{"kind": "spam", "score": 30}]}}
    before = {name: await desk.stored(name) for name in ("rules", "rule_runs", "comments", "events")}
    whole = await tried(desk, {"rule": body, "limit": 3})
    assert [item["matched"] for item in whole["data"]] == [False] + [True] * 7
    newest = whole["data"][1]
    assert newest["actions"] == [{"kind": "hide", "skipped": None}]
    assert newest["conditions"] == [{"at": "of/0", "kind": "spam", "true": True}]
    assert "bait" in [reason["code"] for reason in newest["spam"]["reasons"]]
    assert "followers" not in str(whole)
    assert (await desk.owner.post(f"/v1/labels/{desk.label_id}/rules/test", json={})).status_code == 422
    first = await desk.owner.post(f"/v1/labels/{desk.label_id}/rules/test", json={"rule": body, "limit": 3})
    assert first.json()["examined"] == 3 and first.json()["matched"] == 2
    assert {name: await desk.stored(name) for name in before} == before


async def test_a_rule_looks_at_what_comes_after_it(desk: Desk) -> None:
    """Not at what was there; what is delivered again is no other item."""
    house = desk.house
    await comments(house, comment(1, "Before"))
    await house.work()
    made = await rule(desk)
    await comments(house, comment(2, "After"))
    await house.work()
    await comments(house, comment(2, "After"), comment(1, "Before"))
    await house.work()
    [run] = await runs(desk, made["id"])
    shown = await desk.get(f"/comments/{run['target']['id']}")
    assert shown["text"] == "After" and states(run) == {"notify": ("done", None)}
    assert [event["target"] for event in await events_of(desk, "rule.notified")] == [run["id"]]


async def test_rules_keep_conversations_in_order(desk: Desk) -> None:
    """Tags, an assignee and an end, each noted; a story reply is told from a message."""
    house = desk.house
    me = (await desk.owner.get("/v1/me")).json()["id"]
    vip = [{"kind": "tag", "tag": "presale"}, {"kind": "tag", "tag": "vip"}, {"kind": "assign", "assignee": me}]
    words = {"of": [{"kind": "words", "words": ["presale"]}]}
    sorting = await rule(desk, *vip, when="message", conditions=words)
    closing = await rule(desk, {"kind": "close"}, when="story_reply", position=200)
    await house.receive(message("m_1", "Is there a presale?", house))
    assert (await desk.conversation()).items() >= {"tags": ["presale", "vip"], "assignee": me, "status": "open"}.items()
    await house.receive(message("m_2", "🔥", house, reply_to={"story": {"id": "1", "url": "https://x.example"}}))
    shown = await desk.conversation()
    assert (shown["status"], shown["tags"]) == ("closed", ["presale", "vip"])
    assert [len(await runs(desk, one["id"])) for one in (sorting, closing)] == [1, 1]
    assert len(await events_of(desk, "conversation.changed")) >= 4


async def test_what_we_say_ourselves_triggers_nothing(desk: Desk) -> None:
    """The account's own comments and messages, and echoes of what was sent, also by a rule."""
    house = desk.house
    on_messages = await rule(desk, when="message")
    on_comments = await rule(desk)
    echo = message_change("m_echo", text="Hi", ms=house.ms(), fan=desk_account(desk), account=FAN)
    echo["message"]["is_echo"] = True
    await house.receive(message("m_in", "Hello", house), echo)
    await comments(house, comment(1, "Thanks all", fan=desk_account(desk), username="nightjar"))
    await house.work()
    assert len(await runs(desk, on_messages["id"])) == 1 and await runs(desk, on_comments["id"]) == []
    whole = await tried(desk, {"rule_id": on_messages["id"]})
    assert len(whole["data"]) == 1 and (await tried(desk, {"rule_id": on_comments["id"]}))["data"] == []


def desk_account(desk: Desk) -> str:
    """The account that the desk's connection is to."""
    return "17841400000000001"


async def test_a_budget_that_is_used_up_pauses_the_rule(desk: Desk) -> None:
    """Visible on the rule, as an event and in its history; enabled again, it goes on with what comes then."""
    house = desk.house
    made = await rule(desk, budget={"per_hour": 3, "per_day": 100})
    other = await rule(desk)
    await comments(house, *(comment(n, f"Number {n}") for n in range(6)))
    await house.work()
    found = sorted(str(states(run)["notify"]) for run in await runs(desk, made["id"]))
    assert found == [str(("done", None))] * 3 + [str(("skipped", "budget_used_up"))]
    assert len(await runs(desk, other["id"])) == 6
    shown = await desk.get(f"/rules/{made['id']}")
    assert shown["enabled"] and shown["paused"]["reason"] == "budget_used_up"
    assert [event["target"] for event in await events_of(desk, "rule.paused")] == [made["id"]]
    again = await desk.owner.patch(f"/v1/labels/{desk.label_id}/rules/{made['id']}", json={"enabled": True})
    house.clock.offset += timedelta(hours=1)
    assert again.json()["paused"] is None
    await comments(house, comment(9, "Later"))
    await house.work()
    house.clock.offset = timedelta()
    assert len(await runs(desk, made["id"])) == 5


async def test_a_fan_is_answered_once_in_a_cool_down(desk: Desk) -> None:
    """By each rule; other fans are, and the same one is again when it has passed."""
    house = desk.house
    made = await rule(desk, REPLY, cool_down_hours=24)
    await comments(house, comment(1, "One"), comment(2, "Two"), comment(3, "Three", fan="900000000000099"))
    await house.work()
    house.clock.offset += timedelta(hours=23)
    await comments(house, comment(4, "Four"))
    await house.work()
    house.clock.offset += timedelta(hours=2)
    await comments(house, comment(5, "Five"))
    await house.work()
    house.clock.offset = timedelta()
    held_back = {
        (await desk.get(f"/comments/{run['target']['id']}"))["text"]: states(run)["reply"][1] == "cool_down"
        for run in await runs(desk, made["id"])
    }
    assert held_back == {"One": False, "Two": True, "Three": False, "Four": True, "Five": False}


async def test_what_was_read_back_is_not_answered(desk: Desk) -> None:
    """Comments of two days ago are sorted, not replied to."""
    house = desk.house
    made = await rule(desk, REPLY, NOTIFY)
    await comments(house, comment(1, "Old"), at_s=house.ms(timedelta(days=2)) // 1000)
    await house.work()
    [run] = await runs(desk, made["id"])
    assert states(run) == {"reply": ("skipped", "too_old"), "notify": ("done", None)}


async def test_meta_restricts_the_account(desk: Desk) -> None:
    """Then nothing automatic calls Meta for it; what stays here goes on."""
    house, until = desk.house, {"rule_replies_paused_until": desk.house.clock() + timedelta(hours=6)}
    made = await rule(desk, HIDE, NOTIFY)
    key = {"_id": desk.connection_id, "label_id": desk.label_id}
    await house.db.open("connections").update_one(key, {"$set": until})
    await comments(house, comment(1, "One"))
    await house.work()
    [run] = await runs(desk, made["id"])
    assert states(run) == {"hide": ("skipped", "account_paused"), "notify": ("done", None)}


@pytest.mark.parametrize("change", ["disabled", "deleted", "changed"])
async def test_what_a_rule_had_planned_ends_with_it(desk: Desk, change: str) -> None:
    """Between the decision and the act."""
    house = desk.house
    made = await rule(desk, FLAG)
    await comments(house, comment(1, "One"))
    await jobs.drain_waiting(house.worker)
    await decide_only(desk)
    path = f"/v1/labels/{desk.label_id}/rules/{made['id']}"
    if change == "deleted":
        assert (await desk.owner.delete(path)).status_code == 204
    else:
        body = {"enabled": False} if change == "disabled" else {"name": "Another"}
        (await desk.owner.patch(path, json=body)).raise_for_status()
    await house.work()
    [run] = await desk.stored("rule_runs")
    assert [(one["state"], one["reason"]) for one in run["actions"]] == [("skipped", "rule_stopped")]
    assert await desk.all("/comments", flagged=True) == [] and await desk.stored("moderation_actions") == []


async def decide_only(desk: Desk) -> None:
    """What a runner does that dies before it acts: its lease runs out."""
    house = desk.house
    cursor = await running._claim(house.db, desk.label_id, now=house.clock())
    assert cursor is not None
    await running._next_batch(house.db, cursor, clock=house.clock)
    await end_lease(desk)


async def end_lease(desk: Desk) -> None:
    """A runner's lease runs out. The clock stays: events of long ago would not be acted on any more."""
    ended = {"$set": {"lease_until": desk.house.clock()}}
    await desk.house.db.open("rule_cursors").update_one({"label_id": desk.label_id}, ended)


async def test_a_runner_that_dies_anywhere_repeats_and_loses_nothing(desk: Desk) -> None:
    """Broken off at 40 moments, with the lease left to run out: each effect once, and all of them."""
    house, rng = desk.house, random.Random(3)
    made = [await rule(desk, NOTIFY, FLAG, conditions={"of": [{"kind": "links", "negated": n > 0}]}) for n in range(2)]
    made.append(await rule(desk, HIDE, NOTIFY))
    await comments(house, *(comment(n, f"Comment {n}", fan=f"9{n:014d}") for n in range(40)))
    await jobs.drain_waiting(house.worker)
    for _ in range(40):
        task = asyncio.create_task(running.run_label(house.db, desk.label_id, clock=house.clock))
        await asyncio.sleep(rng.uniform(0, 0.05))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await end_lease(desk)
    await house.work()
    counts = [len(await runs(desk, one["id"])) for one in made]
    assert counts == [0, 40, 40]
    found = [state for one in made for run in await runs(desk, one["id"]) for state in states(run).values()]
    assert found == [("done", None)] * 160
    assert len(await events_of(desk, "rule.notified")) == 80
    log = Counter(row["action"] for row in await desk.stored("moderation_actions"))
    assert log == {"flag": 40, "hide": 40}
    assert len(await desk.stored("operations", kind="comment_action")) == 40


async def test_two_runners_act_once(desk: Desk) -> None:
    """Of five at once one has the lease; of two of whom each believes to have it, one's work counts."""
    house = desk.house
    made = await rule(desk, HIDE, FLAG, NOTIFY)
    await comments(house, *(comment(n, f"Comment {n}") for n in range(20)))
    await jobs.drain_waiting(house.worker)
    await asyncio.gather(*(rules.look_after(house.worker) for _ in range(5)))
    assert len(await runs(desk, made["id"])) == 20
    await comments(house, *(comment(n, f"Comment {n}") for n in range(20, 30)))
    await jobs.drain_waiting(house.worker)
    first = await running._claim(house.db, desk.label_id, now=house.clock())
    house.clock.offset += running.LEASE
    second = await running._claim(house.db, desk.label_id, now=house.clock())
    assert first and second and await running._claim(house.db, desk.label_id, now=house.clock()) is None
    await running._next_batch(house.db, second, clock=house.clock)
    with pytest.raises(running.Overtaken):
        await running._next_batch(house.db, first, clock=house.clock)
    never: list[int] = []

    async def renew() -> None:
        never.append(1)

    both = (acting.act_on_waiting(house.db, desk.label_id, renew=renew, clock=house.clock) for _ in range(2))
    await asyncio.gather(*both)
    assert len(await runs(desk, made["id"])) == 30 and len(await events_of(desk, "rule.notified")) == 30
    assert Counter(row["action"] for row in await desk.stored("moderation_actions")) == {"flag": 30, "hide": 30}


async def test_a_run_holds_no_text_and_no_fan(desk: Desk) -> None:
    """Ids and codes; and it goes with its fan, and with its connection."""
    house = desk.house
    await rule(desk)
    await comments(house, comment(1, "A secret"), comment(2, "Another", fan="900000000000099"))
    await house.work()
    whole = await desk.stored("rule_runs")
    assert len(whole) == 2 and FAN not in str(whole) and "secret" not in str(whole)
    await Eraser(house.db, house.api.audit, apply=True, now=house.clock()).erase([FAN])
    [left] = await desk.stored("rule_runs")
    connection = await house.db.open("connections").find_one({"_id": desk.connection_id, "label_id": desk.label_id})
    assert connection and left["connection_id"] == desk.connection_id
    await erase(house.db, connection, "erase")
    assert await desk.stored("rule_runs") == []


async def test_what_waits_for_meta_ends_with_its_rule(desk: Desk) -> None:
    """An operation that a rule has begun and Meta has not heard of yet."""
    house = desk.house
    on_comments = await rule(desk, HIDE)
    on_messages = await rule(desk, REPLY, when="message")
    await comments(house, comment(1, "One"))
    assert (await house.deliver(delivery(message("m_1", "Hello", house)))).status_code == 200
    await jobs.drain_waiting(house.worker)
    await rules.look_after(house.worker)
    for one in (on_comments, on_messages):
        [run] = await runs(desk, one["id"])
        assert run["actions"][0]["state"] == "done" and run["actions"][0]["operation_id"]
        path = f"/v1/labels/{desk.label_id}/rules/{one['id']}"
        (await desk.owner.patch(path, json={"enabled": False})).raise_for_status()
    await house.work()
    ended = await desk.stored("operations", kind={"$in": ["comment_action", "send_reply"]})
    assert [(one["state"], one["problem"]["code"]) for one in ended] == [("failed", "rule_stopped")] * 2


async def test_nobody_but_a_person_stands_for_a_reply(desk: Desk) -> None:
    """A rule that asks for the human-agent basis is refused, and so is its sending; late, it does not answer."""
    house, path = desk.house, f"/v1/labels/{desk.label_id}/rules"
    asked = {"name": "Late", "when": "message", "actions": [REPLY | {"human_agent": True}]}
    answer = await desk.owner.post(path, json=asked)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/actions/0")
    assert (await desk.owner.post(path, json=asked | {"actions": [REPLY], "human_agent": True})).status_code == 422
    made = await rule(desk, REPLY, when="message", cool_down_hours=0)
    assert (await house.deliver(delivery(message("m_1", "Hello", house)))).status_code == 200
    await jobs.drain_waiting(house.worker)
    house.clock.offset += timedelta(hours=25)
    await rules.look_after(house.worker)
    house.clock.offset = timedelta()
    [run] = await runs(desk, made["id"])
    assert (run["actions"][0]["state"], run["actions"][0]["problem"]) == ("skipped", "reply_window_closed")
    conversation = (await desk.conversation())["id"]
    told: Doc = {"content": Outgoing(text="Hi"), "intent": None, "now": house.clock(), "human_agent": True}
    with pytest.raises(HumanAgentNotAllowed):
        await queue_reply(house.db, desk.label_id, conversation, by=By("rule", made["id"], None, None), **told)


async def test_rules_are_changed_by_whoever_saw_them(desk: Desk) -> None:
    """With `If-Match`; what does not go together is refused, and so is what is not the label's."""
    made, path = await rule(desk, position=5), f"/v1/labels/{desk.label_id}/rules"
    other = await rule(desk, HIDE, position=1)
    assert [one["id"] for one in await desk.all("/rules")] == [other["id"], made["id"]]
    one = f"{path}/{made['id']}"
    tag = {"If-Match": (await desk.owner.get(one)).headers["etag"]}
    assert (await desk.owner.patch(one, json={"name": "New"}, headers=tag)).json()["version"] == 2
    assert (await desk.owner.patch(one, json={"name": "Late"}, headers=tag)).status_code == 412
    assert (await desk.owner.delete(one, headers=tag)).status_code == 412
    for change, pointer in (
        ({"when": "message", "actions": [HIDE]}, "/actions"),
        ({"conditions": {"of": [{"kind": "pattern", "pattern": "(?=a)"}]}}, "/conditions/of/0/pattern"),
        (
            {"conditions": {"of": [{"kind": "account", "connection_ids": ["con_x"]}]}},
            "/conditions/of/0/connection_ids/0",
        ),
        ({"actions": [{"kind": "saved_reply", "saved_reply_id": "srp_x"}]}, "/actions/0/saved_reply_id"),
        ({"when": "message", "actions": [{"kind": "assign", "assignee": "usr_x"}]}, "/actions/0/assignee"),
    ):
        answer = await desk.owner.patch(one, json=change)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await desk.owner.delete(one)).status_code == 204 and await desk.status(f"/rules/{made['id']}") == 404
