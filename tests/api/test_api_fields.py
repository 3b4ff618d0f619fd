"""Fields that are not a caller's to write: sent along with good work, they are refused, and nothing happens (R-25)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import bson

from tests.api.matrix_contract import CONTRACT, NOT_OURS, Operation, objects, operations, put
from tests.api.matrix_dump import Dump
from tests.api.matrix_ready import good_call
from tests.api.matrix_world import World, differences

FEARED: dict[str, Any] = {
    **dict.fromkeys(("id", "_id", "label_id", "user_id", "member_id", "session_id", "client_id"), "usr_me"),
    **dict.fromkeys(("role", "roles", "own_role"), "owner"),
    **{name: ["label:own"] for name in ("permissions", "scopes")},
    **dict.fromkeys(("staff", "admin", "is_admin", "verified", "email_verified", "enabled", "partner", "meta"), True),
    **dict.fromkeys(("email_verified_at", "created_at", "updated_at", "disabled_at", "authenticated_at"), None),
    **dict.fromkeys(("expires_at", "ends_at", "due_at", "deletion_due_at", "confirmed_at"), "2099-01-01T00:00:00Z"),
    **dict.fromkeys(("plan", "stripe_customer_id", "subscription", "credits"), "pro"),
    **dict.fromkeys(("password_hash", "secret", "secret_hash", "access_token", "totp_seed", "mac", "seq"), "x"),
    **dict.fromkeys(("version", "attempts", "fence", "unread_count", "owners_changed"), 99),
    **{name: {"x": 1} for name in ("__proto__", "constructor", "$set", "$where", "name.first", "")},
}
"""With what they would be good for. Of other names, any text."""
AT_ONCE = 40
"""An answer tells of 50 errors: each field of a batch has one of its own."""
REFUSAL = "holds a field that this request does not have"


def stored_names(dump: Dump) -> set[str]:
    """The name of every field that any stored document has, at any depth."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value)
        for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(below)

    for document in dump.values():
        collect(bson.decode(document))
    return found


def shown_names() -> set[str]:
    """The name of every field of any schema of the contract."""
    return {name for schema in CONTRACT["components"]["schemas"].values() for name in schema.get("properties", {})}


def with_bodies() -> list[Operation]:
    """The operations that take a body of ours."""
    return [one for one in operations() if one.body is not None and one.name not in NOT_OURS]


def extended(operation: Operation, good: Any, names: set[str]) -> Iterator[tuple[str, int, Any]]:
    """The good body with fields that are not its own, a batch at a time, in each of its objects.

    Of each: the pointer of the object, the number of such fields, the body.
    """
    assert operation.body is not None
    for steps, schema in objects(operation.body, operation.schemas):
        inner = good
        for step in steps:
            inner = (inner or {}).get(step) if isinstance(step, str) else (inner or [None])[0]
        foreign = sorted(names - set(schema.get("properties", {})))
        for at in range(0, len(foreign), AT_ONCE):
            more = {name: FEARED.get(name, "x") for name in foreign[at : at + AT_ONCE]}
            yield "".join(f"/{step}" for step in steps), len(more), put(good, steps, (inner or {}) | more)


async def test_what_is_not_the_callers_to_write_is_refused(world: World) -> None:
    """Every name of a stored field, of a shown one and of a feared one, in every object of every body."""
    names = stored_names(world.base) | shown_names() | set(FEARED)
    troubles, objects_tried, fields_tried = [], 0, 0
    for operation in with_bodies():
        await world.restore(world.base)
        call, before = await good_call(world, world.a, operation), await world.dump()
        pointers = set()
        for pointer, count, body in extended(operation, call.body, names):
            answer = await replace(call, body=body).by(world.a.doer(operation))
            errors = answer.json().get("errors", []) if answer.status_code == 422 else []
            refused = [one["pointer"] for one in errors if one["detail"].startswith(REFUSAL)]
            if refused != [pointer] * count:
                troubles.append(f"{operation} at {pointer or '/'}: {answer.status_code}, {len(refused)} of {count}")
            pointers.add(pointer)
            fields_tried += count
        changed = differences(before, await world.dump())
        if changed:
            troubles.append(f"{operation} changes:{changed}")
            await world.restore(before)
        plain = await call.by(world.a.doer(operation))
        if plain.status_code >= 400:
            troubles.append(f"{operation} is no good work without them: {plain.status_code} {plain.text[:200]}")
        objects_tried += len(pointers)
    assert not troubles, "\n".join(troubles)
    assert objects_tried >= len(with_bodies()) + 3 and fields_tried > 3000, (objects_tried, fields_tried)


async def test_the_names_are_those_that_are_there(world: World) -> None:
    """What the list of stored and shown fields must hold at least, or it looks at the wrong things."""
    stored = stored_names(world.base)
    assert {"label_id", "role", "password_hash", "email_verified_at", "version", "authenticated_at"} <= stored
    assert {"envelope", "fence", "deletion_due_at", "mac"} <= stored | shown_names()
    assert {"id", "access_token", "totp_seed", "deletion_due_at", "unread_count"} <= shown_names()
    assert len(with_bodies()) >= 20
