"""The table of permissions fits together, and no route is without a declared access."""

from collections.abc import Callable
from typing import Annotated, Any, get_args

import pytest
from fastapi import APIRouter, Depends, Security, WebSocket
from starlette.responses import Response
from starlette.routing import Mount

from app.access import (
    ANYBODY,
    BY_RESOURCE,
    SIGNED,
    Access,
    FreshPersonDep,
    Person,
    PersonDep,
    UndeclaredAccess,
    access_table,
    get_person,
    label_access,
)
from app.main import create_routes
from app.models.access import MAY_GRANT, META_SCOPES, PERMISSIONS, Permission, Role, Scope
from app.routers import labels

Reader = Annotated[Access, Security(label_access, scopes=["label:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["label:write"])]
Both = Annotated[Access, Security(label_access, scopes=["label:read", "label:write"])]
Unknown = Annotated[Access, Security(label_access, scopes=["label:sing"])]
Nothing = Annotated[Access, Security(label_access, scopes=[])]
Bare = Annotated[Access, Depends(label_access)]


async def nobody_asked() -> None:
    """A route that asks nobody who they are."""


async def a_reader(access: Reader) -> None:
    """A permission."""


async def a_person(person: PersonDep) -> None:
    """A person."""


async def a_fresh_person(person: FreshPersonDep) -> None:
    """A person with a fresh log-in."""


async def of_two(access: Reader, other: Writer) -> None:
    """Two permissions, of two arguments."""


async def of_two_scopes(access: Both) -> None:
    """Two permissions, of one argument."""


async def of_person_and_label(access: Reader, person: PersonDep) -> None:
    """A permission and a person."""


async def of_unknown(access: Unknown) -> None:
    """A permission that the table does not have."""


async def of_nothing(access: Nothing) -> None:
    """A label, and no permission."""


async def of_bare(access: Bare) -> None:
    """A label, and no permission, by a plain dependency."""


async def needs_writer(access: Writer) -> Access:
    """A dependency between."""
    return access


async def deep(access: Annotated[Access, Depends(needs_writer)]) -> None:
    """A permission two steps away."""


async def deep_and_more(access: Annotated[Access, Security(needs_writer, scopes=["label:read"])]) -> None:
    """A permission two steps away, and another on the way there."""


async def deep_person(person: Annotated[Person, Depends(get_person)], access: Bare) -> None:
    """A person, and a label without a permission."""


def router_of(endpoint: Callable[..., Any], extra: dict[str, Any] | None = None) -> APIRouter:
    """A router with this one route."""
    router = APIRouter()
    router.add_api_route("/v1/labels/{label_id}", endpoint, methods=["GET"], openapi_extra=extra)
    return router


@pytest.mark.parametrize(
    ("endpoint", "extra", "access"),
    [
        (a_reader, None, "label:read"),
        (a_reader, {"x-access": "label:read"}, "label:read"),
        (deep, None, "label:write"),
        (a_person, None, "person"),
        (a_fresh_person, None, "person"),
        (nobody_asked, ANYBODY, "anybody"),
        (nobody_asked, SIGNED, "signed"),
        (nobody_asked, BY_RESOURCE, "operations:read"),
    ],
)
def test_one_access_is_declared(endpoint: Callable[..., Any], extra: dict[str, Any] | None, access: str) -> None:
    """By an argument, near or far, or in so many words."""
    assert access_table([router_of(endpoint, extra)]) == {("/v1/labels/{label_id}", "get"): access}


@pytest.mark.parametrize(
    ("endpoint", "extra"),
    [
        (nobody_asked, None),
        (nobody_asked, {}),
        (nobody_asked, {"x-access": ""}),
        (nobody_asked, {"x-access": "everybody"}),
        (of_two, None),
        (of_two_scopes, None),
        (deep_and_more, None),
        (of_person_and_label, None),
        (of_unknown, None),
        (of_nothing, None),
        (of_bare, None),
        (deep_person, None),
        (a_reader, ANYBODY),
        (a_person, SIGNED),
        (a_person, BY_RESOURCE),
        (a_reader, {"x-access": "label:write"}),
        (a_reader, {"x-access": "person"}),
    ],
)
def test_any_other_declaration_stops_the_start(endpoint: Callable[..., Any], extra: dict[str, Any] | None) -> None:
    """None, two, an unknown one, public and private at once, or other words than what is asked for."""
    with pytest.raises(UndeclaredAccess, match="label_id"):
        access_table([router_of(a_reader), router_of(endpoint, extra)])


async def a_socket(socket: WebSocket) -> None:
    """A socket that anybody may open."""


async def a_bare_route(request: Any) -> Response:
    """A route beside FastAPI's."""
    return Response()


def test_what_cannot_declare_is_refused() -> None:
    """Sockets, mounted apps and bare routes pass no door of ours."""
    routers = [APIRouter() for _ in range(3)]
    routers[0].add_api_websocket_route("/socket", a_socket)
    routers[1].add_route("/bare", a_bare_route)
    routers[2].routes.append(Mount("/below", app=Response()))
    for router in routers:
        with pytest.raises(UndeclaredAccess):
            access_table([router])


def test_nothing_starts_with_an_undeclared_route() -> None:
    """`create_routes` asks every module: one route without a declaration, and there is no app."""
    [undeclared] = router_of(nobody_asked).routes
    labels.router.routes.append(undeclared)
    try:
        with pytest.raises(UndeclaredAccess):
            create_routes()
    finally:
        labels.router.routes.remove(undeclared)
    assert create_routes().state.access["/v1/labels/{label_id}", "get"] == "label:read"


def test_every_permission_is_used_and_has_a_rule() -> None:
    """The words, the table and the routes have the same ones."""
    words = set(get_args(Permission))
    assert set(PERMISSIONS) == words
    used = set(create_routes().state.access.values()) - {"person", "anybody", "signed"}
    assert used == words


def test_scopes_are_the_partners_part_of_the_table() -> None:
    """A scope is a permission that partners can have; those that reach data from Meta are among them."""
    assert set(get_args(Scope)) == {name for name, rule in PERMISSIONS.items() if rule.partner}
    from_meta = {"inbox:read", "inbox:write", "comments:read", "comments:write", "insights:read"}
    assert from_meta | {"members:invite", "connections:read"} == META_SCOPES
    assert META_SCOPES == {name for name, rule in PERMISSIONS.items() if rule.meta} <= set(get_args(Scope))


def test_roles_grow_from_nobody_to_the_owner() -> None:
    """An owner has every permission, an admin all but the owner's own, and everybody else less than an admin."""
    held = {role: {name for name, rule in PERMISSIONS.items() if role in rule.roles} for role in get_args(Role)}
    assert held["owner"] == set(PERMISSIONS)
    assert all(held[role] < held["admin"] < held["owner"] for role in ("editor", "agent", "analyst"))
    assert held["owner"] - held["admin"] == {"label:own", "clients:decide", "audit:read", "support:end"}
    assert all(rule.roles for rule in PERMISSIONS.values())


def test_nobody_gives_more_than_they_have() -> None:
    """Who may change members may grant roles; nobody grants one whose permissions go beyond their own."""
    assert set(MAY_GRANT) == set(get_args(Role))
    for giver, roles in MAY_GRANT.items():
        assert (
            bool(roles)
            == (giver in PERMISSIONS["members:write"].roles)
            == (giver in PERMISSIONS["members:invite"].roles)
        )
        for rule in PERMISSIONS.values():
            assert giver in rule.roles or not roles & rule.roles, (giver, roles)


def test_support_and_partners_get_nothing_dangerous() -> None:
    """What needs a person's fresh log-in is for people of the label alone; our support only reads, and no content."""
    for name, rule in PERMISSIONS.items():
        assert not (rule.dangerous and (rule.partner or rule.support)), name
        assert not rule.support or name.endswith(":read") or name == "support:end", name  # their own access
    assert not {"inbox:read", "comments:read"} & {name for name, rule in PERMISSIONS.items() if rule.support}
