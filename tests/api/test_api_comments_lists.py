"""Lists of comments: each filter, alone and with others, and that each is a walk along an index."""

from datetime import timedelta
from itertools import combinations
from typing import Any

from app.db import Doc
from app.services.comments import writes
from app.services.comments.reading import Filters
from app.services.comments.writes import Seen
from app.services.pages import page_query
from tests.flows.flows_harness import Desk, sit_down
from tests.house import House

WORDS = ("vinyl", "tour", "love")
MANY = 60
FILTERS: dict[str, Any] = {
    "media_id": "m1",
    "kind": "mention",
    "status": "hidden",
    "flagged": True,
    "unanswered": True,
    "q": "vinyl",
}


async def fill(desk: Desk) -> None:
    """Comments of every sort, of two connections' own media."""
    house = desk.house
    connection = await house.db.open("connections").find_one({"_id": desk.connection_id, "label_id": desk.label_id})
    assert connection is not None
    rows = []
    for n in range(MANY):
        seen = Seen(
            provider_id=str(n),
            at=house.clock() - timedelta(minutes=n),
            text=f"{WORDS[n % 3]} {WORDS[n % 2]} number{n}",
            rank=1,
            author_id=str(n),
            username="fan",
            parent_provider_id=None,
            media={"provider_id": f"m{n % 4}", "product_type": None, "ad_id": None, "original_media_id": None},
            own=n % 5 == 0,
            kind="mention" if n % 3 == 0 else "comment",
            more={"checked_at": house.clock()} | ({"flagged": True} if n % 2 else {}),
        )
        rows.append(writes.upsert(connection, seen))
        rows += writes.hidden(connection, str(n), value=n % 7 == 0, rank=2, at=seen.at)
    await house.db.open("comments").bulk_write(rows)


def fits(shown: Doc, name: str, value: Any) -> bool:
    """Whether a comment that is shown is one that the filter lets through."""
    if name == "media_id":
        return bool(shown["media"]["provider_id"] == value)
    if name == "q":
        return set(str(value).split()) <= set(shown["text"].split())
    return bool(shown[name] == value)


async def test_filters(house: House) -> None:
    """Each alone, its opposite, and every two together: exactly those that fit, the newest first, page by page."""
    desk = await sit_down(house)
    await fill(desk)
    every = await desk.all("/comments")
    assert [one["provider_id"] for one in every] == [str(n) for n in range(MANY)]
    cases = [
        {},
        *({name: value} for name, value in FILTERS.items()),
        {"q": "tour vinyl"},
        {"connection_id": desk.connection_id},
    ]
    cases += [{"flagged": False}, {"unanswered": False}, *(dict(two) for two in combinations(FILTERS.items(), 2))]
    for case in cases:
        wanted = [one["id"] for one in every if all(fits(one, *item) for item in case.items())]
        assert [one["id"] for one in await desk.all("/comments", **case)] == wanted, case
        assert wanted, case
    assert await desk.all("/comments", q="viny") == []
    refused = await desk.owner.get(f"/v1/labels/{desk.label_id}/comments", params={"q": "?!"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/q")
    first = await desk.get("/comments", limit=1, q="vinyl")
    other = await desk.owner.get(
        f"/v1/labels/{desk.label_id}/comments", params={"q": "tour", "cursor": first["next_cursor"]}
    )
    assert other.json()["code"] == "invalid_cursor"


async def test_each_list_walks_an_index(house: House) -> None:
    """No collection is scanned and nothing is sorted: the plan is an index scan in the order of the list."""
    desk = await sit_down(house)
    await fill(desk)
    cases = [{}, *({name: value} for name, value in FILTERS.items()), {"connection_id": "con"}]
    cases += [dict(two) for two in combinations(FILTERS.items(), 2)]
    for case in cases:
        query = Filters(**case).query(desk.label_id)
        assert query is not None
        bounded = page_query(query | {"expires_at": {"$gt": house.clock()}}, "sent_at", None, now=house.clock())
        found = house.db.open("comments").find(bounded).sort([("sent_at", -1), ("_id", -1)]).limit(26)
        plan = str((await found.explain())["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in plan and "COLLSCAN" not in plan and "'stage': 'SORT'" not in plan, (case, plan)
        walked = {"media_id": "media.provider_id", "q": "content.words"}
        fields = [walked.get(name, name) for name in case] or ["sent_at"]
        assert any(f"'{field}'" in plan.partition("keyPattern")[2] for field in fields), (case, plan)


async def test_a_flag_is_the_teams(house: House) -> None:
    """It has its version, its rows in the log, and its event; set twice it is set once."""
    desk = await sit_down(house)
    await fill(desk)
    [comment] = (await desk.get("/comments", limit=1))["data"]
    path = f"/v1/labels/{desk.label_id}/comments/{comment['id']}"
    tag = (await desk.owner.get(path)).headers["ETag"]
    flagged = await desk.owner.patch(path, json={"flagged": True}, headers={"If-Match": tag})
    assert flagged.json()["flagged"] and flagged.headers["ETag"] != tag
    assert (await desk.owner.patch(path, json={"flagged": False}, headers={"If-Match": tag})).status_code == 412
    assert (await desk.owner.patch(path, json={"flagged": True})).json()["flagged"]
    assert not (await desk.owner.patch(path, json={"flagged": False})).json()["flagged"]
    assert (await desk.owner.patch(path, json={})).status_code == 200
    rows = await desk.all("/moderation-log", comment_id=comment["id"])
    assert [(row["action"], row["state"], row["by"]["kind"]) for row in rows] == [
        ("unflag", "done", "person"),
        ("flag", "done", "person"),
    ]
    events = [one["type"] for one in await desk.stored("events", target=comment["id"])]
    assert events == ["comment.changed"] * 2
