"""The numbers of a label's team: for everybody, for each person and for each connected account."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.clock import to_ms
from app.db import Database, Doc
from app.services.labels import members
from app.services.numbers.spans import Spread, spread
from app.services.privacy import standing

AGES: dict[str, timedelta] = {
    "under_1_hour": timedelta(hours=1),
    "under_4_hours": timedelta(hours=4),
    "under_1_day": timedelta(days=1),
    "under_3_days": timedelta(days=3),
    "under_7_days": timedelta(days=7),
    "older": timedelta.max,
}
"""How long something has been open: each is what is in no earlier one."""


@dataclass
class Group:
    """What belongs together: everybody's, a person's, an account's. The lengths are in milliseconds."""

    response_ms: list[int] = field(default_factory=list)
    resolution_ms: list[int] = field(default_factory=list)
    ages: Counter[str] = field(default_factory=Counter)

    @property
    def response(self) -> Spread:
        """How long fans waited for a first answer."""
        return spread(self.response_ms)

    @property
    def resolution(self) -> Spread:
        """How long conversations were open."""
        return spread(self.resolution_ms)


@dataclass(frozen=True)
class Report:
    """The numbers, with the names of whom they are about."""

    everybody: Group
    people: Mapping[str, Group]
    accounts: Mapping[str, Group]
    names: Mapping[str, str]


async def report(
    db: Database,
    label_id: str,
    *,
    since: datetime,
    until: datetime,
    connection_id: str | None,
    assignee: str | None,
    now: datetime,
) -> Report:
    """What ended in the period, and what is open at this moment; of one account or one person if that is asked for.

    Of who has had the use of their data restricted, or objects, nothing is told on their own.
    """
    everybody, people, accounts = Group(), defaultdict[str, Group](Group), defaultdict[str, Group](Group)

    if assignee and not await standing.allows(db, assignee, "analytics"):
        return Report(everybody, people, accounts, {})

    def groups_of(person_id: str | None, account_id: str) -> Iterable[Group]:
        yield from (everybody, accounts[account_id])
        if person_id:
            yield people[person_id]

    facts: Doc = {"label_id": label_id, "ended_at": {"$gte": since, "$lt": until}}
    facts |= {"connection_id": connection_id} if connection_id else {}
    facts |= {"person_id": assignee} if assignee else {}
    async for fact in db.open("response_facts").find(facts):
        length_ms = to_ms(fact["ended_at"]) - to_ms(fact["began_at"])
        for group in groups_of(fact["person_id"], fact["connection_id"]):
            (group.response_ms if fact["kind"] == "response" else group.resolution_ms).append(length_ms)
    still_open: Doc = {"label_id": label_id, "status": "open", "expires_at": {"$gt": now}}
    still_open |= {"connection_id": connection_id} if connection_id else {}
    still_open |= {"assignee": assignee} if assignee else {}
    shown = {"status_at": 1, "assignee": 1, "connection_id": 1}
    async for one in db.open("conversations").find(still_open, shown):
        for group in groups_of(one["assignee"], one["connection_id"]):
            group.ages[age_of(now - one["status_at"])] += 1
    for person_id in await standing.not_allowing(db, list(people), "analytics"):
        del people[person_id]
    return Report(everybody, people, accounts, await _names(db, label_id, people, accounts))


def age_of(open_for: timedelta) -> str:
    """In which of `AGES` something is that has been open for so long."""
    return next((name for name, below in AGES.items() if open_for < below), "older")


async def _names(db: Database, label_id: str, people: Iterable[str], accounts: Iterable[str]) -> dict[str, str]:
    """Of who works for the label now, and of the accounts that are connected."""
    team = {"label_id": label_id, "user_id": {"$in": list(people)}}
    users = await members.users_of(db, await db.open("memberships").find(team).to_list())
    named = {user_id: str(user["name"]) for user_id, user in users.items()}
    connected = {"label_id": label_id, "_id": {"$in": list(accounts)}}
    async for connection in db.open("connections").find(connected, {"account": 1}):
        if connection["account"]:
            named[connection["_id"]] = str(connection["account"]["username"] or connection["account"]["name"] or "")
    return named
