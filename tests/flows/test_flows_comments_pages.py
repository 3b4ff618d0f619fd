"""Comments behind Facebook Login: of a Page, and of the Instagram account behind it."""

import random
from datetime import timedelta
from itertools import permutations

import pytest

from app.db import Doc
from tests.flows.comments_harness import ask, by_provider, change, done, log_of
from tests.flows.facebook_harness import NIGHTJAR, NIGHTJAR_IG, Login, log_in
from tests.flows.flows_harness import Meta, pass_by, places_of
from tests.flows.test_flows_comments_looked_at import look
from tests.house import House

POST = f"{NIGHTJAR}_555000000000001"


def feed(comment_id: str, verb: str, at_s: int, **more: object) -> Doc:
    """A `feed` change about a comment below the Page's post."""
    return {
        "item": "comment",
        "verb": verb,
        "comment_id": comment_id,
        "post_id": POST,
        "parent_id": POST,
        "from": {"id": "600000000000021", "name": "Sam Example"},
        "created_time": at_s,
        **more,
    }


async def tell(login: Login, *values: Doc, field: str = "feed") -> None:
    """Have Meta tell of these, each in a webhook of its own."""
    for value in values:
        body = change(NIGHTJAR, field, value, login.house.ms(), object="page")
        assert (await login.house.deliver(body)).status_code == 200
    await login.house.work()


@pytest.fixture
async def page(live_house: House, meta: Meta) -> Login:
    """A Page that is connected with its comments and messages."""
    login = await log_in(live_house)
    await login.connect(NIGHTJAR)
    login.connection_id = (await login.connections())[NIGHTJAR]["id"]
    return login


async def fan_comments(login: Login, meta: Meta, text: str, *, fan: str = "mara", told: bool = True) -> Doc:
    """A fan comments below the Page's post; the comment as the API shows it."""
    made = await meta.control("POST", "/fans/comment", fan=fan, account="Nightjar Records", text=text)
    if not told:
        return {"provider_id": made["comment_id"]}
    who = {"id": made["psid"], "name": fan.title()}
    at_s = login.house.ms() // 1000
    await tell(login, feed(made["comment_id"], "add", at_s, message=text) | {"from": who})
    return await by_provider(login, made["comment_id"])


async def test_a_pages_comment_is_acted_on(page: Login, meta: Meta) -> None:
    """By the Page's own verbs: answered, hidden, shown again, answered in private, deleted."""
    found = await fan_comments(page, meta, "Great show")
    assert (found["provider"], found["text"], found["author"]["username"]) == ("facebook", "Great show", "Mara")
    assert found["can"] == ["reply", "private_reply", "hide", "delete"]
    ends = [await done(page, found["id"], "reply", text="Thanks"), await done(page, found["id"], "hide")]
    assert (await page.get(f"/comments/{found['id']}"))["status"] == "hidden"
    ends += [await done(page, found["id"], "unhide"), await done(page, found["id"], "private-reply", text="Your code")]
    ends.append(await done(page, found["id"], "delete"))
    assert [end["state"] for end in ends] == ["succeeded"] * 5, ends
    kinds = ("comment_replied", "comment_hidden", "comment_unhidden", "message_sent", "comment_deleted")
    assert [len(await meta.ledger(kind)) for kind in kinds] == [1] * 5
    [ours] = [one for one in await page.all("/comments") if one["own"]]
    assert (ours["text"], ours["status"], ours["parent_provider_id"]) == (None, "deleted", found["provider_id"])
    assert await log_of(page, found["id"]) == [
        (name, "done", None) for name in ("delete", "private_reply", "unhide", "hide", "reply")
    ]


async def test_a_pages_comments_are_looked_at(page: Login, meta: Meta) -> None:
    """A gap is filled, and a lost reply is found below its comment."""
    untold = await fan_comments(page, meta, "Untold", told=False)
    assert (await look(page))["added"] == 1
    found = await by_provider(page, untold["provider_id"])
    operation = await done(page, found["id"], "reply", text="!!lost")
    assert operation["state"] == "unknown"
    pass_by(page.house, timedelta(seconds=6))
    await page.house.work()
    assert len(await meta.ledger("comment_replied")) == 1
    assert await log_of(page, found["id"]) == [("reply", "done", None)]


async def test_a_post_of_a_page_cannot_be_switched(page: Login, meta: Meta) -> None:
    """Pages have no call for it."""
    wish = {"media_id": POST, "enabled": False}
    answer = await page.owner.post(
        f"/v1/labels/{page.label_id}/connections/{page.connection_id}/comments-enabled", json=wish
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "not_supported_by_provider")


async def test_instagram_behind_a_page(live_house: House, meta: Meta) -> None:
    """By Facebook's host and the Page's token: hidden, answered below and in private."""
    login = await log_in(live_house)
    await login.connect(NIGHTJAR_IG)
    login.connection_id = (await login.connections())[NIGHTJAR_IG]["id"]
    made = await meta.control("POST", "/fans/comment", fan="mara", account="nightjar.records", text="Love it")
    value: Doc = {
        "comment_id": made["comment_id"],
        "text": "Love it",
        "from": {"id": made["igsid"], "username": "mara"},
    }
    value |= {"media": {"id": made["media_id"], "media_product_type": "FEED"}}
    await live_house.deliver(change(NIGHTJAR_IG, "comments", value, live_house.ms()))
    await live_house.work()
    found = await by_provider(login, made["comment_id"])
    asked: dict[str, Doc] = {"reply": {"text": "Thanks"}, "private-reply": {"text": "Code"}, "hide": {}}
    ends = [await done(login, found["id"], action, **body) for action, body in asked.items()]
    assert [end["state"] for end in ends] == ["succeeded"] * 3, ends
    kinds = ("comment_replied", "message_sent", "comment_hidden")
    assert [len(await meta.ledger(kind)) for kind in kinds] == [1] * 3
    assert (await look(login)) == {"added": 0, "changed": 0, "gone": 0}


STORY = ("add", "edited", "hide", "remove", "reply")


def told_of(name: str, comment_id: str, now_s: int) -> Doc:
    """One event of a comment's story, by its name."""
    if name == "reply":
        page = {"id": NIGHTJAR, "name": "Nightjar"}
        return feed(f"{comment_id}_r", "add", now_s - 40, message="canary reply", parent_id=comment_id) | {"from": page}
    if name == "edited":
        return feed(comment_id, "edited", now_s - 60, message="canary edited", edited_time=now_s - 50)
    if name == "hide":
        return feed(comment_id, "hide", now_s - 30) | {"from": {"id": NIGHTJAR, "name": "Nightjar"}}
    return feed(
        comment_id, name, now_s - (60 if name == "add" else 20), **{"message": "canary new"} if name == "add" else {}
    )


async def test_every_order_ends_alike(house: House) -> None:
    """All orders of a comment's add, edit, answer and hiding, or removal: one state each; some orders of all five."""
    desk = Login(house, owner := await house.person(), label := await house.label(owner), "")
    desk.connection_id = (await house.connection(label, NIGHTJAR, provider="facebook", network="facebook"))["_id"]
    of_five = random.Random(5).sample(list(permutations(STORY)), 20)
    orders = [order for without in ("remove", "hide") for order in permutations(set(STORY) - {without})] + of_five
    now_s, steps = house.ms() // 1000, list[list[Doc]]([[], [], [], [], []])
    for number, order in enumerate(orders):
        for step, name in enumerate(order):
            state = "gone" if "remove" in order else "hidden"
            body = change(NIGHTJAR, "feed", told_of(name, f"{state}-{number}", now_s), house.ms(), object="page")
            steps[step] += body["entry"]
    for entries in steps:  # the first event of each story, then the second of each …
        assert (await house.deliver({"object": "page", "entry": entries})).status_code == 200
        await house.work()
    tops = [row for row in await desk.stored("comments") if not row["provider_id"].endswith("_r")]
    ends = {(row["provider_id"].partition("-")[0], row["status"], *shown_of(row)) for row in tops}
    assert ends == {
        ("gone", "deleted", None, None, "Sam Example"),
        ("hidden", "hidden", "canary edited", None, "Sam Example"),
    }
    assert len(tops) == len(orders) == 68 and len({row["sent_at"] for row in tops}) == 1


def shown_of(row: Doc) -> tuple[object, ...]:
    """What is stored of a comment's words, of whether it waits for an answer, and of who wrote it."""
    return row.get("content", {}).get("text"), row.get("unanswered"), row["author"]["username"]


async def test_changes_that_do_not_concern_comments(page: Login, meta: Meta) -> None:
    """Posts, reactions and what has no value are dropped; what we do not know is kept for an engineer."""
    other: list[Doc] = [{"item": item, "verb": "add", "post_id": POST} for item in ("status", "reaction", "share")]
    await tell(page, *other, feed("1_2", "followed", page.house.ms() // 1000))
    assert await page.all("/comments") == []
    assert [row["reason"] for row in await page.stored("parked_changes")] == ["unknown_verb"]


async def test_a_page_is_mentioned(page: Login, meta: Meta) -> None:
    """In a post of somebody's: it is in the list, as a mention, with its words."""
    value = {
        "item": "post",
        "verb": "add",
        "post_id": "600_888",
        "message": "saw @them live",
        "created_time": 1795420863,
    }
    now_s = page.house.ms() // 1000
    await tell(page, value | {"created_time": now_s}, field="mention")
    [found] = await page.all("/comments", kind="mention")
    assert (found["text"], found["provider_id"], found["can"]) == ("saw @them live", "600_888", ["reply"])


async def test_removal_takes_the_words_everywhere(page: Login, meta: Meta) -> None:
    """As soon as Meta tells, wherever they were."""
    found = await fan_comments(page, meta, "canary-page")
    await tell(page, feed(found["provider_id"], "remove", page.house.ms() // 1000))
    assert (await page.get(f"/comments/{found['id']}"))["status"] == "deleted"
    assert await places_of(page.house, b"canary-page") == set()
    assert (await ask(page, found["id"], "reply", 409, text="?"))["code"] == "comment_deleted"
