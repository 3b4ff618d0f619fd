"""The role matrix: each operation that needs a permission, by each role and by everybody who has none (R-22).

It is made from the contract's `x-access`; what the contract says of a refusal is what happens.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast, get_args

import httpx

from app.access import FRESH
from app.models.access import PERMISSIONS, Permission, Role, Rule
from app.services.people import accounts
from tests.api.matrix_call import Call, outcome, shape
from tests.api.matrix_contract import Operation, of_permissions, operations
from tests.api.matrix_makers import never
from tests.api.matrix_ready import good_call
from tests.api.matrix_world import World, differences
from tests.api.people import join

HIDDEN, UNKNOWN, FORBIDDEN = (404, "not_found"), (401, "unauthenticated"), (403, "forbidden")
AS_BEFORE = ("second owner", *(role for role in get_args(Role) if role != "owner"))
"""The people of label A, but for its owner, who prepares what they do."""


@dataclass(frozen=True)
class Outsider:
    """Somebody without any role, and how they are refused."""

    name: str
    client: httpx.AsyncClient
    refusal: tuple[int, str]


def rule_of(operation: Operation) -> Rule:
    """The rule of the permission that it needs."""
    return PERMISSIONS[cast(Permission, operation.access)]


def role_of(name: str) -> Role:
    """The role of somebody of label A."""
    return cast(Role, "owner" if name == "second owner" else name)


async def outsiders(world: World) -> list[Outsider]:
    """Somebody of another label, nobody, who was a member until a moment ago, and whose account was just disabled."""
    house, a = world.house, world.a
    removed = await join(house, "removed@example.com", a.label_id, "admin")
    disabled = await join(house, "disabled@example.com", a.label_id, "admin")
    assert [(await one.get(a.path)).status_code for one in (removed, disabled)] == [200, 200]
    members = {one["email"]: one["id"] for one in await a.listed("/members")}
    (await a.owner.delete(f"{a.path}/members/{members['removed@example.com']}")).raise_for_status()
    user = await accounts.by_email(house.db, "disabled@example.com")
    assert user is not None
    await accounts.disable(house.db, house.api.audit, user, now=house.clock())
    return [
        Outsider("a stranger", world.b.owner, HIDDEN),
        Outsider("who was removed", removed, HIDDEN),
        Outsider("nobody", house.http, UNKNOWN),
        Outsider("who was disabled", disabled, UNKNOWN),
    ]


async def make_sessions_old(world: World) -> None:
    """As if everybody had given their password a little more than 15 minutes ago."""
    then = {"$set": {"authenticated_at": world.house.clock() - FRESH - timedelta(seconds=1)}}
    await world.house.db.open("sessions").update_many({}, then)


def is_anothers(operation: Operation, name: str) -> bool:
    """Whether it is for the owner who has asked, and this is another one."""
    return operation.name == "downloadLabelExport" and role_of(name) == "owner" and name != "owner"


async def test_each_role_does_what_the_table_says(world: World) -> None:
    """Who has the permission succeeds; who has not is `forbidden`, and nothing has changed."""
    troubles, done = [], 0
    for operation in of_permissions():
        await world.restore(world.base)
        call, before = await good_call(world, world.a, operation), await world.dump()
        for name in AS_BEFORE:
            answer, allowed = await call.by(world.a.people[name]), role_of(name) in rule_of(operation).roles
            allowed = allowed and not is_anothers(operation, name)
            changed = differences(before, await world.dump())
            if allowed != (answer.status_code < 400) or (not allowed and outcome(answer) != FORBIDDEN):
                troubles.append(f"{operation} by {name}: {outcome(answer)}, and allowed: {allowed}")
            if changed and not allowed:
                troubles.append(f"{operation} by {name} changes:{changed}")
            if changed:
                await world.restore(before)
            done += 1
    assert not troubles, "\n".join(troubles)
    assert done == len(of_permissions()) * len(get_args(Role)) and len(of_permissions()) > 25


async def test_outsiders_find_nothing(world: World) -> None:
    """A stranger, nobody, a removed member and a disabled account: nothing changes, and what never was looks alike."""
    people, troubles = await outsiders(world), []
    with_them = await world.dump()
    for operation in of_permissions():
        await world.restore(with_them)
        call, before = await good_call(world, world.a, operation), await world.dump()
        nowhere = Call(operation, {name: never(real) for name, real in call.path.items()}, call.query, call.body)
        for one in people:
            answer = await call.by(one.client)
            if outcome(answer) != one.refusal:
                troubles.append(f"{operation} by {one.name}: {outcome(answer)}")
            if shape(answer) != shape(await nowhere.by(one.client)):
                troubles.append(f"{operation} by {one.name}: another answer than for what never was")
        changed = differences(before, await world.dump())
        if changed:
            troubles.append(f"{operation} by an outsider changes:{changed}")
    assert not troubles, "\n".join(troubles)


BY_ROLE = {"createInvitation"}
"""Dangerous for the roles of owner and admin alone: tests/api/test_api_breaks.py."""


async def test_dangerous_work_needs_a_fresh_log_in(world: World) -> None:
    """The password 15 minutes ago is too long ago, where the table or the contract says so, and nowhere else."""
    troubles, refused = [], set()
    people = [one for one in operations() if one.access == "person"]
    for operation in (*of_permissions(), *people):
        if operation.name in BY_ROLE:
            continue
        await world.restore(world.base)
        call = await good_call(world, world.a, operation)
        await make_sessions_old(world)
        before = await world.dump()
        answer = await call.by(world.a.doer(operation))
        stale = outcome(answer) == (403, "reauthentication_required")
        if stale != ("reauthentication_required" in operation.codes()) or stale == (answer.status_code < 400):
            troubles.append(f"{operation}: {outcome(answer)}")
        if stale:
            refused.add(operation.access)
            troubles += [f"{operation} changes:{found}" for found in [differences(before, await world.dump())] if found]
        if operation in people:
            continue
        if stale != rule_of(operation).dangerous:
            troubles.append(f"{operation}: {outcome(answer)}, and dangerous: {rule_of(operation).dangerous}")
        if stale and "analyst" not in rule_of(operation).roles:
            analyst = outcome(await call.by(world.a.people["analyst"]))
            troubles += [f"{operation} by an analyst: {analyst}"] if analyst != FORBIDDEN else []
    assert not troubles, "\n".join(troubles)
    used = {one.access for one in of_permissions()}
    assert refused == {name for name in used if PERMISSIONS[cast(Permission, name)].dangerous} | {"person"}


async def test_fifteen_minutes_are_fresh(world: World) -> None:
    """Up to then no password is asked for again."""
    then = world.house.clock() - FRESH + timedelta(seconds=5)
    await world.house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": then}})
    assert (await world.a.owner.delete(world.a.path)).status_code == 202


async def test_a_label_that_is_going_to_be_deleted(world: World) -> None:
    """Only what the table leaves for that time works; the rest is `label_deleting` for roles that have it otherwise."""
    troubles, counted = [], {True: 0, False: 0}
    calls = [await good_call(world, world.a, operation) for operation in of_permissions()]
    await world.restore(world.base)
    (await world.a.owner.delete(world.a.path)).raise_for_status()
    before = await world.dump()
    for call in calls:
        operation, rule = call.operation, rule_of(call.operation)
        for name in AS_BEFORE:
            answer = await call.by(world.a.people[name])
            if role_of(name) not in rule.roles or is_anothers(operation, name):
                expected = [FORBIDDEN]
            elif rule.while_deleting:
                expected = [(409, "label_deleting") if operation.name == "deleteLabel" else (answer.status_code, "")]
            else:
                expected = [(409, "label_deleting")]
            if outcome(answer) not in expected:
                troubles.append(f"{operation} by {name}: {outcome(answer)}, not {expected}")
            counted[rule.while_deleting] += 1
            if (await world.dump()) != before:
                troubles += [] if answer.status_code < 400 else [f"{operation} by {name} changes something"]
                await world.restore(before)
        if operation.name != "deleteLabel" and ("label_deleting" in operation.codes()) == rule.while_deleting:
            troubles.append(f"{operation}: the contract does not tell")
    assert not troubles, "\n".join(troubles)
    assert min(counted.values()) > 20


async def test_the_end_of_a_label_can_be_watched(world: World) -> None:
    """The operation that the answer leads to can be read as long as the label is there."""
    announced = await world.a.owner.delete(world.a.path)
    shown = await world.a.owner.get(announced.headers["location"])
    assert (shown.status_code, shown.json()) == (200, announced.json())


def test_the_contract_tells_of_the_table() -> None:
    """Roles and partners' scopes of each operation are those of its permission; others have none."""
    for operation in operations():
        if operation in of_permissions():
            rule = rule_of(operation)
            assert set(operation.spec["x-roles"]) == rule.roles, operation
            assert operation.spec["x-partner-scope"] == (operation.access if rule.partner else None), operation
            assert {"unauthenticated", "forbidden", "not_found"} <= operation.codes(), operation
        else:
            assert not {"x-roles", "x-partner-scope"} & operation.spec.keys(), operation
