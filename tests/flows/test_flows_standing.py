"""Restriction and objection are states: whatever is done with a person's data asks them, at that moment.

The matrix has a row for each thing that is done, and a column for each way to stand.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from app.db import Doc, Session
from app.services import operations
from app.services.labels import members
from app.services.mail import outbox
from app.services.numbers import facts
from app.services.privacy import requests, standing, whose
from tests.api.people import join, mails, user_of
from tests.flows.flows_harness import Desk
from tests.flows.rules_harness import message, rule
from tests.house import House, message_change

MARA = "mara@example.com"
STANDINGS: dict[str, list[tuple[str, str, Doc | None]]] = {
    "nothing": [],
    "restricted": [("POST", "/v1/me/restriction", None)],
    "lifted": [("POST", "/v1/me/restriction", None), ("DELETE", "/v1/me/restriction", None)],
    "objects to notices": [("POST", "/v1/me/objections", {"purpose": "notices"})],
    "objects to analytics": [("POST", "/v1/me/objections", {"purpose": "analytics"})],
    "took it back": [
        ("POST", "/v1/me/objections", {"purpose": "analytics"}),
        ("DELETE", "/v1/me/objections/analytics", None),
    ],
}


@dataclass
class Team:
    """A label with a fan's conversation, and Mara in it."""

    desk: Desk
    mara: httpx.AsyncClient
    user_id: str

    @property
    def house(self) -> House:
        """Where it is."""
        return self.desk.house


async def team(house: House, stands: str) -> Team:
    """With Mara standing so."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id)
    mara = await join(house, MARA, label_id, "admin")
    await house.receive(message_change("m_1", ms=house.ms(timedelta(minutes=9))))
    for method, path, body in STANDINGS[stands]:
        (await mara.request(method, path, json=body)).raise_for_status()
    return Team(Desk(house, owner, label_id, connection["_id"]), mara, (await user_of(house, MARA))["_id"])


async def a_notice(found: Team) -> bool:
    """She is told that an account must be connected anew."""
    await _tell(found, "connection_left")
    return any(mail["user_id"] == found.user_id for mail in await mails(found.house, "connection_left"))


async def a_notice_that_waits(found: Team) -> bool:
    """The same, of a mail that was written down before, and is sent now."""
    facts_of = {"name": "Mara", "label": "L", "account": "A", "provider": "P"}

    async def queued(session: Session) -> str:
        told = {"subject": found.user_id, "facts": facts_of, "now": found.house.clock(), "session": session}
        return await outbox.queue(found.house.db, "connection_left", label_id=found.desk.label_id, **told)

    operation_id = await found.house.db.in_transaction(queued)
    await found.house.work()
    operation = await operations.find_anywhere(found.house.db, operation_id)
    return operation is not None and operation["state"] == "succeeded"


async def what_is_required(found: Team) -> bool:
    """She is told that the label will be deleted."""
    await _tell(found, "label_deleting", on="2026-12-24")
    return any(mail["user_id"] == found.user_id for mail in await mails(found.house, "label_deleting"))


async def _tell(found: Team, template: outbox.Template, **more: str) -> None:
    label = await found.house.db.open("labels").find_one({"_id": found.desk.label_id})
    assert label is not None
    told = {"account": "A", "provider": "P"} | more

    async def tell(session: Session) -> None:
        now = found.house.clock()
        await members.tell(found.house.db, template, found.user_id, label, now=now, session=session, **told)

    await found.house.db.in_transaction(tell)


async def a_figure_of_hers(found: Team) -> bool:
    """How long a fan waited for her answer is noted as hers."""
    db, label_id = found.house.db, found.desk.label_id
    message_ = (await db.open("messages").find({"label_id": label_id}).to_list())[0]
    now = found.house.clock()
    key = {"_id": "msg_out", "label_id": label_id, "conversation_id": message_["conversation_id"]}
    sent = key | {"connection_id": found.desk.connection_id, "direction": "out", "ordered_at": now, "sent_at": now}
    sent |= {"sent_by": {"kind": "person", "id": found.user_id}, "expires_at": now + timedelta(days=9)}
    await db.open("messages").insert_one(sent)
    await facts.answered(db, sent)
    [fact] = await db.open("response_facts").find({"label_id": label_id}).to_list()
    return bool(fact["person_id"] == found.user_id)


async def her_figures(found: Team) -> bool:
    """The owner sees what was noted of her before."""
    row = {"_id": "response:x", "label_id": found.desk.label_id, "kind": "response", "person_id": found.user_id}
    ended = found.house.clock() - timedelta(hours=1)
    row |= {"connection_id": "con_x", "began_at": ended, "ended_at": ended, "expires_at": ended + timedelta(days=9)}
    await found.house.db.open("response_facts").insert_one(row)
    since = (ended - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    shown = await found.desk.get("/team-numbers", **{"from": since})
    alone = await found.desk.get("/team-numbers", **{"from": since, "assignee": found.user_id})
    assert shown["first_response"]["count"] == 1
    hers = found.user_id in [one["person_id"] for one in shown["people"]]
    assert bool(alone["first_response"]["count"]) is hers
    return bool(hers)


async def a_rule_gives_her_work(found: Team) -> bool:
    """A rule assigns a conversation to her."""
    await rule(found.desk, {"kind": "assign", "assignee": found.user_id}, when="message")
    await found.house.receive(message("m_2", "Hi", found.house))
    await found.house.work()
    [talk] = await found.house.db.open("conversations").find({"label_id": found.desk.label_id}).to_list()
    return bool(talk["assignee"] == found.user_id)


async def her_own_work(found: Team) -> bool:
    """She works as before: what somebody does themselves is their own will."""
    path = f"/v1/labels/{found.desk.label_id}/saved-replies"
    return (await found.mara.post(path, json={"name": "x", "text": "y"})).status_code == 201


async def it_is_stored(found: Team) -> bool:
    """Everything of hers is there, to be exported and to be erased."""
    user = await user_of(found.house, MARA)
    subject = await whose.subject_of(found.house.db, user, now=found.house.clock())
    counts = await whose.count(found.house.db, subject)
    return {"users", "sessions", "memberships"} <= {name for name, _ in counts}


EVERYBODY = set(STANDINGS)
MATRIX: dict[Callable[[Team], Awaitable[bool]], set[str]] = {
    a_notice: EVERYBODY - {"restricted", "objects to notices"},
    a_notice_that_waits: EVERYBODY - {"restricted", "objects to notices"},
    what_is_required: EVERYBODY,
    a_figure_of_hers: EVERYBODY - {"restricted", "objects to analytics"},
    her_figures: EVERYBODY - {"restricted", "objects to analytics"},
    a_rule_gives_her_work: EVERYBODY - {"restricted"},
    her_own_work: EVERYBODY,
    it_is_stored: EVERYBODY,
}
"""What is done, and how she may stand for it to be done."""
CASES = [(use, stands) for use in MATRIX for stands in STANDINGS]


@pytest.mark.parametrize(("use", "stands"), CASES, ids=[f"{use.__name__}-{stands}" for use, stands in CASES])
async def test_the_matrix(house: House, use: Callable[[Team], Awaitable[bool]], stands: str) -> None:
    """Each use, with her standing each way."""
    found = await team(house, stands)
    assert await use(found) is (stands in MATRIX[use])


async def test_no_rule_gives_work_to_whom_nobody_reaches(house: House) -> None:
    """Whoever has asked to be erased is not logged in, and answers nobody."""
    found = await team(house, "nothing")
    (await found.mara.post("/v1/me/erasure")).raise_for_status()
    assert not await a_rule_gives_her_work(found)


async def test_asking_twice_changes_nothing(house: House) -> None:
    """The first time stays; a purpose that nobody knows is refused; what is not objected to cannot be taken back."""
    mara = await house.person(MARA)
    user_id = (await user_of(house, MARA))["_id"]
    first = (await mara.post("/v1/me/restriction")).json()
    house.clock.offset += timedelta(minutes=5)
    assert (await mara.post("/v1/me/restriction")).json() == first == (await mara.get("/v1/me/restriction")).json()
    assert await standing.restricted(house.db, user_id)
    assert (await mara.post("/v1/me/objections", json={"purpose": "everything"})).status_code == 422
    assert (await mara.delete("/v1/me/objections/notices")).status_code == 404
    assert (await mara.delete("/v1/me/objections/everything")).status_code in (404, 422)
    assert (await mara.delete("/v1/me/restriction")).json() == {"restricted_at": None, "objections": {}}
    assert not await standing.restricted(house.db, user_id)
    kinds = [one["kind"] for one in await requests.of_person(house.db, user_id, before=None, limit=9)]
    assert kinds == ["restriction", "restriction"]
