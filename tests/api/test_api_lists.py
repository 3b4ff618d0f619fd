"""Pages: each thing once, whatever is written meanwhile, and no cursor but our own."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.house import House, delivery, message_change


async def walk(person: httpx.AsyncClient, path: str, limit: int = 2, **params: Any) -> list[Any]:
    """Everything of a list, page by page."""
    found: list[Any] = []
    query: dict[str, Any] = {"limit": limit} | params
    while True:
        page = (await person.get(path, params=query)).raise_for_status().json()
        assert len(page["data"]) <= limit
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


async def test_labels_walk_through(house: House) -> None:
    """Each label once, the oldest first."""
    owner = await house.person()
    made = [await house.label(owner, f"label-{number}") for number in range(5)]
    assert [label["id"] for label in await walk(owner, "/v1/labels")] == made


async def test_messages_walk_through_while_more_come(house: House) -> None:
    """Newest first; what comes meanwhile is on none of the later pages, and nothing is shown twice or left out."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    minute = timedelta(minutes=1)
    await house.receive(*(message_change(f"m_{n}", text=str(n), ms=house.ms(minute)) for n in range(5)))
    conversation = (await owner.get(f"/v1/labels/{label_id}/conversations")).json()["data"][0]["id"]
    path = f"/v1/labels/{label_id}/conversations/{conversation}/messages"
    first = (await owner.get(path, params={"limit": 2})).json()
    await house.receive(message_change("m_late", text="late", ms=house.ms()))
    rest = await walk(owner, path, cursor=first["next_cursor"])
    texts = [message["text"] for message in first["data"] + rest]
    assert sorted(texts) == ["0", "1", "2", "3", "4"]
    assert [message["text"] for message in await walk(owner, path)] == ["late", *texts]


async def test_conversations_and_their_filters(house: House) -> None:
    """The newest first; filters by state of the desk."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id)
    items = [message_change(f"m_{n}", ms=house.ms(timedelta(minutes=9 - n)), fan=f"90000000000{n}") for n in range(5)]
    assert (await house.deliver(delivery(*items))).status_code == 200
    await house.work()
    path = f"/v1/labels/{label_id}/conversations"
    found = await walk(owner, path)
    assert [one["participant"]["provider_id"][-1] for one in found] == ["4", "3", "2", "1", "0"]
    me = (await owner.get("/v1/me")).json()["id"]
    closed = await owner.patch(f"{path}/{found[0]['id']}", json={"status": "closed", "assignee": me, "tags": ["vip"]})
    assert closed.json().items() >= {"status": "closed", "assignee": me, "tags": ["vip"]}.items()
    read = await owner.post(f"{path}/{found[1]['id']}/read")
    assert read.json()["unread_count"] == 0
    for params, expected in (
        ({"status": "closed"}, {found[0]["id"]}),
        ({"status": "snoozed"}, set()),
        ({"assignee": me}, {found[0]["id"]}),
        ({"unread": False}, {found[1]["id"]}),
        ({"unread": True, "status": "open"}, {one["id"] for one in found[2:]}),
        ({"connection_id": connection["_id"]}, {one["id"] for one in found}),
        ({"connection_id": "con_other"}, set()),
    ):
        assert {one["id"] for one in await walk(owner, path, **params)} == expected, params


async def test_assigning_to_a_stranger_is_refused(house: House) -> None:
    """A conversation is assigned to somebody of the label, or to nobody."""
    owner = await house.person()
    label_id = await house.label(owner)
    await house.connection(label_id)
    await house.receive(message_change("m_1", ms=house.ms()))
    stranger = await house.person("stranger@example.com")
    them = (await stranger.get("/v1/me")).json()["id"]
    path = f"/v1/labels/{label_id}/conversations"
    conversation = (await owner.get(path)).json()["data"][0]["id"]
    refused = await owner.patch(f"{path}/{conversation}", json={"assignee": them})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/assignee")
    nobody = await owner.patch(f"{path}/{conversation}", json={"assignee": None, "snoozed_until": None})
    assert nobody.json()["assignee"] is None


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many", "1.5"])
async def test_bad_limits_are_refused(house: House, limit: str) -> None:
    """1 to 100."""
    owner = await house.person()
    answer = await owner.get("/v1/labels", params={"limit": limit})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/limit")


async def test_only_our_own_cursors_of_this_list(house: House) -> None:
    """Garbage, a changed one, one of another list, of another person and of another filter: `400 invalid_cursor`."""
    owner, other = await house.person(), await house.person("other@example.com")
    labels = [await house.label(owner, f"label-{number}") for number in range(3)]
    for number in range(2):
        await house.label(other, f"other-{number}")
    mine = (await owner.get("/v1/labels", params={"limit": 1})).json()["next_cursor"]
    changed = mine[:-2] + ("AA" if mine[-2:] != "AA" else "BB")
    for cursor in ("", "nonsense", "ü", "A" * 2000, changed):
        answer = await owner.get("/v1/labels", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), cursor[:10]
    assert (await other.get("/v1/labels", params={"cursor": mine})).status_code == 400
    for path in ("operations", "connections", "conversations", "comments"):
        assert (await owner.get(f"/v1/labels/{labels[0]}/{path}", params={"cursor": mine})).status_code == 400, path
