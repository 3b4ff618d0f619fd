"""The cross-label matrix: with another label's ids, wherever an id can stand, there is nothing (R-24).

It is made from the contract. An operation, a parameter or a field that it cannot place fails a test.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import httpx
import pytest

from tests.api.matrix_call import Call, Shape, outcome, shape
from tests.api.matrix_contract import CONTRACT, Operation, Place, operations, row_of, unclassified
from tests.api.matrix_dump import Dump
from tests.api.matrix_makers import MAKERS, PLAIN, never
from tests.api.matrix_ready import good_call
from tests.api.matrix_side import OF_CLIENTS, Side
from tests.api.matrix_world import World, differences
from tests.api.partners_harness import bearer

STALE = [{"If-Match": '"1"'}, {"If-Match": '"999"'}, {"If-Match": "*"}]
OF_ANOTHER_KIND = {(name, "saved_reply_id") for name in ("createRule", "changeRule", "testRule")}
"""It has no place in the action that names a person: test_rules_are_changed_by_whoever_saw_them tries it."""
NOT_TRIED = {("sendMessage", "media_id"), ("sendMessage", "asset_id")} | OF_ANOTHER_KIND
NOT_TRIED |= {("putBillingDetails", "state"), ("eraseFan", "provider_id")}
"""The first is a post of the account's own, which Meta alone knows; beside a text both would be a second content.
Another label's file: tests/flows/test_flows_asset_messages.py. The others are a part of an address, and a number at
Meta, of which any is answered alike."""


@dataclass(frozen=True)
class Caller:
    """Who acts for label B."""

    name: str
    client: Callable[[World, Operation], httpx.AsyncClient]
    may: Callable[[Operation], bool]
    """Whether they may do it in B at all. If not, that is all they are told, whatever the id."""


def the_partner(world: World, operation: Operation) -> httpx.AsyncClient:
    """The API client of label B, which has every scope and the owner's decision."""
    return bearer(world.house, world.b.ids["introspectOauthToken.token"][0])


def the_owner(world: World, operation: Operation) -> httpx.AsyncClient:
    """The person who owns label B; or nobody, with the proof of B's API client in the body."""
    return world.b.nobody if operation.name in OF_CLIENTS else world.b.owner


PARTS = 4
"""Of the operations, each a test of its own: all together take minutes."""
CALLERS = (
    Caller("the owner", the_owner, lambda operation: True),
    Caller("the API client", the_partner, lambda operation: operation.spec.get("x-partner-scope") is not None),
)


@dataclass(frozen=True)
class Case:
    """One request with A's ids, and the same with ids that never existed."""

    told: str
    with_real: Call
    with_none: Call
    given: tuple[str, ...]
    """What differs between the two."""
    hidden: bool
    """Whether it must be the plain 404; otherwise, whatever the rule is, it must be the same."""


def id_places(operation: Operation) -> list[tuple[Place, str]]:
    """Where an id can stand, and the name of its row."""
    places = [place for place in operation.texts() if (operation.name, place.name) not in NOT_TRIED]
    found = [(place, row_of(operation, place, MAKERS)) for place in places]
    return [(place, row) for place, row in found if row is not None]


def cases(operation: Operation, good: Call, a: Side) -> Iterator[Case]:
    """Each place alone with each of A's ids; and A's label with A's ids in the whole path."""
    places = id_places(operation)
    for place, row in places:
        for real in a.ids[row]:
            none, hidden = never(real), place.where == "path"
            yield Case(f"{place} = {row}", good.at(place, real), good.at(place, none), (real, none), hidden)
    in_path = [(place, row) for place, row in places if place.where == "path"]
    if len(in_path) > 1:
        real_call, given = good, []
        for place, row in in_path:
            real_call = real_call.at(place, a.ids[row][0])
            given.append(a.ids[row][0])
        none = never(a.label_id)
        other = real_call.at(Place("path", "label_id"), none)
        yield Case("path all of A's", real_call, other, (*given, none), True)


def variants(case: Case) -> Iterator[Case]:
    """The case as it is; with each kind of version; and with a body that is refused wherever the way there is open."""
    yield case
    if "if-match" in case.with_real.operation.parameters("header"):
        for headers in STALE:
            real, none = replace(case.with_real, headers=headers), replace(case.with_none, headers=headers)
            yield replace(case, told=f"{case.told}, {headers}", with_real=real, with_none=none)
    if case.with_real.body is not None and case.hidden:
        bad: dict[str, Any] = {"body": {"nonsense": 1}}
        real, none = replace(case.with_real, **bad), replace(case.with_none, **bad)
        yield replace(case, told=f"{case.told}, bad body", with_real=real, with_none=none, hidden=False)


async def tried(world: World, client: httpx.AsyncClient, case: Case, before: Dump, none: Shape) -> list[str]:
    """What is wrong with the answer to A's id, or with A's data after it. All is `before` again in the end.

    `none` is the answer to an id that never existed.
    """
    found = []
    real = await case.with_real.by(client)
    after = await world.dump()
    if shape(real, *case.given) != none:
        found.append(f"is {real.status_code} {real.text[:200]}, not {none[0]} {none[2][:200]}")
    if case.hidden and outcome(real) != (404, "not_found"):
        found.append(f"is no plain 404, but {real.status_code} {real.text[:200]}")
    changed = differences(world.data_of_a(before), world.data_of_a(after))
    if changed:
        found.append(f"changes A's data:{changed}")
    if after != before:
        await world.restore(before)
    return [f"{case.told} {trouble}" for trouble in found]


async def tried_by(world: World, caller: Caller, operation: Operation) -> tuple[int, list[str]]:
    """How many cases of an operation a caller has tried, and what is wrong with them."""
    await world.restore(world.base)
    good, client = await good_call(world, world.b, operation), caller.client(world, operation)
    before, nones, troubles, count = await world.dump(), dict[str, Shape](), list[str](), 0
    may = caller.may(operation)
    for case in chain.from_iterable(variants(case) if may else (case,) for case in cases(operation, good, world.a)):
        if case.told not in nones:  # it is the same for each of A's ids
            none = await case.with_none.by(client)
            nones[case.told] = shape(none, *case.given)
            if none.status_code < 400:  # what a refusal changes, is seen after A's id
                await world.restore(before)
        troubles += await tried(world, client, replace(case, hidden=case.hidden and may), before, none=nones[case.told])
        count += 1
    return count, [f"{operation} by {caller.name}: {trouble}" for trouble in troubles]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
async def test_another_labels_ids_are_not_there(world: World, caller: Caller, part: int) -> None:
    """In path, query and body: the answer is that of an id that never existed, and nothing of A's has changed."""
    troubles, count = list[str](), 0
    for operation in [one for one in operations() if id_places(one)][part::PARTS]:
        more, found = await tried_by(world, caller, operation)
        troubles += found
        count += more
    assert not troubles, "\n".join(troubles)
    assert count > 50


def test_every_kind_of_id_is_tried() -> None:
    """Each that can be made is somewhere in a path, a query or a body."""
    tried_rows = {row for one in operations() for _, row in id_places(one)}
    assert set(MAKERS) ^ tried_rows == {"target_id", "retryPublication.target_id"}, "each deed has a target of its own"


async def test_the_ids_are_real(world: World) -> None:
    """A's own owner does with them what each operation is for: what B does not find is there."""
    for operation in operations():
        if id_places(operation):
            call = await good_call(world, world.a, operation)
            for place, row in id_places(operation):
                call = call.at(place, world.a.ids[row][0])
            answer = await call.by(world.a.doer(operation))
            assert answer.status_code < 400, (str(operation), answer.text)
            await world.restore(world.base)


async def test_cursors_of_another_label(world: World) -> None:
    """A's are refused on B's lists like those that nobody gave; behind A's label they show nothing, like any other."""
    all_lists = [operation for operation in operations() if "cursor" in operation.parameters("query")]
    lists = [operation for operation in all_lists if operation.access != "anybody"]
    for operation in lists:
        page = replace(await good_call(world, world.a, operation), query={"limit": "1"})
        cursor = (await page.by(world.a.owner)).raise_for_status().json()["next_cursor"]
        assert cursor, f"{operation}: A's list has only one page"
        place = Place("query", "cursor")
        assert (await page.at(place, cursor).by(world.a.owner)).status_code == 200, operation
        own = replace(await good_call(world, world.b, operation), query={"limit": "1"})
        for name, client in [(c.name, c.client(world, operation)) for c in CALLERS if c.may(operation)]:
            refused = await own.at(place, cursor).by(client)
            assert outcome(refused) == (400, "invalid_cursor"), (str(operation), name)
            assert shape(refused) == shape(await own.at(place, never(cursor)).by(client)), (str(operation), name)
            if "label_id" in page.path:
                hidden = await page.at(place, cursor).by(client)
                nowhere = page.at(place, cursor).at(Place("path", "label_id"), never(world.a.label_id))
                assert hidden.status_code == 404, (str(operation), name)
                assert shape(hidden) == shape(await nowhere.by(client)), (str(operation), name)
    assert len(lists) >= 9
    assert differences(world.base, await world.dump()) == ""


async def test_idempotency_keys_of_another_label(world: World) -> None:
    """A key that A has used is a fresh one for B and for nobody, behind A's own path too; A gets the kept answer."""
    used, fresh = ({"Idempotency-Key": key} for key in ("of-A", "of-nobody"))
    ids_of_a = {real for row in set(MAKERS) - {"reply_to", "media_id"} for real in world.a.ids[row]}
    posts = [operation for operation in operations() if "Idempotency-Key" in operation.parameters("header")]
    for operation in posts:
        await world.restore(world.base)
        b_call, a_call = await good_call(world, world.b, operation), await good_call(world, world.a, operation)
        before = await world.dump()
        first = await replace(a_call, headers=a_call.headers | used).by(world.a.doer(operation))
        assert first.status_code < 400, (str(operation), first.text)
        kept = await world.dump()
        assert "idempotency_keys" in {name for name, _ in kept.keys() - before.keys()}, operation
        clients = {caller.name: caller.client(world, operation) for caller in CALLERS}
        clients |= {"nobody": world.house.http}
        tries = [(name, client, a_call) for name, client in clients.items() if client is not world.a.doer(operation)]
        if a_call.path:
            in_b = replace(b_call, body=a_call.body)
            tries += [(f"{name} in B", client, in_b) for name, client in clients.items() if name != "nobody"]
        for name, client, call in tries:
            await world.restore(kept)
            other = await replace(call, headers=call.headers | used).by(client)
            await world.restore(kept)
            expected = await replace(call, headers=call.headers | fresh).by(client)
            assert shape(other) == shape(expected), (str(operation), name)
            assert "idempotency-replayed" not in other.headers, (str(operation), name)
            unsaid = {real for real in ids_of_a if real not in str(call.body)}
            assert not {real for real in unsaid if real in other.text}, (str(operation), name)
        rights = ("sessions", "refresh_tokens", "memberships")  # the call itself may have ended them
        await world.restore(kept | {key: document for key, document in before.items() if key[0] in rights})
        again = await replace(a_call, headers=a_call.headers | used).by(world.a.doer(operation))
        assert again.headers.get("idempotency-replayed") == "true", (str(operation), again.text)
        assert again.content == first.content, operation
    assert len(posts) > 20


def test_everything_in_the_contract_is_tried() -> None:
    """Each operation's access is known, and each free text of a request has a maker or is known to be no id."""
    assert unclassified(CONTRACT, MAKERS, PLAIN) == []
    assert not set(MAKERS) & set(PLAIN)
    names = {place.name for operation in operations() for place in operation.texts()}
    assert {name.rpartition(".")[2] if name not in names else name for name in (*MAKERS, *PLAIN)} <= names


def changed(path: str, method: str, **changes: Any) -> dict[str, Any]:
    """A copy of the contract with an operation added or changed."""
    found = copy.deepcopy(CONTRACT)
    operation = found["paths"].setdefault(path, {}).setdefault(method, {"operationId": "added", "responses": {}})
    operation.update(changes)
    return found


def test_what_is_not_classified_fails() -> None:
    """A new operation, parameter, header, kind of body or field, at any depth, is named until somebody places it."""
    song = [{"name": name, "in": "path", "schema": {"type": "string"}} for name in ("label_id", "song_id")]
    path = "/v1/labels/{label_id}/songs/{song_id}"

    def troubles(**changes: Any) -> list[str]:
        found = unclassified(changed(path, "get", **changes), MAKERS, PLAIN)
        return [trouble.removeprefix(f"added (GET {path}): ") for trouble in found]

    known = {"x-access": "label:read", "parameters": song[:1]}
    assert troubles(**known) == []
    no_row = "path song_id is neither an id with a maker nor known as none"
    assert troubles(**known | {"parameters": song}) == [no_row]
    assert troubles(**known | {"x-access": "label:sing"}) == ["its access, label:sing, is not known"]
    assert troubles(**known | {"parameters": []}) == ["nothing says which label it is of"]
    assert troubles(parameters=[])[0] == "its access, None, is not known"
    header = [{"name": "X-Song", "in": "header", "schema": {"type": "string"}}]
    assert troubles(**known | {"parameters": song[:1] + header}) == ["the header X-Song is not tried"]
    form = {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}}
    assert troubles(**known, requestBody=form) == ["application/x-www-form-urlencoded is not tried as a body"]
    nested = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "songs": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "status": {"type": "string", "enum": ["open"]},
            "count": {"type": "integer"},
            "more": {"type": "object", "additionalProperties": True},
        },
    }
    assert troubles(**known, requestBody={"content": {"application/json": {"schema": nested}}}) == [
        "body more may be anything",
        "body songs/0 is neither an id with a maker nor known as none",
    ]
