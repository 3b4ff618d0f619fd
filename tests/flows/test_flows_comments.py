"""Acting on Instagram's comments at the sandbox: each action, each way it can fail, and answers that got lost."""

from datetime import timedelta

import pytest

from app.db import Doc
from app.services.comments.actions import queue_action
from tests.flows.comments_harness import MEDIA, after_work, ask, by_provider, done, fan_comments, log_of
from tests.flows.flows_harness import Desk, Meta, pass_by, places_of, standing_rule
from tests.house import eventually

DAY = timedelta(days=1)


async def by_rule(desk: Desk, comment_id: str, action: str, text: str | None = None, *, key: str = "rule:1") -> Doc:
    """Have a rule ask for an action; the operation."""
    by = await standing_rule(desk.house, desk.label_id, "rul_1")
    told: Doc = {"action": action, "text": text, "by": by, "reason": "spam", "intent": key}
    found = await queue_action(desk.house.db, desk.label_id, comment_id, **told, now=desk.house.clock())
    return {"id": found["_id"]}


async def test_a_reply_is_below_the_comment(live_desk: Desk, meta: Meta) -> None:
    """It goes out once, is a comment of the account's own, and the comment waits for an answer no more."""
    comment = await fan_comments(live_desk, meta)
    assert (await live_desk.get(f"/comments/{comment}"))["unanswered"]
    operation = await done(live_desk, comment, "reply", text="Thank you!")
    assert (operation["state"], operation["result"]["outcome"]) == ("succeeded", "done")
    shown = await live_desk.get(f"/comments/{comment}")
    ours = await by_provider(live_desk, operation["result"]["provider_id"])
    assert (ours["own"], ours["text"], ours["parent_provider_id"]) == (True, "Thank you!", shown["provider_id"])
    assert not shown["unanswered"] and not ours["unanswered"]
    assert [row["text"] for row in await meta.ledger("comment_replied")] == ["Thank you!"]
    events = [one["type"] for one in await live_desk.stored("events") if one["target"] == comment]
    assert events == ["comment.received", "comment.answered"]


async def test_hiding_is_undone(live_desk: Desk, meta: Meta) -> None:
    """And deleting is not: the words are gone here too, with those of the replies below."""
    comment = await fan_comments(live_desk, meta, "BUY CHEAP FOLLOWERS")
    below = await fan_comments(
        live_desk, meta, "me too", fan="mara", parent=(await shown(live_desk, comment))["provider_id"]
    )
    assert (await done(live_desk, comment, "hide", reason="spam"))["state"] == "succeeded"
    found = await shown(live_desk, comment)
    assert (found["status"], found["can"]) == ("hidden", ["private_reply", "unhide", "delete"])
    assert (await ask(live_desk, comment, "reply", 409, text="No"))["code"] == "comment_hidden"
    assert (await done(live_desk, comment, "unhide"))["state"] == "succeeded"
    assert (await shown(live_desk, comment))["status"] == "visible"
    assert (await done(live_desk, comment, "delete"))["state"] == "succeeded"
    for one in (comment, below):
        found = await shown(live_desk, one)
        assert (found["status"], found["text"], found["can"]) == ("deleted", None, [])
    assert await places_of(live_desk.house, b"CHEAP FOLLOWERS") == set()
    assert await log_of(live_desk, comment) == [
        ("delete", "done", None),
        ("unhide", "done", None),
        ("hide", "done", None),
    ]
    [*_, hide] = await live_desk.all("/moderation-log", comment_id=comment)
    assert (hide["by"]["kind"], hide["reason"], hide["operation_id"][:3]) == ("person", "spam", "op_")


async def shown(desk: Desk, comment_id: str) -> Doc:
    """The comment as the API shows it."""
    found: Doc = await desk.get(f"/comments/{comment_id}")
    return found


async def test_a_cancelled_action_is_not_done(live_desk: Desk, meta: Meta) -> None:
    """And a private reply that was cancelled may be asked for again."""
    comment = await fan_comments(live_desk, meta)
    wanted = await ask(live_desk, comment, "private-reply", text="Hello")
    path = f"/v1/labels/{live_desk.label_id}/operations/{wanted['id']}/cancel"
    assert (await live_desk.owner.post(path)).json()["state"] == "cancelled"
    await live_desk.house.work()
    assert await meta.ledger("message_sent") == []
    assert await log_of(live_desk, comment) == [("private_reply", "failed", "cancelled")]
    assert (await done(live_desk, comment, "private-reply", text="Hello again"))["state"] == "succeeded"


async def test_a_private_reply_is_once_and_in_time(live_desk: Desk, meta: Meta) -> None:
    """Once a comment, for 7 days of the comment's own time; a late worker does not send it any more."""
    comment = await fan_comments(live_desk, meta, ago=6 * DAY)
    operation = await done(live_desk, comment, "private-reply", text="Your code: 123")
    assert operation["state"] == "succeeded"
    assert await meta.texts_sent() == ["Your code: 123"]
    assert (await ask(live_desk, comment, "private-reply", 409, text="Again"))["code"] == "private_reply_used"
    assert not (await shown(live_desk, comment))["unanswered"]
    late = await fan_comments(live_desk, meta, ago=7 * DAY - timedelta(minutes=5), fan="mara")
    queued = await ask(live_desk, late, "private-reply", text="Too late")
    pass_by(live_desk.house, timedelta(minutes=6))
    operation = await after_work(live_desk, queued)
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "private_reply_window_closed")
    assert (await ask(live_desk, late, "private-reply", 409, text="?"))["code"] == "private_reply_window_closed"
    assert await meta.texts_sent() == ["Your code: 123"]


async def test_what_is_gone_is_already_gone(live_desk: Desk, meta: Meta) -> None:
    """No webhook tells that a fan deletes a comment: an action finds out, and the words go here at once."""
    comments = [await fan_comments(live_desk, meta, f"canary-{n}", fan=fan) for n, fan in enumerate(("ada", "teo"))]
    for one in comments:
        await meta.control("DELETE", f"/fans/comment/{(await shown(live_desk, one))['provider_id']}")
    operation = await done(live_desk, comments[0], "hide")
    assert (operation["state"], operation["result"]["outcome"]) == ("succeeded", "already_gone")
    operation = await done(live_desk, comments[1], "reply", text="canary-reply")
    assert (operation["state"], operation["problem"]["code"]) == ("failed", "comment_deleted")
    assert [(await shown(live_desk, one))["status"] for one in comments] == ["deleted", "deleted"]
    assert await places_of(live_desk.house, b"canary-") == set()
    assert await log_of(live_desk, comments[0]) == [("hide", "already_gone", None)]
    assert await meta.ledger("comment_replied") == [] == await meta.ledger("comment_hidden")


async def test_an_edited_comment_is_for_people(live_desk: Desk, meta: Meta) -> None:
    """A rule that read other words does nothing; a person who asked gets what they asked for, and is told."""
    comment = await fan_comments(live_desk, meta, "Nice shoes")
    provider_id = (await shown(live_desk, comment))["provider_id"]
    rules, persons = await by_rule(live_desk, comment, "hide"), await ask(live_desk, comment, "hide")
    await meta.control("POST", f"/fans/comment/{provider_id}/edit", text="Nice song")
    assert (await after_work(live_desk, rules))["problem"]["code"] == "comment_changed"
    assert (await after_work(live_desk, persons))["state"] == "succeeded"
    found = await shown(live_desk, comment)
    assert (found["text"], bool(found["edited_at"]), found["status"]) == ("Nice song", True, "hidden")
    [person, rule] = await live_desk.all("/moderation-log", comment_id=comment)
    assert (person["edited"], rule["edited"], rule["problem"]) == (True, False, "comment_changed")
    assert [one["id"] for one in await live_desk.all("/comments", q="song")] == [comment]
    assert await live_desk.all("/comments", q="shoes") == []


LOST = ["!!lost", "!!500-executed", "!!slow:1.5"]
NOT_WRITTEN = ["!!html", "!!error:2"]


@pytest.mark.parametrize("text", LOST)
async def test_a_lost_answer_is_found_below_the_comment(live_desk: Desk, meta: Meta, text: str) -> None:
    """Meta has the reply, we do not know: it is found by author, parent, words and time, and not written again."""
    comment = await fan_comments(live_desk, meta)
    operation = await done(live_desk, comment, "reply", text=text)
    assert (operation["state"], operation["problem"]["code"]) == ("unknown", "outcome_unknown")
    [written] = await eventually(lambda: meta.ledger("comment_replied"))
    pass_by(live_desk.house, timedelta(seconds=6))
    operation = await after_work(live_desk, operation)
    assert (operation["state"], operation["result"]["provider_id"]) == ("succeeded", written["comment_id"])
    assert len([one for one in await live_desk.all("/comments") if one["own"]]) == 1
    assert len(await meta.ledger("comment_replied")) == 1


async def test_two_lost_replies_of_the_same_words_are_two(live_desk: Desk, meta: Meta) -> None:
    """What one reply was found as, the other cannot be."""
    comment = await fan_comments(live_desk, meta)
    both = [await ask(live_desk, comment, "reply", text="!!lost") for _ in range(2)]
    found = []
    for one in both:
        assert (await after_work(live_desk, one))["state"] == "unknown"
    pass_by(live_desk.house, timedelta(seconds=6))
    found = [(await after_work(live_desk, one))["result"]["provider_id"] for one in both]
    assert sorted(found) == sorted(row["comment_id"] for row in await meta.ledger("comment_replied"))


@pytest.mark.parametrize("text", NOT_WRITTEN)
async def test_a_reply_in_doubt_is_never_repeated(live_desk: Desk, meta: Meta, text: str) -> None:
    """However often we look, Meta does not show it: it stays unknown, and a person decides."""
    comment = await fan_comments(live_desk, meta)
    operation = await done(live_desk, comment, "reply", text=text)
    for seconds in (6, 16, 121, 481):
        assert (operation["state"], bool(operation["due_at"])) == ("unknown", True)
        pass_by(live_desk.house, timedelta(seconds=seconds))
        operation = await after_work(live_desk, operation)
    assert (operation["state"], operation["due_at"]) == ("unknown", None)
    assert await log_of(live_desk, comment) == [("reply", "unknown", None)]
    assert await meta.ledger("comment_replied") == []


@pytest.mark.parametrize("fault", ["lost", "500-executed", "html"])
async def test_a_lost_private_reply_is_asked_once_more(live_desk: Desk, meta: Meta, fault: str) -> None:
    """Meta takes one a comment: the second call is refused as spent, or is the first that arrives."""
    comment = await fan_comments(live_desk, meta)
    await meta.fault(fault, "/messages$")
    operation = await done(live_desk, comment, "private-reply", text="Hello")
    assert operation["state"] == "unknown"
    assert len(await meta.texts_sent()) == (fault != "html")
    pass_by(live_desk.house, timedelta(seconds=6))
    assert (await after_work(live_desk, operation))["state"] == "succeeded"
    assert await meta.texts_sent() == ["Hello"]
    assert await log_of(live_desk, comment) == [("private_reply", "done", None)]


REFUSED = {
    "10": "permission_lost",
    "200": "permission_lost",
    "368": "action_blocked",
    "4/2207051": "action_blocked",
    "100": "refused_by_provider",
    "190/460": "needs_reauth",
}


@pytest.mark.parametrize("code", REFUSED)
async def test_what_meta_refuses_ends(live_desk: Desk, meta: Meta, code: str) -> None:
    """With our own stable code, in the operation and in the log; what was to be written can be asked for again."""
    comment = await fan_comments(live_desk, meta)
    operation = await done(live_desk, comment, "reply", text=f"!!error:{code}")
    if code.startswith("190"):  # which is believed when it is said again
        pass_by(live_desk.house, timedelta(seconds=11))
        operation = await after_work(live_desk, operation)
    assert (operation["state"], operation["problem"]["code"]) == ("failed", REFUSED[code])
    assert await log_of(live_desk, comment) == [("reply", "failed", REFUSED[code])]
    assert "!!" not in str(operation)


async def test_a_block_pauses_the_rules(live_desk: Desk, meta: Meta) -> None:
    """After 368 no rule answers for hours; people still can, and what waited goes out afterwards."""
    comment = await fan_comments(live_desk, meta)
    await done(live_desk, comment, "reply", text="!!error:368")
    waiting = await by_rule(live_desk, comment, "reply", "By a rule")
    operation = await after_work(live_desk, waiting)
    assert (operation["state"], operation["problem"]["code"]) == ("queued", "automatic_replies_paused")
    other = await fan_comments(live_desk, meta, "Other", fan="mara")
    assert (await done(live_desk, other, "reply", text="By a person"))["state"] == "succeeded"
    pass_by(live_desk.house, timedelta(hours=6, minutes=1))
    await live_desk.house.work()
    assert [row["text"] for row in await meta.ledger("comment_replied")] == ["By a person", "By a rule"]


async def test_the_same_intent_is_one_action(live_desk: Desk, meta: Meta) -> None:
    """By a rule's key as by a client's `Idempotency-Key`."""
    comment = await fan_comments(live_desk, meta)
    first, second = [await by_rule(live_desk, comment, "reply", "Once") for _ in range(2)]
    assert first == second
    path = f"/v1/labels/{live_desk.label_id}/comments/{comment}/hide"
    answers = [await live_desk.owner.post(path, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    await live_desk.house.work()
    await live_desk.house.work()
    assert len(await meta.ledger("comment_replied")) == len(await meta.ledger("comment_hidden")) == 1


async def test_a_bulk_ends_item_by_item(live_desk: Desk, meta: Meta) -> None:
    """Each has its own operation or problem at once, and its own end: one failure costs no other."""
    fans = ("mara", "jonas", "ines", "teo", "ada")
    ids = [await fan_comments(live_desk, meta, f"Spam {n}", fan=fan) for n, fan in enumerate(fans)]
    provider_ids = [(await shown(live_desk, one))["provider_id"] for one in ids]
    await meta.control("DELETE", f"/fans/comment/{provider_ids[1]}")
    await meta.fault("error", f"/{provider_ids[2]}$", code=200)
    await done(live_desk, ids[3], "hide")
    order = {"action": "hide", "ids": [*ids, "cmt_none", ids[0]], "reason": "spam"}
    answer = await live_desk.owner.post(f"/v1/labels/{live_desk.label_id}/comments/bulk", json=order)
    results = answer.json()["results"]
    assert [one["comment_id"] for one in results] == [*ids, "cmt_none"]
    problems = [one["problem"] and (one["problem"]["status"], one["problem"]["code"]) for one in results]
    assert problems == [None, None, None, (409, "comment_hidden"), None, (404, "not_found")]
    assert [bool(one["operation_id"]) for one in results] == [True, True, True, False, True, False]
    await live_desk.house.work()
    ends = [(await log_of(live_desk, one))[0][1:] for one in ids]
    assert ends == [
        ("done", None),
        ("already_gone", None),
        ("failed", "permission_lost"),
        ("done", None),
        ("done", None),
    ]
    assert len(await meta.ledger("comment_hidden")) == 3


async def test_comments_of_a_post_are_switched_off(live_desk: Desk, meta: Meta) -> None:
    """And on again; the log names who did it."""
    path = f"/v1/labels/{live_desk.label_id}/connections/{live_desk.connection_id}/comments-enabled"
    for enabled in (False, True):
        wish = {"media_id": MEDIA, "enabled": enabled}
        answer = await live_desk.owner.post(path, json=wish)
        assert (answer.status_code, (await after_work(live_desk, answer.json()))["state"]) == (202, "succeeded")
    assert [row["enabled"] for row in await meta.ledger("comments_switched")] == [False, True]
    rows = await live_desk.all("/moderation-log")
    assert [(row["action"], row["provider_id"]) for row in rows] == [
        ("enable_comments", MEDIA),
        ("disable_comments", MEDIA),
    ]


async def test_a_rate_limit_puts_off(live_desk: Desk, meta: Meta) -> None:
    """It did not happen: it is due again when Meta says, and happens once."""
    comment = await fan_comments(live_desk, meta)
    await meta.fault("error", "/replies$", code=80002)
    operation = await done(live_desk, comment, "reply", text="Patience")
    assert (operation["state"], operation["problem"]["code"]) == ("queued", "rate_limited")
    pass_by(live_desk.house, timedelta(minutes=6))
    assert (await after_work(live_desk, operation))["state"] == "succeeded"
    assert [row["text"] for row in await meta.ledger("comment_replied")] == ["Patience"]


async def test_what_failed_is_done_again_by_a_person(live_desk: Desk, meta: Meta) -> None:
    """Its words were kept with the comment; once it is done they are nowhere but in the reply."""
    comment = await fan_comments(live_desk, meta)
    await meta.fault("error", "/replies$", code=200)
    operation = await done(live_desk, comment, "reply", text="At last")
    assert operation["state"] == "failed"
    path = f"/v1/labels/{live_desk.label_id}/operations/{operation['id']}/retry"
    assert (await live_desk.owner.post(path)).status_code == 202
    assert (await after_work(live_desk, operation))["state"] == "succeeded"
    assert await log_of(live_desk, comment) == [("reply", "done", None)]
    [row] = await live_desk.stored("comments", _id=comment)
    assert row["content"]["pending"] == {}
